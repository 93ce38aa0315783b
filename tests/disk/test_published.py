"""The notes about published files: kept over runs and kills, never in anybody's way."""

import errno
import os
import shutil
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncsync.disk import published
from asyncsync.disk.published import HEADER, RECORD_BYTES, Published

KEYS = ["a", "1hz/2026/a.parquet", "raw\udcff", "é"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the notes are, in a folder of their own."""
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "published"


def note(path: Path, *keys: str) -> None:
    notes = Published(path)
    with notes.writing():
        for key in keys:
            notes.add(key)


def known(path: Path) -> set[str]:
    return Published(path).known([*KEYS, "other"])


def test_notes_are_known_to_nobody_before_they_are_read(path: Path) -> None:
    """Whoever asks meanwhile, in another thread, reads them as well."""
    note(path, *KEYS)
    seen: list[set[str]] = []

    class Asked(Published):
        def _read(self) -> "array[int]":
            if not seen:
                seen.append(set())
                seen.append(self.known(KEYS))
            return super()._read()

    assert Asked(path).known(KEYS) == seen[1] == set(KEYS)


def test_notes_that_have_another_name_are_left_to_it(path: Path, tmp_path: Path) -> None:
    """As in a copy that was made of hard links."""
    note(path, "a")
    other = tmp_path / "copy"
    os.link(path, other)
    before = other.read_bytes()
    note(path, *KEYS)
    assert known(path) == set(KEYS)
    assert other.read_bytes() == before


def test_notes_of_all_runs_are_known(path: Path) -> None:
    """And no other keys are; eight bytes is what each takes."""
    assert known(path) == set()
    note(path, *KEYS[:2])
    note(path, *KEYS[2:])
    assert known(path) == set(KEYS)
    assert path.stat().st_size == HEADER.size + RECORD_BYTES * len(KEYS)
    assert path.stat().st_mode & 0o777 == 0o600


def test_run_that_publishes_nothing_writes_nothing(path: Path) -> None:
    """The file is as it was."""
    note(path, "a")
    os.utime(path, (1, 1))
    note(path)
    assert path.stat().st_mtime == 1


@pytest.mark.row(118)
def test_note_that_a_kill_cut_is_left_out(path: Path) -> None:
    """Those before it and behind it are known."""
    note(path, "a", "é")
    os.truncate(path, path.stat().st_size - 3)
    assert known(path) == {"a"}
    note(path, *KEYS[1:3])
    assert known(path) == {"a", *KEYS[1:3]}


@pytest.mark.row(118)
@pytest.mark.parametrize("content", [b"", b"x", bytes(1000), os.urandom(1000)])
def test_file_that_is_none_of_ours_is_begun_anew(path: Path, content: bytes) -> None:
    """It knows nothing, and takes notes."""
    path.write_bytes(content)
    assert known(path) == set()
    note(path, "a")
    assert known(path) == {"a"}


def test_notes_do_not_hold_in_a_copy_of_the_folder(path: Path) -> None:
    """It may have lost all times; where the folder is moved, they hold."""
    note(path, "a")
    shutil.copytree(path.parent, path.parent.with_name("copy"))
    assert known(path.parent.with_name("copy") / "published") == set()
    path.parent.rename(path.parent.with_name("moved"))
    assert known(path.parent.with_name("moved") / "published") == {"a"}


def test_notes_that_repeat_themselves_are_written_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once they may be twice as many as there are keys, and not before."""
    monkeypatch.setattr(published, "MIN_COUNT", 10)
    sizes = []
    for _ in range(40):
        note(path, *KEYS)
        sizes.append((path.stat().st_size - HEADER.size) // RECORD_BYTES)
        assert known(path) == set(KEYS)
    assert max(sizes) <= 2 * 10 + len(KEYS)
    assert min(sizes[5:]) == 2 * len(KEYS)
    assert os.listdir(path.parent) == ["published"]


def test_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    """No notes are taken, and none are read."""
    (tmp_path / "precious").write_bytes(b"precious")
    path.symlink_to(tmp_path / "precious")
    note(path, "a")
    assert known(path) == set()
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("call", ["open", "write", "fstat", "ftruncate"])
def test_failing_call_ends_the_notes_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whichever it is, and also when a disk takes only half a note."""

    def failing(*arguments: object, **options: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        note(path, *KEYS)
    note(path, "a")
    assert known(path) == {"a"}


def test_half_a_note_is_the_last(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that is full; what follows would be read askew."""
    notes = Published(path)
    really: Callable[[int, bytes], int] = os.write
    with notes.writing():
        notes.add("a")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda file, data: really(file, data[:4]))
            notes.add("é")
        notes.add("raw\udcff")
    assert known(path) == {"a"}
