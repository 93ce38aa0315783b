"""Progress bars: one for the whole run, and one for each large object in flight."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Protocol, Self, TextIO

from asyncsync.console import is_in_notebook, print_line, takes_escapes
from asyncsync.keys import shown
from asyncsync.model import Downloaded, Failed, Outcome, Transfer
from asyncsync.progress.lines import PlainRows
from asyncsync.progress.progress import Progress
from asyncsync.progress.rate import Rate
from asyncsync.progress.rows import Row, State, clock
from asyncsync.progress.terminal import Terminal

SECONDS_BETWEEN_TICKS = 0.3


class Screen(Protocol):
    """Where rows are drawn. The first one is that of the whole run."""

    @property
    def seconds_between_draws(self) -> float:
        """How often to draw at most."""

    @property
    def file_rows(self) -> int:
        """How many rows there may be below the first one."""

    @property
    def keeps_ended(self) -> bool:
        """Whether the row of an object stays when the object has ended."""

    def open(self) -> None:
        """Be ready to draw."""

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line above the rows, now or with the next draw."""

    def draw(self, rows: Sequence[Row]) -> None:
        """Show these rows in place of the last ones."""

    def flush(self) -> None:
        """Print the lines that wait."""

    def close(self, rows: Sequence[Row]) -> None:
        """Leave at most these rows where they are."""


class Bars(Progress):
    """Progress bars: one for the whole run, and one for each large object in flight.

    With a `stream`, which must be a terminal, they are drawn there. Without one, they are drawn in
    the notebook's cell or on standard error; if that is no terminal, a line tells now and then how
    far the run is.

    Pass them as `observer`. They may already be open when a run opens them, and then stay open
    after it.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._screen: Screen | None = Terminal(stream) if stream else None
        self._rate = Rate(0.0)
        self._files: dict[str, _File] = {}
        """Those of the objects in flight that have a row, by key."""
        self._rows: list[_File] = []
        """What the rows below the first one show."""
        self._openings = 0
        self._draw_at = 0.0
        self._next_tick: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._openings += 1
        if self._openings == 1:
            self.reset()
            self._files, self._rows = {}, []
            self._rate, self._draw_at = Rate(monotonic()), 0.0
            self._screen = self._screen or _screen()
            self._screen.open()
        self._tick()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._openings -= 1
        if self._next_tick:
            self._next_tick.cancel()
            self._next_tick = None
        self.flush()
        if self._openings == 0 and self._screen:
            self._screen.close(self._last_rows(monotonic()))

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line above the bars.

        Args:
            line: the line, without its end.
            stream: where to print it.
        """
        if self._screen and self._openings:
            self._screen.say(line, stream)
            self.draw()
        else:
            print_line(line, stream)

    def flush(self) -> None:
        """Print the lines that wait until the bars are drawn."""
        if self._screen:
            self._screen.flush()

    def draw(self) -> None:
        """Draw the bars, some times a second at most."""
        now = monotonic()
        if now >= self._draw_at and self._screen and self._openings:
            self._draw_at = now + self._screen.seconds_between_draws
            files = [file.row(now, self.in_flight) for file in self._rows]
            self._screen.draw([self._first_row(now), *files])

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Count for the object's bar as well, or add one if a row is free."""
        key = transfer.remote.key
        file = self._files.get(key)
        if file is None and size > 0:
            file = self._add_file(key, transfer.remote.size)
        if file is not None and size > 0:
            file.fetched += size
        super().advanced(transfer, size)

    def ended(self, outcome: Outcome) -> None:
        """End the object's bar."""
        remote = outcome.transfer.remote if isinstance(outcome, Downloaded) else outcome.remote
        file = self._files.pop(remote.key, None)
        if file is not None:
            file.end(monotonic(), State.FAILED if isinstance(outcome, Failed) else State.FINISHED)
            if self._screen and not self._screen.keeps_ended:
                self._rows.remove(file)
        super().ended(outcome)

    def _tick(self) -> None:
        """Draw from now on even without events, if there is a running event loop."""
        self.draw()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._next_tick:
            self._next_tick.cancel()
        self._next_tick = loop.call_later(SECONDS_BETWEEN_TICKS, self._tick)

    def _add_file(self, key: str, size: int) -> "_File | None":
        """Give the object a row, if there is a free one on the screen."""
        most = self._screen.file_rows if self._screen else 0
        free = (number for number, file in enumerate(self._rows[:most]) if file.last)
        number = next(free, len(self._rows))
        if number >= most:
            return None
        file = self._files[key] = _File(key, size, Rate(monotonic()))
        self._rows[number : number + 1] = [file]
        return file

    def _first_row(self, now: float) -> Row:
        rate = self._rate.at(now, self.fetched)
        more = "+" if self.listing else ""
        if self.listing and not self.objects:
            name, note = "listing", ""
        else:
            name = f"{self.ended_objects:,}/{self.objects:,}{more} files"
            note = "listing" if self.listing else ""
        if self.unproven:
            note = f"{self.unproven:,} to read"
        total = 0 if self.listing else self.size
        return Row(name, self.arrived + self.lost, total, rate, note)

    def _last_rows(self, now: float) -> list[Row]:
        """Return what a screen may leave of the bars; nothing if nothing was done."""
        if not (self.ended_objects or self.fetched):
            return []
        if self.listing or self.ended_objects < self.objects:
            state = State.STOPPED
        else:
            state = State.FAILED if self.failures else State.FINISHED
        row = self._first_row(now)
        rate, note = self._rate.mean(now, self.fetched), f"in {clock(now - self._rate.began)}"
        return [Row(row.name, row.done, row.total, rate, note, state)]


@dataclass(slots=True)
class _File:
    """A large object that has a row."""

    key: str
    size: int
    rate: Rate
    fetched: int = 0
    """The bytes that came over the network, since it has a row."""
    last: Row | None = None
    """What it shows for good, since it has ended."""

    def row(self, now: float, in_flight: Mapping[str, int]) -> Row:
        """Return what it shows now."""
        if self.last:
            return self.last
        done, rate = in_flight.get(self.key, 0), self.rate.at(now, self.fetched)
        return Row(shown(self.key), done, self.size, rate)

    def end(self, now: float, state: State) -> None:
        """Show the same from now on."""
        if state is State.FAILED:
            self.last = Row(shown(self.key), 0, 0, note="failed", state=state)
            return
        rate, note = self.rate.mean(now, self.fetched), f"in {clock(now - self.rate.began)}"
        self.last = Row(shown(self.key), self.size, self.size, rate, note, state)


def _screen() -> Screen:
    """Return where bars are drawn if nobody says where."""
    if is_in_notebook():
        from asyncsync.progress.cell import Cell  # imports html

        return Cell()
    return Terminal(sys.stderr) if takes_escapes(sys.stderr) else PlainRows(sys.stderr)
