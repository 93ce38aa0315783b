"""Workers: as many as there is work for, and never more than the pace allows."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncsync import pipeline
from asyncsync.disk import Folder
from asyncsync.download import Downloader
from asyncsync.errors import DiskFullError, SourceError
from asyncsync.interfaces import Observer
from asyncsync.model import Checks, Downloaded, Settings, Transfer
from asyncsync.movers import Hire
from asyncsync.pace import Pace
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import OBJECTS, Rig
from tests.rigs.watch import Watcher, tree

pytestmark = pytest.mark.anyio

MANY = {f"{number:02}.parquet": bytes([number]) for number in range(30)}


def workers() -> int:
    """Return how many workers there are at the moment."""
    return sum("work_and_report" in task.get_name() for task in asyncio.all_tasks())


class Held:
    """Holds all downloads until the listing has ended, and counts the workers then."""

    def __init__(self, rig: Rig) -> None:
        self.counts: list[int] = []
        """After each page, and at the end of the listing."""
        self._listed = anyio.Event()
        rig.watcher = Watcher(on_compared=self._count, on_listed=self._on_listed)
        for key in MANY:
            rig.store.always("get", key, Act(until=self._listed))

    def _count(self) -> None:
        self.counts.append(workers())

    def _on_listed(self) -> None:
        self._count()
        self._listed.set()


async def test_run_without_work_has_no_workers(dest: Path) -> None:
    """In an empty bucket, and when all files are up to date."""
    for objects in ({}, MANY):
        rig = Rig(dest, objects)
        await rig.sync()
        counted = Held(rig).counts
        await rig.sync()
        assert counted == [0] * len(counted)
        assert len(counted) >= 1


@pytest.mark.parametrize("number", [1, 3])
async def test_run_with_little_work_has_few_workers(dest: Path, number: int) -> None:
    """One for each object."""
    rig = Rig(dest, dict(list(MANY.items())[:number]))
    counted = Held(rig).counts
    await rig.sync()
    assert counted[-1] == number


@pytest.mark.parametrize("most", [1, 8])
async def test_workers_come_page_by_page_up_to_the_limit(dest: Path, most: int) -> None:
    """However much is found, there is at most one for each request that may be in flight."""
    rig = Rig(dest, MANY, page_size=3)
    rig.workers = most
    counted = Held(rig).counts
    await rig.sync()
    assert counted == sorted(counted)
    assert (counted[0], counted[-1]) == (0, most)
    assert all(count <= 3 * pages for pages, count in enumerate(counted))
    assert tree(dest) == MANY
    assert workers() == 0


class Growing:
    """Downloads one object at first, and eight at once as soon as that has arrived."""

    def __init__(self) -> None:
        self.most = 1
        self.counts: list[int] = []
        """How many workers there were, as each download began."""
        self._own: Downloader

    @asynccontextmanager
    async def engine(
        self,
        folder: Folder,
        pace: Pace,
        observer: Observer,
        checks: Checks,
        hire: Hire,
        own: Downloader,
        *,
        exact: bool,
    ) -> AsyncIterator["Growing"]:
        """Have the objects of a run downloaded."""
        self._own = own
        yield self

    def expect(self, transfers: Iterable[Transfer]) -> None:
        """Do nothing."""

    async def download(self, transfer: Transfer) -> Downloaded:
        """Download an object."""
        self.counts.append(workers())
        done = await self._own.download(transfer)
        self.most = 8
        return done


async def test_workers_come_for_what_is_queued_once_there_may_be_more(dest: Path) -> None:
    """A run gets movers when all keys may be listed already."""
    rig, crew = Rig(dest, MANY), Growing()
    hire = Hire(None, Settings("id", "", "", ""), 30.0, None, 8, 3, engine=crew.engine)
    with anyio.fail_after(25):
        await pipeline.sync(replace(rig.job(), hire=hire))
    assert crew.counts[:2] == [1, 8]
    assert max(crew.counts) == 8
    assert tree(dest) == MANY


async def test_worker_that_has_nothing_to_do_takes_what_is_found_later(dest: Path) -> None:
    """No other one comes for it once there are as many as may be."""
    rig = Rig(dest, MANY, page_size=10)
    rig.workers = 2
    half = anyio.Event()
    found = list(MANY)[:9]  # of the first page; the last one waits for what follows it
    rig.watcher = Watcher(on_ended=lambda _: half.set() if rig.watcher.downloaded == found else 0)
    rig.store.on("list", "", Act(), Act(until=half))
    await rig.sync()
    assert tree(dest) == MANY


async def test_verification_has_workers_as_well(dest: Path) -> None:
    """It has work for all files."""
    rig = Rig(dest, OBJECTS)
    rig.workers = 3
    await rig.sync()
    seen: list[int] = []
    rig.watcher = Watcher(on_ended=lambda _: seen.append(workers()))
    with anyio.fail_after(25):
        await pipeline.verify(rig.job())
    assert max(seen) == 3
    assert rig.watcher.confirmed == sorted(OBJECTS)


@pytest.mark.parametrize("objects", [{}, MANY], ids=["none", "many"])
async def test_failed_listing_ends_the_workers_after_their_work(
    dest: Path, objects: dict[str, bytes]
) -> None:
    """What was found before is downloaded, and nothing is left that waits."""
    rig = Rig(dest, objects, page_size=10)
    failure = Act(error=SourceError("the bucket is gone"))
    rig.store.on("list", "", *[Act()] * bool(objects), failure)
    with pytest.raises(SourceError, match="gone"):
        await rig.sync()
    assert workers() == 0
    assert len(tree(dest)) in ({0} if not objects else {9, 10})


async def test_error_of_the_disk_ends_all_workers(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that have nothing to do as well, and a listing that waits for room in the queue."""
    monkeypatch.setattr(pipeline, "QUEUE_SIZE", 2)
    rig = Rig(dest, MANY)
    rig.workers = 2
    rig.store.always("get", "00.parquet", Act(until=anyio.Event()))
    rig.store.always("get", "01.parquet", Act(before=_fill))
    with pytest.raises(DiskFullError):
        await rig.sync()
    assert workers() == 0


def _fill() -> None:
    raise DiskFullError("full")
