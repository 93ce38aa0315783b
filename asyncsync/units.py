"""Numbers, sizes and durations as people read and write them.

MB are powers of 1000, MiB powers of 1024, in what is read and in what is written.
"""

import re

_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,12})?) ?(?:([kmgt])(i?b)?|b)?", re.ASCII | re.IGNORECASE)


def format_count(count: int, what: str) -> str:
    """Return how many there are of something: `1 file`, `2,000 files`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def format_size(size: float) -> str:
    """Return a number of bytes in decimal units: `1.23 MB` for 1,234,567."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.5:  # above, it would be rounded to 1000
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def format_seconds(seconds: float) -> str:
    """Return a duration in its two largest units, rounded to seconds: `1 h 30 min` for 5,400."""
    left = round(seconds)
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2]) or "0 s"


def parse_size(text: str) -> int | None:
    """Return a number of bytes; None if the text is no size.

    `84MB` is 84,000,000, which `format_size` shows as 84 MB, and `84MiB` is 84 times 1024 squared.
    So is `84M`, as in curl, wget and rclone.
    """
    if not (match := _SIZE.fullmatch(text)):
        return None
    number, unit, kind = match.groups("")
    base = 1000 if kind.lower() == "b" else 1024
    return int(float(number) * base ** " kmgt".index(unit.lower() or " "))
