"""What is kept of unfinished objects when a run is stopped, and counted by the next."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from asyncsync import pipeline
from asyncsync.disk import PART, Folder
from asyncsync.model import RemoteObject, Transfer
from asyncsync.report import Plan, Report, stop_summary
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import Rig
from tests.rigs.state import PARTS
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio

KEY = "1hz/large.parquet"
LARGE = bytes(range(256)) * (3 * PART // 256)
OBJECTS = {KEY: LARGE, "1hz/small.parquet": b"small"}


@dataclass
class Arriving(Report):
    """A report that says when a part has arrived."""

    part: anyio.Event = field(default_factory=anyio.Event)

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Say it."""
        super().advanced(transfer, size)
        if self.unfinished[KEY] >= PART:
            self.part.set()


async def stopped(rig: Rig) -> Report:
    """Stop a sync when one part of the large object has arrived, and return its report."""
    report = Arriving()
    rig.store.on("get", KEY, Act(), *[Act(until=anyio.Event())] * 2)
    async with anyio.create_task_group() as group:
        group.start_soon(pipeline.sync, replace(rig.job(), observer=report))
        with anyio.fail_after(25):
            await report.part.wait()
            while report.downloaded < 1:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    rig.store.behave()
    return report


async def planned(rig: Rig) -> Plan:
    plan = Plan()
    await pipeline.plan(replace(rig.job(), observer=plan))
    return plan


async def test_stopped_sync_a_plan_and_the_next_sync_agree_about_what_is_kept(dest: Path) -> None:
    """The stopped run's last words, the plan's count, and what the next run need not fetch."""
    rig = Rig(dest, OBJECTS)
    report = await stopped(rig)
    assert stop_summary(report) == "stopped: 8.39 MB of 25.2 MB kept; run again to go on"
    plan = await planned(rig)
    assert [transfer.kept for transfer in plan] == [PART]
    assert (plan.total.bytes_kept, plan.growth) == (PART, len(LARGE) - PART)
    again = Report(seconds=1.0)
    await pipeline.sync(replace(rig.job(), observer=again))
    assert (again.total.bytes_kept, again.kept_bytes) == (PART, PART)
    assert "(25.2 MB at 16.8 MB/s)" in again.summary()
    assert tree(dest) == OBJECTS
    assert again.unfinished == {}


async def test_only_what_the_next_run_can_use_is_counted(dest: Path) -> None:
    """Not what belongs to another version or bucket, nor what a damaged journal lists."""
    rig = Rig(dest, OBJECTS)
    await stopped(rig)
    [journal] = (dest / PARTS).glob("*.journal")
    listed = rig.store.remote(KEY)

    async def kept(*objects: RemoteObject) -> Sequence[int]:
        folder = Folder(dest)
        with folder.reading():
            return [*(await folder.kept(objects)).values()]

    assert await kept(listed) == [PART]
    others = (replace(listed, etag="other"), replace(listed, key="1hz/other.parquet"))
    assert await kept(*others) == []
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"nonsense\n", b"0 99999999 1\n", b"0 7"]))
    assert await kept(listed) == [PART // 16]
    journal.write_bytes(b"{}\n" + b"".join(lines[1:]))
    assert await kept(listed) == []
