"""The results of all figures, kept in docs/reliability.json and shown in docs/reliability.md."""

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncsync import __version__

DOCS = Path(__file__).parents[2] / "docs"
DATA = DOCS / "reliability.json"
DOCUMENT = DOCS / "reliability.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
OTHERS = {
    "G1": "1, 3, 3 left-overs of three kills",
    "G2": "none kept, none, none",
    "G4": "mixed, mixed, caught; where If-Match is ignored: caught, mixed, mixed",
    "G5": "caught, kept, kept",
    "G6": "`../x` contained, written outside, skipped",
    "G7": "endless, endless, one of two stopped",
    "G14": "session token told, told, told; signature not, told, told",
    "G15": "none, nothing synced at all, raw ESC",
    "G19": "no sync before the rename, none, none",
}
"""What rclone 1.75, s5cmd 2.3 and aws-cli 1.46 did, by figure; one trial each."""


def update(results: Sequence[dict[str, Any]], seed: int) -> None:
    """Put results in the place of older ones, and write the table anew."""
    stamp = {
        "seed": seed,
        "date": datetime.now(UTC).date().isoformat(),
        "version": __version__,
        "python": platform.python_version(),
    }
    known = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}
    known |= {result["name"]: result | stamp for result in results}
    ordered = {name: known[name] for name in sorted(known, key=lambda name: int(name[1:]))}
    DATA.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    text = f"{before}{BEGIN}\n{table(ordered)}\n{END}{rest.partition(END)[2]}"
    DOCUMENT.write_text(text, encoding="utf-8")


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the table of the figures; a goal that was missed is in bold."""
    lines = [
        "| | what is counted | goal | trials | result | rclone, s5cmd, aws-cli | seed, date |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in results.items():
        result = found["result"] if found["reached"] else f"**{found['result']}**"
        trials = f"{found['trials']:,} of {found['target']:,}"
        lines.append(
            f"| {name} | {found['counts']} | {found['goal']} | {trials} | {result} "
            f"| {OTHERS.get(name, '')} | {found['seed']}, {found['date']} |"
        )
    return "\n".join(lines)
