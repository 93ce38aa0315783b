"""How fast bytes have come lately."""

from collections import deque

SECONDS_OF_RATE = 5.0
"""The rate is that of the last so many seconds."""
_LEAST_SECONDS_OF_RATE = 0.5
"""After less time, no rate is known, because it would jump."""


class Rate:
    """The rate of a count that only grows.

    Args:
        now: when the count was 0, in seconds of any clock.
    """

    def __init__(self, now: float) -> None:
        self._samples: deque[tuple[float, float]] = deque([(now, 0)])

    def at(self, now: float, count: float) -> float:
        """Return the growth a second, now that the count is this; 0 if it is not known yet."""
        while len(self._samples) > 1 and self._samples[1][0] <= now - SECONDS_OF_RATE:
            self._samples.popleft()
        then, before = self._samples[0]
        self._samples.append((now, count))
        seconds = now - then
        return (count - before) / seconds if seconds >= _LEAST_SECONDS_OF_RATE else 0.0
