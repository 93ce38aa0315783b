"""What a plan and a verification add to a report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from asyncsync.keys import shown
from asyncsync.model import Compared, RemoteObject, Route, Transfer
from asyncsync.report.planfile import PAGE
from asyncsync.report.report import Report, as_html, plan_summary, verify_summary
from asyncsync.units import format_size

_NOWHERE = Route("", "", "")


@dataclass
class Plan(Report):
    """What a sync would do: `for transfer in plan`, `len(plan)`, `plan.total`, `plan.fits`.

    Holds every transfer, so it grows with what is missing.
    """

    transfers: list[Transfer] = field(default_factory=list, repr=False)
    route: Route = _NOWHERE
    """What it was made for."""
    free_bytes: int = 0
    """What the destination's disk has left."""

    @property
    def fits(self) -> bool:
        """Whether there is space for all that would be downloaded."""
        return self.growth <= self.free_bytes

    def compared(self, page: Compared) -> None:
        """Take in a page of the listing."""
        super().compared(page)
        self.transfers += page.transfers

    def __iter__(self) -> Iterator[Transfer]:
        """Yield what would be fetched."""
        return iter(self.transfers)

    def __len__(self) -> int:
        """Return how many objects would be fetched."""
        return len(self.transfers)

    def summary(self) -> str:
        """Return one line about the plan."""
        return plan_summary(self, self.free_bytes)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        rows = ((shown(t.remote.key), format_size(t.remote.size), t.reason.value) for t in self)
        return as_html(self, ("to download", "size", "why"), rows, len(self))

    def pages(self) -> Iterator[Sequence[RemoteObject]]:
        """Yield what would be fetched, as a listing does."""
        for start in range(0, len(self.transfers), PAGE):
            some = self.transfers[start : start + PAGE]
            yield [transfer.remote for transfer in some]


class Verification(Report):
    """What became of the files that were checked."""

    def summary(self) -> str:
        """Return one line about the verification."""
        return verify_summary(self)
