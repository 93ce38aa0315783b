"""What a notebook shows of an error of this package: the user's own lines, and what is wrong."""

import os
import traceback
from itertools import takewhile
from traceback import FrameSummary
from types import TracebackType

from asyncsync.keys import escaped

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def shortened(begin: TracebackType | None, said: str) -> list[str]:
    """Return where the user's code was when it called this package, and what is wrong.

    Args:
        begin: the traceback of an error; what is IPython's own is left out.
        said: what the error says, maybe with a key: control characters are escaped.
    """
    frames = takewhile(_is_outside, traceback.extract_tb(begin))
    return [*(_place(frame) for frame in frames if not _is_of_ipython(frame)), escaped(said)]


def _is_outside(frame: FrameSummary) -> bool:
    return not frame.filename.startswith(_PACKAGE)


def _is_of_ipython(frame: FrameSummary) -> bool:
    return f"{os.sep}IPython{os.sep}" in frame.filename


def _place(frame: FrameSummary) -> str:
    file = f"{frame.filename}, " if os.path.exists(frame.filename) else ""  # a cell has none
    return f"{file}line {frame.lineno}: {frame.line}"
