"""`python -m asyncsync` and the command `asyncsync`: the command line as a process of its own."""

import gc
import os
import signal
import sys
from contextlib import suppress


def process() -> None:
    """Do what the arguments say, and end the process.

    An interrupt ends it in silence until the command line takes interrupts over, behind most of
    its imports; Python by itself would print where it was.

    What the libraries make as they load stays for good, and looking through it for garbage again
    and again takes a twentieth of a run. Nor does anybody gain by having the interpreter taken
    apart at the end, which takes a tenth of a second.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(20_000, 50, 100)
    try:
        from asyncsync.cli import main

        exit_code = main()
    except MemoryError:
        os.write(2, b"asyncsync: out of memory (exit code 5)\n")
        exit_code = 5
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(exit_code)


if __name__ == "__main__":
    process()
