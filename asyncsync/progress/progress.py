"""The terminal wall: what a person sees while a run goes on.

`Bars` draws with tqdm: one bar for the whole, and one for each large object under way. `Lines`
prints a line now and then, for logs and pipes. Both are context managers, and both `say` a line
without a bar being torn.
"""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm
from tqdm.auto import tqdm as fitting_tqdm

from asyncsync.console import print_line
from asyncsync.interfaces import SilentObserver
from asyncsync.keys import shown
from asyncsync.model import Compared, Downloaded, Failed, Outcome, Transfer, UpToDate
from asyncsync.progress.terminal import LOCK, SECONDS_BETWEEN_DRAWS, Terminal
from asyncsync.units import format_size

MOST_FILE_BARS = 8
SECONDS_BETWEEN_LINES = 5.0

tqdm.monitor_interval = 0  # no thread of tqdm's own: there is always a next event to draw at


class Progress(SilentObserver):
    """Counts what is under way. Sizes are bytes."""

    def __init__(self) -> None:
        self.objects = 0
        self.size = 0
        self.lost = 0
        """What failed will never arrive; it is done with all the same, as its object is."""
        self.ended_objects = 0
        self.arrived = 0
        self.listing = True
        self.underway: dict[str, int] = {}
        """Bytes that have arrived of each started transfer, by key."""

    def compared(self, page: Compared) -> None:
        """Expect more."""
        self.objects += len(page.transfers)
        self.size += sum(transfer.remote.size for transfer in page.transfers)
        self.draw()

    def listed(self) -> None:
        """Expect no more than by now."""
        self.listing = False
        self.draw()

    def started(self, transfer: Transfer) -> None:
        """Follow a transfer's bytes."""
        self.underway[transfer.remote.key] = 0

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Count bytes, or discount them."""
        self.underway[transfer.remote.key] += size
        self.arrived += size
        self.draw()

    def ended(self, outcome: Outcome) -> None:
        """Count an object; the bytes of what failed are lost."""
        self.ended_objects += 1
        match outcome:
            case Downloaded(transfer):
                size = transfer.remote.size
                self.arrived += size - self.underway.pop(transfer.remote.key, 0)
            case Failed(remote):
                self.arrived -= self.underway.pop(remote.key, 0)
                self.lost += remote.size
            case UpToDate():
                self.objects += 1  # only a verification gets here, and no page announced it
        self.draw()

    def draw(self) -> None:
        """Show the figures as they are."""
        raise NotImplementedError

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line so that what is drawn is not torn."""
        print_line(line, stream)

    def flush(self) -> None:
        """Print at once what was said and waits for its turn."""


class Bars(Progress):
    """Progress bars in a terminal or, without a stream, in whatever suits: also in a notebook.

    May be opened again while they are open: by whoever made them, and by the run that they watch.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self._terminal = Terminal(stream) if stream else None
        self._whole: Any = None
        self._files: dict[str, Any] = {}
        self._rows: list[int] = []
        self._idle: list[Any] = []
        self._openings = 0

    def __enter__(self) -> Self:
        self._openings += 1
        if self._openings == 1:
            self._rows = list(range(MOST_FILE_BARS, 0, -1))
            self._whole = self._bar(0, total=0, desc="listing")
        if self._terminal:
            self._terminal.tick()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._openings -= 1
        if self._terminal:
            self._terminal.stop()
            self._terminal.flush()
        if self._openings == 0:
            for bar in (*self._files.values(), *self._idle, self._whole):
                bar.total = 0  # or a widget that is short of it would stay, in red
                bar.close()

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line above the bars."""
        if self._terminal:
            self._terminal.say(line, stream)
            return
        with self._whole.external_write_mode(stream):
            print_line(line, stream)

    def flush(self) -> None:
        """Print what waits for the bars to be drawn."""
        if self._terminal:
            self._terminal.flush()

    def listed(self) -> None:
        """Show the share that has arrived, now that the whole is known."""
        if self._terminal:
            self._whole.restart(self.arrived + self.lost, self.size)
        super().listed()

    def draw(self) -> None:
        """Move the bar of the whole; it is drawn often enough and no oftener."""
        whole = self._whole
        more = "+" if self.listing else ""
        whole.desc = f"{self.ended_objects:,}/{self.objects:,}{more} files"
        if self._terminal:
            whole.lost = self.lost
            whole.note = "listing" if self.listing else ""
            self._terminal.mend()
        else:
            whole.desc += ": "
            if whole.total != self.size:
                _expect(whole, self.size)
        whole.update(self.arrived + self.lost - whole.n)

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Move a large object's bar as well, or give it one if there is a row left."""
        super().advanced(transfer, size)
        key = transfer.remote.key
        bar = self._files.get(key)
        if bar is None and size > 0 and (self._idle or self._has_room()):
            bar = self._files[key] = self._file_bar(key, transfer.remote.size)
        if bar is not None:
            bar.update(self.underway[key] - bar.n)

    def ended(self, outcome: Outcome) -> None:
        """Clear the object's bar away."""
        super().ended(outcome)
        remote = outcome.transfer.remote if isinstance(outcome, Downloaded) else outcome.remote
        bar = self._files.pop(remote.key, None)
        if bar is None:
            return
        if _is_widget(bar):
            self._idle.append(bar)  # a cell keeps the place of every bar that it has ever shown
        else:
            self._rows.append(-bar.pos)
            self._rows.sort(reverse=True)  # the uppermost first
            bar.close()

    def _has_room(self) -> bool:
        return bool(self._rows) and (self._terminal is None or self._terminal.fits(self._rows[-1]))

    def _file_bar(self, key: str, size: int) -> Any:
        if not self._idle:
            return self._bar(self._rows.pop(), total=size, desc=shown(key))
        bar = self._idle.pop()
        bar.desc = f"{shortened(key)}: "
        bar.reset(size)
        return bar

    def _bar(self, row: int, *, total: int, desc: str) -> Any:
        if self._terminal:
            return self._terminal.row(row, desc, total)
        return _FittingBar(
            total=total,
            desc=shortened(desc),
            unit="B",
            unit_scale=True,
            file=self._stream,
            position=row,
            leave=False,
            dynamic_ncols=True,
            mininterval=SECONDS_BETWEEN_DRAWS,
            miniters=0,  # or a bar that was fast is hardly drawn once it is slow
        )


class _FittingBar(fitting_tqdm):  # type: ignore[type-arg]  # not generic but in its stubs
    """A bar for a terminal or a notebook."""


_FittingBar.set_lock(LOCK)


def _is_widget(bar: Any) -> bool:
    return hasattr(bar, "container")


def _expect(bar: Any, total: int) -> None:
    """Set a bar's total. A widget has one at its start or never, if it were for tqdm."""
    bar.total = total
    if _is_widget(bar):
        widget = bar.container.children[1]
        widget.bar_style = ""
        widget.max = max(total, 1)


class Lines(Progress):
    """A plain line every few seconds, without any control character."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._stream = stream
        self._clock = clock
        self._started = self._next = clock()

    def __enter__(self) -> Self:
        self._started = self._clock()
        self._next = self._started + SECONDS_BETWEEN_LINES
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave nothing behind."""

    def draw(self) -> None:
        """Print the figures if the last time is long enough ago."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + SECONDS_BETWEEN_LINES
        more = "+" if self.listing else ""
        rate = self.arrived / (now - self._started)
        line = (
            f"{self.ended_objects:,} of {self.objects:,}{more} files, "
            f"{format_size(self.arrived + self.lost)} of {format_size(self.size)}{more}, "
            f"{format_size(rate)}/s"
        )
        print_line(line, self._stream)


def shortened(name: str, width: int = 32) -> str:
    """Return the name, its beginning cut where it is long: names differ at the end."""
    return name if len(name) <= width else "…" + name[1 - width :]
