"""Progress bars, drawn by tqdm: one for the whole run, and one for each large object in flight."""

import sys
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm
from tqdm.auto import tqdm as auto_tqdm

from asyncsync.console import print_line
from asyncsync.keys import shown
from asyncsync.model import Downloaded, Outcome, Transfer
from asyncsync.progress.progress import Progress
from asyncsync.progress.terminal import LOCK, SECONDS_BETWEEN_DRAWS, Terminal

MOST_FILE_BARS = 8

tqdm.monitor_interval = 0  # without tqdm's own thread; bars are redrawn at each event


class Bars(Progress):
    """Progress bars: one for the whole run, and one for each large object in flight.

    With a `stream`, which must be a terminal, they are drawn there. Without one, they are drawn in
    the notebook's cell or on standard error.

    Pass them as `observer`. They may already be open when a run opens them, and then stay open
    after it.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self._terminal = Terminal(stream) if stream else None
        self._overall: Any = None
        self._files: dict[str, Any] = {}
        """The bars of large objects, by key."""
        self._free_rows: list[int] = []
        self._free_widgets: list[Any] = []
        self._openings = 0

    def __enter__(self) -> Self:
        self._openings += 1
        if self._openings == 1:
            self.reset()
            self._files.clear()
            self._free_widgets.clear()
            self._free_rows = list(range(MOST_FILE_BARS, 0, -1))
            self._overall = self._add_bar(0, total=0, desc="listing")
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
            for bar in (*self._files.values(), *self._free_widgets, self._overall):
                bar.total = 0  # or an unfinished widget would stay, in red
                bar.close()

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line above the bars.

        Args:
            line: the line, without its end.
            stream: where to print it.
        """
        if self._terminal:
            self._terminal.say(line, stream)
            return
        with self._overall.external_write_mode(stream):
            print_line(line, stream)

    def flush(self) -> None:
        """Print the lines that wait until the bars are drawn."""
        if self._terminal:
            self._terminal.flush()

    def listed(self) -> None:
        """Show percentages from now on, because the total is known."""
        if self._terminal:
            self._overall.set_total(self.arrived + self.lost, self.size)
        super().listed()

    def draw(self) -> None:
        """Update the bar of the whole run. tqdm limits how often it is drawn."""
        bar = self._overall
        more = "+" if self.listing else ""
        bar.desc = f"{self.ended_objects:,}/{self.objects:,}{more} files"
        reading = f"{self.unproven:,} to read" if self.unproven else ""
        if self._terminal:
            bar.lost = self.lost
            bar.note = reading or ("listing" if self.listing else "")
            self._terminal.draw_if_due()
        else:
            bar.desc += f", {reading}: " if reading else ": "
            if bar.total != self.size:
                _set_total(bar, self.size)
        bar.update(self.arrived + self.lost - bar.n)

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Update the object's bar as well, or add one if there is a free row."""
        super().advanced(transfer, size)
        key = transfer.remote.key
        bar = self._files.get(key)
        if bar is None and size > 0 and (self._free_widgets or self._has_room()):
            bar = self._files[key] = self._add_file_bar(key, transfer.remote.size)
        if bar is not None:
            bar.update(self.in_flight[key] - bar.n)

    def ended(self, outcome: Outcome) -> None:
        """Remove the object's bar."""
        super().ended(outcome)
        remote = outcome.transfer.remote if isinstance(outcome, Downloaded) else outcome.remote
        bar = self._files.pop(remote.key, None)
        if bar is None:
            return
        if _is_widget(bar):
            # It is used again, because a cell keeps the space of every bar that it has ever shown.
            self._free_widgets.append(bar)
        else:
            self._free_rows.append(-bar.pos)
            self._free_rows.sort(reverse=True)  # the top row is taken first
            bar.close()

    def _has_room(self) -> bool:
        return bool(self._free_rows) and (
            self._terminal is None or self._terminal.fits(self._free_rows[-1])
        )

    def _add_file_bar(self, key: str, size: int) -> Any:
        if not self._free_widgets:
            return self._add_bar(self._free_rows.pop(), total=size, desc=shown(key))
        bar = self._free_widgets.pop()
        bar.desc = f"{shorten(key)}: "
        bar.reset(size)
        return bar

    def _add_bar(self, row: int, *, total: int, desc: str) -> Any:
        if self._terminal:
            return self._terminal.add_row(row, desc, total)
        return _AutoBar(
            total=total,
            desc=shorten(desc),
            unit="B",
            unit_scale=True,
            file=self._stream,
            position=row,
            leave=False,
            dynamic_ncols=True,
            mininterval=SECONDS_BETWEEN_DRAWS,
            miniters=0,  # or tqdm would hardly redraw a bar that was fast and becomes slow
        )


class _AutoBar(auto_tqdm):  # type: ignore[type-arg]  # generic in its stubs only
    """A bar for a terminal or a notebook."""


_AutoBar.set_lock(LOCK)


def _is_widget(bar: Any) -> bool:
    return hasattr(bar, "container")


def _set_total(bar: Any, total: int) -> None:
    """Set a bar's total, and that of its widget, which tqdm sets only when it creates one."""
    bar.total = total
    if _is_widget(bar):
        widget = bar.container.children[1]
        widget.bar_style = ""
        widget.max = max(total, 1)


def shorten(name: str, width: int = 32) -> str:
    """Return a name of at most `width` characters. A long one loses its beginning, not its end.

    Names usually differ at their end.
    """
    return name if len(name) <= width else "…" + name[1 - width :]
