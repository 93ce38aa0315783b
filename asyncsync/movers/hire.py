"""How many movers a run has, and what each of them gets of its limits."""

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from asyncsync.disk import Folder
from asyncsync.download import Downloader
from asyncsync.interfaces import Observer
from asyncsync.model import Checks, Downloaded, Settings, Transfer
from asyncsync.movers.memory import free_memory
from asyncsync.pace import Limit, Pace

MOST = 8
"""Movers that a run has unless it is told: one brain can feed so many."""
MEMORY = 60 * 1024 * 1024
"""Bytes that a mover takes at most, as a test insists."""
GROUP = Path("/sys/fs/cgroup")
"""What a container may use of the machine's processors: microseconds, and in how many."""
_QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
"""The files that tell it, in the second version of control groups, and in the first."""


@dataclass(frozen=True, slots=True)
class Hire:
    """The movers that a run may have, and what they need to know."""

    number: int | None
    """How many; None for one for each processor, as soon as the run needs them (`need.py`)."""
    settings: Settings
    """Where the bucket is, and the credentials for it."""
    read_timeout: float
    workers: int | None
    """Requests in flight of all movers together; None if each finds out."""
    max_workers: int
    attempts: int
    limit: Limit | None = None
    """The bytes per second that all of them share with the brain."""
    notice: Callable[[str], object] = str
    """Called with each message for the user."""
    engine: "Engine | None" = None
    """Has the movers, if they are not processes of this machine."""

    @property
    def wanted(self) -> int:
        """How many movers there will be, if there are any; a single one would not help.

        Unless it is told, a run leaves half of the free memory to its files and to others: where
        memory runs out, the system kills the largest process, which may be this one.
        """
        if self.number is not None:
            return self.number
        free = free_memory()
        room = MOST if free is None else free // 2 // MEMORY
        return number if (number := min(usable_cores(), MOST, room)) > 1 else 0


class Fetcher(Protocol):
    """Whoever downloads the objects of a run."""

    @property
    def most(self) -> int:
        """How many transfers are under way at most; more, once movers are hired."""

    def expect(self, transfers: Iterable[Transfer]) -> None:
        """Note transfers that will come."""

    async def download(self, transfer: Transfer) -> Downloaded:
        """Have one object downloaded, validated and published.

        Raises:
            TransferError, SourceError, DestinationError: as for `Downloader.download`.
        """


class Engine(Protocol):
    """Has the objects of a run downloaded elsewhere; the arguments are those of a `Crew`."""

    def __call__(
        self,
        folder: Folder,
        pace: Pace,
        observer: Observer,
        checks: Checks,
        hire: Hire,
        own: Downloader,
        *,
        exact: bool,
    ) -> AbstractAsyncContextManager[Fetcher]:
        """Begin, and end all of it at the end."""


def can_move() -> bool:
    """Return whether this process can start others as movers, and hand its locks on to them.

    What another program has embedded, or is frozen into one file, is no Python to start again.
    """
    name = os.path.basename(sys.executable or "").lower()
    is_python = name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
    return sys.platform != "win32" and is_python


def usable_cores() -> int:
    """Return how many processors this process may use, and its container allows.

    Less than half of one is none: it would be too little to share, see `need.FREE`.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    for names in _QUOTAS:
        with suppress(OSError, ValueError, ZeroDivisionError):  # no such limit, or none: "max"
            texts = [(GROUP / name).read_text(encoding="ascii") for name in names]
            quota, period = map(int, " ".join(texts).split())
            if quota >= 0:  # -1 is no limit
                return max(1, min(cores, int(quota / period + 0.5)))
    return cores
