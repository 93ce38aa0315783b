"""Sizes and durations as people read them."""


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
