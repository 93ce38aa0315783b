"""The targets: how asyncsync has to compare, and how it does.

Each is a ratio within one run on one machine, or a figure of asyncsync alone. asyncsync validates
every object by HEAD and proves its content; the peers don't.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.contenders import SWEEP
from benchmarks.results import CaseSummary, Summary


@dataclass(frozen=True, slots=True)
class Target:
    """One promise and what was measured."""

    work: str
    figure: str
    """What is looked at, with its unit."""
    bound: float
    """The figure's largest good value; its smallest one where more is better."""
    measured: float
    more_is_better: bool = False

    @property
    def met(self) -> bool:
        """Whether the measured figure is on the right side of its bound, or on it."""
        if self.more_is_better:
            return self.measured >= self.bound
        return self.measured <= self.bound


@dataclass(frozen=True, slots=True)
class Cost:
    """What something costs that has no target."""

    work: str
    what: str
    ratio: float
    """Wall time with it, in times of the wall time without it."""


def costs(cases: Sequence[CaseSummary]) -> list[Cost]:
    """Return what can be switched on or off costs, where both ways were measured."""
    return [
        Cost(case.case.name, what, dear.wall / plain.wall)
        for case in cases
        for what, with_it, without in (
            ("proof of the content", "asyncsync", "asyncsync head"),
            ("validation by HEAD", "asyncsync head", "asyncsync response"),
            ("--durable", "asyncsync durable", "asyncsync"),
            ("progress bars", "asyncsync bars", "asyncsync no progress"),
        )
        if (dear := case.row(with_it)) and (plain := case.row(without))
    ]


def judge(cases: Sequence[CaseSummary]) -> list[Target]:
    """Return every target that the measured cases allow to judge."""
    by_name = {case.case.name: case for case in cases}
    judged = [target for rule in _RULES for target in rule(by_name)]
    return judged + [target for case in cases for target in _workers(case)]


_Cases = dict[str, CaseSummary]
_Rule = Callable[[_Cases], Iterator[Target]]


def _wall(row: Summary) -> float:
    return row.wall


def _cpu(row: Summary) -> float:
    return row.cpu


def _of_best_peer(name: str, bound: float, figure: Callable[[Summary], float] = _wall) -> _Rule:
    what = "CPU" if figure is _cpu else "wall"

    def rule(cases: _Cases) -> Iterator[Target]:
        case = cases.get(name)
        ours = case and case.row("asyncsync")
        if case and ours and case.peers():
            ratio = figure(ours) / min(figure(peer) for peer in case.peers())
            yield Target(name, f"{what} / that of the best peer", bound, ratio)

    return rule


def _speed_up(name: str, bound: float) -> _Rule:
    def rule(cases: _Cases) -> Iterator[Target]:
        case = cases.get(name)
        ours = case and case.row("asyncsync")
        baseline = case and (case.row("baseline") or case.row("baseline sample"))
        if ours and baseline:
            ratio = baseline.wall / ours.wall
            yield Target(name, "speed / that of the baseline", bound, ratio, more_is_better=True)

    return rule


def _workers(case: CaseSummary) -> Iterator[Target]:
    ours = case.row("asyncsync")
    fixed = [row.wall for number in SWEEP if (row := case.row(f"asyncsync {number}"))]
    if ours and fixed:
        ratio = ours.wall / min(fixed)
        yield Target(case.case.name, "wall / that of the best fixed --workers", 1.1, ratio)


def _first_file(cases: _Cases) -> Iterator[Target]:
    case = cases.get("wan keys, first file")
    ours = case and case.row("asyncsync")
    if case and ours and ours.first_wait is not None and case.page_seconds:
        pages = ours.first_wait / case.page_seconds
        yield Target(case.case.name, "wait from the first request, page times", 3, pages)


def _throttled(cases: _Cases) -> Iterator[Target]:
    case = cases.get("throttled mixed")
    row = case and next((row for row in case.rows if row.contender == "asyncsync"), None)
    if case and row:
        sent = sum(row.requests.get(name, 0) for name in ("GET", "HEAD", "LIST"))
        answered = sent - row.requests.get("REFUSED", 0)
        yield Target(case.case.name, "runs that end badly", 0, 0 if row.good else 1)
        yield Target(case.case.name, "requests / the minimum", 1.1, sent / max(1, answered))


def _memory(cases: _Cases) -> Iterator[Target]:
    rows = [row for case in cases.values() if (row := case.row("asyncsync"))]
    if rows:
        yield Target("every case", "peak memory, MB", 150, max(row.peak for row in rows) / 1e6)
    some, many = (cases.get(f"loop keys-{count}, in step") for count in ("100k", "1m"))
    before, after = some and some.row("asyncsync"), many and many.row("asyncsync")
    if before and after:
        ratio = after.peak / before.peak
        yield Target("1M keys", "peak memory / that of 100k keys", 1.1, ratio)


def _start(cases: _Cases) -> Iterator[Target]:
    case = cases.get("loop empty, in step")
    ours = case and case.row("asyncsync")
    if case and ours:
        yield Target(case.case.name, "wall, s", 0.35, ours.wall)


_RULES: tuple[_Rule, ...] = (
    _of_best_peer("wan small", 0.67),
    _speed_up("wan small", 150),
    _of_best_peer("wan large", 0.95),
    _of_best_peer("wan mixed", 0.9),
    _of_best_peer("loop small", 1.0),
    _speed_up("loop small", 8),
    _of_best_peer("loop large", 1.0, _cpu),
    _of_best_peer("loop large", 1.35),
    _speed_up("loop large", 2),
    _of_best_peer("loop keys, in step", 0.8),
    _of_best_peer("wan keys, in step", 0.3),
    _first_file,
    _of_best_peer("throttled mixed", 0.8),
    _throttled,
    _memory,
    _start,
)
