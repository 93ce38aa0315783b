"""Bars in a notebook's cell: a table, which is replaced at each draw.

It is plain HTML and needs no widget, so it is also there when the notebook is opened again.
"""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from asyncsync.console import print_line
from asyncsync.progress.bar import Bar, State, shorten

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

_MOST_NAME = 60
_COLOURS = {
    State.RUNNING: "#1f77d0",
    State.FINISHED: "#2e9e4f",
    State.FAILED: "#d04437",
    State.STOPPED: "#888888",
}
_TRACK = "rgba(128,128,128,0.2)"  # suits dark and light themes
_TABLE = "width:100%;table-layout:auto;border-collapse:collapse;margin:0"
_CELL = "border:none;padding:2px 8px 2px 0;background:none;white-space:nowrap"
_FIGURE = f"{_CELL};text-align:right;font-variant-numeric:tabular-nums"
_FIGURES = {"percent": "4ch", "sizes": "17ch", "speed": "9ch", "end": "9ch"}
"""With the width of most, so that bars do not jump."""


class Cell:
    """The output of the cell that runs now."""

    seconds_between_draws = 0.25
    file_rows = 8
    keeps_ended = True
    """A bar stays until another takes its place, because a cell that shrinks moves what follows."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None

    def open(self) -> None:
        """Begin a new table."""
        self._handle = None

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line."""
        print_line(line, stream)

    def draw(self, bars: Sequence[Bar]) -> None:
        """Show these bars in place of the last ones."""
        from IPython.display import display  # there is one where there are cells

        data = {"text/html": _table(bars), "text/plain": str(bars[0]) if bars else ""}
        if self._handle:
            self._handle.update(data, raw=True)  # type: ignore[no-untyped-call]  # IPython's
        else:
            self._handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def flush(self) -> None:
        """Do nothing: no line waits."""

    def close(self, bars: Sequence[Bar]) -> None:
        """Leave these bars in the cell."""
        self.draw(bars)


def _table(bars: Sequence[Bar]) -> str:
    rows = "".join(_row(bar) for bar in bars)
    return f'<table style="{_TABLE}">{rows}</table>' if rows else ""


def _row(bar: Bar) -> str:
    name, full = html.escape(shorten(bar.desc, _MOST_NAME)), html.escape(bar.desc)
    share = bar.share or 0 if bar.state in {State.RUNNING, State.STOPPED} else 1
    filled = f"width:{share:.1%};height:0.9em;background:{_COLOURS[bar.state]}"
    figures = bar.figures
    return (
        '<tr style="background:none">'
        f'<td style="{_CELL};text-align:left" title="{full}">{name}</td>'
        f'<td style="{_CELL};width:100%;min-width:6em">'
        f'<div style="background:{_TRACK}"><div style="{filled}"></div></div></td>'
        + "".join(
            f'<td style="{_FIGURE};min-width:{width}">{figures[column]}</td>'
            for column, width in _FIGURES.items()
        )
        + "</tr>"
    )
