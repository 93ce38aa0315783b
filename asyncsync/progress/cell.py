"""Bars in a notebook's cell: a table, which is replaced at each draw.

It is plain HTML and needs no widget, so it is also there when the notebook is opened again.
"""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from asyncsync.console import print_line
from asyncsync.progress.rows import Row, State, shorten

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
_WIDTHS = ("4ch", "17ch", "9ch", "8ch")  # those of most figures, so that bars do not jump


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

    def draw(self, rows: Sequence[Row]) -> None:
        """Show these rows in place of the last ones."""
        from IPython.display import display  # there is one where there are cells

        data = {"text/html": _table(rows), "text/plain": str(rows[0]) if rows else ""}
        if self._handle:
            self._handle.update(data, raw=True)  # type: ignore[no-untyped-call]  # IPython's
        else:
            self._handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def flush(self) -> None:
        """Do nothing: no line waits."""

    def close(self, rows: Sequence[Row]) -> None:
        """Leave these rows in the cell."""
        self.draw(rows)


def _table(rows: Sequence[Row]) -> str:
    lines = "".join(_line(row) for row in rows)
    return f'<table style="{_TABLE}">{lines}</table>' if lines else ""


def _line(row: Row) -> str:
    name, full = html.escape(shorten(row.name, _MOST_NAME)), html.escape(row.name)
    share = row.share or 0 if row.state in {State.RUNNING, State.STOPPED} else 1
    bar = f"width:{share:.1%};height:0.9em;background:{_COLOURS[row.state]}"
    figures = zip((row.percent, row.sizes, row.speed, row.end), _WIDTHS, strict=True)
    return (
        '<tr style="background:none">'
        f'<td style="{_CELL};text-align:left" title="{full}">{name}</td>'
        f'<td style="{_CELL};width:100%;min-width:6em">'
        f'<div style="background:{_TRACK}"><div style="{bar}"></div></div></td>'
        + "".join(f'<td style="{_FIGURE};min-width:{width}">{text}</td>' for text, width in figures)
        + "</tr>"
    )
