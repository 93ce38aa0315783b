"""The reports of a plan and of a verification, and whether a plan fits a run."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Self

from asyncsync.errors import ConfigError, DiskFullError
from asyncsync.globs import compile_globs
from asyncsync.keys import escaped
from asyncsync.model import Compared, RemoteObject, Route, Transfer
from asyncsync.report.naming import way
from asyncsync.report.planfile import PAGE, PlanFile, read_plan
from asyncsync.report.report import Report, plan_summary, verify_summary
from asyncsync.report.tally import by_prefix, growth_of
from asyncsync.units import format_size

_GLOB = re.compile(r"[*?[]")
_NOWHERE = Route("", "", "")
_DECIDED = (
    *("prefixes", "include", "exclude", "strip_prefix", "odd_keys", "files_from"),
    *("newer_than", "older_than", "since", "min_size", "max_size"),
)
"""Arguments that say what to fetch, which a plan has decided."""


@dataclass(repr=False)
class PlanCounts(Report):
    """The counts of a plan, and whether what it counts fits on the disk."""

    free_bytes: int | None = 0
    """Free bytes on the destination's disk when the plan was made; None if it does not tell."""
    elsewhere: int = 0
    """Of `growth`, the bytes that go to other disks, mounted inside the destination."""
    checks_space: bool = True
    """Whether a sync ends as soon as what it finds does not fit."""

    @property
    def fits(self) -> bool:
        """Whether the disk has enough free space for all downloads, as far as it tells."""
        return self.free_bytes is None or self.growth - self.elsewhere <= self.free_bytes

    @property
    def to_do(self) -> str:
        """What a sync would find to do; empty for nothing."""
        counts = {"to download": self.total.to_download, "to delete": self.deleted}
        return ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)

    @property
    def exit_code(self) -> int:
        """5 if a sync would end because of too little space; otherwise as for any report."""
        if self.checks_space and not self.fits:
            return DiskFullError.exit_code
        return super().exit_code

    def summary(self) -> str:
        """Return one line about the plan."""
        return plan_summary(self, self.free_bytes, self.elsewhere)


@dataclass(repr=False)
class Plan(PlanCounts):
    """What a sync would download: `for transfer in plan`, `len(plan)`, `plan.total`, `plan.fits`.

    It keeps every transfer, so its size grows with their number.
    """

    transfers: list[Transfer] = field(default_factory=list, repr=False)
    """The objects that a sync would download."""
    route: Route = _NOWHERE
    """The endpoint, bucket and destination that the plan was made for."""
    other_disks: frozenset[tuple[str, ...]] = field(default=frozenset(), repr=False)
    """Folders of transfers that are on other disks; none where all fits without knowing them."""

    def note_other_disks(self, folders: frozenset[tuple[str, ...]]) -> None:
        """Leave what goes to other disks out of what the destination's needs."""
        self.other_disks = folders
        self.elsewhere = growth_of(each for each in self if each.path[:-1] in folders)

    def compared(self, page: Compared) -> None:
        """Count the objects of a page, and keep its transfers."""
        super().compared(page)
        self.transfers += page.transfers

    def __iter__(self) -> Iterator[Transfer]:
        """Iterate over the transfers."""
        return iter(self.transfers)

    def __len__(self) -> int:
        """Return the number of transfers."""
        return len(self.transfers)

    def filter(self, wanted: Callable[[Transfer], object]) -> Self:
        """Return a plan of those transfers for which the function returns something true.

        The other objects count as left out. What the plan knows besides its transfers, such as the
        files that are up to date, stays; but a sync of a plan deletes nothing.

        Args:
            wanted: gets a transfer, with `transfer.remote.key`, `.size`, `.modified` and so on.
        """
        kept: list[Transfer] = []
        dropped: list[Transfer] = []
        for transfer in self.transfers:
            (kept if wanted(transfer) else dropped).append(transfer)
        tallies = {prefix: replace(tally) for prefix, tally in self.tallies.items()}
        for prefix, transfers in by_prefix(dropped).items():
            tally = tallies[prefix]
            tally.in_bucket -= len(transfers)
            tally.left_out += len(transfers)
            tally.count(transfers, -1)
        smaller = replace(
            self,
            transfers=kept,
            tallies=tallies,
            growth=growth_of(kept),
            unfinished={each.remote.key: each.kept for each in kept if each.kept},
            deleted=0,
            deleted_bytes=0,
        )
        smaller.note_other_disks(self.other_disks)
        return smaller

    def only(self, *patterns: str) -> Self:
        """Return a plan of those transfers whose keys match one of the patterns.

        Args:
            *patterns: the beginnings of keys, as `"1hz/"`; or globs for whole keys, as
                `"*/raw/*.parquet"`, which have one of the characters `*`, `?` and `[`.
        """
        globs = [each for each in patterns if _GLOB.search(each)]
        matching = compile_globs(globs) if globs else None
        starts = tuple(each for each in patterns if each not in globs)
        return self.filter(
            lambda transfer: (
                transfer.remote.key.startswith(starts)
                or (matching and matching.match(transfer.remote.key))
            )
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        rows = ((way(t), format_size(t.remote.size), t.reason.value) for t in self)
        return self._to_html(("to download", "size", "why"), rows, len(self))

    def pages(self) -> Iterator[Sequence[RemoteObject]]:
        """Yield the planned objects in pages, as a listing does."""
        for start in range(0, len(self.transfers), PAGE):
            page = self.transfers[start : start + PAGE]
            yield [transfer.remote for transfer in page]


@dataclass(repr=False)
class Verification(Report):
    """The report of a verification."""

    deep: bool = False
    """Whether it reads the files."""

    def summary(self) -> str:
        """Return one line about the verification."""
        return verify_summary(self, deep=self.deep)


def checked_plan(
    plan: Plan | Path | str, own: Route, given: Mapping[str, object]
) -> Plan | PlanFile:
    """Return a plan after checking that it fits the run. What it strips or encodes, the run will.

    Args:
        plan: a plan made in this process, or the path of a plan's file.
        own: the route of the run.
        given: the explicit arguments, without those from the environment. If they include `dest`,
            the plan's own destination does not matter.

    Raises:
        ConfigError: the plan is damaged or was made for another route, or prefixes or globs are
            given as well.
    """
    for name in _DECIDED:
        if given.get(name):
            raise ConfigError(f"{name}: a plan already says what to fetch; give one or the other")
    found = plan if isinstance(plan, Plan) else read_plan(Path(plan))
    wanted = replace(own, stripped=found.route.stripped, odd_keys=found.route.odd_keys)
    if not (wanted.shard and found.route.shard):  # a whole plan is for every shard
        wanted = replace(wanted, shard=found.route.shard)
    if given.get("dest") is not None:
        wanted = replace(wanted, dest=found.route.dest)
    for part in fields(Route):
        made_for, here = getattr(found.route, part.name), getattr(wanted, part.name)
        if made_for != here:
            hint = "set --dest to sync elsewhere" if part.name == "dest" else "make another"
            raise ConfigError(
                f"the plan was made for {part.name} {escaped(made_for)}, not {escaped(here)}; "
                f"{hint}"
            )
    return found
