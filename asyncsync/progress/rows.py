"""What one bar shows, and how its figures are written. `terminal.py` and `cell.py` draw it."""

from dataclasses import dataclass
from enum import Enum

from asyncsync.keys import display_width

_SECONDS_OF_A_DAY = 86_400


class State(Enum):
    """How far a bar has come."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Row:
    """One bar at one moment. Sizes are bytes, times are seconds."""

    name: str
    """Safe to print: it has gone through `shown`."""
    done: int
    total: int
    """0 if it is unknown."""
    rate: float = 0.0
    """Bytes a second; 0 if it is unknown."""
    note: str = ""
    """Shown in place of the time left."""
    state: State = State.RUNNING

    @property
    def share(self) -> float | None:
        """How much of the total is done, from 0 to 1; None if the total is unknown."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total else None

    @property
    def percent(self) -> str:
        """The share for people."""
        return "" if self.share is None else f"{int(self.share * 100)}%"

    @property
    def size(self) -> str:
        """What is done."""
        return steady_size(self.done) if self.done or self.total else ""

    @property
    def sizes(self) -> str:
        """What is done, and of how much."""
        return f"{self.size} of {steady_size(self.total)}" if self.total else self.size

    @property
    def speed(self) -> str:
        """The rate."""
        return f"{steady_size(self.rate)}/s" if self.rate else ""

    @property
    def end(self) -> str:
        """The note, or the time left."""
        if self.note or not (self.total and self.rate):
            return self.note
        return f"ETA {clock((self.total - self.done) / self.rate)}"

    def __str__(self) -> str:
        """Return the row as text."""
        return "  ".join(filter(None, (self.name, self.percent, self.sizes, self.speed, self.end)))


def steady_size(size: float) -> str:
    """Return a number of bytes in decimal units and three digits, so that its width is steady.

    That is `1.20 MB` where a table has `1.2 MB`.
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(size) < 999.5 or unit == "TB":  # above, it would be rounded to 1000
            break
        size /= 1000
    if unit == "B":
        return f"{size:.0f} B"
    decimals = 2 if abs(size) < 9.995 else 1 if abs(size) < 99.95 else 0
    return f"{size:.{decimals}f} {unit}"


def clock(seconds: float) -> str:
    """Return a duration as a clock shows it: `0:05`, `1:02:03`; a very long one in days."""
    if seconds >= 100 * 3600:
        return f"{seconds / _SECONDS_OF_A_DAY:,.0f} days"
    minutes, seconds = divmod(int(max(0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


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
