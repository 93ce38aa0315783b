"""The lock: one holder at a time, who is named, and whose end releases it."""

import fcntl
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncsync.disk.state.lock import check_free, hold_lock
from asyncsync.errors import LockHeldError

HOLDER = """
import subprocess, sys
from pathlib import Path
from asyncsync.disk.state.lock import check_free, hold_lock
with hold_lock(Path(sys.argv[1])) as held:
    print("held", flush=True)
    if "with a mover" in sys.argv:
        mover = [sys.executable, "-c", "import sys; print('lives', flush=True); sys.stdin.read()"]
        subprocess.Popen(mover, pass_fds=[held.descriptor])
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the lock file, in the state folder of a destination."""
    state = tmp_path / "destination" / ".asyncsync"
    state.mkdir(parents=True)
    return state / "lock"


@contextmanager
def other_process(path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path), *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_holder_in_another_process_is_named(path: Path) -> None:
    """The error names folder, process and machine; a killed process holds nothing."""
    with other_process(path) as process:
        with pytest.raises(LockHeldError) as caught, hold_lock(path):
            pytest.fail("two hold one lock")
        message = str(caught.value)
        assert str(path.parent.parent) in message
        assert f"process {process.pid} of user {os.geteuid()} on {socket.gethostname()}" in message
        assert caught.value.exit_code == 6
        process.kill()
        process.wait()
        with hold_lock(path):
            assert f"process {os.getpid()} of user {os.geteuid()} on" in path.read_text()


def test_lock_is_released_after_an_error(path: Path) -> None:
    """However its holder ends, the next one gets it."""
    with pytest.raises(RuntimeError), hold_lock(path):
        raise RuntimeError
    with hold_lock(path):
        pass


def test_one_process_cannot_hold_it_twice(path: Path) -> None:
    """Two syncs in one program exclude each other too."""
    with (
        hold_lock(path),
        pytest.raises(LockHeldError, match=f"process {os.getpid()} of user {os.geteuid()} on"),
        hold_lock(path),
    ):
        pytest.fail("two hold one lock")


def test_new_holder_replaces_what_the_file_says(path: Path) -> None:
    """Nothing of an earlier holder's longer text remains."""
    path.write_text("process 1234567 on " + "a" * 300)
    with hold_lock(path):
        text = path.read_text()
    assert re.fullmatch(rf"process {os.getpid()} of user {os.geteuid()} on \S+\n", text)


@pytest.mark.parametrize("text", [b"", b"\x1b[2Jhello", b"\xff\xfe\x00", b"a\nb"])
def test_text_that_is_no_holder_is_not_shown(path: Path, text: bytes) -> None:
    """What somebody else wrote into the file does not reach a terminal unescaped."""
    with hold_lock(path):
        path.write_bytes(text)
        with pytest.raises(LockHeldError) as caught, hold_lock(path):
            pytest.fail("two hold one lock")
    assert str(caught.value).isprintable()


def test_lock_file_with_a_second_hard_link_is_replaced(path: Path, tmp_path: Path) -> None:
    """A copy made of hard links keeps its own; a process that had opened it is kept out too."""
    path.write_text("process 1 on host\n")
    other = tmp_path / "copy"
    os.link(path, other)
    with hold_lock(path):
        assert other.read_text() == "process 1 on host\n"
        assert f"process {os.getpid()} of user {os.geteuid()} on" in path.read_text()
        for each in (path, other):
            with pytest.raises(LockHeldError), hold_lock(each):
                pytest.fail("two hold one lock")
    with hold_lock(path), hold_lock(other):
        pass


def test_lock_file_is_private(path: Path) -> None:
    """Other users need not read it."""
    with hold_lock(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_link_in_place_of_the_lock_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    """The file it leads to is neither truncated nor written."""
    (tmp_path / "elsewhere").write_bytes(b"precious")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"), hold_lock(path):
        pytest.fail("followed a link")
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"


def test_check_of_the_lock_changes_nothing(path: Path) -> None:
    """It finds the holder of a file that it may only read, and makes none."""
    check_free(path, path.parent)
    assert not path.exists()
    path.write_text("process 1 on host\n")
    path.chmod(0o444)
    check_free(path, path.parent)
    with hold_lock(path), pytest.raises(LockHeldError):
        check_free(path, path.parent)


def test_checks_do_not_disturb_each_other(path: Path) -> None:
    """Two of them at once take neither for a run, and a run gets its lock right after one."""
    path.touch()
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        check_free(path, path.parent)

        def end_check(seconds: float) -> None:
            fcntl.flock(other, fcntl.LOCK_UN)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("asyncsync.disk.state.lock.time.sleep", end_check)
            with hold_lock(path):
                pass


@contextmanager
def killed_with_a_mover(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Kill a holder that has started another process; this one lives until its input ends."""
    with other_process(path, "with a mover") as process:
        assert process.stdout
        assert process.stdout.readline() == "lives\n"
        process.kill()
        yield process


@pytest.mark.parametrize("is_reaped", [True, False])
def test_lock_is_waited_for_while_the_movers_of_a_killed_run_end(
    path: Path, is_reaped: bool
) -> None:
    """Whether or not somebody has asked how the run ended; the next holder is named then."""
    with killed_with_a_mover(path) as process, pytest.MonkeyPatch.context() as patch:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        if is_reaped:
            process.wait()

        def end_mover(seconds: float) -> None:
            assert process.stdin
            process.stdin.close()
            assert process.stdout
            process.stdout.read()

        patch.setattr("asyncsync.disk.state.lock.time.sleep", end_mover)
        with hold_lock(path):
            text = path.read_text()
            assert text.startswith(f"process {os.getpid()} of user")
            with pytest.raises(LockHeldError, match=f"process {os.getpid()} of user"):
                check_free(path, path.parent)


def test_mover_that_does_not_end_is_told_of(path: Path) -> None:
    """Somebody has to end it."""
    with killed_with_a_mover(path) as process, pytest.MonkeyPatch.context() as patch:
        process.wait()
        patch.setattr("asyncsync.disk.state.lock.ORPHANED", 0.0)
        said = f"process {process.pid} of .*, which has ended, but not what it had started"
        with pytest.raises(LockHeldError, match=said), hold_lock(path):
            pytest.fail("two hold one lock")
