"""How many requests a second a run sends, once the server has refused some as too many.

What it answers meanwhile shows how many it takes. So a refusal makes that the rate, less a little,
and each request then has its moment: whoever asks gets the next one. From there on the rate grows
with the cube of the time since: slowly about where there were too many, and then ever faster, since
the limit may be another one by now, or never have been one of requests.
"""

from collections import deque

WINDOW = 1.0
"""Seconds in which answers are counted."""
SHORTEST = 0.1
"""Seconds over which a rate means something."""
LESS = 0.95
"""What is taken of the rate that was too much."""
FORGOTTEN = 60.0
"""Seconds after which there is no rate any more: by then it has grown to 20,000 times as much."""
NEAR = 0.01
"""Moments by which one may be missed."""


class RequestRate:
    """The moments of requests; all of them are now until the server refuses one."""

    def __init__(self) -> None:
        self._answers: deque[float] = deque(maxlen=4096)
        self._base = 0.0
        """Requests a second at the time of the last refusal; 0 before the first."""
        self._refused_at = 0.0
        self._given = 0.0
        """Moments since then that somebody has got, or that nobody wanted."""

    def answered(self, now: float) -> None:
        """Count a request that the server has served."""
        self._answers.append(now)

    def refused(self, now: float) -> None:
        """Send fewer from now on than were served of late; moments that were given are void."""
        answers = self._answers
        while answers and answers[0] < now - WINDOW:
            answers.popleft()
        seconds = max(now - answers[0], SHORTEST) if answers else WINDOW
        self._base = LESS * max(len(answers), 1) / seconds
        self._refused_at = now
        self._given = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next moment that nobody has, which the caller gets."""
        quiet = now - self._refused_at
        if not self._base or quiet > FORGOTTEN:
            return 0.0
        passed = self._moments(quiet)
        self._given = max(self._given + 1, passed)
        # Newton's method, from the far side: as if the rate did not grow any more.
        at = quiet + (self._given - passed) / self._rate(quiet)
        while (over := self._moments(at) - self._given) > NEAR:
            at -= over / self._rate(at)
        return max(at - quiet, 0.0)

    def _rate(self, quiet: float) -> float:
        """Return the requests a second, so many seconds after the refusal."""
        return self._base * (1 + 0.05 * quiet + 0.1 * quiet**3)

    def _moments(self, quiet: float) -> float:
        """Return how many moments there are in the first so many seconds: the rate's integral."""
        return self._base * (quiet + 0.025 * quiet**2 + 0.025 * quiet**4)
