"""When a response has stalled: silent for too long, or too slow.

Time is counted in ticks of a timer, not read from a clock. A server is therefore not blamed for the
time this machine was asleep, and a received byte does not cost a look at the clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a reader waits for a server."""

    read_timeout: float
    """Seconds without a byte after which a response has stalled."""
    slow_rate: int
    """Bytes per second below which a response has stalled."""
    slow_time: float
    """Seconds over which `slow_rate` is measured."""

    @property
    def tick(self) -> float:
        """Seconds between two checks of a response."""
        return min(self.read_timeout, self.slow_time) / 10


BEFORE_FIRST_TICK = -1
"""Where silent ticks are counted from: the tick in progress is not counted, as it is not whole."""


class StallDetector:
    """Decides whether one response has stalled. Time counts only while a reader waits for it."""

    __slots__ = ("_seen", "_silent_ticks", "_wait", "_window_start", "_window_ticks")

    def __init__(self) -> None:
        self._silent_ticks = BEFORE_FIRST_TICK
        self._seen = 0
        self._window_ticks = 0
        self._window_start = 0
        self._wait: object = None

    def tick(self, patience: Patience, progress: int, wait: object) -> str:
        """Count one tick; return why the response has stalled, or an empty string.

        Args:
            patience: the limits; `patience.tick` seconds have passed since the last call.
            progress: bytes of the response received so far.
            wait: what the reader waits for; silence counts from when it began to.
        """
        self._window_ticks += 1
        if progress != self._seen or wait is not self._wait:
            self._seen, self._wait = progress, wait
            self._silent_ticks = BEFORE_FIRST_TICK
        self._silent_ticks += 1
        if self._silent_ticks * patience.tick >= patience.read_timeout:
            return f"sent nothing for {patience.read_timeout:g} s"
        if self._window_ticks * patience.tick >= patience.slow_time:
            if progress - self._window_start < patience.slow_rate * patience.slow_time:
                return f"sent less than {patience.slow_rate} bytes/s for {patience.slow_time:g} s"
            self._window_ticks = 0
            self._window_start = progress
        return ""
