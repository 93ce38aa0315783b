"""What the tests of runs on a cluster have in common."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from distributed import Client

from asyncsync.dask import worker
from asyncsync.interfaces import SilentObserver
from asyncsync.model import Downloaded, Outcome, Transfer
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3

LARGE = os.urandom(1_000_003) * 9  # two parts, and its period does not divide a part's size
OBJECTS = {
    **{f"1hz/{number:03}.parquet": bytes([number]) * number for number in range(200)},
    **{f"large/{number}.parquet": LARGE + bytes([number]) for number in range(6)},
}


class Told(SilentObserver):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.arrived: Counter[str] = Counter()
        self.notices: list[str] = []

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Count it."""
        self.arrived[transfer.remote.key] += size

    def ended(self, outcome: Outcome) -> None:
        """Remember it."""
        self.outcomes.append(outcome)

    def noticed(self, message: str) -> None:
        """Remember it."""
        self.notices.append(message)


def check_all_here(dest: Path, told: Told) -> None:
    """Check that each object was told of once, as downloaded, and that its file has its bytes."""
    assert Counter(outcome.remote.key for outcome in told.outcomes) == Counter([*OBJECTS])
    for outcome in told.outcomes:
        assert isinstance(outcome, Downloaded)
        assert outcome.file.stat().st_mtime_ns == outcome.remote.modified_ns
    assert {key: (dest / key).read_bytes() for key in OBJECTS} == OBJECTS
    assert +told.arrived == {key: len(data) for key, data in OBJECTS.items() if "large" in key}


class Gate:
    """Holds back the answers to GETs of large objects until it is opened.

    Args:
        s3: the server.
        many: how many are held back when `is_full` is set.
    """

    def __init__(self, s3: ScriptedS3, many: int) -> None:
        self.is_full = asyncio.Event()
        self._opened = asyncio.Event()
        self._s3, self._left = s3, many
        s3.on_object = self._hold

    def open(self) -> None:
        """Let all of them go on."""
        self._opened.set()

    def _hold(self, request: Request) -> Answer | None:
        if request.verb != "GET" or not request.key.startswith("large/"):
            return None
        self._left -= 1
        if self._left == 0:
            self.is_full.set()
        return replace(self._s3.usual(request), until=self._opened)


def busy_worker(client: Client) -> int:
    """Return the process of a worker that has a task."""
    busy = {address for address, keys in client.processing().items() if keys}
    processes: dict[str, int] = client.run(os.getpid)
    return next(process for address, process in processes.items() if address in busy)


def residents() -> set[str]:
    """Return the runs for which a mover lives in this process."""
    return {*worker._residents}


def busy_residents() -> int:
    """Return how many of them somebody waits for; the others end after a while."""
    return sum(resident.users > 0 for resident in worker._residents.values())


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - of other processes, which no event tells of
            await asyncio.sleep(0.05)


def kill(process: int) -> None:
    """End a process at once."""
    os.kill(process, signal.SIGKILL)
