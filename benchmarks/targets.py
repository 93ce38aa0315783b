"""The targets: how asyncsync has to compare, and how it does.

Each is a ratio within one run on one machine, or a figure of asyncsync alone. asyncsync validates
every object by HEAD and proves its content, unless told not to; the peers don't.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.contenders import MOVERS, SWEEP
from benchmarks.layers import slopes
from benchmarks.results import CaseSummary


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

OF_BEST_PEER = {
    "asyncsync": {
        "loop small": 1.35,
        "wan small": 0.75,
        "loop large": 2.2,
        "wan large": 1.5,
        "wan mixed": 1.3,
        "throttled mixed": 1.2,
        "loop keys, in step": 0.8,
        "wan keys, in step": 0.25,
        "loop-r2 small": 1.0,
        "wan-r2 small": 0.65,
        "loop-r2 large": 1.5,
        "wan-r2 large": 1.15,
        "wan-r2 mixed": 1.0,
        "throttled-r2 mixed": 1.0,
    },
    "asyncsync response": {
        "loop small": 0.95,
        "wan small": 0.65,
        "loop large": 1.35,
        "wan large": 1.1,
        "wan mixed": 1.0,
        "throttled mixed": 0.9,
    },
    "asyncsync movers 2": {
        f"{profile} {work}": 1.0
        for work in ("small", "large", "mixed")
        for profile in ("loop", "wan", "loop-r2", "wan-r2")
    },
}
"""The most wall time, in times of that of the fastest peer, as it comes or tuned.

Without `-r2` asyncsync computes the MD5 of all content, with it a CRC64NVME.
"""
_OF_FLOOR = {"loop small": 1.3, "loop large": 1.15}
"""The most processor time of each more object or GiB, in times of the floor's."""
_WAYS = (
    *("asyncsync", "asyncsync head", "asyncsync response"),
    *(f"asyncsync movers {number}" for number in MOVERS),
)
"""Of which each has to end well and within the memory."""


def _peers(cases: _Cases) -> Iterator[Target]:
    for contender, bounds in OF_BEST_PEER.items():
        way = contender.removeprefix("asyncsync")
        for name, bound in bounds.items():
            case = cases.get(name)
            ours = case and case.row(contender)
            if case and ours and (peers := case.peers()):
                ratio = ours.wall / min(peer.wall for peer in peers)
                yield Target(
                    name, f"wall{way and f' with{way}'} / that of the best peer", bound, ratio
                )


def _floor(cases: _Cases) -> Iterator[Target]:
    for slope in slopes(list(cases.values())):
        bound = _OF_FLOOR.get(slope.work)
        if bound and slope.contender == "asyncsync" and slope.cpu_share is not None:
            yield Target(
                slope.work, f"CPU, {slope.unit} / that of the floor", bound, slope.cpu_share
            )


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
        yield Target(case.case.name, "requests / the minimum", 1.1, sent / max(1, answered))


def _every_case(cases: _Cases) -> Iterator[Target]:
    rows = [row for case in cases.values() for row in case.rows if row.contender in _WAYS]
    if rows:
        bad = sum(not row.good for row in rows)
        yield Target("every case", "runs that end badly", 0, bad)
        yield Target("every case", "peak memory, MB", 150, max(row.peak for row in rows) / 1e6)


def _memory(cases: _Cases) -> Iterator[Target]:
    some, many = (cases.get(f"loop keys-{count}, in step") for count in ("100k", "1m"))
    before, after = some and some.row("asyncsync"), many and many.row("asyncsync")
    if before and after:
        ratio = after.peak / before.peak
        yield Target("1M keys", "peak memory / that of 100k keys", 1.1, ratio)


def _start(cases: _Cases) -> Iterator[Target]:
    case = cases.get("loop empty, in step")
    row = case and case.row("asyncsync version")
    if row:
        yield Target("--version", "wall, s", 0.12, row.wall)


_RULES: tuple[_Rule, ...] = (
    _peers,
    _floor,
    _first_file,
    _throttled,
    _every_case,
    _memory,
    _start,
)
