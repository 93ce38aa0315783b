"""Whether everything fits on the destination's disk, checked before it is downloaded.

Downloads start while the listing goes on, so the total is unknown at first. The transfers of each
page are added to the sum before any of them starts, and the run ends as soon as the sum does not
fit. A run that could succeed is never refused:

- Only growth is added: a file that is replaced makes room.
- Unfinished files count as free space, because they become files or are removed.
- What goes to other disks, mounted inside the destination, is left out.

No space is reserved: if something else fills the disk meanwhile, the run ends when it is full.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from asyncsync.disk import Folder, disk_of, mounted
from asyncsync.errors import DiskFullError
from asyncsync.interfaces import SilentObserver
from asyncsync.keys import escaped
from asyncsync.model import Compared, Transfer
from asyncsync.units import format_size


class Space:
    """The space for the files of one run; measures the free space before the first is claimed."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._room: int | None = None
        self._is_measured = False
        self._needed = 0
        self._elsewhere: dict[tuple[str, ...], bool] = {}
        """Whether a folder is on another disk, for the folders checked so far."""
        self._unchecked = Counter[tuple[str, ...]]()
        """Bytes by folder, for the other folders; they are in the sum."""

    def claim(self, transfers: Iterable[Transfer]) -> None:
        """Add transfers that are about to start.

        Raises:
            DiskFullError: what was added so far does not fit.
            DestinationError: the disk cannot be read.
        """
        if not self._is_measured:
            self._room, self._is_measured = self._folder.room(), True
        for transfer in transfers:
            parents, size = transfer.path[:-1], transfer.remote.size - transfer.replaces
            if self._elsewhere.get(parents):
                continue
            self._needed += size
            if parents not in self._elsewhere:
                self._unchecked[parents] += size
        if self._room is None or self._needed <= self._room:
            return
        self._exclude_other_disks()
        if self._needed > self._room:
            needed, free = format_size(self._needed), format_size(self._room)
            raise DiskFullError(
                f"{escaped(str(self._folder.path))}: not enough space: at least {needed} needed, "
                f"{free} free"
            )

    def _exclude_other_disks(self) -> None:
        """Subtract what goes to other disks. Most runs have enough space and never check."""
        for parents, size in self._unchecked.items():
            self._elsewhere[parents] = mounted(self._folder.walk, parents) is not None
            if self._elsewhere[parents]:
                self._needed -= size
        self._unchecked.clear()


class OtherDisks(SilentObserver):
    """Adds up what a plan would write to other disks, which needs no space on the destination's."""

    def __init__(self) -> None:
        self._by_folder = Counter[tuple[str, ...]]()

    def compared(self, page: Compared) -> None:
        """Add the transfers of a page."""
        for parents, together in groupby(page.transfers, key=_parents):
            self._by_folder[parents] += sum(
                each.remote.size - each.replaces - each.kept for each in together
            )

    def growth(self, destination: Path) -> int:
        """Return by how many bytes files grow on disks that are mounted or linked there."""
        return sum(self._by_folder[parents] for parents in self.folders(destination))

    def folders(self, destination: Path) -> frozenset[tuple[str, ...]]:
        """Return the folders of these files that are on such disks."""
        own, found = disk_of(destination), set[tuple[str, ...]]()
        for parents in self._by_folder:
            with suppress(OSError):  # what cannot be looked at gets no file
                if disk_of(destination.joinpath(*parents)) != own:
                    found.add(parents)
        return frozenset(found)


def _parents(transfer: Transfer) -> tuple[str, ...]:
    return transfer.path[:-1]
