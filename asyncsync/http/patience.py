"""When a response has stalled: silent for too long, or too slow.

Time is counted in ticks of a timer, not read from a clock. A server is therefore not blamed for the
time this machine was asleep, and a received byte does not cost a look at the clock.
"""

from dataclasses import dataclass
from typing import Final

LONGEST_START: Final = 120.0
"""Seconds that a server may take at most to begin a response.

A request that was given up in silence has twice as long the next time, up to this.
"""
MOST_LATE: Final = 4096
"""Requests of which is known that they were given up in silence."""


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

    __slots__ = ("_seen", "_silent_ticks", "_wait", "_window_start", "_window_ticks", "silence")

    def __init__(self) -> None:
        self.silence = 0.0
        """Seconds for which nothing had come at the last tick."""
        self._silent_ticks = BEFORE_FIRST_TICK
        self._seen = 0
        self._window_ticks = 0
        self._window_start = 0
        self._wait: object = None

    def tick(self, patience: Patience, progress: int, wait: object, start: float = 0.0) -> str:
        """Count one tick; return why the response has stalled, or an empty string.

        Args:
            patience: the limits; `patience.tick` seconds have passed since the last call.
            progress: bytes of the response received so far.
            wait: what the reader waits for; silence counts from when it began to.
            start: seconds that it may take to begin, if those are more than for other bytes.
        """
        if progress != self._seen or wait is not self._wait:
            self._seen, self._wait = progress, wait
            self._silent_ticks = BEFORE_FIRST_TICK
        self._silent_ticks += 1
        limit = patience.read_timeout if progress else max(patience.read_timeout, start)
        self.silence = self._silent_ticks * patience.tick
        if self.silence >= limit:
            return f"sent nothing for {limit:g} s"
        if not progress:  # what has not begun is silent, but not slow
            return ""
        self._window_ticks += 1
        if self._window_ticks * patience.tick >= patience.slow_time:
            if progress - self._window_start < patience.slow_rate * patience.slow_time:
                return f"sent less than {patience.slow_rate} bytes/s for {patience.slow_time:g} s"
            self._window_ticks = 0
            self._window_start = progress
        return ""
