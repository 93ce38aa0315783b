"""Runs whose time is up before all is done."""

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncsync import pipeline
from asyncsync.download.download import SMALL
from asyncsync.interfaces import Observers
from asyncsync.listing import Incremental, Scope
from asyncsync.pace import Deadline
from tests.rigs.child import until
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import Rig
from tests.rigs.state import STATE
from tests.rigs.watch import Watcher, tree, unfinished

pytestmark = pytest.mark.anyio

SMALLS = {f"{number:02}.parquet": bytes(1000 + number) for number in range(20)}
LARGE = bytes(range(256)) * 80_000


class Time:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.is_up = anyio.Event()
        self.is_grace_over = anyio.Event()
        self.deadline = Deadline(7200, self.sleep)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Wait for the next moment."""
        self.slept.append(seconds)
        await (self.is_grace_over if len(self.slept) > 1 else self.is_up).wait()


async def run_over(rig: Rig, time: Time, *keys: str) -> None:
    """Sync; the time is up when all is listed, and before the answers to the keys' GETs."""
    go, listed = anyio.Event(), anyio.Event()
    rig.watcher = Watcher(on_listed=listed.set)
    for key in keys:
        rig.store.on("get", key, Act(until=go))
    async with anyio.create_task_group() as group:
        group.start_soon(pipeline.sync, replace(rig.job(), deadline=time.deadline))
        await listed.wait()
        await anyio.wait_all_tasks_blocked()
        time.is_up.set()
        await anyio.wait_all_tasks_blocked()
        go.set()


async def test_what_is_under_way_arrives_and_nothing_else_begins(dest: Path) -> None:
    """What is left is told, and the next run fetches it."""
    rig, time = Rig(dest, SMALLS), Time()
    rig.workers = 2
    await run_over(rig, time, "00.parquet", "01.parquet")
    assert rig.watcher.downloaded == ["00.parquet", "01.parquet"]
    assert rig.watcher.left == [
        "stopped after 2 h, as --max-duration asks: 18 objects (18.2 kB) left; the next run goes on"
    ]
    assert time.slept == [7200, 10]
    assert (await rig.again()).downloaded == sorted(SMALLS)[2:]
    assert tree(dest) == SMALLS


async def test_what_takes_longer_than_the_grace_is_given_up_and_kept(dest: Path) -> None:
    """The next run fetches only the parts of a large object that had not arrived."""
    rig, time = Rig(dest, {"large.parquet": LARGE, "small.parquet": b"small"}), Time()
    never = anyio.Event()
    acts = [Act(), Act(), Act(before=time.is_up.set, until=never)]
    rig.store.on("get", "large.parquet", *acts)
    rig.store.on("get", "small.parquet", Act(until=never))
    async with anyio.create_task_group() as group:
        group.start_soon(pipeline.sync, replace(rig.job(), deadline=time.deadline))
        with anyio.fail_after(25):
            await until(
                lambda: time.deadline.is_over and sum(rig.watcher.bytes["large.parquet"]) == 2**24
            )
        time.is_grace_over.set()
    assert rig.watcher.downloaded == []
    assert [why.partition(": ")[2] for why in rig.watcher.left] == [
        "2 objects (20.5 MB) left; the next run goes on"
    ]
    assert unfinished(dest) != []
    seen = await rig.again()
    assert seen.downloaded == ["large.parquet", "small.parquet"]
    assert len(rig.store.spans("large.parquet")) == 1
    assert tree(dest)["large.parquet"] == LARGE


async def test_listing_that_is_cut_is_not_whole(dest: Path) -> None:
    """Last keys are not saved, and unfinished files of objects that were not shown stay."""
    rig, time = Rig(dest, {**SMALLS, "z.parquet": bytes(SMALL + 1)}, page_size=10), Time()
    rig.store.on("get", "z.parquet", Act(cut=SMALL, error=None), Act(until=anyio.Event()))
    async with anyio.create_task_group() as group:
        group.start_soon(pipeline.sync, rig.job())
        with anyio.fail_after(25):
            await until(
                lambda: len(rig.watcher.downloaded) == 20 and rig.store.spans("z.parquet")[1:]
            )
        group.cancel_scope.cancel()
    kept = unfinished(dest)
    assert kept != []
    (dest / "00.parquet").unlink()
    rig.watcher = Watcher(on_ended=lambda _: time.is_up.set())
    rig.store.on("list", "", Act(), Act(until=anyio.Event()))
    folder = rig.job().folder
    scope = Scope("https://memory.example", "sensors", (), ("*.parquet",), ())
    incremental = Incremental(folder, scope, rig.watcher.noticed)
    job = replace(rig.job(), folder=folder, incremental=incremental, deadline=time.deadline)
    job = replace(job, observer=Observers(rig.watcher, incremental))
    with anyio.fail_after(25):
        await pipeline.sync(job)
    assert rig.watcher.left == [
        "stopped after 2 h, as --max-duration asks, before all was listed; the next run goes on"
    ]
    assert (rig.watcher.downloaded, rig.watcher.listings_ended) == (["00.parquet"], 0)
    assert unfinished(dest) == kept
    assert not [*(dest / STATE).glob("since-*")]


async def test_verification_that_is_cut_calls_no_file_extra(dest: Path) -> None:
    """Its object may be among those that were not listed."""
    rig, time = Rig(dest, SMALLS, page_size=10), Time()
    await rig.sync()
    ends = iter([type] * 9 + [lambda _: time.is_up.set()])
    rig.watcher = Watcher(on_ended=lambda outcome: next(ends)(outcome))
    rig.store.on("list", "", Act(), Act(until=anyio.Event()))
    with anyio.fail_after(25):
        await pipeline.verify(replace(rig.job(), deadline=time.deadline))
    assert rig.watcher.left == ["stopped after 2 h, as --max-duration asks, before all was listed"]
    assert (len(rig.watcher.confirmed), rig.watcher.extra_keys) == (10, [])


async def test_run_that_is_done_in_the_grace_leaves_nothing(dest: Path) -> None:
    """It is a run like any other."""
    rig, time = Rig(dest, {"a.parquet": b"a"}), Time()
    await run_over(rig, time, "a.parquet")
    assert (rig.watcher.downloaded, rig.watcher.left) == (["a.parquet"], [])


async def test_run_whose_time_is_up_deletes_nothing(dest: Path) -> None:
    """The next one does, when nothing is left."""
    rig, time = Rig(dest, SMALLS), Time()
    await rig.sync()
    rig.store.delete("05.parquet")
    rig.store.put_many({"x.parquet": b"x", "y.parquet": b"y"})
    rig.max_delete, rig.workers = "10%", 1
    await run_over(rig, time, "x.parquet")
    assert (rig.watcher.downloaded, rig.watcher.removed_keys) == (["x.parquet"], [])
    assert [why.partition(": ")[2] for why in rig.watcher.left] == [
        "1 object (1 B) left; the next run goes on"
    ]
    assert "05.parquet" in tree(dest)
    assert (await rig.again()).removed_keys == ["05.parquet"]


async def test_listing_that_is_far_ahead_does_not_wait_for_the_end_of_the_grace(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue has no room, and nobody takes anything from it any more."""
    monkeypatch.setattr(pipeline, "QUEUE_SIZE", 1)
    rig, time, go = Rig(dest, SMALLS), Time(), anyio.Event()
    rig.workers = 1
    rig.store.on("get", "00.parquet", Act(until=go))
    with anyio.fail_after(25):
        async with anyio.create_task_group() as group:
            group.start_soon(pipeline.sync, replace(rig.job(), deadline=time.deadline))
            await anyio.wait_all_tasks_blocked()
            time.is_up.set()
            await anyio.wait_all_tasks_blocked()
            go.set()
    assert tree(dest) == {"00.parquet": SMALLS["00.parquet"]}
    assert "left" in rig.watcher.left[0]
