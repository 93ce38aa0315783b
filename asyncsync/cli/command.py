"""The command: what the arguments say alone is answered at once, the rest by `running.py`.

0  everything selected is up to date       4  the remote side ended the run
1  some objects failed                     5  the local side ended the run
2  usage or settings                       6  another run holds the destination
3  keys were skipped, all others are done  7  something is left to do, as an option asks
129, 130, 143  stopped by HUP, INT, TERM
"""

import os
import stat
import sys
from collections.abc import Sequence

from asyncsync.cli.arguments import parse_arguments
from asyncsync.cli.mistakes import as_option
from asyncsync.console import RED, print_line, print_message
from asyncsync.errors import AsyncSyncError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and return its exit code.

    Args:
        argv: the arguments; None takes those of the process.
    """
    _open_streams()
    try:
        arguments = parse_arguments(argv)
        if arguments.print_completion is not None:
            from asyncsync.cli.completion import script  # needs the extra of that name

            return 0 if print_line(script(arguments.print_completion), sys.stdout) else 1
        from asyncsync.cli.running import run  # slow: help and the version do not wait for it

        return run(arguments)
    except AsyncSyncError as error:
        print_message(as_option(str(error)), RED)
        return error.exit_code


def _open_streams() -> None:
    """Open the standard streams that the caller has closed.

    Otherwise a file would get a standard stream's number. Reading or writing there still fails.
    A pipe that some program left in non-blocking mode is set to block, so that no lines are lost.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode) and number:
                os.set_blocking(number, True)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # gets the lowest free number: this one
            setattr(sys, name, os.fdopen(number, "r+", closefd=False))
