"""Rows at the bottom of a terminal: bars with aligned columns, below the lines that are printed.

All rows are drawn with one write. Lines that come faster wait for the next draw, or the rows would
be cleared most of the time. Between two draws the cursor, which is hidden, is at the start of the
first row, or behind a `^C` that was typed there. A terminal that is made narrower wraps its lines
again, and the cursor moves with the first row. So everything from there on can be cleared and drawn
again.
"""

import io
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from asyncsync.console import HIDE_CURSOR, SHOW_CURSOR, cursorless, print_line
from asyncsync.progress.bar import Bar
from asyncsync.progress.layout import Layout
from asyncsync.progress.suspended import Suspended

MOST_FILE_ROWS = 8


class Terminal:
    """The rows of one terminal, and its size.

    Args:
        stream: a terminal, where the rows are drawn.
    """

    seconds_between_draws = 0.1
    keeps_ended = False
    """Whether the bar of an object stays when the object has ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._size = self._read_size()
        self._layout = Layout(stream.encoding or "ascii")
        self._drawn = 0
        """How many lines the rows take on the screen."""
        self._waiting: list[tuple[str, TextIO]] = []
        """Lines to print at the next draw."""
        self._suspended = Suspended(self._give_back)

    @property
    def file_rows(self) -> int:
        """How many rows fit below the first one; below them, one line is left free."""
        return max(0, min(MOST_FILE_ROWS, self._size.lines - 3))

    def open(self) -> None:
        """Be ready to draw."""
        self._suspended.begin()

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line above the rows, with the next draw."""
        self._waiting.append((line, stream))

    def draw(self, bars: Sequence[Bar]) -> None:
        """Print the waiting lines, and draw the bars below them.

        A terminal that accepts no more output at the moment (O_NONBLOCK) is skipped, and so is one
        that another process has in the foreground.
        """
        self.flush()
        if not self._is_in_foreground():
            return
        before, self._size = self._size, self._read_size()
        bars = bars[: 1 + self.file_rows]
        # The last column stays free, because terminals treat it differently.
        texts = self._layout.texts(bars, self._size.columns - 1)
        texts += [""] * (min(self._drawn, 1 + self.file_rows) - len(texts))
        clear = "\r\x1b[J" if before != self._size else "\r"
        frame = "\n".join(f"{text}\x1b[K" for text in texts)
        self._drawn = len(bars)
        if self._descriptor is not None:
            cursorless.add(self._descriptor)
        self._write(f"{HIDE_CURSOR}{clear}{frame}{_up(len(texts) - 1)}\r")

    def flush(self) -> None:
        """Print the waiting lines in place of the rows."""
        lines, self._waiting = self._waiting, []
        if lines:
            self._clear()
        for line, stream in lines:
            print_line(line, stream)

    def close(self, bars: Sequence[Bar]) -> None:  # noqa: ARG002 - the summary follows
        """Print the waiting lines, and leave no row on the screen."""
        self._suspended.end()
        self.flush()
        self._clear()
        self._write(SHOW_CURSOR)
        cursorless.discard(self._descriptor or 0)

    def _clear(self) -> None:
        if self._drawn:
            # Row by row: some terminals keep a screen that is cleared at once in their history.
            last = min(self._drawn - 1, self.file_rows)
            self._write("\r\x1b[K" + "\n\x1b[K" * last + _up(last))
            self._drawn = 0

    def _write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()

    def _give_back(self) -> None:
        """Leave the terminal as it was, at once: the process is about to be stopped."""
        if self._drawn and self._descriptor is not None:
            self._drawn = 0
            with suppress(OSError):
                os.write(self._descriptor, f"\r\x1b[J{SHOW_CURSOR}".encode())

    def _is_in_foreground(self) -> bool:
        """Return whether the shell has left the terminal to this process."""
        if self._descriptor is None or not hasattr(os, "tcgetpgrp"):
            return True
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # no shell controls it
            return True

    def _read_size(self) -> os.terminal_size:
        """Return the terminal's size, or a default if it has none."""
        if self._descriptor is None:
            return shutil.get_terminal_size()
        try:
            size = os.get_terminal_size(self._descriptor)
        except OSError:
            return shutil.get_terminal_size()
        return size if size.columns and size.lines else shutil.get_terminal_size()


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except io.UnsupportedOperation:
        return None


def _up(lines: int) -> str:
    return f"\x1b[{lines}A" if lines else ""
