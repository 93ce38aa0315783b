"""Row 108 of the table of faults, with `--every`: signals, and what is put right."""

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.rigs.child import SOON, ended, started, until
from tests.rigs.process import OBJECTS, TOTAL, check_next_run, check_promises, stopped_half_way
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.watch import tree

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX ones"),
]

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@pytest.mark.row(108)
@SIGNALS
async def test_signal_ends_the_rounds_in_the_middle_of_one(
    dest: Path, number: signal.Signals
) -> None:
    """As it ends a single run; the next start does the rest."""
    async with ScriptedS3(OBJECTS) as s3:
        arguments = ("--quiet", "--every", "1h")
        async with stopped_half_way(s3, dest, TOTAL // 2, *arguments) as child:
            sent = time.monotonic()
            child.send_signal(number)
            done = await ended(child)
            assert time.monotonic() - sent < SOON
        said = rf"stopped: .+ of .+ kept; run again to go on \(exit code {128 + number}\)"
        assert re.fullmatch(f"asyncsync: {said}\n", done.err)
        assert done.code == 128 + number
        check_promises(dest)
        await check_next_run(s3, dest)


@pytest.mark.row(108)
@SIGNALS
async def test_signal_ends_the_rounds_between_two(dest: Path, number: signal.Signals) -> None:
    """The whole output is there, and the exit code is the signal's."""
    async with (
        ScriptedS3(OBJECTS) as s3,
        started(s3.environment, "--dest", str(dest), "--every", "1h") as child,
    ):
        assert child.stdout
        lines = [b""]
        while not lines[-1].startswith(b"the next round begins at "):
            lines.append(await child.stdout.readline())
        child.send_signal(number)
        sent = time.monotonic()
        done = await ended(child)
        assert time.monotonic() - sent < SOON
    assert done.code == 128 + number
    assert done.err.endswith(f"asyncsync: stopped by {number.name} (exit code {done.code})\n")
    assert tree(dest) == OBJECTS


WHILE_IT_LOADS = """
import os, signal, sys, time
from asyncsync.cli import main, running

def load(*arguments, **options):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

running.load = load
sys.exit(main(["--every", "1h"]))
"""


@pytest.mark.row(108)
async def test_signal_while_settings_are_read_ends_the_process() -> None:
    """By an exit: the first process of a container has no default action to be ended by."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WHILE_IT_LOADS),
        env=os.environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    done = await ended(child)
    assert (done.code, done.out, done.err) == (143, "", "")


async def test_rounds_go_on_with_what_the_env_file_says_by_then(dest: Path) -> None:
    """What one round could not do, the next one does with the settings that are right."""
    async with ScriptedS3(OBJECTS) as s3:
        settings = dict(s3.environment)
        bucket = settings.pop("R2_BUCKET")
        env_file = dest.parent / "bucket.env"
        env_file.write_text("R2_BUCKET=another\n")
        env_file.chmod(0o600)
        arguments = ("--env-file", str(env_file), "--dest", str(dest), "--every", "1s", "--quiet")
        async with started(settings, *arguments) as child:
            assert child.stderr
            assert b"no such bucket" in await child.stderr.readline()
            env_file.write_text(f"R2_BUCKET={bucket}\n")
            await until(lambda: tree(dest) == OBJECTS)
            child.terminate()
            assert (await ended(child)).code == 143
