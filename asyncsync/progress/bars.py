"""Progress bars: one for the whole run, and one for each large object in flight."""

import asyncio
import sys
from collections.abc import Sequence
from time import monotonic
from types import TracebackType
from typing import Protocol, Self, TextIO

from asyncsync.console import is_in_notebook, print_line, takes_escapes
from asyncsync.keys import shown
from asyncsync.model import Downloaded, Failed, Outcome, Transfer
from asyncsync.progress.bar import Bar, State
from asyncsync.progress.lines import PlainBars
from asyncsync.progress.progress import Progress
from asyncsync.progress.terminal import Terminal

SECONDS_BETWEEN_TICKS = 0.3


class Screen(Protocol):
    """Where bars are drawn, each in a row. The first one is that of the whole run."""

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

    def draw(self, bars: Sequence[Bar]) -> None:
        """Show these bars in place of the last ones."""

    def flush(self) -> None:
        """Print the lines that wait."""

    def close(self, bars: Sequence[Bar]) -> None:
        """Leave at most these bars where they are."""


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
        self._whole = Bar()
        self._files: dict[str, Bar] = {}
        """Those of the objects in flight that have a row, by key."""
        self._rows: list[Bar] = []
        """Those of the rows below the first one."""
        self._openings = 0
        self._draw_at = 0.0
        self._next_tick: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._openings += 1
        if self._openings == 1:
            self.reset()
            self._whole, self._files, self._rows = Bar(), {}, []
            self._draw_at = 0.0
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
            self._screen.close(self._last_bars())

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
            self._update_whole()
            bars = [self._whole, *self._rows]
            for bar in bars:
                if bar.state is State.RUNNING:
                    bar.measure()
            self._screen.draw(bars)

    def kept(self, transfer: Transfer, size: int) -> None:
        """Move the object's bar as well, but not its rate."""
        bar = self._files.get(transfer.remote.key)
        if bar is not None:
            bar.update(size)
            bar.initial += size
        super().kept(transfer, size)

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Move the object's bar as well, or add one if a row is free."""
        key = transfer.remote.key
        bar = self._files.get(key)
        if bar is None and size > 0:
            bar = self._add_file(key, transfer.remote.size)
        if bar is not None:
            bar.update(size)
            bar.initial += min(size, 0)  # the network had brought what is discarded
        super().advanced(transfer, size)

    def ended(self, outcome: Outcome) -> None:
        """End the object's bar."""
        remote = outcome.transfer.remote if isinstance(outcome, Downloaded) else outcome.remote
        bar = self._files.pop(remote.key, None)
        if bar is not None:
            if isinstance(outcome, Failed):
                bar.end(State.FAILED)
                bar.n, bar.total, bar.rate, bar.note = 0, 0, 0.0, "failed"
            else:
                bar.update(remote.size - bar.n)
                bar.end(State.FINISHED)
            if self._screen and not self._screen.keeps_ended:
                self._rows = [row for row in self._rows if row is not bar]
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

    def _add_file(self, key: str, size: int) -> Bar | None:
        """Give the object a row, if there is a free one on the screen."""
        most = self._screen.file_rows if self._screen else 0
        rows = enumerate(self._rows[:most])
        free = (number for number, bar in rows if bar.state is not State.RUNNING)
        number = next(free, len(self._rows))
        if number >= most:
            return None
        bar = self._files[key] = Bar(shown(key), size, self.in_flight[key])
        self._rows[number : number + 1] = [bar]
        return bar

    def _update_whole(self) -> None:
        """Bring the bar of the whole run up to date."""
        bar = self._whole
        more = "+" if self.listing else ""
        if self.listing and not self.objects:
            bar.desc, bar.note = "listing", ""
        else:
            bar.desc = f"{self.ended_objects:,}/{self.objects:,}{more} files"
            bar.note = "listing" if self.listing else ""
        if self.unproven:
            bar.note = f"{self.unproven:,} to read"
        bar.total = 0 if self.listing else self.size
        bar.update(self.arrived + self.lost - bar.n)
        bar.initial = bar.n - self.fetched

    def _last_bars(self) -> list[Bar]:
        """Return what a screen may leave of the bars; nothing if nothing was done."""
        if not (self.ended_objects or self.fetched):
            return []
        if self.listing or self.ended_objects < self.objects:
            state = State.STOPPED
        else:
            state = State.FAILED if self.failures else State.FINISHED
        self._update_whole()
        self._whole.end(state)
        return [self._whole]


def _screen() -> Screen:
    """Return where bars are drawn if nobody says where."""
    if is_in_notebook():
        from asyncsync.progress.cell import Cell  # imports html

        return Cell()
    return Terminal(sys.stderr) if takes_escapes(sys.stderr) else PlainBars(sys.stderr)
