"""A time in which requests fail, and none brings anything new.

A page of the listing is new, and so are bytes of an object, and a definite answer about one, such
as that it is gone. A request that was answered is not: an endpoint that answers HEAD and not GET
keeps a run busy for ever.
"""

from asyncsync.errors import ConnectionLostError, TransientError

LONGEST = 300.0
"""Seconds after which a run ends that stands still."""
GRACE = 5.0
"""Seconds by which a pause that the server asks for may be longer than what is left."""
TOLD_AFTER = 30.0
"""Seconds after which the user is told of it."""
LONGEST_PAUSE = 60.0
"""Seconds that a server may ask for."""
LONGEST_GAP = LONGEST_PAUSE + 30.0
"""Seconds between two failures that count at most: one pause, and one wait for an answer.

A wait that was longer than the usual 30 s counts as well: the one with which the second one ended.
In a longer gap nothing was asked: the requests had to wait for `--limit-rate`, or the process was
stopped.
"""


class Standstill:
    """Begins with a first failed request.

    Args:
        key: what the request was about.
        now: the time, in seconds.
    """

    def __init__(self, key: str, now: float) -> None:
        self.is_of_one = True
        """Whether all failed requests were about the same key."""
        self.is_reported = False
        self.lasted = 0.0
        """Seconds, up to the last failure."""
        self._key = key
        self._failed_at = now

    def add(self, key: str, now: float, error: TransientError) -> None:
        """Count a failed request."""
        self.is_of_one &= key == self._key
        silence = error.silence if isinstance(error, ConnectionLostError) else 0.0
        self.lasted += min(now - self._failed_at, max(LONGEST_GAP, LONGEST_PAUSE + silence))
        self._failed_at = now

    @property
    def left(self) -> float:
        """Seconds until it has lasted too long."""
        return LONGEST - self.lasted

    def describe(self, error: TransientError) -> str:
        """Return what to tell the user of it, after this error."""
        return f"nothing has come for {self.lasted:.0f} s: {error}"
