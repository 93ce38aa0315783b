"""How many requests per second a run sends after the server has refused some as too many.

The answers of the last second show how many the server accepts. So a refusal sets the rate to a
little less than that, and each request gets a time slot: the next free one. From then on the rate
grows with the cube of the time: slowly near the rate that was too high, and then ever faster,
because the limit may have changed, or may not have been about requests.
"""

from collections import deque

WINDOW = 1.0
"""Seconds of which the answers are counted."""
SHORTEST = 0.1
"""Seconds: over less time a rate means nothing."""
LESS = 0.95
"""The factor that is applied to the rate that was too high."""
FORGOTTEN = 60.0
"""Seconds after which there is no limit any more: the rate would be 20,000 times as high."""
NEAR = 0.01
"""The precision of a time slot, in slots."""


class RequestRate:
    """Gives each request a time slot; there are no limits before the first refusal."""

    def __init__(self) -> None:
        self._answers: deque[float] = deque(maxlen=4096)
        self._base = 0.0
        """Requests per second just after the last refusal; 0 before the first one."""
        self._refused_at = 0.0
        self._used = 0.0
        """Time slots since then that have been reserved, or have passed."""

    def answered(self, now: float, requests: int = 1) -> None:
        """Count requests that the server has answered successfully, at this time in seconds."""
        self._answers.extend([now] * requests)

    def refused(self, now: float) -> None:
        """Set the rate below that of the recent answers; reserved time slots become invalid."""
        answers = self._answers
        while answers and answers[0] < now - WINDOW:
            answers.popleft()
        seconds = max(now - answers[0], SHORTEST) if answers else WINDOW
        self._base = LESS * max(len(answers), 1) / seconds
        self._refused_at = now
        self._used = 0.0

    def reserve(self, now: float, requests: int = 1) -> float:
        """Reserve the next free time slots; return the seconds until the last of them."""
        quiet = now - self._refused_at
        if not self._base or quiet > FORGOTTEN:
            return 0.0
        passed = self._slots(quiet)
        self._used = max(self._used + requests, passed)
        # Newton's method; it starts too late, as if the rate did not grow any more.
        at = quiet + (self._used - passed) / self._rate(quiet)
        while (over := self._slots(at) - self._used) > NEAR:
            at -= over / self._rate(at)
        return max(at - quiet, 0.0)

    def _rate(self, quiet: float) -> float:
        """Return the requests per second at so many seconds after the refusal."""
        return self._base * (1 + 0.05 * quiet + 0.1 * quiet**3)

    def _slots(self, quiet: float) -> float:
        """Return how many time slots the first so many seconds have: the integral of the rate."""
        return self._base * (quiet + 0.025 * quiet**2 + 0.025 * quiet**4)
