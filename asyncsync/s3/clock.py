"""The time that requests are signed with: this machine's, or the server's where that is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

STAMP = "%Y%m%dT%H%M%SZ"
"""How a signed request says when it was made."""
_LEAST = 60.0
"""Seconds; a server that refuses a time so near its own Date would refuse that one as well."""
_MOST = 100 * 365 * 86400.0
"""Seconds; beyond it a Date is nonsense, and a time may be none that can be written."""


def _now() -> datetime:
    return datetime.now(UTC)


class Clock:
    """This machine's clock; put right at most once, by what the server says.

    Args:
        notice: is told when that happens.
        now: this machine's time.
    """

    def __init__(self, notice: Callable[[str], object], now: Callable[[], datetime] = _now) -> None:
        self._notice = notice
        self._now = now
        self._offset = timedelta()

    def __call__(self) -> datetime:
        """Return the time to sign with."""
        return self._now() + self._offset

    @property
    def is_corrected(self) -> bool:
        """Whether that is no longer this machine's."""
        return bool(self._offset)

    def corrects(self, ahead: float | None, stamp: str) -> bool:
        """Return whether a request that was refused for its time would be given another one now.

        Args:
            ahead: seconds that this machine is ahead of the server; None where nobody knows.
            stamp: what the request was signed with.
        """
        if not self._offset:
            if ahead is None or not _LEAST <= abs(ahead) <= _MOST:
                return False
            self._offset = timedelta(seconds=-ahead)
            self._notice(
                f"this machine's clock is off by {ahead:+.0f} s; requests are signed with the "
                "server's time from now on; let it be set by NTP (timedatectl set-ntp true)"
            )
            return True
        signed, now = datetime.strptime(stamp, STAMP).replace(tzinfo=UTC), self._now()
        return abs(signed - now) < abs(signed - now - self._offset)  # it was under way by then
