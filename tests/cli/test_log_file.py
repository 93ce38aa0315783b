"""The log file: a file of this user, which nobody else can read, and nobody else chose."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rigs.called import Run
from tests.rigs.memory_store import MemoryStore
from tests.rigs.users import OTHER, needs_root

pytestmark = pytest.mark.usefixtures("store")


def lines(path: str) -> int:
    return len(Path(path).read_text().splitlines())


def test_warning_about_settings_is_told_once_and_as_a_message(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By each call, and by `--quiet` as well."""
    monkeypatch.setenv("ASYNCSYNC_WORKER", "3")
    for _ in range(2):
        ran = run("--quiet")
        assert (ran.code, ran.out) == (0, "")
        assert ran.err == (
            "asyncsync: ASYNCSYNC_WORKER in the environment is no setting, and does nothing; did "
            "you mean ASYNCSYNC_WORKERS?\n"
        )


@pytest.mark.row(155)
@pytest.mark.parametrize("mode", [None, 0o644, 0o666, 0o600])
def test_log_file_is_for_its_user_only(run: Run, mode: int | None) -> None:
    """That of an older version, or one that others made readable, becomes so."""
    if mode is not None:
        Path("run.log").touch()
        Path("run.log").chmod(mode)
    assert run("--log-file", "run.log").code == 0
    assert stat.S_IMODE(os.stat("run.log").st_mode) == 0o600
    assert lines("run.log") > 1


@pytest.mark.row(155)
def test_own_links_lead_to_the_log_file(run: Run) -> None:
    """Relative or absolute, to a file that exists or not."""
    Path("logs").mkdir()
    Path("now").symlink_to("logs")
    Path("logs/run.log").symlink_to(Path("first.log").absolute())
    assert run("--log-file", "now/run.log").code == 0
    first = lines("first.log")
    assert run("--log-file", "now/../now/run.log").code == 0
    assert lines("first.log") > first


@pytest.mark.row(155)
@pytest.mark.parametrize("is_read", [False, True])
def test_pipe_is_refused_as_log_file(run: Run, is_read: bool) -> None:
    """A run would wait for a reader, or for a slow one."""
    os.mkfifo("run.log")
    reader = os.open("run.log", os.O_RDONLY | os.O_NONBLOCK) if is_read else None
    ran = run("--log-file", "run.log")
    assert (ran.code, ran.err) == (
        2,
        "asyncsync: --log-file: run.log: is a pipe or a device, not a file\n",
    )
    if reader is not None:
        assert os.read(reader, 10) == b""
        os.close(reader)


@pytest.mark.row(155)
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/dev/null", "is a pipe or a device"),
        ("/dev/full", "is a pipe or a device"),
        (".", "Is a directory"),
        ("..", "Is a directory"),
        ("missing/run.log", "there is no such folder; create it"),
        ("file/run.log", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_only_a_file_is_a_log_file(run: Run, path: str, why: str) -> None:
    """Anything else is a usage error, before any request."""
    Path("file").touch()
    Path("loop").symlink_to("loop")
    ran = run("--log-file", path)
    assert ran.code == 2
    assert ran.err.startswith(f"asyncsync: --log-file: {path}: {why}")


def link_of_another() -> None:
    Path("run.log").symlink_to("precious")
    os.lchown("run.log", OTHER, OTHER)


def own_link_that_others_can_replace() -> None:
    Path("run.log").symlink_to("precious")
    Path().chmod(0o777)


def file_of_another() -> None:
    Path("run.log").touch()
    os.chown("run.log", OTHER, OTHER)


def second_name() -> None:
    os.link("precious", "run.log")
    Path().chmod(0o777)


@needs_root
@pytest.mark.row(155)
@pytest.mark.parametrize(
    ("plant", "why"),
    [
        (link_of_another, "belongs to another user"),
        (own_link_that_others_can_replace, "they can write its folder"),
        (file_of_another, "belongs to another user"),
        (second_name, "has more than one name"),
    ],
)
def test_log_is_not_written_to_what_another_user_chose(
    run: Run, store: MemoryStore, plant: Callable[[], None], why: str
) -> None:
    """Otherwise a link in a shared folder would add lines to any file of this user."""
    Path("precious").write_text("precious")
    plant()
    ran = run("--log-file", "run.log")
    assert ran.code == 2
    assert why in ran.err
    assert Path("precious").read_text() == "precious"
    assert not store.requests
