"""Rows 108, 109 and 114 of the table of faults: signals, also on a hanging disk; SIGSTOP."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsync.cli.signals import GRACE, LAST_WORDS
from tests.rigs.child import SOON, ended, started, until
from tests.rigs.process import (
    LARGE,
    OBJECTS,
    TOTAL,
    check_next_run,
    check_promises,
    stopped_half_way,
)
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.watch import tree, unfinished

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors are POSIX ones"),
]


@pytest.mark.row(108)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signal_stops_the_run_within_two_seconds(dest: Path, number: signal.Signals) -> None:
    """It prints one line; no unfinished file has a final name, and the next run does the rest."""
    async with ScriptedS3(OBJECTS) as s3:
        async with stopped_half_way(s3, dest, TOTAL // 2, "--quiet") as child:
            sent = time.monotonic()
            child.send_signal(number)
            done = await ended(child)
            assert time.monotonic() - sent < SOON
        assert done.code == 128 + number
        said = rf"stopped: .* kept; run again to go on \(exit code {128 + number}\)"
        assert re.fullmatch(f"asyncsync: {said}\n", done.err)
        check_promises(dest)
        await check_next_run(s3, dest)


INTERRUPTED_START = """
import os, signal, sys
from asyncsync.__main__ import process

def count_down(event, arguments):
    global left
    if event != "import":
        return
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGINT)

left = {left}
sys.addaudithook(count_down)
sys.argv = ["asyncsync", "--version"]
process()
"""


@pytest.mark.row(108)
@pytest.mark.parametrize("left", [1, 2, 20, 200])
async def test_interrupt_while_python_imports_ends_the_process_in_silence(left: int) -> None:
    """During any import; the shell sees that a signal ended the process."""
    script = INTERRUPTED_START.format(left=left).replace("--version", "plan")  # which imports more
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    done = await ended(child)
    assert (done.code, done.out, done.err) == (-signal.SIGINT, "", "")


async def test_ignored_interrupt_stays_ignored_while_python_imports() -> None:
    """As for a background process of a shell without job control."""
    script = "signal.signal(signal.SIGINT, signal.SIG_IGN)\nleft = 20"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INTERRUPTED_START.replace("left = {left}", script)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    done = await ended(child)
    assert (done.code, done.err) == (0, "")


HANGING_DISK = """
import os, sys, time
from asyncsync.cli import main, signals
from asyncsync.disk.state import unsynced

def hang(*arguments, **options):
    print("hangs", flush=True)
    time.sleep(60)

{call} = hang
signals.GRACE = {grace}
sys.exit(main(sys.argv[1:]))
"""


@contextlib.asynccontextmanager
async def run_on_a_hanging_disk(
    s3: ScriptedS3, dest: Path, call: str, grace: float = GRACE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a run, and wait until a system call that never returns blocks it."""
    program = HANGING_DISK.format(call=call, grace=grace)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, "--quiet", "--dest", str(dest)),
        env={**os.environ, **s3.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stdout
        assert await child.stdout.readline() == b"hangs\n"
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.communicate()


CALLS = pytest.mark.parametrize(
    ("call", "there"),
    [("os.replace", False), ("os.write", False), ("unsynced.sync_disk", True)],
    ids=["in a thread", "in the event loop", "at the end"],
)


@pytest.mark.row(108)
@CALLS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_stops_a_run_whose_disk_hangs(
    dest: Path, number: signal.Signals, call: str, there: bool
) -> None:
    """It does not wait for the disk; message, exit code and kept parts are as usual."""
    assert GRACE + LAST_WORDS < 2
    objects = {"0.parquet": LARGE if call == "os.write" else b"x"}
    async with ScriptedS3(objects) as s3:
        async with run_on_a_hanging_disk(s3, dest, call) as child:
            sent = time.monotonic()
            child.send_signal(number)
            done = await ended(child)
            assert time.monotonic() - sent < SOON
        assert done.code == 128 + number
        said = rf"stopped.*; run again to go on \(exit code {128 + number}\)"
        assert re.fullmatch(f"asyncsync: {said}\n", done.err)
        assert ("0.parquet" in tree(dest)) == there


SILENT_NAME_SERVER = """
import socket, sys, time
from asyncsync.cli import main

def hang(*arguments, **options):
    print("hangs", file=sys.stderr, flush=True)
    while True:
        time.sleep(60)

socket.getaddrinfo = hang
sys.exit(main(sys.argv[1:]))
"""
ELSEWHERE = {
    "R2_ENDPOINT_URL": "https://bucket.example",
    "R2_BUCKET": "sensors",
    "R2_ACCESS_KEY_ID": "AKID",
    "R2_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
}


@pytest.mark.row(108)
@pytest.mark.parametrize("command", ["ls", "ls --json", "du", "get --quiet x", "doctor --quiet"])
async def test_signal_ends_what_waits_for_a_name_server(command: str, tmp_path: Path) -> None:
    """The system's look-up cannot be stopped; the end is told as always, and not waited for."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SILENT_NAME_SERVER, *command.split()),
        env={**os.environ, **ELSEWHERE},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stderr
    assert await child.stderr.readline() == b"hangs\n"
    child.send_signal(signal.SIGTERM)
    done = await ended(child)
    told = json.loads(done.out.splitlines()[-1])["error"] if "--json" in command else done.err
    assert (done.code, "stopped by SIGTERM" in told) == (143, True)


@pytest.mark.row(109)
@CALLS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_second_signal_ends_a_run_whose_disk_hangs(
    dest: Path, number: signal.Signals, call: str, there: bool
) -> None:
    """At once, without a message."""
    async with (
        ScriptedS3({"0.parquet": LARGE}) as s3,
        run_on_a_hanging_disk(s3, dest, call, grace=20) as child,
    ):

        def end() -> bool:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):  # noticed soon
                    os.kill(child.pid, number)  # `send_signal` would look for its end as well
            return child.returncode is not None

        await until(end)
        done = await ended(child)
    assert (done.code, done.err) == (128 + number, "")
    assert ("0.parquet" in tree(dest)) == there


@pytest.mark.row(108)
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
async def test_signal_that_was_ignored_stays_ignored(dest: Path, number: signal.Signals) -> None:
    """As with nohup, which ignores SIGHUP, and a shell's &, which ignores SIGINT."""
    async with ScriptedS3(OBJECTS) as s3:
        before = signal.signal(number, signal.SIG_IGN)
        try:
            async with stopped_half_way(s3, dest, TOTAL // 2, "--quiet") as child:
                child.send_signal(number)
                s3.allowance = None
                s3.hang_up()
                done = await ended(child)
        finally:
            signal.signal(number, before)
    assert (done.code, done.err) == (0, "")
    assert tree(dest) == OBJECTS


def _pending(pid: int, number: int) -> bool:
    """Return whether a signal is still pending for a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    return any(int(fields[name], 16) >> (number - 1) & 1 for name in ("SigPnd", "ShdPnd"))


@pytest.mark.row(114)
async def test_stopped_process_goes_on_where_it_was(dest: Path) -> None:
    """Although all its connections are gone, as after a machine has slept."""
    async with (
        ScriptedS3(OBJECTS) as s3,
        stopped_half_way(s3, dest, TOTAL // 2, "--quiet") as child,
    ):
        child.send_signal(signal.SIGSTOP)
        await until(lambda: _state(child.pid) == "T")
        s3.allowance = None
        s3.hang_up()
        child.send_signal(signal.SIGCONT)
        done = await ended(child)
    assert (done.code, done.err) == (0, "")
    assert tree(dest) == OBJECTS


@pytest.mark.row(114)
@pytest.mark.long
async def test_process_that_was_stopped_for_a_minute_retries_nothing(dest: Path) -> None:
    """The server was neither silent nor slow, so no request is repeated."""
    async with ScriptedS3(OBJECTS) as s3:
        arguments = ("--json", "--limit-rate", "8M", "--dest", str(dest))
        async with started(s3.environment, *arguments) as child:
            await until(lambda: unfinished(dest))
            child.send_signal(signal.SIGSTOP)
            await until(lambda: _state(child.pid) == "T")
            await asyncio.sleep(65)  # a server may be silent for 30 seconds, and slow for 60
            child.send_signal(signal.SIGCONT)
            done = await ended(child)
        spans = [
            (request.key, request.headers.get("range"))
            for request in s3.requests
            if request.verb == "GET"
        ]
    assert (done.code, done.summary["retried"]) == (0, 0)
    assert len(spans) == len(set(spans))
    assert tree(dest) == OBJECTS


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
