"""Sizes as people read them."""


def format_size(size: float) -> str:
    """Return a number of bytes in decimal units: `1.23 MB` for 1,234,567."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.5:  # above, it would be rounded to 1000
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
