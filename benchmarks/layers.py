"""What asyncsync costs beside the floor, and what one more object or GiB costs.

The floor does the same work with nothing around it, so their ratio is the price of the layers: it
depends less on the machine and the hour than seconds do. The slope between a work and a larger one
of the same kind leaves out the start and the listing's first page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.results import CaseSummary, Summary

_SAME_WORK = {
    "small": {
        "asyncsync": "floor md5",
        "asyncsync head": "floor head",
        "asyncsync response": "floor get",
    },
    "large": {
        "asyncsync": "floor ranges-md5",
        "asyncsync head": "floor ranges",
        "asyncsync response": "floor ranges",
    },
}
_SAME_WORK_AS_R2 = {"small": {"asyncsync": "floor head"}, "large": {"asyncsync": "floor ranges"}}
"""A CRC64NVME costs so little that the floor goes without."""


@dataclass(frozen=True, slots=True)
class Share:
    """One way of asyncsync beside the floor that does the same."""

    work: str
    contender: str
    floor: str
    wall: float
    """In times of the floor's."""
    cpu: float
    """In times of the floor's."""


@dataclass(frozen=True, slots=True)
class Slope:
    """What one more object, or one more GiB, costs a contender."""

    work: str
    unit: str
    """`ms an object` or `s a GiB`."""
    contender: str
    wall: float
    cpu: float
    wall_share: float | None
    """In times of the floor's that does the same, where that was measured."""
    cpu_share: float | None


def shares(cases: Sequence[CaseSummary]) -> list[Share]:
    """Return ours beside the floor, for all cases that have both."""
    return [
        Share(case.case.name, name, floor, ours.wall / theirs.wall, ours.cpu / theirs.cpu)
        for case in cases
        for name, floor in _counterparts(case).items()
        if (ours := case.row(name)) and (theirs := case.row(floor)) and theirs.cpu
    ]


def slopes(cases: Sequence[CaseSummary]) -> list[Slope]:
    """Return what each more object or GiB costs, where a work and its larger one were measured."""
    by_name = {case.case.name: case for case in cases}
    return [
        slope
        for case in cases
        for larger, unit, count in (
            ("-20k", "ms an object", _thousands),
            ("-6g", "s a GiB", _gibibytes),
        )
        if (more := by_name.get(f"{case.case.name}{larger}"))
        for slope in _slopes(case, more, unit, count(more) - count(case))
    ]


def _slopes(case: CaseSummary, more: CaseSummary, unit: str, count: float) -> list[Slope]:
    def of(name: str, figure: Callable[[Summary], float]) -> float | None:
        few, many = case.row(name), more.row(name)
        return (figure(many) - figure(few)) / count if few and many else None

    found = []
    counterparts = _counterparts(case)
    for row in case.rows:
        name = row.contender
        wall, cpu = of(name, _wall), of(name, _cpu)
        if wall is not None and cpu is not None:
            floor = counterparts.get(name, "")
            against = _ratio(wall, of(floor, _wall)), _ratio(cpu, of(floor, _cpu))
            found.append(Slope(case.case.name, unit, name, wall, cpu, *against))
    return found


def _thousands(case: CaseSummary) -> float:
    return case.objects / 1000


def _gibibytes(case: CaseSummary) -> float:
    return case.size / (1 << 30)


def _counterparts(case: CaseSummary) -> dict[str, str]:
    """Return the floor for every way of asyncsync."""
    kind = case.case.work.partition("-")[0]
    pairs = _SAME_WORK_AS_R2 if case.case.profile.endswith("-r2") else _SAME_WORK
    return pairs.get(kind, {})


def _ratio(ours: float, floor: float | None) -> float | None:
    return ours / floor if floor and floor > 0 else None


def _wall(row: Summary) -> float:
    return row.wall


def _cpu(row: Summary) -> float:
    return row.cpu
