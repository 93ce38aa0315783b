"""A limited rate: not faster, not slower, even, and without a stall; only sleeping takes time."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from anyio import create_task_group

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.disk import PART, Folder
from asyncsync.model import Checks
from asyncsync.pace.limit import SLACK, SMALL, STREAM_RATE, Limit, LimitedStore
from tests.rigs.bucket import Bucket
from tests.rigs.fault_run import synced
from tests.rigs.memory_store import MemoryStore
from tests.rigs.watch import Clock, Watcher, quick_pace, tree

pytestmark = pytest.mark.anyio

RATE = 1_000_000
BLOCK = 128 * 1024


class Time(Clock):
    """A clock that moves only while somebody sleeps; remembers until when."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.moments.append(self.now + seconds)
        await super().sleep(seconds)

    def limit(self, rate: int = RATE) -> Limit:
        """Return a limit with this clock."""
        return Limit(rate, self.sleep, self)


async def granted(time: Time, *sizes: list[int]) -> list[int]:
    """Take the sizes of each list in a task; return all sizes in the order granted."""
    limit, seen = time.limit(), list[int]()

    async def take(mine: list[int]) -> None:
        for size in mine:
            await limit.take(size)
            seen.append(size)

    async with create_task_group() as group:
        for mine in sizes:
            group.start_soon(take, mine)
    return seen


@pytest.mark.parametrize(
    "sizes",
    [[[SMALL] * 50], [[BLOCK] * 20] * 64, [[100] * 200] * 32, [[50_000] * 100, [BLOCK] * 40]],
    ids=["one", "large", "small", "mixed"],
)
async def test_rate_is_kept_and_used(sizes: list[list[int]]) -> None:
    """However many tasks take however much, the whole takes exactly its time."""
    time = Time()
    seen = await granted(time, *sizes)
    total = sum(map(sum, sizes))
    assert sum(seen) == total
    assert time.now == pytest.approx(total / RATE)


async def test_rate_is_even() -> None:
    """Blocks are as far apart as one block takes."""
    time = Time()
    await granted(time, *[[BLOCK] * 20] * 64)
    gaps = [later - earlier for earlier, later in pairwise(time.moments)]
    assert gaps == pytest.approx([BLOCK / RATE] * len(gaps))


async def test_no_task_starves() -> None:
    """A task that takes little waits for its turn, not for the end of all others."""
    seen = await granted(Time(), *[[BLOCK] * 50] * 8, [100])
    assert seen.index(100) < 20


async def test_quiet_time_is_not_caught_up() -> None:
    """After a quiet time only the bytes of a moment are granted at once."""
    time = Time()
    limit = time.limit()
    await limit.take(RATE)
    time.now += 60
    await limit.take(RATE)
    await limit.take(RATE)
    assert time.now == pytest.approx(60 + 3 - SLACK)


@pytest.mark.parametrize(
    ("rate", "streams"), [(1024, 1), (STREAM_RATE, 1), (20 * STREAM_RATE, 20), (1 << 40, 1 << 20)]
)
def test_number_of_large_bodies_keeps_each_fast_enough(rate: int, streams: int) -> None:
    """A server would cut a connection that is read too slowly."""
    assert Limit(rate).streams == streams


@pytest.mark.parametrize("block_size", [1000, BLOCK])
async def test_limited_sync_is_complete_and_takes_its_time(tmp_path: Path, block_size: int) -> None:
    """Small, large and empty objects arrive byte for byte, in the time that the limit gives."""
    objects = {f"{number:02}": bytes([number]) * 40_000 for number in range(20)}
    objects |= {"empty": b"", "large": os.urandom(SMALL + 1), "parts": os.urandom(PART + 1)}
    time, seen = Time(), Watcher()
    store = MemoryStore(objects, block_size=block_size)
    job = pipeline.Job(
        store=LimitedStore(store, time.limit()),
        folder=Folder(tmp_path),
        selection=Selection(("*",), ()),
        pace=quick_pace(),
        observer=seen,
        checks=Checks(parquet=False),
    )
    await pipeline.sync(job)
    assert tree(tmp_path) == objects
    total = sum(map(len, objects.values()))
    assert time.now == pytest.approx(total / RATE)


async def test_body_that_waits_for_the_limit_has_not_stalled(
    bucket: Bucket, tmp_path: Path
) -> None:
    """Even if more time passes between two blocks than the timeout allows."""
    data = os.urandom(500_000)
    bucket.put("a.parquet", data)
    impatient = {"read_timeout": 0.05, "slow_time": 0.1, "slow_rate": 10_000_000}
    run = await synced(bucket, tmp_path, transport=impatient, limit_rate=1_200_000)
    assert run.tree == {"a.parquet": data}
    assert run.ended_by == (None, 0)
    assert run.report.retried == 0
    assert run.proxy.count("GET") == 1
