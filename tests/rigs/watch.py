"""What stage tests look on with, and a pace that takes no time."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import anyio.lowlevel

from asyncsync.interfaces import SilentObserver
from asyncsync.model import Compared, Downloaded, Failed, Outcome, Transfer, UpToDate
from asyncsync.pace import Pace
from tests.rigs.state import PARTS


class Clock:
    """A clock that only moves while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.now += seconds
        await anyio.lowlevel.checkpoint()


def quick_pace(*, workers: int = 8, attempts: int = 3) -> Pace:
    """Return a pace of a fixed width whose pauses take no time."""
    clock = Clock()
    return Pace(workers, workers, attempts, sleep=clock.sleep, clock=clock)


class Watcher(SilentObserver):
    """Remembers everything that it is told.

    Args:
        on_compared: called after every page.
        on_listed: called at the end of the listing.
        on_ended: called with every outcome.
    """

    def __init__(
        self,
        *,
        on_compared: Callable[[], object] = int,
        on_listed: Callable[[], object] = int,
        on_ended: Callable[[Outcome], object] = type,
    ) -> None:
        self._on_compared = on_compared
        self._on_listed = on_listed
        self._on_ended = on_ended
        self.files: Mapping[str, int] | None = None
        self.pages: list[Compared] = []
        self.left_out: Mapping[str, int] | None = None
        self.absent_prefixes: list[str] = []
        self.unmatched_prefixes: list[str] = []
        self.listings_ended = 0
        self.begun: list[str] = []
        self.bytes: dict[str, list[int]] = {}
        """The advances of each begun transfer, by key, and what was kept of it."""
        self.kept_bytes: dict[str, int] = {}
        self.outcomes: list[Outcome] = []
        self.extra_keys: list[str] = []
        self.removed_keys: list[str] = []
        self.left: list[str] = []
        self.notices: list[str] = []

    def counted(self, files: Mapping[str, int]) -> None:
        """Remember."""
        self.files = files

    def compared(self, page: Compared) -> None:
        """Remember, and insist that the files were counted before."""
        assert self.files is not None
        self.pages.append(page)
        self._on_compared()

    def filtered(self, objects: Mapping[str, int]) -> None:
        """Remember."""
        self.left_out = objects

    def absent(self, prefix: str) -> None:
        """Remember."""
        self.absent_prefixes.append(prefix)

    def unmatched(self, prefix: str) -> None:
        """Remember."""
        self.unmatched_prefixes.append(prefix)

    def listed(self) -> None:
        """Remember."""
        self.listings_ended += 1
        self._on_listed()

    def started(self, transfer: Transfer) -> None:
        """Remember."""
        self.begun.append(transfer.remote.key)
        self.bytes.setdefault(transfer.remote.key, [])

    def kept(self, transfer: Transfer, size: int) -> None:
        """Remember, also as an advance."""
        self.kept_bytes[transfer.remote.key] = size
        super().kept(transfer, size)

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Remember."""
        self.bytes[transfer.remote.key].append(size)

    def unlisted(self, key: str) -> None:
        """Remember."""
        self.extra_keys.append(key)

    def removed(self, key: str, size: int) -> None:
        """Remember."""
        self.removed_keys.append(key)

    def held_back(self, why: str) -> None:
        """Remember."""
        self.left.append(why)

    def ended(self, outcome: Outcome) -> None:
        """Remember."""
        self.outcomes.append(outcome)
        self._on_ended(outcome)

    def noticed(self, message: str) -> None:
        """Remember."""
        self.notices.append(message)

    @property
    def downloaded(self) -> list[str]:
        """The keys that were downloaded, sorted."""
        return sorted(o.transfer.remote.key for o in self.outcomes if isinstance(o, Downloaded))

    @property
    def confirmed(self) -> list[str]:
        """The keys that a verification found in step, sorted."""
        return sorted(o.remote.key for o in self.outcomes if isinstance(o, UpToDate))

    @property
    def failures(self) -> dict[str, type[Exception]]:
        """What became of the keys that failed."""
        failed = [o for o in self.outcomes if isinstance(o, Failed)]
        failed += [refused for page in self.pages for refused in page.refused]
        return {failure.remote.key: type(failure.error) for failure in failed}


def tree(folder: Path) -> dict[str, bytes]:
    """Return the published files below the folder by key."""
    found = {}
    for parent, folders, names in os.walk(folder):
        if parent == str(folder):
            folders[:] = [name for name in folders if not name.startswith(".asyncsync")]
        for path in (os.path.join(parent, name) for name in names):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = file.read()
    return dict(sorted(found.items(), key=lambda item: item[0].split("/")))


def unfinished(folder: Path) -> list[Path]:
    """Return the part files that lie in the folder."""
    return sorted((folder / PARTS).glob("*"))


def noted(folder: Path) -> int:
    """Return how many bytes the journal of the one unfinished file says are here."""
    journals = [path for path in unfinished(folder) if path.name.endswith(".journal")]
    lines = journals[0].read_bytes().splitlines() if journals else []  # its first may yet come
    pieces = [tuple(map(int, line.split())) for line in lines[1:]]
    return sum(stop - start for start, stop, _ in pieces)


def snapshot(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return mode, size and time of everything below the folder."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found
