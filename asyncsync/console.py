"""Lines for people: printed at once, and coloured where the terminal takes it."""

import os
import shutil
from typing import TextIO

RED, GREEN = 31, 32


def print_line(line: str, stream: TextIO) -> bool:
    """Print a line at once; once the stream cannot be written any more, lines go nowhere.

    A sync goes on when its output is cut off, as by `| head`. What the stream's encoding cannot
    hold is escaped. Returns whether the line went somewhere.
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def takes_escapes(stream: TextIO) -> bool:
    """Return whether colours and bars may be drawn: a terminal of a known width that is not dumb.

    Who asks for no colours (`NO_COLOR`) gets plain lines as well.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return columns(stream) > 0


def columns(stream: TextIO) -> int:
    """Return the width of a terminal in cells; 0 for what is none, or does not say."""
    if not stream.isatty():
        return 0
    try:
        found = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        found = 0
    return found or shutil.get_terminal_size((0, 0)).columns  # which asks COLUMNS


def coloured(line: str, colour: int, stream: TextIO) -> str:
    """Return the line in a colour (`RED`, `GREEN`), where the stream takes it."""
    return f"\x1b[{colour}m{line}\x1b[0m" if takes_escapes(stream) else line
