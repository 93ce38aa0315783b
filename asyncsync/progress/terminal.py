"""The rows at the bottom of a terminal: bars below what is printed, their columns aligned.

tqdm counts and says when it is time to draw. Lines that come faster than that wait for it, so that
the rows are not gone for most of the time. Between two draws the cursor rests at the start of the
first row, or behind a `^C` that was typed there: where a terminal breaks its lines anew because it
was made narrower, the cursor moves with the first row, and all below it can be cleared and drawn
again.
"""

import asyncio
import os
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import TextIO

from tqdm import tqdm
from tqdm.std import TqdmDefaultWriteLock  # type: ignore[attr-defined]  # not in its stubs

from asyncsync.console import print_line
from asyncsync.keys import display_width
from asyncsync.units import format_size

SECONDS_BETWEEN_DRAWS = 0.1
SECONDS_BETWEEN_TICKS = 0.3
SECONDS_OF_RATE = 5.0
"""A rate is that of the last so many seconds."""
_LEAST_SECONDS_OF_RATE = 0.5
"""Before, it would jump."""

LOCK = TqdmDefaultWriteLock.th_lock
"""The lock of all bars: the half of tqdm's that holds off other threads.

The other half is a semaphore, for bars that several processes draw. Python warns of it when the
process ends, and none is needed here. A program's own tqdm takes both halves, and goes on to.
"""

_MOST_NAME, _LEAST_NAME = 40, 18
_MOST_BAR, _LEAST_BAR = 40, 4
_WIDE = 72
"""Cells from which on there is room for bytes and the time left."""


class Terminal:
    """What its rows share: the screen, its size, and when they were drawn.

    Args:
        stream: where rows are drawn; a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows: list[Row] = []
        self._size = _size(stream)
        self._draw_at = 0.0
        self._said: list[tuple[str, TextIO]] = []
        """Lines that wait until it is time to draw."""
        self._next_tick: asyncio.TimerHandle | None = None

    @property
    def width(self) -> int:
        """Cells that a row may have: none in the last column, where terminals differ."""
        return self._size.columns - 1

    def fits(self, number: int) -> bool:
        """Say whether a row is on the screen: the first always, and a free line is left below."""
        return number == 0 or number <= self._size.lines - 3

    def row(self, number: int, name: str, total: int) -> "Row":
        """Draw a new row, the first being 0, and return it."""
        row = Row(self, self._stream, number, name, total)
        self._rows.append(row)
        return row

    def forget(self, row: "Row") -> None:
        """Draw a row no longer."""
        if row in self._rows:
            self._rows.remove(row)

    def tick(self) -> None:
        """Draw now and then from now on, whether anything moves or not, where there is a loop."""
        self.stop()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if monotonic() >= self._draw_at:
            self.draw()
        self._next_tick = loop.call_later(SECONDS_BETWEEN_TICKS, self.tick)

    def stop(self) -> None:
        """Tick no longer."""
        if self._next_tick:
            self._next_tick.cancel()
            self._next_tick = None

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line above the rows, at once unless many lines are printed."""
        self._said.append((line, stream))
        self.mend()

    def mend(self) -> None:
        """Print the lines that wait, and draw the rows below them; a few times a second at most."""
        if self._said and monotonic() >= self._draw_at:
            self.draw()

    def draw(self) -> None:
        """Draw all rows, below what is to be printed."""
        self._draw_at = monotonic() + SECONDS_BETWEEN_DRAWS
        self.flush()
        for row in self._rows:
            row.display()

    def flush(self) -> None:
        """Print the lines that wait, in the place of the rows."""
        said, self._said = self._said, []
        if said and self._rows:
            # Row by row: some terminals keep what is cleared at once in their history.
            last = max(row.number for row in self._rows if self.fits(row.number))
            with suppress(OSError):
                self._rows[0].fp.write("\r\x1b[K" + "\n\x1b[K" * last + "\x1b[A" * last)
                self._rows[0].fp.flush()
        for line, stream in said:
            print_line(line, stream)

    def has_new_size(self) -> bool:
        """Take note of the terminal's size, and say whether it has changed."""
        before, self._size = self._size, _size(self._stream)
        return before != self._size


class Row(tqdm):  # type: ignore[type-arg]  # not generic but in its stubs
    """One bar. Made by `Terminal.row`.

    `n` and `total` are bytes; where the total is unknown it is 0. What is lost is part of `n`.
    """

    def __init__(
        self, terminal: Terminal, stream: TextIO, number: int, name: str, total: int
    ) -> None:
        self.note = ""
        """Stands in the place of the time left."""
        self.lost = 0
        """Bytes that are done with and have not arrived."""
        self._terminal = terminal
        self.number = number
        self._seen: deque[tuple[float, float]] = deque([(monotonic(), 0)])
        super().__init__(
            total=total,
            desc=name,
            file=stream,
            position=number,
            leave=False,
            mininterval=SECONDS_BETWEEN_DRAWS,
            miniters=0,  # or a row that was fast is hardly drawn once it is slow
        )

    def restart(self, n: int, total: int) -> None:
        """Show the share of a total that was not known before."""
        self.total, self.n, self.last_print_n = total, n, n
        self.display()

    def close(self) -> None:
        """Clear the row."""
        self._terminal.forget(self)
        super().close()

    def display(self, msg: str | None = None, pos: int | None = None) -> None:  # noqa: ARG002 - tqdm's
        """Draw the row with one write, and all of them if the terminal has another size.

        A terminal that takes no more for now, as one that does not wait (O_NONBLOCK), misses it.
        """
        with suppress(OSError):
            if self._terminal.has_new_size():
                self.fp.write("\x1b[J")
                self._terminal.draw()
            if self._terminal.fits(self.number):
                down, up = "\n" * self.number, "\x1b[A" * self.number
                self.fp.write(f"\r{down}{str(self) if msg is None else msg}\x1b[K{up}\r")
                self.fp.flush()

    def __str__(self) -> str:
        """Return the row's text, which is no wider than the terminal."""
        width = self._terminal.width
        figures = "".join(self._figures(wide=width >= _WIDE))
        name_width = min(_MOST_NAME, max(_LEAST_NAME, width * 2 // 7))
        if self.number == 0:  # numbers are not cut if that can be helped
            name_width = max(name_width, len(self.desc))
        name_width = max(1, min(name_width, width - 1 - len(figures)))
        bar_width = min(_MOST_BAR, width - name_width - 1 - len(figures))
        bar = ""
        if bar_width >= _LEAST_BAR:
            share = self._share()
            bar = " " * bar_width if share is None else self._bar(share, bar_width)
        return f"{_fitted(self.desc, name_width, is_ascii=bool(self.ascii))} {bar}{figures}"[:width]

    def _bar(self, share: float, width: int) -> str:
        return tqdm.format_meter(share, 1, 0, ncols=width, ascii=self.ascii, bar_format="{bar}")

    def _share(self) -> float | None:
        return min(1.0, max(0.0, self.n / self.total)) if self.total else None

    def _figures(self, *, wide: bool) -> Iterator[str]:
        """Yield the columns behind the bar: share, bytes, rate, time left."""
        share, speed = self._share(), self._speed()
        yield f"{'' if share is None else f'{int(share * 100)}%':>5}"
        if wide:
            of = f" of {format_size(self.total)}" if self.total else ""
            yield f"{format_size(self.n) + of if self.n or of else '':>19}"
        yield f"{f'{format_size(speed)}/s' if speed else '':>10}"
        if wide:
            left = self.note
            if self.total and speed and not left and self.number == 0:
                left = f"ETA {tqdm.format_interval((self.total - self.n) / speed)}"
            yield f"{left:>12}" if self.number == 0 else " " * 12

    def _speed(self) -> float:
        """Return the bytes a second of late; those that came count, also if they are of no use."""
        now, arrived = monotonic(), self.n - self.lost
        if (taken_back := self._seen[-1][1] - arrived) > 0:
            self._seen = deque((then, before - taken_back) for then, before in self._seen)
        while len(self._seen) > 1 and self._seen[1][0] <= now - SECONDS_OF_RATE:
            self._seen.popleft()
        then, before = self._seen[0]
        self._seen.append((now, arrived))
        seconds = now - then
        return (arrived - before) / seconds if seconds >= _LEAST_SECONDS_OF_RATE else 0.0


Row.set_lock(LOCK)


def _size(stream: TextIO) -> os.terminal_size:
    """Return the terminal's size; the usual one where it has none."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        return shutil.get_terminal_size()
    return size if size.columns and size.lines else shutil.get_terminal_size()


def _fitted(text: str, width: int, *, is_ascii: bool) -> str:
    """Return the text in so many cells; the beginning is cut, since names differ at the end."""
    if is_ascii:
        text = text.encode("ascii", "backslashreplace").decode("ascii")
    if display_width(text) > width:
        mark = "<" if is_ascii else "…"
        text = text[-width:]  # at most: a character takes a cell, but for those that take none
        while display_width(text) > width - 1:
            text = text[1:]
        text = mark + text
    return text + " " * (width - display_width(text))
