"""Times as S3 and JSON write them, `2026-01-31T23:59:59.123Z`, in headers, and as nanoseconds."""

from datetime import UTC, datetime, timedelta
from email.utils import formatdate, mktime_tz, parsedate_tz

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _END = -62_135_596_800 * 10**9, 253_402_300_800 * 10**9
"""The years 1 to 9999, which are all that have text, in nanoseconds since the epoch."""


def parse_time(text: str) -> int:
    """Return the nanoseconds since the epoch; 0 for a time that cannot be read."""
    try:
        found = (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND * 1000
    except (TypeError, ValueError, OverflowError):
        return 0
    return found if _FIRST <= found < _END else 0  # a zone may lead out of the years


def format_time(nanoseconds: int) -> str:
    """Return the time to the microsecond; empty text for 0, which stands for none."""
    if not nanoseconds:
        return ""
    time = _EPOCH + nanoseconds // 1000 * _MICROSECOND
    return time.isoformat().replace("+00:00", "Z")


def format_http_date(nanoseconds: int) -> str:
    """Return the time as a header holds it: in whole seconds, so the first that is not earlier."""
    return formatdate(-(-min(nanoseconds, _END - 10**9) // 10**9), usegmt=True)


def parse_http_date(date: str) -> float | None:
    """Return a date of HTTP in seconds since the epoch, None for what is no date."""
    parsed = parsedate_tz(date)
    try:
        return mktime_tz(parsed) if parsed else None
    except (OverflowError, ValueError):  # a year that no calendar holds
        return None
