"""One bar, which is a tqdm, and how its figures are written.

tqdm counts, tells times and sizes, and makes the bar's text. It is kept from drawing, because the
screen (`terminal.py`, `cell.py`) draws all bars at once; so it needs neither a thread that draws
bars which stand still, nor a place on the screen, nor to look at the time at each update.
"""

import math
from enum import Enum
from io import StringIO
from time import monotonic
from typing import Any, ClassVar
from weakref import WeakSet

from tqdm import tqdm
from tqdm.std import TqdmDefaultWriteLock  # type: ignore[attr-defined]  # not in its stubs

from asyncsync.keys import display_width
from asyncsync.progress.rate import Rate

_HOUR = 3600


class State(Enum):
    """How far a bar has come."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


class Bar(tqdm):  # type: ignore[type-arg]  # generic in its stubs only
    """What one bar shows. Sizes are bytes, times are seconds.

    `n` is what is done, and what `update` adds to. `initial` is the part of it that the network did
    not bring since the bar began: what an earlier run had brought is added to it, and what was
    discarded is taken from it. So rates and the time left are those of the network.

    Args:
        name: safe to print: it has gone through `shown`.
        total: 0 if it is unknown.
        done: what is done before the bar begins.
    """

    monitor_interval = 0
    _instances: ClassVar["WeakSet[tqdm[Any]]"] = WeakSet()
    """Apart from a program's own bars, which tqdm would count, clear and move otherwise."""

    def __init__(self, name: str = "", total: int = 0, done: int = 0) -> None:
        super().__init__(
            desc=name,
            total=total,
            initial=done,
            unit="B",
            unit_scale=True,
            colour="cyan",
            miniters=math.inf,
            leave=False,
            file=StringIO(),
            disable=False,  # or TQDM_DISABLE would leave half a bar
        )
        self._time = monotonic  # tqdm's own clock may be put back
        self.start_t = self._time()
        self.state = State.RUNNING
        self.note = ""
        """Shown in place of the time left."""
        self.rate = 0.0
        """Bytes a second; 0 if it is unknown."""
        self._lately = Rate(self.start_t)

    def measure(self) -> None:
        """Find out how fast bytes have come lately.

        tqdm's own rate leaves out the times when nothing comes: it would stand still with the
        connection, and with it the time left.
        """
        self.rate = self._lately.at(self._time(), self.n - self.initial)

    def end(self, state: State) -> None:
        """Stand still from now on, and show the whole time and its mean rate."""
        seconds = self._time() - self.start_t
        self.state, self.note = state, f"in {interval(seconds)}"
        self.rate = (self.n - self.initial) / seconds if seconds else 0.0
        self.close()

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draw nothing."""

    @property
    def share(self) -> float | None:
        """How much of the total is done, from 0 to 1; None if the total is unknown."""
        return min(1.0, max(0.0, self.n / self.total)) if self.total else None

    @property
    def format_dict(self) -> dict[str, Any]:
        """What tqdm makes the text of. It would warn of a bar that is shorter than nothing."""
        return {**super().format_dict, "n": max(0, self.n), "rate": self.rate}

    @property
    def figures(self) -> dict[str, str]:
        """The figures that have columns of their own; what is not known is empty."""
        share, size, sizes, end = self.share, "", "", self.note
        if self.n or self.total:
            size = sizes = steady_size(self.n)
        if self.total:
            sizes = f"{size} of {steady_size(self.total)}"
        if self.total and self.rate and not end:
            end = f"ETA {interval(max(0, self.total - self.n) / self.rate)}"
        return {
            "percent": "" if share is None else f"{int(share * 100)}%",
            "size": size,
            "sizes": sizes,
            "speed": f"{steady_size(self.rate)}/s" if self.rate else "",
            "end": end,
        }

    def __str__(self) -> str:
        """Return the bar as text where none can be drawn."""
        figures = self.figures
        del figures["size"]
        return "  ".join(filter(None, (self.desc, *figures.values())))


Bar.set_lock(TqdmDefaultWriteLock.th_lock)
"""Only that half of tqdm's lock that excludes other threads.

The other half is a semaphore, for bars that several processes draw. It is not needed here, and
Python would warn about it when the process ends. A program's own bars still use both halves.
"""


def interval(seconds: float) -> str:
    """Return a duration as tqdm does, but one of a hundred hours in days: its column is narrow."""
    if seconds >= 100 * _HOUR:
        return f"{seconds / (24 * _HOUR):,.0f} days"
    return tqdm.format_interval(seconds)


def steady_size(size: float) -> str:
    """Return a number of bytes in decimal units and three digits, so that its width is steady.

    That is `1.20 MB` where a table has `1.2 MB`.
    """
    if abs(size) < 999.5:
        return f"{size:.0f} B"
    text = tqdm.format_sizeof(size)
    return f"{text[:-1]} {text[-1]}B"


def shorten(name: str, width: int, mark: str = "…") -> str:
    """Return a name of at most `width` terminal cells; a longer one loses its middle.

    Most is left of its end, where names differ, and some of its beginning, which tells the folder.
    """
    if display_width(name) <= width:
        return name
    head, tail = name, name[-width:]  # each character takes a cell or two, or none
    while head and display_width(head) > (width - 1) // 3:
        head = head[:-1]
    while tail and display_width(tail) > width - 1 - display_width(head):
        tail = tail[1:]
    return f"{head}{mark}{tail}"
