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
    """Return the table of the figures, and of which runs they are; a missed goal is in bold."""
    lines = ["| | what is counted | result |", "|---|---|---|"]
    runs: dict[str, list[str]] = {}
    for name, found in results.items():
        result = found["result"] if found["reached"] else f"**{found['result']}**"
        result = f"{found['trials']:,} of {found['target']:,} trials: {result}"
        lines.append(f"| {name} | {found['counts']}<br>*goal:* {found['goal']} | {result} |")
        runs.setdefault(f"seed {found['seed']}, {found['date']}", []).append(name)
    if len(runs) == 1:
        return "\n".join([*lines, "", f"All with {', '.join(runs)}."])
    which = "; ".join(f"{', '.join(names)} with {run}" for run, names in runs.items())
    return "\n".join([*lines, "", f"{which}."])
