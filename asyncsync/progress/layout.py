"""How the rows of a terminal share its width: names first, then bars, between aligned figures."""

from collections.abc import Callable, Sequence

from asyncsync.console import CYAN
from asyncsync.keys import display_width
from asyncsync.progress.rows import Row, shorten

_EIGHTHS = "▏▎▍▌▋▊▉█"
_LEAST_BAR, _FAIR_BAR, _MOST_BAR = 4, 10, 40
"""Cells: without the first there is no bar, and only below the second does a name take its room."""
_LEAST_NAME = 12

Column = tuple[int, Callable[[Row], str]]

_PERCENT: Column = (5, lambda row: row.percent)
_SIZE: Column = (8, lambda row: row.size)
_SIZES: Column = (19, lambda row: row.sizes)
_SPEED: Column = (10, lambda row: row.speed)
_END: Column = (12, lambda row: row.end)

_COLUMNS: list[tuple[int, list[Column]]] = [
    (100, [_PERCENT, _SIZES, _SPEED, _END]),
    (60, [_PERCENT, _SIZE, _SPEED, _END]),
    (0, [_PERCENT, _SPEED]),
]
"""The figures behind the bar, with their widths, for terminals from so many cells on."""


class Layout:
    """Turns rows into text.

    Args:
        encoding: that of the terminal.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._has_blocks = _can_encode(f"…{_EIGHTHS}", encoding)
        self._width = 0
        self._name_width = 0
        """Does not become less while the terminal's width is the same, or bars would jump."""

    def texts(self, rows: Sequence[Row], width: int) -> list[str]:
        """Return one line for each row, of at most so many cells."""
        columns = next(columns for least, columns in _COLUMNS if width + 1 >= least)
        figures = [_figures(row, columns) for row in rows]
        names = [self._encoded(row.name) for row in rows]
        room = width - 1 - max(map(len, figures))
        if width != self._width:
            self._width, self._name_width = width, _LEAST_NAME
        self._name_width = max(self._name_width, *map(display_width, names))
        least = max(1, min(room, display_width(names[0])))  # has counts, which should not be cut
        name_width = max(least, min(self._name_width, room - _FAIR_BAR))
        bar_width = min(_MOST_BAR, room - name_width)
        return [
            self._text(row, name, name_width, bar_width, figure, width)
            for row, name, figure in zip(rows, names, figures, strict=True)
        ]

    def _text(
        self, row: Row, name: str, name_width: int, bar_width: int, figures: str, width: int
    ) -> str:
        name = shorten(name, name_width, "…" if self._has_blocks else "~")
        name += " " * (name_width - display_width(name))
        if bar_width < _LEAST_BAR:
            return f"{name} {figures}"[:width]
        bar = self._bar(row.share or 0, bar_width)
        return f"{name} \x1b[{CYAN}m{bar}\x1b[0m{' ' * (bar_width - len(bar))}{figures}"

    def _bar(self, share: float, width: int) -> str:
        if not self._has_blocks:
            return "#" * int(share * width)
        full, part = divmod(int(share * width * 8), 8)
        return "█" * full + (_EIGHTHS[part - 1] if part else "")

    def _encoded(self, name: str) -> str:
        """Return the name without characters that the terminal's encoding does not have."""
        return name.encode(self._encoding, "backslashreplace").decode(self._encoding)


def _figures(row: Row, columns: Sequence[Column]) -> str:
    return "".join(f"{figure(row):>{width}}" for width, figure in columns)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
