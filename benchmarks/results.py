"""What the runs add up to: medians for each contender of each case."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.cases import Case
from benchmarks.contenders import Contender
from benchmarks.measure import Run
from benchmarks.runner import Result


@dataclass(frozen=True, slots=True)
class Summary:
    """The medians of a contender's good runs, or the figures of its one bad run."""

    contender: str
    peer: bool
    verdict: str
    """`ok`, or what was wrong."""
    runs: int
    wall: float
    """Seconds."""
    cpu: float
    """Seconds."""
    peak: float
    """Bytes."""
    scaled: bool
    """Whether `wall` was worked out from a sample."""
    requests: dict[str, int]
    """Of the last run."""
    first_file: float | None
    """Seconds from the start to the first file."""
    first_wait: float | None
    """Seconds from the first request to the first file."""

    @property
    def good(self) -> bool:
        """Whether the figures count."""
        return self.verdict == "ok"


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """A case and how its contenders did."""

    case: Case
    page_seconds: float | None
    """What one page of the listing takes when nothing else happens, where that was measured."""
    rows: list[Summary]
    objects: int = 0
    """How many the work has."""
    size: int = 0
    """Bytes of the work."""

    def row(self, contender: str) -> Summary | None:
        """Return the good figures of one contender."""
        return next((row for row in self.rows if row.contender == contender and row.good), None)

    def peers(self) -> list[Summary]:
        """Return the good figures of the peers."""
        return [row for row in self.rows if row.peer and row.good]


def summarize(result: Result, contenders: dict[str, Contender]) -> CaseSummary:
    """Return the medians of a case."""
    rows = [_summary(contenders[name], runs) for name, runs in result.runs.items()]
    return CaseSummary(result.case, result.page_seconds, rows, result.objects, result.size)


def _summary(contender: Contender, runs: Sequence[Run]) -> Summary:
    good = [run for run in runs if run.good]
    counted = good if len(good) == len(runs) else [run for run in runs if not run.good]
    waits = [run.first_wait for run in counted if run.first_wait is not None]
    files = [run.first_file for run in counted if run.first_file is not None]
    return Summary(
        contender=contender.name,
        peer=contender.peer,
        verdict=counted[0].verdict,
        runs=len(runs),
        wall=statistics.median(run.wall for run in counted),
        cpu=statistics.median(run.cpu for run in counted),
        peak=statistics.median(run.peak for run in counted),
        scaled=counted[0].scaled,
        requests=counted[-1].requests,
        first_file=statistics.median(files) if files else None,
        first_wait=statistics.median(waits) if waits else None,
    )
