"""Whether the destination's disk can hold what is going to be fetched, told before it is fetched.

Downloads begin while the listing goes on, so at first nobody knows the whole sum. The transfers of
each page are added to it before any of them begins, and the run ends once the sum known by then
cannot fit. Nothing that could be done is refused: what counts is by how much the files grow, since
those that are replaced make room, against the disk's free bytes as the run began, and those that
unfinished files take, which go on to be files or are removed. What goes to other disks, which are
mounted inside of the destination, is left out. There is no reserve; a disk that somebody else fills
meanwhile still ends the run when it is full.
"""

from collections import Counter
from collections.abc import Iterable

from asyncsync.disk import Folder, mounted
from asyncsync.errors import DiskFullError
from asyncsync.keys import shown
from asyncsync.model import Transfer
from asyncsync.units import format_size


class Space:
    """The space for one run's files, measured when this is made."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._room = folder.room()
        self._needed = 0
        self._elsewhere: dict[tuple[str, ...], bool] = {}
        """Whether another disk holds a folder, of those that were looked at."""
        self._taken_for_here = Counter[tuple[str, ...]]()
        """Bytes by folder, of those that were not."""

    def claim(self, transfers: Iterable[Transfer]) -> None:
        """Add transfers that are about to begin.

        Raises:
            DiskFullError: not all that was added so far fits.
        """
        for transfer in transfers:
            parents, size = transfer.path[:-1], transfer.remote.size - transfer.replaces
            if self._elsewhere.get(parents):
                continue
            self._needed += size
            if parents not in self._elsewhere:
                self._taken_for_here[parents] += size
        if self._room is None or self._needed <= self._room:
            return
        self._look()
        if self._needed > self._room:
            needed, free = format_size(self._needed), format_size(self._room)
            raise DiskFullError(
                f"{shown(str(self._folder.path))}: too little space: {needed} or more needed, "
                f"{free} free"
            )

    def _look(self) -> None:
        """Leave out what other disks hold. Most runs never need to know."""
        for parents, size in self._taken_for_here.items():
            self._elsewhere[parents] = mounted(str(self._folder.path), parents) is not None
            if self._elsewhere[parents]:
                self._needed -= size
        self._taken_for_here.clear()
