"""`python -m asyncsync` and the command `asyncsync`: the command line as a process of its own."""

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from asyncsync.cli import main


def process() -> NoReturn:
    """Do what the arguments say, and end the process.

    What the libraries make as they load stays for good, and looking through it for garbage again
    and again takes a twentieth of a run. Nor does anybody gain by having the interpreter taken
    apart at the end, which takes a tenth of a second.
    """
    gc.set_threshold(20_000, 50, 100)
    exit_code = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    process()
