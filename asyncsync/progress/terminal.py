"""Rows at the bottom of a terminal: bars with aligned columns, below the lines that are printed.

tqdm counts and decides when to draw. Lines that come faster wait for the next draw, or the rows
would be cleared most of the time. Between two draws the cursor is at the start of the first row,
or behind a `^C` that was typed there. A terminal that is made narrower wraps its lines again, and
the cursor moves with the first row. So everything from there on can be cleared and drawn again.
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
"""The download rate is that of the last so many seconds."""
_LEAST_SECONDS_OF_RATE = 0.5
"""After less time, no rate is shown, because it would jump."""

LOCK = TqdmDefaultWriteLock.th_lock
"""The lock of all bars: only that half of tqdm's lock that excludes other threads.

The other half is a semaphore, for bars that several processes draw. It is not needed here, and
Python would warn about it when the process ends. A program's own tqdm bars still use both halves.
"""

_MOST_NAME, _LEAST_NAME = 40, 18
_MOST_BAR, _LEAST_BAR = 40, 4
_WIDE = 72
"""Cells that a terminal needs to show bytes and the time left as well."""


class Terminal:
    """The rows of one terminal, its size, and when they were last drawn.

    Args:
        stream: a terminal, where the rows are drawn.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows: list[Row] = []
        self._size = _read_size(stream)
        self._draw_at = 0.0
        self._waiting: list[tuple[str, TextIO]] = []
        """Lines to print at the next draw."""
        self._next_tick: asyncio.TimerHandle | None = None

    @property
    def width(self) -> int:
        """Cells that a row may use: not the last column, which terminals treat differently."""
        return self._size.columns - 1

    def fits(self, number: int) -> bool:
        """Return whether a row is on the screen.

        The first one always is. Below the others, one line is left free.
        """
        return number == 0 or number <= self._size.lines - 3

    def add_row(self, number: int, name: str, total: int) -> "Row":
        """Draw a new row and return it. Row 0 is the first."""
        row = Row(self, self._stream, number, name, total)
        self._rows.append(row)
        return row

    def remove_row(self, row: "Row") -> None:
        """Stop drawing a row."""
        if row in self._rows:
            self._rows.remove(row)

    def tick(self) -> None:
        """Draw regularly from now on, even without events, if there is a running event loop."""
        self.stop()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if monotonic() >= self._draw_at:
            self.draw()
        self._next_tick = loop.call_later(SECONDS_BETWEEN_TICKS, self.tick)

    def stop(self) -> None:
        """Stop drawing regularly."""
        if self._next_tick:
            self._next_tick.cancel()
            self._next_tick = None

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line above the rows: at once, or with the next draw if many lines come."""
        self._waiting.append((line, stream))
        self.draw_if_due()

    def draw_if_due(self) -> None:
        """Print waiting lines and draw the rows below them, at most ten times per second."""
        if self._waiting and monotonic() >= self._draw_at:
            self.draw()

    def draw(self) -> None:
        """Print the waiting lines and draw all rows below them."""
        self._draw_at = monotonic() + SECONDS_BETWEEN_DRAWS
        self.flush()
        for row in self._rows:
            row.display()

    def flush(self) -> None:
        """Print the waiting lines in place of the rows."""
        lines, self._waiting = self._waiting, []
        if lines and self._rows:
            # Row by row: some terminals keep a screen that is cleared at once in their history.
            last = max(row.number for row in self._rows if self.fits(row.number))
            with suppress(OSError):
                self._rows[0].fp.write("\r\x1b[K" + "\n\x1b[K" * last + "\x1b[A" * last)
                self._rows[0].fp.flush()
        for line, stream in lines:
            print_line(line, stream)

    def update_size(self) -> bool:
        """Read the terminal's size, and return whether it has changed."""
        before, self._size = self._size, _read_size(self._stream)
        return before != self._size


class Row(tqdm):  # type: ignore[type-arg]  # generic in its stubs only
    """One bar. Made by `Terminal.add_row`.

    `n` and `total` are bytes. An unknown total is 0. `n` includes lost bytes.
    """

    def __init__(
        self, terminal: Terminal, stream: TextIO, number: int, name: str, total: int
    ) -> None:
        self.note = ""
        """Shown instead of the time left."""
        self.lost = 0
        """Bytes of failed objects, which count as done but have not arrived."""
        self._terminal = terminal
        self.number = number
        self._samples: deque[tuple[float, float]] = deque([(monotonic(), 0)])
        super().__init__(
            total=total,
            desc=name,
            file=stream,
            position=number,
            leave=False,
            mininterval=SECONDS_BETWEEN_DRAWS,
            miniters=0,  # or tqdm would hardly redraw a row that was fast and becomes slow
        )

    def set_total(self, n: int, total: int) -> None:
        """Show the percentage of a total that was unknown before."""
        self.total, self.n, self.last_print_n = total, n, n
        self.display()

    def close(self) -> None:
        """Remove the row."""
        self._terminal.remove_row(self)
        super().close()

    def display(self, msg: str | None = None, pos: int | None = None) -> None:  # noqa: ARG002 - tqdm's
        """Draw the row with one write, or all rows if the terminal's size has changed.

        A terminal that accepts no more output at the moment (O_NONBLOCK) is skipped.
        """
        with suppress(OSError):
            if self._terminal.update_size():
                self.fp.write("\x1b[J")
                self._terminal.draw()
            if self._terminal.fits(self.number):
                down, up = "\n" * self.number, "\x1b[A" * self.number
                self.fp.write(f"\r{down}{str(self) if msg is None else msg}\x1b[K{up}\r")
                self.fp.flush()

    def __str__(self) -> str:
        """Return the row's text, which is never wider than the terminal."""
        width = self._terminal.width
        columns = "".join(self._columns(wide=width >= _WIDE))
        name_width = min(_MOST_NAME, max(_LEAST_NAME, width * 2 // 7))
        if self.number == 0:  # its name has counts, which should not be cut
            name_width = max(name_width, len(self.desc))
        name_width = max(1, min(name_width, width - 1 - len(columns)))
        bar_width = min(_MOST_BAR, width - name_width - 1 - len(columns))
        bar = ""
        if bar_width >= _LEAST_BAR:
            share = self._share()
            bar = " " * bar_width if share is None else self._bar(share, bar_width)
        return f"{_fit(self.desc, name_width, is_ascii=bool(self.ascii))} {bar}{columns}"[:width]

    def _bar(self, share: float, width: int) -> str:
        return tqdm.format_meter(share, 1, 0, ncols=width, ascii=self.ascii, bar_format="{bar}")

    def _share(self) -> float | None:
        return min(1.0, max(0.0, self.n / self.total)) if self.total else None

    def _columns(self, *, wide: bool) -> Iterator[str]:
        """Yield the columns after the bar: percentage, bytes, rate, time left."""
        share, rate = self._share(), self._rate()
        yield f"{'' if share is None else f'{int(share * 100)}%':>5}"
        if wide:
            of = f" of {format_size(self.total)}" if self.total else ""
            yield f"{format_size(self.n) + of if self.n or of else '':>19}"
        yield f"{f'{format_size(rate)}/s' if rate else '':>10}"
        if wide:
            left = self.note
            if self.total and rate and not left and self.number == 0:
                left = f"ETA {tqdm.format_interval((self.total - self.n) / rate)}"
            yield f"{left:>12}" if self.number == 0 else " " * 12

    def _rate(self) -> float:
        """Return the bytes per second of the last seconds, including those that were discarded."""
        now, arrived = monotonic(), self.n - self.lost
        if (taken_back := self._samples[-1][1] - arrived) > 0:
            self._samples = deque((then, before - taken_back) for then, before in self._samples)
        while len(self._samples) > 1 and self._samples[1][0] <= now - SECONDS_OF_RATE:
            self._samples.popleft()
        then, before = self._samples[0]
        self._samples.append((now, arrived))
        seconds = now - then
        return (arrived - before) / seconds if seconds >= _LEAST_SECONDS_OF_RATE else 0.0


Row.set_lock(LOCK)


def _read_size(stream: TextIO) -> os.terminal_size:
    """Return the terminal's size, or a default if it has none."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        return shutil.get_terminal_size()
    return size if size.columns and size.lines else shutil.get_terminal_size()


def _fit(text: str, width: int, *, is_ascii: bool) -> str:
    """Return the text with exactly `width` cells. Cuts its beginning: names differ at the end."""
    if is_ascii:
        text = text.encode("ascii", "backslashreplace").decode("ascii")
    if display_width(text) > width:
        mark = "<" if is_ascii else "…"
        text = text[
            -width:
        ]  # each character takes a cell or two, except combining ones, which take none
        while display_width(text) > width - 1:
            text = text[1:]
        text = mark + text
    return text + " " * (width - display_width(text))
