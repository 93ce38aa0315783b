"""Rows 107 to 121 of the table of faults: runs that are killed, cut off, doubled, badly started."""

import asyncio
import contextlib
import errno
import fcntl
import gc
import inspect
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name

import anyio
import pytest

from asyncsync.cli.signals import GRACE, LAST_WORDS
from asyncsync.disk import Folder, lock
from asyncsync.disk.parts import PIECE
from asyncsync.download.download import SMALL
from asyncsync.errors import LockHeldError
from tests.rigs.child import SOON, asyncsync, ended, started, until
from tests.rigs.scripted_s3 import Ran, Request, ScriptedS3, sync
from tests.rigs.watch import Watcher, noted, tree, unfinished
from tests.rigs.wrapped import injected, limited, on_a_terminal, wrapped

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors are POSIX ones"),
]

LARGE = os.urandom(1_000_003) * 18  # its period divides no part, so no part can pass for another
OBJECTS: Mapping[str, bytes] = {
    **{f"1hz/{number:02}.parquet": bytes([number]) * number * 1000 for number in range(40)},
    "fft/large.parquet": LARGE,
    "fft/larger.parquet": LARGE + b"more",
}
TOTAL = sum(map(len, OBJECTS.values()))


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """A destination with a file that is out of date."""
    (tmp_path / "dest" / "1hz").mkdir(parents=True)
    (tmp_path / "dest" / "1hz" / "01.parquet").write_bytes(b"old")
    return tmp_path / "dest"


def check_promises(dest: Path, objects: Mapping[str, bytes] = OBJECTS) -> None:
    """Every path holds the object's bytes, or what it held before; nothing is beside the folder."""
    for key, data in tree(dest).items():
        assert data == objects[key] or (key, data) == ("1hz/01.parquet", b"old")
    assert {path.name for path in dest.parent.iterdir()} == {dest.name}


async def check_next_run(s3: ScriptedS3, dest: Path) -> Sequence[str]:
    """The next run makes everything good, and leaves nothing over; return what it tells."""
    ran = await sync(s3, dest)
    assert (ran.code, ran.error) == (0, None)
    assert tree(dest) == OBJECTS
    assert unfinished(dest) == []
    return ran.seen.notices


@contextlib.asynccontextmanager
async def stopped_half_way(
    s3: ScriptedS3, dest: Path, allowance: int, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a run whose bytes stop coming when the allowance is used up, and wait for that."""
    s3.allowance, s3.used_up = allowance, asyncio.Event()
    async with started(s3.environment, "--dest", str(dest), *arguments) as child:
        over = asyncio.ensure_future(child.wait())
        stopped = asyncio.ensure_future(s3.used_up.wait())
        async with asyncio.timeout(20):
            await asyncio.wait([over, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        over.cancel()
        yield child
    s3.allowance = None


# kills ------------------------------------------------------------------------------------------


async def killed_again_and_again(dest: Path, seed: int, times: int) -> None:
    """Kill runs at seeded moments, each after so many bytes, and let the last one go on."""
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
async def test_killed_runs_are_made_good_by_the_last(dest: Path, seed: int) -> None:
    """Nothing half-done has a final name after any of them, and nothing is left over in the end."""
    await killed_again_and_again(dest, seed, 3)


LOADED = """
import ctypes, resource  # which a run loads later
import asyncsync.cli.command, asyncsync.progress, asyncsync.s3
from asyncsync.api import HAS_UVLOOP
if HAS_UVLOOP:
    import uvloop
for line in open("/proc/self/status"):
    if line.startswith("VmPeak:"):
        print(line.split()[1])
"""


@pytest.mark.row(115)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="limits of memory are Linux's")
@pytest.mark.parametrize("megabytes", [2, 16, 80, 320])
async def test_run_that_has_too_little_memory_ends_and_is_made_good(
    dest: Path, megabytes: int
) -> None:
    """It fails with a line about it or does with less; nothing half-done has a final name."""
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOADED), stdout=asyncio.subprocess.PIPE
    )
    needed = int((await asked.communicate())[0])
    async with ScriptedS3(OBJECTS) as s3:
        wrapper = limited("-v", needed + megabytes * 1024)
        done = await wrapped(wrapper, s3.environment, "--quiet", "--dest", str(dest))
        check_promises(dest)
        assert done.code in {0, 5, -signal.SIGABRT}  # which is how libuv ends a process
        if done.code == 0:
            assert tree(dest) == OBJECTS
        if done.code == 5:
            assert "memory" in done.err or "no thread can be started" in done.err
        await check_next_run(s3, dest)


@pytest.mark.row(115)
async def test_run_that_gets_no_more_threads_does_with_those_that_it_has(dest: Path) -> None:
    """One of its own is enough; the others are for signals and names."""
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
async def test_memory_that_runs_out_where_nobody_is_told_ends_the_process(
    dest: Path, moment: str
) -> None:
    """Somebody would wait for ever otherwise; the summary is told, and one line says why."""
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


@pytest.mark.row(107)
@pytest.mark.long
async def test_a_hundred_killed_runs_are_made_good(tmp_path: Path) -> None:
    """With the seeds that the failure would name."""
    for seed in range(100, 120):
        dest = tmp_path / str(seed) / "dest"
        await asyncio.to_thread(dest.mkdir, parents=True)
        await killed_again_and_again(dest, seed, 5)


@pytest.mark.row(107)
@pytest.mark.parametrize("seed", range(2))
async def test_run_that_is_killed_while_it_publishes_is_made_good(dest: Path, seed: int) -> None:
    """The moment is that of a seeded number of published files, whatever is under way then."""
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
    """The next run asks for the rest of it, to the byte, and nothing is left over then."""
    data = LARGE * 4  # 72 MB, 9 parts, all under way at once
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


# signals ----------------------------------------------------------------------------------------


@pytest.mark.row(108)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signal_stops_the_run_within_two_seconds(dest: Path, number: signal.Signals) -> None:
    """One line says so; nothing half-done has a final name, and the next run does the rest."""
    async with ScriptedS3(OBJECTS) as s3:
        async with stopped_half_way(s3, dest, TOTAL // 2, "--quiet") as child:
            sent = time.monotonic()
            child.send_signal(number)
            done = await ended(child)
            assert time.monotonic() - sent < SOON
        assert done.code == 128 + number
        said = f"stopped by {number.name}; the next run goes on from here"
        assert done.err == f"asyncsync: {said} (exit code {128 + number})\n"
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
    """At whichever import it comes; the shell sees that a signal ended it."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INTERRUPTED_START.format(left=left)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    done = await ended(child)
    assert (done.code, done.out, done.err) == (-signal.SIGINT, "", "")


async def test_ignored_interrupt_stays_ignored_while_python_imports() -> None:
    """As in the background of a shell without job control."""
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
from asyncsync.disk import unsynced

def hang(*arguments, **options):
    print("hangs", flush=True)
    time.sleep(60)

{call} = hang
signals.GRACE = {grace}
sys.exit(main(sys.argv[1:]))
"""


@contextlib.asynccontextmanager
async def on_a_hanging_disk(
    s3: ScriptedS3, dest: Path, call: str, grace: float = GRACE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a run and wait until a system call, which never returns, holds it up."""
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
    """Nobody waits for what may never end; the line, the code and the kept parts are as ever."""
    assert GRACE + LAST_WORDS < 2
    objects = {"0.parquet": LARGE if call == "os.write" else b"x"}
    async with ScriptedS3(objects) as s3:
        async with on_a_hanging_disk(s3, dest, call) as child:
            sent = time.monotonic()
            child.send_signal(number)
            done = await ended(child)
            assert time.monotonic() - sent < SOON
        assert done.code == 128 + number
        said = f"stopped by {number.name}; the next run goes on from here"
        assert done.err == f"asyncsync: {said} (exit code {128 + number})\n"
        assert ("0.parquet" in tree(dest)) == there


@pytest.mark.row(109)
@CALLS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_later_signal_ends_a_run_whose_disk_hangs(
    dest: Path, number: signal.Signals, call: str, there: bool
) -> None:
    """At once, without a word."""
    async with (
        ScriptedS3({"0.parquet": LARGE}) as s3,
        on_a_hanging_disk(s3, dest, call, grace=20) as child,
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
async def test_signal_that_was_ignored_stays_so(dest: Path, number: signal.Signals) -> None:
    """As under nohup, which has SIGHUP ignored, and behind a shell's &, which has SIGINT."""
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
    """Return whether a process has not taken a signal yet."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    return any(int(fields[name], 16) >> (number - 1) & 1 for name in ("SigPnd", "ShdPnd"))


@pytest.mark.row(114)
async def test_stopped_process_goes_on_where_it_was(dest: Path) -> None:
    """All its connections have died meanwhile, as they do while a machine sleeps."""
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
async def test_process_that_was_stopped_for_a_minute_blames_nobody(dest: Path) -> None:
    """Neither the silence nor the slowness was the server's, so no request is sent again."""
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


# streams ----------------------------------------------------------------------------------------

SMALL_ONES = {key: data for key, data in OBJECTS.items() if key.startswith("1hz/")}


@pytest.mark.row(110)
@pytest.mark.parametrize(
    ("option", "redirected", "code"),
    [
        ("--verbose", '"$@" | true', None),
        ("--verbose", '"$@" 2>&1 >/dev/null | true', None),
        ("--verbose", '"$@" > /dev/full', 3),
        ("--verbose", '"$@" 2> /dev/full', 3),
        ("--json", '"$@" > /dev/full', 1),
        ("--json", '"$@" >&-', 1),
    ],
)
async def test_sync_goes_on_when_nobody_can_be_told(
    dest: Path, option: str, redirected: str, code: int | None
) -> None:
    """Only a report for a program that cannot be written is a failure."""
    async with ScriptedS3({**SMALL_ONES, "../x.parquet": b"unsafe"}) as s3:
        wrapper = ["sh", "-c", redirected, "sh"]
        done = await wrapped(wrapper, s3.environment, option, "--dest", str(dest))
    assert tree(dest) == SMALL_ONES
    assert code is None or done.code == code


@pytest.mark.row(110)
@pytest.mark.parametrize("command", ["sync", "doctor"])
async def test_log_that_cannot_be_written_is_told_of_once(dest: Path, command: str) -> None:
    """The run goes on without it."""
    async with ScriptedS3(SMALL_ONES) as s3:
        options = ("--quiet", "--log-file", "/dev/full", "--dest", str(dest))
        done = await asyncsync(s3.environment, command, *options)
    assert done.code == 0
    said = "asyncsync: --log-file: /dev/full: No space left on device; lines are lost\n"
    assert done.err == said


@pytest.mark.row(111)
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_closed_streams_do_not_end_up_in_files(dest: Path, closed: str) -> None:
    """What is printed goes nowhere, and never into a file that was opened in a stream's place."""
    objects = {**SMALL_ONES, "fft/large.parquet": LARGE[: SMALL + 1]}
    async with ScriptedS3({**objects, "../x.parquet": b"unsafe"}) as s3:
        wrapper = ["sh", "-c", f'"$@" {closed}', "sh"]
        done = await wrapped(wrapper, s3.environment, "--verbose", "--dest", str(dest))
    assert done.code == 3
    assert tree(dest) == objects
    assert (dest / ".asyncsync" / "lock").read_bytes().count(b"\n") == 1


@pytest.mark.row(111)
@pytest.mark.parametrize(
    ("argument", "redirected", "code"),
    [("--help", ">&-", 0), ("--version", "> /dev/full", 0), ("--nonsense", "2>&-", 2)],
)
async def test_what_nobody_reads_changes_no_exit_code(
    argument: str, redirected: str, code: int
) -> None:
    """Nor is there a word about it."""
    done = await wrapped(["sh", "-c", f'"$@" {redirected}', "sh"], {}, argument)
    assert (done.code, done.out, done.err) == (code, "", "")


@pytest.mark.row(112)
@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "dumb", "COLUMNS": "80"},
        {"NO_COLOR": "1", "COLUMNS": "80"},
        {"COLUMNS": "0", "LINES": "0"},
    ],
    ids=["dumb", "no colour", "no width"],
)
async def test_output_suits_poor_terminals(dest: Path, environment: dict[str, str]) -> None:
    """They get lines without escape codes, and so does who wants no colours."""
    async with ScriptedS3(SMALL_ONES) as s3:
        settings = {"TERM": "xterm", **s3.environment, **environment}
        code, text = await on_a_terminal(settings, "--verbose", "--dest", str(dest))
    assert code == 0
    assert text.replace("\r\n", "").isprintable()
    assert text.count("downloaded: ") == len(SMALL_ONES)


async def test_output_suits_good_terminals(dest: Path) -> None:
    """There are bars and a colour, or the test above would show nothing."""
    async with ScriptedS3(SMALL_ONES) as s3:
        settings = {"TERM": "xterm", "COLUMNS": "80", **s3.environment}
        code, text = await on_a_terminal(settings, "--dest", str(dest))
    assert code == 0
    assert "\x1b[K" in text
    assert "\x1b[32m" in text


@pytest.mark.row(112)
async def test_output_suits_pipes(dest: Path) -> None:
    """No bar and no escape codes without a terminal, whatever its kind is said to be."""
    async with ScriptedS3(SMALL_ONES) as s3:
        settings = s3.environment | {"TERM": "xterm-256color", "COLUMNS": "0"}
        done = await asyncsync(settings, "--verbose", "--dest", str(dest))
    assert (done.code, done.err) == (0, "")
    assert done.out.replace("\n", "").isprintable()


ODD = {"é.parquet": b"1", "\u65e5\u672c/\U0001f600.parquet": b"2", "\udcff.parquet": b"3"}


@pytest.mark.row(113)
@pytest.mark.parametrize(
    "environment",
    [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"}],
    ids=["C", "ASCII streams"],
)
async def test_plain_locale_stores_and_shows_every_key(
    dest: Path, environment: dict[str, str]
) -> None:
    """Names on the disk are the keys' bytes; what a stream cannot hold is shown escaped."""
    async with ScriptedS3({**ODD, "../é.parquet": b"unsafe"}) as s3:
        arguments = ("--verbose", "--dest", str(dest))
        done = await asyncsync(s3.environment | environment, *arguments)
    assert done.code == 3
    (dest / "1hz" / "01.parquet").unlink()
    assert tree(dest) == ODD
    assert done.out.count("downloaded: ") == len(ODD)
    assert r"downloaded: \udcff.parquet" in done.out


@pytest.mark.row(113)
async def test_locale_that_cannot_hold_a_name_skips_it(dest: Path) -> None:
    """Where the system's encoding of names is ASCII by force, no name is guessed."""
    settings = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    async with ScriptedS3({**ODD, "x.parquet": b"x"}) as s3:
        done = await asyncsync(s3.environment | settings, "--verbose", "--dest", str(dest))
    assert done.code == 3
    assert min(done.err.splitlines()).startswith(r"skipped: \u65e5\u672c/\U0001f600.parquet")
    assert tree(dest).keys() == {"1hz/01.parquet", "x.parquet", "\udcff.parquet"}


# several runs -----------------------------------------------------------------------------------


@pytest.mark.row(116)
async def test_second_run_on_a_folder_is_refused(dest: Path) -> None:
    """It is told who is there, and does no harm to that run."""
    async with (
        ScriptedS3(OBJECTS) as s3,
        ScriptedS3(OBJECTS) as other,
        stopped_half_way(s3, dest, TOTAL // 2, "--quiet") as child,
    ):
        began = time.monotonic()
        with pytest.raises(LockHeldError), Folder(dest).writing():
            pass
        assert time.monotonic() - began < 1  # without what a process takes to start
        second = await asyncsync(other.environment, "--quiet", "--dest", str(dest))
        assert second.code == 6
        assert f"process {child.pid} on " in second.err
        assert other.requests == []
        s3.allowance = None
        s3.hang_up()
        assert (await ended(child)).code == 0
    assert tree(dest) == OBJECTS


LOCKS_NOTHING: Mapping[str, Callable[..., None]] = {
    "tells nobody": lambda *arguments: None,
    "says so": lambda *arguments: _fail(errno.ENOLCK),
}


def _fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


@pytest.mark.row(117)
@pytest.mark.parametrize("flock", LOCKS_NOTHING.values(), ids=LOCKS_NOTHING)
@pytest.mark.parametrize("offset", [0, 20, 45])
async def test_two_runs_without_a_working_lock_both_succeed(
    dest: Path, monkeypatch: pytest.MonkeyPatch, offset: int, flock: Callable[..., None]
) -> None:
    """Some file systems lock nothing: work is done twice at worst, and nothing is left over."""
    monkeypatch.setattr(fcntl, "flock", flock)
    await two_at_once(dest, offset)
    assert unfinished(dest) == []


@pytest.mark.row(117)
@pytest.mark.parametrize("offset", [5, 45])
async def test_run_whose_unfinished_files_are_taken_away_writes_them_again(
    dest: Path, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """Other machines' locks may be unseen, so that the second run takes the first for dead."""
    monkeypatch.setattr(
        lock, "hold_lock", lambda path, _: contextlib.nullcontext(path.touch() or True)
    )
    await two_at_once(dest, offset)


async def two_at_once(dest: Path, offset: int) -> None:
    """Start a second run when so many requests of the first have come; both must succeed."""
    go_on = asyncio.Event()
    async with ScriptedS3(OBJECTS) as s3:

        def at_an_offset(request: Request) -> None:
            if s3.count("GET") >= offset:
                go_on.set()

        s3.on_object = at_an_offset
        ran: list[Ran] = []

        async def run() -> None:
            ran.append(await sync(s3, dest, alone=False))

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await go_on.wait()
            group.start_soon(run)
    check_promises(dest)
    assert [(one.code, one.seen.failures) for one in ran] == [(0, {}), (0, {})]
    assert tree(dest) == OBJECTS


# what was left by another run -------------------------------------------------------------------

TAMPERED: Mapping[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "flipped": lambda data: data[:50] + bytes(byte ^ 1 for byte in data[50:60]) + data[60:],
    "of a newer version": lambda data: b'{"version": 999}\n' + data,
    "no text": lambda data: b"\xff\x00" * 50,
    "longer": lambda data: data * 2,
}


@pytest.mark.row(118)
@pytest.mark.row(119)
async def test_what_was_tampered_with_is_fetched_again(tmp_path: Path, dest: Path) -> None:
    """The journal of an unfinished file, or its bytes, whatever the other says of them.

    Somebody is told where a whole file is of no use.
    """
    async with ScriptedS3(OBJECTS) as s3:
        allowance = TOTAL - len(LARGE) // 2
        async with stopped_half_way(s3, dest, allowance, "--quiet") as child:
            child.kill()
            await child.wait()
        assert unfinished(dest)
        for kind, change in TAMPERED.items():
            for journals in (True, False):
                copy = tmp_path / f"{kind}-{journals}" / "dest"
                await asyncio.to_thread(shutil.copytree, dest, copy)
                for path in unfinished(copy):
                    if path.name.endswith(".journal") is journals:
                        path.write_bytes(change(path.read_bytes()))
                notices = await check_next_run(s3, copy)
                if kind in {"empty", "of a newer version", "no text"}:
                    assert notices
                assert all(
                    "fft/" in said and "is of no use: its journal" in said for said in notices
                )


# bugs -------------------------------------------------------------------------------------------


BUGS = {
    "listing": ("pipeline.list_objects", "s3.store.parse_page", "listing.paging.Paging.first_page"),
    "counting": ("disk.folder.Folder.count", "listing.landmarks.Landmarks.complete"),
    "comparing": (
        "compare.check.compare_page",
        "compare.collisions.Collisions.split",
        "disk.folder.Folder.look_up",
    ),
    "small objects": (
        "download.download.Downloader._read",
        "download.validate.check_answer",
        "download.validate.check_length",
    ),
    "large objects": (
        "disk.parts.PartFile.create",
        "disk.parts.PartFile.at",
        "disk.parts.zlib.crc32",
    ),
    "asking HEAD": ("download.validate.check_head", "s3.store.S3Store.head"),
    "hashing": (
        "download.proof.Prover.follow",
        "download.proof.Prover._hash",
        "download.proof.Prover.finish",
    ),
    "writing in threads": (
        "download.proof.prove",
        "disk.publish.Publisher.whole",
        "disk.publish.Publisher.parts",
    ),
    "retries": (
        "pace.pace.Pace.wait_for_turn",
        "pace.pace.Pace.note_success",
        "pace.pace.Pace.tune",
    ),
    "the end": (
        "disk.folder.Folder.clear_stale",
        "disk.folder.Folder.settle",
        "download.download.Downloader.report_unpinned",
    ),
}
"""Where a bug may be, by the task that meets it."""


@pytest.mark.row(121)
@pytest.mark.parametrize("place", [place for places in BUGS.values() for place in places])
async def test_bug_in_any_task_ends_the_run(
    dest: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The exception comes out as it is; all others are cancelled, and none is heard of later."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    async def fail_later(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    is_task = inspect.iscoroutinefunction(resolve_name(f"asyncsync.{place}"))
    monkeypatch.setattr(f"asyncsync.{place}", fail_later if is_task else fail)
    await check_bug(dest, Watcher())


@pytest.mark.row(121)
@pytest.mark.parametrize("moment", ["started", "ended", "compared", "listed"])
async def test_bug_ends_the_run(dest: Path, moment: str) -> None:
    """Also one of whoever looks on."""

    class Buggy(Watcher):
        def _fail(self, *arguments: object) -> None:
            raise ZeroDivisionError

    setattr(Buggy, moment, Buggy._fail)
    await check_bug(dest, Buggy())


async def check_bug(dest: Path, seen: Watcher) -> None:
    """A run ends with the bug's exception and leaves no task, no promise broken, no lock held."""
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))
    before = len(asyncio.all_tasks())
    async with ScriptedS3(OBJECTS) as s3:
        with pytest.raises(ZeroDivisionError):
            await sync(s3, dest, seen=seen)
    gc.collect()
    await anyio.lowlevel.checkpoint()
    assert len(asyncio.all_tasks()) == before
    assert unheard == []
    check_promises(dest)
    with Folder(dest).writing():  # so its lock was given back
        pass
