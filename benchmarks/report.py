"""Results as text and as JSON."""

import dataclasses
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.layers import Share, Slope
from benchmarks.results import CaseSummary, Summary
from benchmarks.targets import Cost, Target

_HEADINGS = (
    "case",
    "contender",
    "wall s",
    "CPU s",
    "peak MB",
    "GET",
    "HEAD",
    "LIST",
    "503",
    "runs",
    "",
)


def machine() -> dict[str, object]:
    """Return what a reader needs to know of the machine and the moment."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in _lines("/proc/cpuinfo")
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model,
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "asyncsync": importlib.metadata.version("asyncsync"),
        "boto3": importlib.metadata.version("boto3"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def table(cases: Sequence[CaseSummary]) -> str:
    """Return all figures as a Markdown table."""
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for case in cases:
        rows += [_cells(case, row) for row in case.rows]
    return aligned(rows)


def verdicts(targets: Sequence[Target]) -> str:
    """Return the targets as a Markdown table."""
    rows: list[tuple[str, ...]] = [("work", "figure", "target", "measured", "")]
    rows += [
        (
            target.work,
            target.figure,
            f"{'>=' if target.more_is_better else '<='} {target.bound:.3g}",
            f"{target.measured:.3g}",
            "met" if target.met else "MISSED",
        )
        for target in targets
    ]
    return aligned(rows)


def expenses(costs: Sequence[Cost]) -> str:
    """Return what has a cost and no target as a Markdown table."""
    rows: list[tuple[str, ...]] = [("work", "what", "times the wall time without")]
    rows += [(cost.work, cost.what, f"{cost.ratio:.3g}") for cost in costs]
    return aligned(rows)


def beside_floor(shares: Sequence[Share]) -> str:
    """Return ours beside the floor as a Markdown table."""
    rows: list[tuple[str, ...]] = [("work", "contender", "beside", "wall", "CPU")]
    rows += [
        (share.work, share.contender, share.floor, f"{share.wall:.2f}", f"{share.cpu:.2f}")
        for share in shares
    ]
    return aligned(rows)


def growth(slopes: Sequence[Slope]) -> str:
    """Return what each more object or GiB costs as a Markdown table."""
    rows: list[tuple[str, ...]] = [
        ("work", "contender", "", "wall", "CPU", "wall / floor", "CPU / floor")
    ]
    rows += [
        (
            *(slope.work, slope.contender, slope.unit),
            *(f"{slope.wall:.3f}", f"{slope.cpu:.3f}"),
            *("" if share is None else f"{share:.2f}" for share in _shares(slope)),
        )
        for slope in slopes
    ]
    return aligned(rows)


def _shares(slope: Slope) -> tuple[float | None, float | None]:
    return slope.wall_share, slope.cpu_share


def write(
    path: Path,
    facts: dict[str, object],
    cases: Sequence[CaseSummary],
    targets: Sequence[Target],
    costs: Sequence[Cost],
    shares: Sequence[Share],
    slopes: Sequence[Slope],
) -> None:
    """Write everything as JSON."""
    document = {
        "machine": facts,
        "cases": [dataclasses.asdict(case) | {"name": case.case.name} for case in cases],
        "targets": [dataclasses.asdict(target) | {"met": target.met} for target in targets],
        "costs": [dataclasses.asdict(cost) for cost in costs],
        "beside_floor": [dataclasses.asdict(share) for share in shares],
        "slopes": [dataclasses.asdict(slope) for slope in slopes],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def _cells(case: CaseSummary, row: Summary) -> tuple[str, ...]:
    remarks = [] if row.good else [row.verdict]
    if row.scaled:
        remarks.append("scaled from a sample")
    if row.first_file is not None and row.first_wait is not None and case.page_seconds:
        pages = row.first_wait / case.page_seconds
        remarks.append(
            f"first file after {row.first_file:.2f} s, {pages:.1f} pages after the first request"
        )
    partial = row.scaled or row.first_file is not None  # the rest of the figures tell nothing
    asked = [str(row.requests.get(name, 0)) for name in ("GET", "HEAD", "LIST", "REFUSED")]
    return (
        case.case.name,
        row.contender,
        f"{row.wall:.2f}",
        "" if partial else f"{row.cpu:.2f}",
        f"{row.peak / 1e6:.0f}",
        *(["", "", "", ""] if partial else asked),
        str(row.runs),
        "; ".join(remarks),
    )


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows, the first of which are the headings, as a Markdown table."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
