"""A mover is a Python like this one, and a run that cannot start it does without."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import asyncsync
from asyncsync.movers import process
from asyncsync.movers.process import Mover
from tests import ROOT
from tests.rigs.child import Done, ended, started, until
from tests.rigs.movers import env_file, movers_of, state_of
from tests.rigs.process import OBJECTS
from tests.rigs.scripted_s3 import ScriptedS3, sync
from tests.rigs.watch import tree
from tests.rigs.wrapped import limited

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no movers"),
]

SHOW = "import sys; print(repr([getattr(sys.flags, n) for n in {names}]), sys.warnoptions)"
NAMES = ["isolated", "ignore_environment", "no_user_site", "utf8_mode", "safe_path"]


@pytest.mark.parametrize(
    "options", [[], ["-I"], ["-E"], ["-s"], ["-Xutf8"], ["-Werror", "-Wignore::ImportWarning"]]
)
def test_mover_has_the_options_of_this_python(options: list[str]) -> None:
    """But that its first path is never the working folder's."""
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import json\nfrom asyncsync.movers.process import _command\n"
        "print(json.dumps(_command()))\n" + SHOW.format(names=NAMES)
    )
    own = subprocess.run(
        [sys.executable, "-P", *options, "-c", script], capture_output=True, text=True, check=True
    )
    line, shown = own.stdout.splitlines()
    command = json.loads(line)
    at = command.index("-c")
    other = subprocess.run(
        [*command[:at], "-c", SHOW.format(names=NAMES)], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == shown


async def run(options: list[str], dest: Path) -> Done:
    """Sync with two movers in a Python with these options."""
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from asyncsync.cli import main; "
    async with ScriptedS3(OBJECTS) as s3:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, *options, "-c", script + "sys.exit(main(sys.argv[1:]))"),
            *("--quiet", "--processes", "2", "--dest", str(dest)),
            env={**os.environ, **s3.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        done = await ended(child)
    assert tree(dest) == OBJECTS
    return done


@pytest.mark.parametrize("options", [["-I"], ["-Werror"], ["-OO"]])
async def test_run_in_an_unusual_python_is_as_silent(options: list[str], tmp_path: Path) -> None:
    """Isolated, without docstrings, or with each warning an error: nothing is left open."""
    done = await run(options, tmp_path / "dest")
    assert (done.code, done.err) == (0, "")


async def test_modules_beside_the_working_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data folder may hold a `json.py`."""
    for name in ("json", "asyncio", "asyncsync", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path)
    done = await run(["-P"], tmp_path / "dest")
    assert (done.code, done.err) == (0, "")


async def test_mover_has_the_package_of_its_brain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not another one, that comes first where both are looked for, as a second installation."""
    caplog.set_level(logging.INFO, "asyncsync")
    (tmp_path / "asyncsync").mkdir()
    (tmp_path / "asyncsync" / "__init__.py").write_text("raise SystemExit('another one')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    async with ScriptedS3(OBJECTS) as s3:
        ran = await sync(s3, tmp_path / "dest", processes=2)
    assert (ran.code, tree(tmp_path / "dest")) == (0, OBJECTS)
    assert "2 movers are started" in caplog.messages
    assert not [each for each in caplog.messages if "dealt again" in each]


async def test_mover_ends_although_another_process_holds_its_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that this process has forked has all of its descriptors."""
    monkeypatch.setattr(process, "ENDING", 60)  # on a busy machine, it takes long to start
    mover = await Mover.start(0, "", ())
    assert mover._process.stdin
    held = os.dup(mover._process.stdin.fileno())
    try:
        await mover.close()
    finally:
        os.close(held)
    assert mover.describe_end() == "ended with code 0"


async def test_nothing_more_is_heard_of_a_killed_mover_although_another_process_holds_its_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it was dealt would wait for ever."""
    script = (
        "import os, sys, time; os.fork() and time.sleep(600); "
        "os.write(1, b'{\"event\": 1}\\n'); sys.stdin.read()"
    )
    monkeypatch.setattr(process, "_command", lambda: [sys.executable, "-c", script])
    mover = await Mover.start(0, "", ())
    said = mover.events()
    assert await anext(said) == [{"event": 1}]
    waiting = asyncio.ensure_future(anext(said, None))
    await asyncio.sleep(0)
    mover.kill()
    assert await waiting is None
    await mover.close()


async def test_mover_ends_with_its_parent_although_another_process_holds_its_pipe() -> None:
    """So no process of a run that was killed stays, and keeps its lock."""
    script = (
        "import subprocess, sys\nfrom asyncsync.movers.process import _command\n"
        "print(subprocess.Popen(_command(), stdout=subprocess.DEVNULL).pid)"
    )
    reads, held = os.pipe()
    try:
        parent = subprocess.run(  # noqa: ASYNC221 - it ends at once
            [sys.executable, "-c", script], cwd=ROOT, stdin=reads, capture_output=True, check=True
        )
        await until(lambda: not state_of(int(parent.stdout)))
    finally:
        os.close(reads)
        os.close(held)


async def test_run_with_closed_streams_has_movers(tmp_path: Path) -> None:
    """As one of cron's may be."""
    log = tmp_path / "log"
    async with ScriptedS3(OBJECTS) as s3:
        script = f'exec "$@" --log-file {log} <&- >&- 2>&-'
        arguments = ("--processes", "2", "--dest", str(tmp_path / "dest"))
        async with started(s3.environment, *arguments, wrapper=("sh", "-c", script, "sh")) as child:
            done = await ended(child)
    assert (done.code, tree(tmp_path / "dest")) == (0, OBJECTS)
    assert "2 movers are started" in log.read_text()
    assert "its objects are dealt again" not in log.read_text()


@pytest.mark.parametrize(
    "error", [BlockingIOError(11, "Resource temporarily unavailable"), RuntimeError("no fork")]
)
@pytest.mark.parametrize("allowed", [0, 1])
async def test_run_goes_on_with_the_processes_that_it_may_start(
    allowed: int,
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The user's are limited in number, for example."""
    caplog.set_level(logging.INFO, "asyncsync")
    begun = 0

    class Limited(subprocess.Popen[bytes]):
        def __init__(self, *given: object, **options: object) -> None:
            nonlocal begun
            begun += 1
            if begun > allowed:
                raise error
            super().__init__(*given, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("asyncsync.movers.process.subprocess.Popen", Limited)
    async with ScriptedS3(OBJECTS) as s3:
        ran = await sync(s3, tmp_path / "dest", processes=3)
    assert (ran.code, tree(tmp_path / "dest")) == (0, OBJECTS)
    assert caplog.messages.count(f"mover 2 cannot be started: {error}") == 1
    assert ("no mover is left; this process downloads itself" in caplog.messages) == (not allowed)


async def test_each_process_keeps_to_the_limit_of_open_files(tmp_path: Path) -> None:
    """As a run without movers."""
    async with ScriptedS3(OBJECTS) as s3:
        arguments = ("--quiet", "--processes", "2", "--dest", str(tmp_path / "dest"))
        async with started(s3.environment, *arguments, wrapper=limited("-n", 64)) as child:
            done = await ended(child)
    assert (done.code, done.err, tree(tmp_path / "dest")) == (0, "", OBJECTS)


async def test_mover_that_does_not_read_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when its pipe is full; nothing is left open."""
    monkeypatch.setattr(process, "_command", lambda: ["sleep", "600"])
    mover = await Mover.start(0, "", ())
    for _ in range(40):
        mover.send(b"x" * 10_000 + b"\n")
    await mover.close()
    assert mover.describe_end() == "was ended by SIGKILL"


async def test_mover_counts_as_silent_only_while_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not while what it has said is still worked on."""
    script = "import os, sys; os.write(1, b'{\"event\": 1}\\n'); sys.stdin.read()"
    monkeypatch.setattr(process, "_command", lambda: [sys.executable, "-c", script])
    mover = await Mover.start(0, "", ())
    said = mover.events()
    assert await anext(said) == [{"event": 1}]
    assert [mover.has_been_silent() for _ in range(3)] == [0, 0, 0]
    waiting = asyncio.ensure_future(anext(said, None))
    await asyncio.sleep(0)
    assert [mover.has_been_silent() for _ in range(3)] == [1, 2, 3]
    mover.kill()
    assert await waiting is None
    await mover.close()


async def test_stream_that_is_closed_leaves_no_process(tmp_path: Path) -> None:
    """Whoever has seen enough closes it."""
    async with ScriptedS3(OBJECTS) as s3:
        found = env_file(tmp_path, s3.environment)
        outcomes = asyncsync.stream(dest=tmp_path / "dest", processes=2, env_file=found)
        async for _ in outcomes:
            break
        await until(lambda: len(movers_of(os.getpid())) == 2)
        await outcomes.aclose()
        assert movers_of(os.getpid()) == []


def test_run_in_a_thread_has_movers(tmp_path: Path) -> None:
    """Its event loop is in a thread of its own, as in a notebook."""

    async def serve() -> asyncsync.Report:
        async with ScriptedS3(OBJECTS) as s3:
            found = env_file(tmp_path, s3.environment)
            call = asyncio.to_thread(
                asyncsync.run, dest=tmp_path / "dest", processes=2, env_file=found
            )
            return await call

    report = asyncio.run(serve())
    assert (report.exit_code, tree(tmp_path / "dest")) == (0, OBJECTS)
    assert movers_of(os.getpid()) == []


async def test_error_of_an_observer_ends_the_run_and_its_movers(tmp_path: Path) -> None:
    """It is raised as it is."""

    class Broken(asyncsync.SilentObserver):
        def advanced(self, transfer: object, size: int) -> None:
            raise ValueError("of the observer")

    async with ScriptedS3(OBJECTS) as s3:
        found = env_file(tmp_path, s3.environment)
        with pytest.raises(ValueError, match="of the observer"):
            await asyncsync.sync(
                dest=tmp_path / "dest", processes=2, env_file=found, observer=Broken()
            )
    await until(lambda: movers_of(os.getpid()) == [])
