"""A report as HTML, for notebooks."""

import html
from collections.abc import Iterable, Sequence
from itertools import islice

MOST_SHOWN = 50
"""Rows of a table that a notebook shows."""


def format_html(
    summary: str,
    sync_check: Sequence[Sequence[str]],
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    count: int,
) -> str:
    """Return the summary, the sync check, and a table that is folded at first.

    It sets no colours, so it suits dark and light themes.

    Args:
        summary: one line about the run.
        sync_check: the cells of the sync check, header first.
        header: the column names of the folded table.
        rows: its rows, of which the first are shown; keys in them have gone through `shown`.
        count: the number of its rows; without any, there is no such table.
    """
    parts = [f"<p>{html.escape(summary)}</p>", _format_table(sync_check, is_numeric=True)]
    if count:
        first = list(islice(rows, MOST_SHOWN))
        more = f"<p>and {count - len(first):,} more</p>" if count > len(first) else ""
        title = html.escape(f"{count:,} {header[0]}")
        table = _format_table([header, *first], is_numeric=False)
        parts.append(f"<details><summary>{title}</summary>{table}{more}</details>")
    return f"<div>{''.join(parts)}</div>"


def _format_table(rows: Sequence[Sequence[str]], *, is_numeric: bool) -> str:
    """Return a table, header first; if it is numeric, all columns but the first are numbers."""
    lines = []
    for place, row in enumerate(rows):
        tag = "th" if place == 0 else "td"
        cells = []
        for column, cell in enumerate(row):
            side = "right" if is_numeric and column else "left"
            style = f"text-align:{side};white-space:pre-wrap;overflow-wrap:anywhere"
            cells.append(f'<{tag} style="{style}">{html.escape(cell)}</{tag}>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"
