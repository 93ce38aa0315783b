"""Options of a run hold for all its processes together."""

import asyncio
from pathlib import Path

import anyio
import pytest

import asyncsync
from asyncsync.errors import RemoteChangedError
from asyncsync.pace import Deadline, Limit
from tests.rigs.movers import env_file
from tests.rigs.process import LARGE, OBJECTS, check_next_run
from tests.rigs.scripted_s3 import ScriptedS3, sync
from tests.rigs.watch import Watcher, noted, tree, unfinished

pytestmark = pytest.mark.anyio


class Counting(Limit):
    """A limit that remembers what was taken of it."""

    def __init__(self) -> None:
        super().__init__(1 << 40)
        self.sizes: list[int] = []

    async def take(self, size: int) -> None:
        """Remember the bytes."""
        self.sizes.append(size)
        await super().take(size)


async def test_all_bytes_of_all_movers_are_taken_from_one_limit(tmp_path: Path) -> None:
    """Each byte once, and none without."""
    limit = Counting()
    async with ScriptedS3(OBJECTS) as s3:
        ran = await sync(s3, tmp_path / "dest", processes=2, limit=limit)
    assert (ran.code, tree(tmp_path / "dest")) == (0, OBJECTS)
    assert sum(limit.sizes) == sum(map(len, OBJECTS.values()))


async def test_run_whose_time_is_up_keeps_what_movers_have_brought(tmp_path: Path) -> None:
    """It says what is left, its movers end, and the next run goes on."""
    dest, moments = tmp_path / "dest", [asyncio.Event(), asyncio.Event()]
    waits = iter(moments)

    async def sleep(seconds: float) -> None:
        await next(waits).wait()

    async with ScriptedS3(OBJECTS) as s3:
        s3.allowance = len(LARGE) - 1  # so none of the two large objects can be whole
        seen = Watcher()
        async with anyio.create_task_group() as group:

            async def end() -> None:
                await s3.used_up.wait()
                for moment in moments:
                    moment.set()

            group.start_soon(end)
            deadline = Deadline(3600, sleep)
            await sync(s3, dest, processes=2, deadline=deadline, seen=seen, alone=False)
        assert "left" in seen.left[0]
        assert noted(dest) > 0
        assert "fft/large.parquet" not in tree(dest)
        s3.allowance = None
        await check_next_run(s3, dest, processes=2)
        assert unfinished(dest) == []


async def test_planned_version_that_has_changed_fails(tmp_path: Path) -> None:
    """A plan is kept exactly, whoever downloads."""
    async with ScriptedS3(OBJECTS) as s3:
        found = env_file(tmp_path, s3.environment)
        plan = await asyncsync.plan(dest=tmp_path / "dest", env_file=found)
        s3.objects["1hz/07.parquet"] = b"another"
        report = await asyncsync.sync(plan=plan, processes=2, env_file=found)
    assert [type(failed.error) for failed in report.failures] == [RemoteChangedError]
    assert (report.exit_code, report.downloaded) == (1, len(OBJECTS) - 1)
    assert "1hz/07.parquet" not in tree(tmp_path / "dest")
