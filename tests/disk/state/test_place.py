"""The destination and the state folder in it: found, made, taken over, held."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from asyncsync.disk.folder import Folder
from asyncsync.disk.state.lock import hold_lock
from asyncsync.disk.state.place import Place
from asyncsync.errors import LockHeldError
from tests.rigs.state import PARTS, STATE

OLD = {"parts/0.old": b"half", "published": b"records", "since-1.json": b"{}", "lock": b"process 1"}
"""What version 0.1 left in `.asyncsync`."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A destination."""
    (tmp_path / "dest").mkdir()
    return tmp_path / "dest"


def make_old_state(root: Path) -> None:
    for name, content in OLD.items():
        path = root / ".asyncsync" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / ".asyncsync").chmod(0o700)


def test_state_of_the_first_version_is_taken_over_once(root: Path) -> None:
    """The folder itself becomes this user's, so that notes which name it stay good."""
    make_old_state(root)
    inode = (root / ".asyncsync").stat().st_ino
    place = Place(root)
    for _ in range(2):
        with place.writing():
            assert (root / STATE).stat().st_ino == inode
    assert (root / PARTS / "0.old").read_bytes() == b"half"
    assert (root / STATE / "since-1.json").exists()
    assert stat.S_IMODE((root / ".asyncsync").stat().st_mode) == stat.S_IMODE(root.stat().st_mode)
    assert os.listdir(root) == [".asyncsync"]


def test_state_of_the_first_version_is_read_where_nothing_may_be_written(root: Path) -> None:
    """A plan and a verification find it, and leave it as it is."""
    make_old_state(root)
    folder = Folder(root)
    with folder.reading():
        assert folder.note("since-1.json") == b"{}"
    assert sorted(os.listdir(root / ".asyncsync")) == ["lock", "parts", "published", "since-1.json"]


def test_state_of_a_first_version_at_work_is_left_alone(root: Path) -> None:
    """Its run holds the lock at the same place."""
    make_old_state(root)
    with (
        hold_lock(root / ".asyncsync" / "lock"),
        pytest.raises(LockHeldError),
        Folder(root).writing(),
    ):
        pytest.fail("took the state of a run that is at work")
    assert (root / ".asyncsync" / "parts" / "0.old").exists()


def test_take_over_that_a_kill_interrupted_is_completed(root: Path) -> None:
    """Between its two renames, the state lies beside `.asyncsync`."""
    make_old_state(root)
    (root / ".asyncsync").rename(root / f".asyncsync-{Place(root).user}")
    with Place(root).writing():
        assert (root / PARTS / "0.old").read_bytes() == b"half"
    assert os.listdir(root) == [".asyncsync"]


def test_place_is_held_while_it_is_used(root: Path, tmp_path: Path) -> None:
    """What is read or written goes to the folder that had the name, and the change is seen."""
    (root / "a").write_bytes(b"ours")
    place = Place(root)
    with place.writing():
        assert place.is_in_place()
        root.rename(tmp_path / "moved")
        (tmp_path / "other").mkdir()
        root.symlink_to("other")
        assert (place.root_path / "a").read_bytes() == b"ours"
        (place.state / "note").write_bytes(b"x")
        assert not place.is_in_place()
    assert (tmp_path / "moved" / STATE / "note").exists()
    assert os.listdir(tmp_path / "other") == []


def test_place_that_cannot_be_written_is_held_all_the_same(root: Path) -> None:
    """A run that only reads goes on with the folder and the state that it has opened."""
    with Place(root).writing():
        pass
    place = Place(root)
    with place.reading():
        held = place.root, place.root_path, place.state
        with suppress(ZeroDivisionError), place.writing():
            raise ZeroDivisionError
        assert (place.root, place.root_path, place.state) == held
        assert place.is_held
        assert place.state.exists()
    assert not place.is_held


@pytest.mark.row(151)
def test_notes_in_a_state_that_others_can_write_are_not_read(root: Path) -> None:
    """Somebody else may have written them."""
    folder = Folder(root)
    with folder.writing():
        folder.keep_note("since", b"all was listed")
    assert folder.note("since") == b"all was listed"
    (root / STATE).chmod(0o777)
    assert folder.note("since") is None


def test_reading_makes_nothing(root: Path) -> None:
    """Neither where there is no state, nor where there is no destination."""
    with Place(root).reading():
        assert os.listdir(root) == []
    with Place(root / "missing").reading():
        pass
    assert os.listdir(root) == []


@pytest.mark.row(152)
def test_journal_without_an_end_is_not_read_to_it(root: Path) -> None:
    """Nor one whose first line is nested without an end; both are removed in the end."""
    (root / PARTS).mkdir(parents=True, mode=0o700)
    (root / STATE).chmod(0o700)
    for name, content in {"0.1": b"[" * 100_000, "1.1": b""}.items():
        (root / PARTS / name).write_bytes(b"x")
        (root / PARTS / f"{name}.journal").write_bytes(content)
    os.truncate(root / PARTS / "1.1.journal", 40 << 30)
    folder = Folder(root)
    with folder.writing():
        folder.clear_stale(lambda key: False)
    assert os.listdir(root / PARTS) == []


@pytest.mark.parametrize("beside", [False, True], ids=["shared", "beside"])
def test_git_and_backups_pass_over_the_state(root: Path, *, beside: bool) -> None:
    """By an ignore file and a cache tag, which are made anew where they are missing."""
    if beside:
        (root / ".asyncsync").write_bytes(b"in the way")
    place = Place(root)
    state = root / (f".asyncsync-{place.user}" if beside else ".asyncsync")
    for _ in range(2):
        with place.writing():
            assert (state / ".gitignore").read_bytes() == b"*\n"
        tag = (state / "CACHEDIR.TAG").read_bytes()
        assert tag.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
        (state / ".gitignore").unlink()
