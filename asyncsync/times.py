"""Times as S3 and JSON write them, `2026-01-31T23:59:59.123Z`, in headers, and as nanoseconds."""

from datetime import UTC, datetime, timedelta
from email.utils import formatdate, mktime_tz, parsedate_tz

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def nanoseconds(text: str) -> int:
    """Return the nanoseconds since the epoch; 0 for a time that cannot be read."""
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND * 1000
    except (TypeError, ValueError, OverflowError):
        return 0


def as_text(nanoseconds: int) -> str:
    """Return the time to the microsecond; empty text for 0, which stands for none."""
    if not nanoseconds:
        return ""
    time = _EPOCH + nanoseconds // 1000 * _MICROSECOND
    return time.isoformat().replace("+00:00", "Z")


def http_date(nanoseconds: int) -> str:
    """Return the time as a header holds it: in whole seconds, so the first that is not earlier."""
    return formatdate(-(-nanoseconds // 1_000_000_000), usegmt=True)


def http_seconds(date: str) -> float | None:
    """Return a date of HTTP in seconds since the epoch, None for what is no date."""
    parsed = parsedate_tz(date)
    try:
        return mktime_tz(parsed) if parsed else None
    except (OverflowError, ValueError):  # a year that no calendar holds
        return None
