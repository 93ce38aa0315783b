"""Rows 107, 108 and 115 of the table of faults: runs that are killed."""

import asyncio
import contextlib
import random
import signal
import sys
from pathlib import Path

import pytest

from asyncsync.disk.parts.partfile import PIECE
from tests.rigs.child import asyncsync, started, until
from tests.rigs.process import (
    LARGE,
    OBJECTS,
    TOTAL,
    check_next_run,
    check_promises,
    stopped_half_way,
)
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.watch import noted, tree, unfinished

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors are POSIX ones"),
]


async def kill_repeatedly(dest: Path, seed: int, times: int) -> None:
    """Kill runs, each after a random number of bytes, and let the last one finish."""
    rng = random.Random(seed)
    async with ScriptedS3(OBJECTS) as s3:
        for _ in range(times):
            async with stopped_half_way(s3, dest, rng.randrange(TOTAL // 2), "--quiet") as child:
                with contextlib.suppress(ProcessLookupError):  # little was missing, and it is done
                    child.kill()
                assert await child.wait() in {0, -signal.SIGKILL}
            check_promises(dest)
        await check_next_run(s3, dest)


@pytest.mark.row(107)
@pytest.mark.row(115)
@pytest.mark.parametrize("seed", [1, 2])
async def test_run_completes_what_killed_runs_left(dest: Path, seed: int) -> None:
    """No unfinished file ever has a final name, and the last run removes all leftovers."""
    await kill_repeatedly(dest, seed, 3)


@pytest.mark.row(107)
@pytest.mark.long
async def test_run_completes_what_a_hundred_killed_runs_left(tmp_path: Path) -> None:
    """A failure names its seed."""
    for seed in range(100, 120):
        dest = tmp_path / str(seed) / "dest"
        await asyncio.to_thread(dest.mkdir, parents=True)
        await kill_repeatedly(dest, seed, 5)


@pytest.mark.row(107)
@pytest.mark.parametrize("seed", range(2))
async def test_run_completes_one_that_was_killed_while_it_published(dest: Path, seed: int) -> None:
    """It is killed after a random number of published files."""
    count = random.Random(seed).randrange(1, 38)
    async with ScriptedS3(OBJECTS) as s3:
        arguments = ("--quiet", "--workers", "2", "--dest", str(dest))
        async with started(s3.environment, *arguments) as child:
            await until(lambda: len(tree(dest)) > count or child.returncode is not None)
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        check_promises(dest)
        await check_next_run(s3, dest)


@pytest.mark.row(107)
@pytest.mark.row(108)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_pieces_of_an_unfinished_file_are_not_fetched_again(
    dest: Path, number: signal.Signals
) -> None:
    """The next run requests only the missing bytes, and leaves no unfinished file."""
    data = LARGE * 4  # 72 MB, 9 parts, all in flight at once
    came = len(data) // 2
    async with ScriptedS3({"large.parquet": data}) as s3:
        async with stopped_half_way(s3, dest, came, "--quiet") as child:
            await until(lambda: noted(dest) > came - 9 * 2 * PIECE)
            child.send_signal(number)
            await child.communicate()
        kept = noted(dest)
        s3.requests.clear()
        done = await asyncsync(s3.environment, "--quiet", "--dest", str(dest))
        assert (done.code, done.err) == (0, "")
        spans = [
            request.headers["range"][6:].split("-")
            for request in s3.requests
            if request.verb == "GET"
        ]
        assert sum(int(last) - int(first) + 1 for first, last in spans) == len(data) - kept
    assert tree(dest)["large.parquet"] == data
    assert unfinished(dest) == []
