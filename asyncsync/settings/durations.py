"""Durations and ages as people write them: `90`, `90s`, `1h30m`, `1.5h`, `7d`, `6M`."""

import re
from datetime import timedelta

LONGEST = 366 * 86400
"""Seconds."""

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "M": timedelta(days=30),
    "y": timedelta(days=365),
}
"""What rclone calls a duration, and how long it is."""
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)([smhdwMy])", re.ASCII)
_SPAN = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def parse_span(text: str) -> timedelta | None:
    """Return how long one or several numbers with units are; None if the text is none.

    Raises:
        OverflowError: longer than Python knows.
    """
    if not _SPAN.fullmatch(text):
        return None
    parts = (float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return sum(parts, timedelta())


def parse_duration(text: str) -> int:
    """Return whole seconds, at least one; a number without a unit is seconds, as in rclone.

    Raises:
        ValueError: the text is no duration; the message says what is.
    """
    try:
        span = parse_span(f"{text}s" if re.fullmatch(r"\d{1,9}", text, re.ASCII) else text)
    except OverflowError:
        span = timedelta.max
    seconds = int(span.total_seconds()) if span else 0
    if not seconds:
        raise ValueError(f"{text!r} is not a duration such as 90s, 30m, 2h or 1h30m")
    if seconds > LONGEST:
        raise ValueError(f"{text!r} is more than a year")
    return seconds
