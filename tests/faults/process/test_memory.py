"""Row 115 of the table of faults: too little memory, too few threads."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.rigs.child import ended
from tests.rigs.process import OBJECTS, check_next_run, check_promises
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.watch import tree
from tests.rigs.wrapped import injected, limited, wrapped

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors are POSIX ones"),
]


LOADED = """
import ctypes, resource  # which a run loads later
import asyncsync.cli.running, asyncsync.progress, asyncsync.s3
for line in open("/proc/self/status"):
    if line.startswith("VmPeak:"):
        print(line.split()[1])
"""


@pytest.mark.row(115)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="limits of memory are Linux's")
@pytest.mark.parametrize("megabytes", [2, 16, 80, 320])
async def test_next_run_completes_one_without_enough_memory(dest: Path, megabytes: int) -> None:
    """It succeeds, or fails with a message; the next run completes it."""
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOADED), stdout=asyncio.subprocess.PIPE
    )
    needed = int((await asked.communicate())[0])
    async with ScriptedS3(OBJECTS) as s3:
        wrapper = limited("-v", needed + megabytes * 1024)
        done = await wrapped(wrapper, s3.environment, "--quiet", "--dest", str(dest))
        check_promises(dest)
        assert done.code in {0, 5}
        if done.code == 0:
            assert tree(dest) == OBJECTS
        if done.code == 5:
            assert "memory" in done.err or "no thread can be started" in done.err
        await check_next_run(s3, dest)


@pytest.mark.row(115)
async def test_run_needs_only_the_threads_it_can_get(dest: Path) -> None:
    """One thread of its own is enough; the others are for signals and host names."""
    async with ScriptedS3(OBJECTS) as s3:
        wrapper = injected("clone,clone3:error=EAGAIN:when=7+")
        done = await wrapped(wrapper, s3.environment, "--quiet", "--dest", str(dest))
    assert (done.code, done.err) == (0, "")
    assert tree(dest) == OBJECTS


STARVED = """
import asyncio, sys, threading
from asyncsync.compare import check
from asyncsync.cli import main

def starve(*_):
    raise MemoryError

{moment}
sys.exit(main(sys.argv[1:]))
"""


MOMENTS = {
    "in a task": "check.compare_page = starve",
    "in a callback": (
        "from asyncsync.http.connection import Connection\nConnection.buffer_updated = starve"
    ),
    "in a thread": (
        "def compare(*_):\n"
        "    threading.Thread(target=starve).start()\n"
        "    return asyncio.Event().wait()\n"
        "check.compare_page = compare"
    ),
}


@pytest.mark.row(115)
@pytest.mark.parametrize("moment", ["in a task", "in a callback", "in a thread"])
async def test_memory_that_runs_out_outside_the_run_ends_the_process(
    dest: Path, moment: str
) -> None:
    """Otherwise the run would hang; the summary says why it failed."""
    async with ScriptedS3(OBJECTS) as s3:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", STARVED.format(moment=MOMENTS[moment])),
            *("--json", "--no-progress", "--dest", str(dest)),
            env={**os.environ, **s3.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        done = await ended(child)
        assert (done.code, done.err) == (5, "")
        assert done.summary["error"].startswith("out of memory; ")
        check_promises(dest)
        await check_next_run(s3, dest)
