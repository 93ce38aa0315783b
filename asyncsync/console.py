"""Lines for people: printed at once, and in colour on terminals that support it."""

import os
import re
import shutil
import sys
from contextlib import suppress
from typing import TextIO

from asyncsync.keys import escaped

RED, GREEN, YELLOW = 31, 32, 33
"""Something failed; all is well; stopped, or something is left that a person should know of."""

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"

_TOGETHER = re.compile(r"`[^`]*`|\(exit code \d+\)")
"""What is not broken between two lines: a command, so that it can be copied."""
_INDENT = "  "
"""Of the lines behind the first of a message."""
_TIE = "\0"
"""Stands for a space that is not broken at. No message holds it."""

cursorless: set[int] = set()
"""The descriptors of the terminals whose cursor is hidden."""


def print_line(line: str, stream: TextIO) -> bool:
    """Print a line and flush it. Return False if the stream cannot be written.

    Such a stream then leads to the null device, so a sync goes on when its output is closed, as by
    `| head`.
    """
    try:
        write_line(line, stream)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def write_line(line: str, stream: TextIO) -> None:
    """Print a line and flush it. Characters that the stream's encoding does not have are escaped.

    Raises:
        OSError: the stream cannot be written.
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def takes_escapes(stream: TextIO) -> bool:
    """Return whether the stream is a terminal for colours and bars.

    Its width must be known, and it must not be dumb (`TERM`). `NO_COLOR` turns off bars as well.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return columns(stream) > 0


def columns(stream: TextIO) -> int:
    """Return the terminal's width in cells; 0 if it is unknown or the stream is no terminal."""
    if not stream.isatty():
        return 0
    try:
        found = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        found = 0
    return found or shutil.get_terminal_size((0, 0)).columns  # reads COLUMNS


def coloured(line: str, colour: int, stream: TextIO) -> str:
    """Return the line in a colour if the stream supports it."""
    return f"\x1b[{colour}m{line}\x1b[0m" if takes_escapes(stream) else line


def wrapped(line: str, stream: TextIO) -> str:
    """Return the line broken between words where the stream is a terminal that is too narrow.

    A command in backticks stays in one line if it fits.
    """
    width = columns(stream)
    if not width or len(line) <= width:
        return line
    import textwrap  # few lines are too long

    def tied(found: re.Match[str]) -> str:
        return found[0].replace(" ", _TIE) if len(found[0]) + len(_INDENT) <= width else found[0]

    return textwrap.fill(
        _TOGETHER.sub(tied, line),
        width,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_TIE, " ")


def print_message(message: str, colour: int = 0) -> None:
    """Print a line of this program on standard error, in a colour unless that is 0."""
    line = wrapped(f"asyncsync: {escaped(message)}", sys.stderr)
    print_line(coloured(line, colour, sys.stderr) if colour else line, sys.stderr)


def show_cursors() -> None:
    """Show each hidden cursor again, as before the process ends without any other clean-up.

    May be called from a signal handler.
    """
    for terminal in tuple(cursorless):
        with suppress(OSError):
            os.write(terminal, SHOW_CURSOR.encode())


def is_in_notebook() -> bool:
    """Return whether the program runs in a notebook's kernel, which shows more than lines."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
