"""What is measured: which contenders do which work over which network."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.contenders import MOVERS, SWEEP


class Kind(StrEnum):
    """What a contender finds and has to do."""

    FETCH = "fetch"
    """The destination is empty; everything is fetched."""
    IN_STEP = "in step"
    """Everything is there already; it only has to find that out."""
    FIRST_FILE = "first file"
    """The destination is empty; the run is ended when its first file is there."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table for each contender."""

    kind: Kind
    profile: str
    work: str
    contenders: tuple[str, ...]
    limit: float = 120.0
    """Seconds after which a contender is ended."""

    @property
    def name(self) -> str:
        """The case in a few words, such as `wan keys, in step`."""
        kind = "" if self.kind is Kind.FETCH else f", {self.kind}"
        return f"{self.profile} {self.work}{kind}"


_IN_STEP_PEERS = ("s5cmd", "s5cmd tuned", "rclone", "rclone tuned", "aws s3 sync")
_PEERS = (*_IN_STEP_PEERS, "s5cmd cp", "s5cmd cp tuned")
_ALL = ("asyncsync", *_PEERS, "baseline")
_WAYS = ("asyncsync head", "asyncsync response")
_MOVERS = tuple(f"asyncsync movers {number}" for number in MOVERS)
_FLOOR = {
    "small": ("floor get", "floor head", "floor md5"),
    "large": ("floor ranges", "floor ranges-md5"),
}
_UNPROVEN = {"small": "floor head", "large": "floor ranges"}
"""The floor where MD5 need not be computed."""

CASES = (
    Case(
        Kind.IN_STEP,
        "loop",
        "empty",
        ("asyncsync", *_IN_STEP_PEERS, "baseline", "asyncsync version"),
    ),
    Case(
        Kind.FETCH,
        "loop",
        "small",
        (*_ALL, *_WAYS, *_MOVERS, *_FLOOR["small"], "asyncsync no progress", "asyncsync bars"),
    ),
    Case(
        Kind.FETCH,
        "wan",
        "small",
        ("asyncsync", *_PEERS, "baseline sample", *_WAYS, *_MOVERS, *_FLOOR["small"]),
    ),
    Case(Kind.FETCH, "loop", "large", (*_ALL, *_WAYS, *_MOVERS, *_FLOOR["large"])),
    Case(Kind.FETCH, "wan", "large", (*_ALL, *_WAYS, *_MOVERS, *_FLOOR["large"])),
    Case(Kind.FETCH, "loop", "mixed", ("asyncsync", *_PEERS, *_WAYS, *_MOVERS), limit=90),
    Case(Kind.FETCH, "wan", "mixed", (*_ALL, *_WAYS, *_MOVERS), limit=90),
    Case(Kind.FETCH, "throttled", "mixed", (*_ALL, *_WAYS), limit=90),
    Case(Kind.FETCH, "loop-r2", "small", ("asyncsync", *_PEERS, *_MOVERS, _UNPROVEN["small"])),
    Case(Kind.FETCH, "wan-r2", "small", ("asyncsync", *_PEERS, *_MOVERS, _UNPROVEN["small"])),
    Case(Kind.FETCH, "loop-r2", "large", ("asyncsync", *_PEERS, *_MOVERS, _UNPROVEN["large"])),
    Case(Kind.FETCH, "wan-r2", "large", ("asyncsync", *_PEERS, *_MOVERS, _UNPROVEN["large"])),
    Case(Kind.FETCH, "loop-r2", "mixed", ("asyncsync", *_PEERS, *_MOVERS), limit=90),
    Case(Kind.FETCH, "wan-r2", "mixed", ("asyncsync", *_PEERS, *_MOVERS), limit=90),
    Case(Kind.FETCH, "throttled-r2", "mixed", ("asyncsync", *_PEERS), limit=90),
    Case(Kind.IN_STEP, "loop", "keys", ("asyncsync", *_IN_STEP_PEERS)),
    Case(Kind.IN_STEP, "wan", "keys", ("asyncsync", *_IN_STEP_PEERS)),
    Case(Kind.FIRST_FILE, "wan", "keys", ("asyncsync", *_PEERS)),
    Case(Kind.IN_STEP, "loop", "keys-10k", ("asyncsync",)),
    Case(Kind.IN_STEP, "loop", "keys-100k", ("asyncsync",)),
    Case(Kind.IN_STEP, "loop", "keys-1m", ("asyncsync",), limit=300),
)
"""What a run without arguments measures."""

SWEEPS = tuple(
    Case(Kind.FETCH, profile, work, ("asyncsync", *(f"asyncsync {number}" for number in SWEEP)))
    for profile, work in (
        ("loop", "small"),
        ("wan", "small"),
        ("loop", "large"),
        ("wan", "large"),
        ("throttled", "mixed"),
    )
)
"""The automatic number of workers beside fixed ones."""

SLOPES = tuple(
    Case(
        Kind.FETCH,
        profile,
        f"{work}{more}",
        ("asyncsync", _UNPROVEN[work])
        if profile.endswith("-r2")
        else ("asyncsync", *_WAYS, *_FLOOR[work]),
        limit=300,
    )
    for profile in ("loop", "loop-r2", "wan")
    for work, larger in (("small", "-20k"), ("large", "-6g"))
    for more in ("", larger)
)
"""A work beside one that is several times as large: what each more object or byte costs."""


def select(
    cases: Sequence[Case],
    *,
    works: Sequence[str],
    profiles: Sequence[str],
    kinds: Sequence[str],
    contenders: Sequence[str],
) -> list[Case]:
    """Return the cases that match; an empty sequence matches everything.

    A pair of work and profile that is named but not among `cases` is fetched. Named contenders
    take the place of a case's own.
    """
    chosen = [
        case
        for case in cases
        if (not works or case.work in works)
        and (not profiles or case.profile in profiles)
        and (not kinds or case.kind in kinds)
    ]
    if not kinds or Kind.FETCH in kinds:
        known = {(case.profile, case.work) for case in cases}
        chosen += [
            Case(Kind.FETCH, profile, work, _ALL)
            for work in works
            for profile in profiles
            if (profile, work) not in known
        ]
    if contenders:
        chosen = [
            Case(case.kind, case.profile, case.work, tuple(contenders), case.limit)
            for case in chosen
        ]
    return chosen
