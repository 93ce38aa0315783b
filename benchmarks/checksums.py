"""Print the CRC64NVME of files, as an S3 server tells it: a program of the peers' environment.

    python -I checksums.py DIRECTORY < PATHS

For each path below DIRECTORY it prints one line: the eight bytes, the highest first, in base64.
"""

import base64
import importlib
import os
import sys

_BLOCK = 1 << 20


def main() -> None:
    """Do what the module says."""
    model = importlib.import_module("anycrc").Model("CRC64-NVME")  # only that environment has it
    block = memoryview(bytearray(_BLOCK))
    for line in sys.stdin:
        path = os.path.join(sys.argv[1], line.rstrip("\n"))
        checksum = 0
        if os.stat(path).st_size:
            with open(path, "rb", buffering=0) as file:
                while count := file.readinto(block):
                    checksum = model.calc(block[:count], checksum)
        print(base64.b64encode(checksum.to_bytes(8, "big")).decode())


if __name__ == "__main__":
    main()
