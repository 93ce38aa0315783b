"""Row 150 of the table of faults: a run with movers, one or all of which are killed or stopped."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from asyncsync.disk.parts.partfile import PIECE
from asyncsync.disk.state import lock
from asyncsync.movers.crew import REPLACED
from tests.rigs.child import PATIENCE, SOON, asyncsync, ended, until
from tests.rigs.movers import movers_of, state_of
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
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc"),
]

MOVERS = 2
DEALT = "its objects are dealt again"


@contextlib.asynccontextmanager
async def half_way(
    s3: ScriptedS3,
    dest: Path,
    *arguments: str,
    allowance: int = TOTAL // 2,
    settings: Mapping[str, str] | None = None,
    program: Sequence[str] = (),
) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[int]]]:
    """Start a run with movers, and stop the server half-way; all of them are gone afterwards."""
    given = ("--processes", str(MOVERS), *arguments)
    wrapper = ("setsid", *program)
    async with stopped_half_way(
        s3, dest, allowance, *given, wrapper=wrapper, settings=settings
    ) as child:
        await until(lambda: len(movers_of(child.pid)) == MOVERS)
        movers = movers_of(child.pid)
        try:
            yield child, movers
        except BaseException:
            for mover in movers:  # what is left of them would keep the run's pipes open
                with contextlib.suppress(ProcessLookupError):
                    os.kill(mover, signal.SIGKILL)
            raise
    await until(lambda: not any(map(state_of, movers)))


def go_on(s3: ScriptedS3) -> None:
    """Let the server answer again, on new connections."""
    s3.allowance = None
    s3.hang_up()


def shown(process: int, name: str) -> str:
    """Return what others may see of a process."""
    return Path(f"/proc/{process}/{name}").read_text()


@pytest.mark.row(150)
async def test_objects_of_a_killed_mover_are_dealt_again(dest: Path, tmp_path: Path) -> None:
    """Each is told of once; another mover goes on with the parts of large ones."""
    log = tmp_path / "log"
    async with (
        ScriptedS3(OBJECTS) as s3,
        half_way(s3, dest, "--json", "--log-file", str(log)) as (child, movers),
    ):
        os.kill(movers[0], signal.SIGKILL)
        await until(lambda: set(movers_of(child.pid)) - set(movers))
        go_on(s3)
        done = await ended(child)
    assert (done.code, tree(dest), unfinished(dest)) == (0, OBJECTS, [])
    told = Counter(event["key"] for event in done.events if event["event"] == "downloaded")
    assert told == Counter(list(OBJECTS))
    assert done.summary["kept_bytes"] == 0
    assert log.read_text().count(f"was ended by SIGKILL; {DEALT}") == 1


@pytest.mark.row(150)
async def test_run_whose_movers_are_all_killed_goes_on_alone(dest: Path, tmp_path: Path) -> None:
    """After some that were replaced."""
    log = tmp_path / "log"
    async with (
        ScriptedS3(OBJECTS) as s3,
        half_way(s3, dest, "--json", "--log-file", str(log)) as (child, _),
    ):
        killed = set[int]()
        while len(killed) < MOVERS + REPLACED:
            await until(lambda: movers_of(child.pid))
            for mover in movers_of(child.pid):
                killed.add(mover)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(mover, signal.SIGKILL)
        go_on(s3)
        done = await ended(child)
    assert (done.code, tree(dest), unfinished(dest)) == (0, OBJECTS, [])
    told = Counter(event["key"] for event in done.events if event["event"] == "downloaded")
    assert told == Counter(list(OBJECTS))
    assert log.read_text().count(DEALT) == MOVERS + REPLACED
    assert "this process downloads itself" in log.read_text()


@pytest.mark.row(150)
async def test_movers_end_with_a_run_that_is_killed(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They give no file a name after that; the next run waits for their lock, and does the rest."""
    monkeypatch.setattr(lock, "ORPHANED", PATIENCE)  # on a busy machine, they may take longer
    async with ScriptedS3(OBJECTS) as s3, half_way(s3, dest, "--quiet") as (child, movers):
        child.kill()
        await child.wait()
        published = tree(dest)
        go_on(s3)
        assert await check_next_run(s3, dest, processes=MOVERS) == []
        assert not any(map(state_of, movers))
        assert published.items() <= OBJECTS.items() | {("1hz/01.parquet", b"old")}


@pytest.mark.row(150)
async def test_stopped_mover_gives_no_file_a_name_after_its_run(dest: Path) -> None:
    """It keeps the lock, so no other run begins before it has ended."""
    async with ScriptedS3(OBJECTS) as s3:
        async with half_way(s3, dest, "--quiet") as (child, movers):
            os.kill(movers[0], signal.SIGSTOP)
            await until(lambda: state_of(movers[0]) == "T")
            child.kill()
            await until(lambda: not any(map(state_of, [child.pid, movers[1]])))
            published = tree(dest)
            go_on(s3)
            done = await asyncsync(s3.environment, "--quiet", "--dest", str(dest))
            assert done.code == 6
            assert "which has ended, but not what it had started" in done.err
            os.kill(movers[0], signal.SIGCONT)
            await until(lambda: not state_of(movers[0]))
            assert tree(dest) == published
        await check_next_run(s3, dest, processes=MOVERS)


@pytest.mark.row(107)
@pytest.mark.row(150)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_pieces_that_movers_have_brought_are_not_fetched_again(
    dest: Path, number: signal.Signals
) -> None:
    """The next run requests only the missing bytes, whoever is killed."""
    data = LARGE * 4
    async with ScriptedS3({"large.parquet": data}) as s3:
        came = len(data) // 2
        async with half_way(s3, dest, "--quiet", allowance=came) as (child, movers):
            await until(lambda: noted(dest) > came - 9 * 2 * PIECE)
            for process in [child.pid, *movers] if number == signal.SIGKILL else [child.pid]:
                os.kill(process, number)
            await child.communicate()
            await until(lambda: not any(map(state_of, movers)))
        kept = noted(dest)
        s3.requests.clear()
        done = await asyncsync(s3.environment, "--quiet", "--processes=2", "--dest", str(dest))
        assert (done.code, done.err) == (0, "")
        spans = [r.headers["range"][6:].split("-") for r in s3.requests if r.verb == "GET"]
        assert sum(int(last) - int(first) + 1 for first, last in spans) == len(data) - kept
    assert tree(dest)["large.parquet"] == data
    assert unfinished(dest) == []


@pytest.mark.row(108)
@pytest.mark.row(150)
@pytest.mark.parametrize("to_all", [False, True], ids=["to the run", "to the group"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signal_stops_a_run_with_movers(
    dest: Path, number: signal.Signals, to_all: bool
) -> None:
    """With the message and the exit code of a run without, and no process is left."""
    async with ScriptedS3(OBJECTS) as s3:
        async with half_way(s3, dest, "--quiet") as (child, movers):
            sent = time.monotonic()
            if to_all:
                os.killpg(child.pid, number)
            else:
                child.send_signal(number)
            done = await ended(child)
            await until(lambda: not any(map(state_of, movers)))  # their pipes close a bit earlier
            assert time.monotonic() - sent < SOON
        assert done.code == 128 + number
        said = rf"stopped: .* kept; run again to go on \(exit code {128 + number}\)"
        assert re.fullmatch(f"asyncsync: {said}\n", done.err)
        check_promises(dest)
        await check_next_run(s3, dest)


PATIENT = (
    "import sys; from asyncsync.cli import signals; signals.GRACE = 20; sys.argv = sys.argv[3:]; "
    "from asyncsync.__main__ import process; process()"
)
"""A run that is not ended by itself before it has ended its movers, however busy the machine is."""


@pytest.mark.row(150)
async def test_signal_stops_a_run_whose_mover_hangs(dest: Path) -> None:
    """It is killed, as what is under way was kept before."""
    program = (sys.executable, "-c", PATIENT)
    async with ScriptedS3(OBJECTS) as s3:
        async with half_way(s3, dest, "--quiet", program=program) as (child, movers):
            os.kill(movers[0], signal.SIGSTOP)
            sent = time.monotonic()
            child.send_signal(signal.SIGTERM)
            done = await ended(child)
            await until(lambda: not any(map(state_of, movers)))  # their pipes close a bit earlier
            assert time.monotonic() - sent < SOON
        assert done.code == 128 + signal.SIGTERM
        check_promises(dest)
        await check_next_run(s3, dest)


@pytest.mark.row(150)
async def test_second_signal_ends_a_run_and_its_movers(dest: Path) -> None:
    """At once: the movers see that it is gone."""
    async with ScriptedS3(OBJECTS) as s3:
        async with half_way(s3, dest, "--quiet") as (child, movers):
            while child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)
                await asyncio.sleep(0.05)
            done = await ended(child)
            # One that comes when all is told ends Python itself; a shell calls both ends 143.
            assert done.code in {128 + signal.SIGTERM, -signal.SIGTERM}
            await until(lambda: not any(map(state_of, movers)))
        check_promises(dest)


@pytest.mark.row(114)
@pytest.mark.row(150)
async def test_stopped_run_and_its_movers_go_on_where_they_were(dest: Path) -> None:
    """Ctrl-Z stops all of them, and fg lets all go on."""
    async with ScriptedS3(OBJECTS) as s3, half_way(s3, dest, "--quiet") as (child, movers):
        os.killpg(child.pid, signal.SIGSTOP)
        await until(lambda: all(state_of(each) == "T" for each in [child.pid, *movers]))
        go_on(s3)
        os.killpg(child.pid, signal.SIGCONT)
        done = await ended(child)
    assert (done.code, done.err, tree(dest)) == (0, "", OBJECTS)


@pytest.mark.row(150)
async def test_run_that_is_stopped_alone_goes_on_where_it_was(dest: Path) -> None:
    """Its movers wait once their pipes are full."""
    async with ScriptedS3(OBJECTS) as s3, half_way(s3, dest, "--quiet") as (child, movers):
        child.send_signal(signal.SIGSTOP)
        await until(lambda: state_of(child.pid) == "T")
        go_on(s3)
        child.send_signal(signal.SIGCONT)
        done = await ended(child)
        assert not any(map(state_of, movers))
    assert (done.code, done.err, tree(dest)) == (0, "", OBJECTS)


async def test_run_with_movers_keeps_other_runs_out(dest: Path) -> None:
    """There is one lock, whoever writes."""
    async with ScriptedS3(OBJECTS) as s3, half_way(s3, dest, "--quiet") as (child, _):
        allowance, s3.allowance = s3.allowance, None
        done = await asyncsync(s3.environment, "--quiet", "--dest", str(dest))
        assert (done.code, s3.count("GET") > 0) == (6, True)
        assert f"process {child.pid} of" in done.err
        s3.allowance = allowance


async def test_no_secret_is_in_arguments_environment_or_log(dest: Path, tmp_path: Path) -> None:
    """Movers get them by a pipe; in their environment is what the run has in its own."""
    log, env_file = tmp_path / "log", tmp_path / "env"
    env_file.touch(0o600)
    async with ScriptedS3(OBJECTS) as s3:
        env_file.write_text("".join(f"{k}={v}\n" for k, v in s3.environment.items()))
        given = ("--log-file", str(log), "-vv", "--env-file", str(env_file))
        async with half_way(s3, dest, *given, settings={}) as (child, movers):
            for process in movers:
                for name in ("cmdline", "environ"):
                    assert "the-secret" not in shown(process, name)
            go_on(s3)
            done = await ended(child)
    assert (done.code, tree(dest)) == (0, OBJECTS)
    assert re.search(r"mover \d: ", log.read_text())
    for text in (done.out, done.err, log.read_text()):
        assert "the-secret" not in text
