"""The time to sign requests with: this machine's, or the server's if that was refused."""

import time
from calendar import timegm
from collections.abc import Callable

from asyncsync.interfaces import Urgent

STAMP = "%Y%m%dT%H%M%SZ"
"""The format of the time in a signed request."""
_LEAST = 60.0
"""Seconds; a server that refuses a time this close to its Date would refuse its Date as well."""
_MOST = 86400.0
"""Seconds; no request is signed for a time further off, with which it could be kept and sent then.
"""
_DOUBTED = 60.0
"""Seconds for which a refusal is remembered that the clocks do not explain."""
_MOST_DOUBTS = 3
"""Refusals of one object that are not believed: a GET, and a HEAD with the GET that explains it."""
_MOST_KEYS = 4096
"""Objects of which they are remembered."""


def agree(ahead: float | None) -> bool:
    """Return whether two clocks agree, of which one is so many seconds ahead; None if unknown."""
    return ahead is not None and abs(ahead) < _LEAST


class Clock:
    """This machine's clock, corrected at most once, by the Date of an answer.

    Args:
        notice: called with a message when that happens.
        now: returns this machine's time, in seconds since the epoch.
    """

    def __init__(
        self, notice: Callable[[str], object], now: Callable[[], float] = time.time
    ) -> None:
        self._notice = notice
        self._now = now
        self._offset = 0.0
        self._second = 0
        self._stamp = ""
        self._doubts: dict[str | None, tuple[float, int]] = {}
        """Since when, and how often, the time was refused without an explanation, by key."""

    def stamp(self) -> str:
        """Return the time to sign with, as `STAMP`."""
        second = int(self._now() + self._offset)
        if second != self._second:
            self._second, self._stamp = second, time.strftime(STAMP, time.gmtime(second))
        return self._stamp

    @property
    def is_corrected(self) -> bool:
        """Whether the time to sign with differs from this machine's."""
        return bool(self._offset)

    def corrects(self, ahead: float | None, stamp: str) -> bool:
        """Return whether a request that was refused for its time would now be signed differently.

        Args:
            ahead: seconds that this machine is ahead of the server; None if unknown.
            stamp: the time that the request was signed with.
        """
        if not self._offset:
            if ahead is None or not _LEAST <= abs(ahead) <= _MOST:
                return False
            self._offset = -ahead
            self._notice(
                Urgent(
                    f"this machine's clock is off by {ahead:+.0f} s, so requests are now signed "
                    "with the server's time; turn on NTP to set the clock "
                    "(timedatectl set-ntp true)"
                )
            )
            return True
        signed, now = timegm(time.strptime(stamp, STAMP)), self._now()
        return abs(signed - now) < abs(signed - now - self._offset)  # signed before the correction

    def may_pass(self, key: str | None, stamp: str) -> bool:
        """Return whether a refusal that the two clocks do not explain may pass.

        It may if the request was signed long ago, and was held up since, as by a process that was
        stopped. If not, a single one of the server's machines may be wrong, for a few times.

        Args:
            key: the object that was requested; None for a listing.
            stamp: the time that the request was signed with.
        """
        signed, now = timegm(time.strptime(stamp, STAMP)), self._now() + self._offset
        if now - signed >= _DOUBTED:
            return True
        since, times = self._doubts.get(key, (now, 0))
        if now - since >= _DOUBTED:
            since, times = now, 0
        if len(self._doubts) >= _MOST_KEYS:
            self._doubts.clear()
        self._doubts[key] = since, times + 1
        return times < _MOST_DOUBTS
