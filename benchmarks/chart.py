"""The results as one SVG: a bar for the wall time of each contender of each case.

`python -m benchmarks.chart FILE.json ... --case NAME ...` prints one of chosen cases, out of the
results of one or more runs.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.cases import Case, Kind
from benchmarks.results import CaseSummary, Summary

_WIDTH, _LEFT, _RIGHT = 860, 150, 130
_ROW, _BAR, _GAP, _TOP = 20, 13, 44, 72
_OURS, _PEER, _BASELINE = "#d9541e", "#7b8794", "#c5ccd3"
_CUT = 1.15
"""A bar that is longer than the slowest of ours and the peers by more than this is cut."""


def draw(cases: Sequence[CaseSummary], facts: dict[str, object]) -> str:
    """Return an SVG document of the cases that compare contenders."""
    shown = [case for case in cases if _compares(case)]
    parts: list[str] = []
    y = _TOP
    for case in shown:
        rows = _rows(case)
        parts.append(_text(_LEFT, y + 8, f"{case.case.name}", weight="bold"))
        y += 18
        scale = _scale(rows)
        for row in rows:
            parts.append(_bar(row, y, scale))
            y += _ROW
        y += _GAP - 18
    peers = "seconds of wall time, less is better; whole processes, medians"
    machine = f"{facts['cores']} cores, shared by client and server; {str(facts['date'])[:10]}"
    head = [
        _text(20, 26, "asyncsync and its peers", size=17, weight="bold"),
        _text(20, 44, f"{peers}; {machine}", size=11, fill="#5c6773"),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" '
        f'viewBox="0 0 {_WIDTH} {y}" font-family="system-ui, sans-serif">'
        f'<rect width="100%" height="100%" rx="8" fill="#ffffff"/>{"".join(head + parts)}</svg>\n'
    )


def _compares(case: CaseSummary) -> bool:
    return case.case.kind is not Kind.FIRST_FILE and bool(case.row("asyncsync") and case.peers())


def _rows(case: CaseSummary) -> list[Summary]:
    """Return ours, the peers and the baseline, the fastest first; other variants are left out."""
    rows = [row for row in case.rows if row.good and (row.peer or row.contender in _LABELS)]
    return sorted(rows, key=lambda row: row.wall)


_LABELS = {"asyncsync": "asyncsync", "baseline": "one by one", "baseline sample": "one by one"}


def _scale(rows: Sequence[Summary]) -> float:
    """Return the pixels of a second."""
    slowest = max(row.wall for row in rows if row.contender not in ("baseline", "baseline sample"))
    return (_WIDTH - _LEFT - _RIGHT) / (slowest * _CUT)


def _bar(row: Summary, y: int, scale: float) -> str:
    room = _WIDTH - _LEFT - _RIGHT
    length = min(row.wall * scale, room)
    fill = _OURS if row.contender == "asyncsync" else _PEER if row.peer else _BASELINE
    ours = "bold" if row.contender == "asyncsync" else "normal"
    label = _LABELS.get(row.contender, row.contender)
    about = "≈ " if row.scaled else ""
    figure = f"{about}{row.wall:.3g} s"
    parts = [
        _text(_LEFT - 8, y + 11, label, anchor="end", weight=ours),
        f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2" fill="{fill}"/>',
        _text(int(_LEFT + length + 8), y + 11, figure, weight=ours),
    ]
    if row.wall * scale > room:  # a slanted gap says that the bar would go on
        x = _LEFT + room - 30
        points = f"{x},{y + _BAR + 2} {x + 8},{y - 2} {x + 14},{y - 2} {x + 6},{y + _BAR + 2}"
        parts.append(f'<polygon points="{points}" fill="#ffffff"/>')
    return "".join(parts)


def _text(
    x: int,
    y: int,
    text: str,
    *,
    size: int = 12,
    weight: str = "normal",
    anchor: str = "start",
    fill: str = "#1f2933",
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{fill}">{escape(text)}</text>'
    )


def load(document: dict[str, Any]) -> Iterator[CaseSummary]:
    """Yield the cases of a file of results."""
    for case in document["cases"]:
        kind = {"kind": Kind(case["case"]["kind"]), "contenders": ()}
        rows = [Summary(**row) for row in case["rows"]]
        yield CaseSummary(Case(**case["case"] | kind), case["page_seconds"], rows)


def main() -> None:
    """Print the chart of the chosen cases, in the order in which they are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chart")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--case", action="append", required=True, metavar="NAME")
    options = parser.parse_args()
    documents = [json.loads(file.read_text()) for file in options.files]
    cases = {case.case.name: case for document in documents for case in load(document)}
    sys.stdout.write(draw([cases[name] for name in options.case], documents[0]["machine"]))


if __name__ == "__main__":
    main()
