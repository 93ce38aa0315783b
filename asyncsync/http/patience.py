"""How long an answer may keep somebody waiting.

Time is counted in ticks and not read from a clock: a machine that was asleep does not blame the
server, and no byte that arrives costs a look at the clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits."""

    read_timeout: float
    """Seconds without a byte."""
    slow_rate: int
    """Bytes a second that count as moving."""
    slow_time: float
    """Seconds over which `slow_rate` is measured."""

    @property
    def tick(self) -> float:
        """Seconds between two looks at an answer."""
        return min(self.read_timeout, self.slow_time) / 10


BEGUN = -1
"""Quiet ticks when a silence begins, since the one that is under way is no whole one."""


class Watch:
    """What one answer has used up of somebody's patience. Ticks only while somebody waits."""

    __slots__ = ("_quiet_ticks", "_seen", "_window_start", "_window_ticks")

    def __init__(self) -> None:
        self._quiet_ticks = BEGUN
        self._seen = 0
        self._window_ticks = 0
        self._window_start = 0

    def hush(self) -> None:
        """Start to count silence anew, as a wait begins."""
        self._quiet_ticks = BEGUN

    def tick(self, patience: Patience, progress: int) -> str:
        """Count one tick; return why the answer has stalled, or nothing.

        Args:
            patience: the limits; `patience.tick` seconds have passed.
            progress: the bytes of the answer that have arrived so far.
        """
        self._window_ticks += 1
        if progress != self._seen:
            self._seen = progress
            self._quiet_ticks = BEGUN
        self._quiet_ticks += 1
        if self._quiet_ticks * patience.tick >= patience.read_timeout:
            return f"sent nothing for {patience.read_timeout:g} s"
        if self._window_ticks * patience.tick >= patience.slow_time:
            if progress - self._window_start < patience.slow_rate * patience.slow_time:
                return f"sent less than {patience.slow_rate} bytes/s for {patience.slow_time:g} s"
            self._window_ticks = 0
            self._window_start = progress
        return ""
