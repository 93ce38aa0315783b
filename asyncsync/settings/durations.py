"""Durations as people write them: `90`, `90s`, `30m`, `1h30m`, `7d`."""

import re

LONGEST = 366 * 86400
"""Seconds."""

_UNITS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:(\d{{1,9}}){unit})?" for unit in _UNITS), re.ASCII)


def parse_duration(text: str) -> int:
    """Return seconds, at least one; a number without a unit is seconds, as in rclone.

    Raises:
        ValueError: the text is no duration; the message says what is.
    """
    seconds = int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else _sum(text.lower())
    if not seconds:
        raise ValueError(f"{text!r} is not a duration such as 90s, 30m, 2h or 1h30m")
    if seconds > LONGEST:
        raise ValueError(f"{text!r} is more than a year")
    return seconds


def _sum(text: str) -> int:
    found = _DURATION.fullmatch(text)
    numbers = found.groups("0") if found else ()
    return sum(int(number) * size for number, size in zip(numbers, _UNITS.values(), strict=False))
