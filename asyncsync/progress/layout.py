"""How the rows of a terminal share its width: names first, then bars, between aligned figures."""

from collections.abc import Sequence

from asyncsync.keys import display_width
from asyncsync.progress.bar import Bar, shorten

_LEAST_BAR, _FAIR_BAR, _MOST_BAR = 4, 10, 40
"""Cells: without the first there is no bar, and only below the second does a name take its room."""
_LEAST_NAME = 12

_FIGURES = [
    (100, "{percent:>5}{sizes:>19}{speed:>10}{end:>12}"),
    (60, "{percent:>5}{size:>8}{speed:>10}{end:>12}"),
    (0, "{percent:>5}{speed:>10}"),
]
"""The columns behind the bar, for terminals from so many cells on."""


class Layout:
    """Turns bars into text.

    Args:
        encoding: that of the terminal.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._has_blocks = _can_encode("…▏▎▍▌▋▊▉█", encoding)
        self._width = 0
        self._name_width = 0
        """Does not become less while the terminal's width is the same, or bars would jump."""

    def texts(self, bars: Sequence[Bar], width: int) -> list[str]:
        """Return one line for each bar, of at most so many cells."""
        columns = next(columns for least, columns in _FIGURES if width + 1 >= least)
        figures = [columns.format_map(bar.figures) for bar in bars]
        names = [self._encoded(bar.desc) for bar in bars]
        room = width - 1 - max(map(len, figures))
        if width != self._width:
            self._width, self._name_width = width, _LEAST_NAME
        self._name_width = max(self._name_width, *map(display_width, names))
        least = max(1, min(room, display_width(names[0])))  # has counts, which should not be cut
        name_width = max(least, min(self._name_width, room - _FAIR_BAR))
        bar_width = min(_MOST_BAR, room - name_width)
        return [
            self._text(bar, name, name_width, bar_width, figure, width)
            for bar, name, figure in zip(bars, names, figures, strict=True)
        ]

    def _text(
        self, bar: Bar, name: str, name_width: int, bar_width: int, figures: str, width: int
    ) -> str:
        name = shorten(name, name_width, "…" if self._has_blocks else "~")
        name += " " * (name_width - display_width(name))
        if bar_width < _LEAST_BAR:
            return f"{name} {figures}"[:width]
        bar.bar_format = f"{{desc}} {{bar:{bar_width}}}{{figures}}"
        bar.ascii = not self._has_blocks
        return bar.format_meter(**{**bar.format_dict, "prefix": name, "figures": figures})

    def _encoded(self, name: str) -> str:
        """Return the name without characters that the terminal's encoding does not have."""
        return name.encode(self._encoding, "backslashreplace").decode(self._encoding)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
