"""What is measured: which contenders do which work over which network."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.contenders import SWEEP


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


_PEERS = ("s5cmd", "s5cmd tuned", "rclone", "rclone tuned", "aws s3 sync")
_ALL = ("asyncsync", *_PEERS, "baseline")

CASES = (
    Case(Kind.IN_STEP, "loop", "empty", _ALL),
    Case(
        Kind.FETCH,
        "loop",
        "small",
        (
            *_ALL,
            "asyncsync head",
            "asyncsync response",
            "asyncsync no progress",
            "asyncsync bars",
        ),
    ),
    Case(
        Kind.FETCH,
        "wan",
        "small",
        ("asyncsync", *_PEERS, "baseline sample", "asyncsync head", "asyncsync response"),
    ),
    Case(Kind.FETCH, "loop", "large", (*_ALL, "asyncsync head")),
    Case(Kind.FETCH, "wan", "large", (*_ALL, "asyncsync head")),
    Case(Kind.FETCH, "wan", "mixed", (*_ALL, "asyncsync head"), limit=90),
    Case(Kind.FETCH, "throttled", "mixed", (*_ALL, "asyncsync head"), limit=90),
    Case(Kind.IN_STEP, "loop", "keys", ("asyncsync", *_PEERS)),
    Case(Kind.IN_STEP, "wan", "keys", ("asyncsync", *_PEERS)),
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
