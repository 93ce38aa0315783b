"""Rows 191 and 192 of the table of faults: shards in processes of their own on one folder."""

import asyncio
import sys
from pathlib import Path

import pytest

from asyncsync.shards import Shard
from tests.rigs.child import SECONDS, asyncsync, ended, started, until
from tests.rigs.process import OBJECTS, TOTAL, check_next_run, check_promises
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.state import STATE
from tests.rigs.watch import tree

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="only one shard at a time works there"),
]

SHARDS = [Shard(number, 3) for number in range(1, 4)]


def own(shard: Shard) -> set[str]:
    return {key for key in OBJECTS if shard.has(key)}


@pytest.mark.row(191)
@pytest.mark.parametrize("processes", ["0", "2"])
async def test_shards_at_work_at_the_same_time_make_the_whole(dest: Path, processes: str) -> None:
    """Each fetches its own objects, alone or with other processes, and ends when it is done."""
    async with ScriptedS3(OBJECTS) as s3:
        ran = await asyncio.gather(
            *(
                asyncsync(
                    s3.environment,
                    *("--json", "--dest", str(dest), "--processes", processes),
                    *("--shard", str(shard)),
                )
                for shard in SHARDS
            )
        )
        assert [done.code for done in ran] == [0, 0, 0]
        found = [done.summary["downloaded"] for done in ran]
        assert found == [len(own(shard)) for shard in SHARDS]
        assert tree(dest) == OBJECTS
        assert len([*(dest / STATE).glob("shards/*")]) == len(SHARDS)
        await check_next_run(s3, dest)


@pytest.mark.row(191)
async def test_run_that_may_not_go_with_shards_is_refused(dest: Path) -> None:
    """At once, with the process that is in the way, while shards of the same count go on."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.allowance, s3.used_up = TOTAL // 8, asyncio.Event()
        first = ("--quiet", "--dest", str(dest), "--shard", "1/3")
        async with started(s3.environment, *first) as child:
            async with asyncio.timeout(SECONDS):
                await s3.used_up.wait()
            for shard in ("off", "1/3", "1/2"):
                arguments = ("--quiet", "--dest", str(dest), "--shard", shard)
                refused = await asyncsync(s3.environment, *arguments)
                assert refused.code == 6
                assert f"process {child.pid} of user " in refused.err
            s3.allowance = None
            s3.hang_up()
            assert (await ended(child)).code == 0
    assert tree(dest).keys() == own(SHARDS[0]) | {"1hz/01.parquet"}


@pytest.mark.row(192)
@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_shards_leave_nothing_that_a_later_run_cannot_use(
    dest: Path, seed: int
) -> None:
    """No file has a final name before it is whole, and other shards or a whole run go on."""
    async with ScriptedS3(OBJECTS) as s3:
        for count in (3, 2):
            s3.allowance, s3.used_up = TOTAL // (3 + seed), asyncio.Event()
            arguments = ("--quiet", "--dest", str(dest), "--shard")
            async with (
                started(s3.environment, *arguments, f"1/{count}") as one,
                started(s3.environment, *arguments, f"2/{count}") as two,
            ):
                async with asyncio.timeout(SECONDS):
                    await s3.used_up.wait()
                for child in (one, two):
                    if child.returncode is None:
                        child.kill()
                    await child.wait()
            s3.allowance = None
            check_promises(dest)
        notices = await check_next_run(s3, dest)
    assert not [notice for notice in notices if "cannot be used" in notice]
    await until(lambda: not list((dest / STATE).glob("shards/*")))
