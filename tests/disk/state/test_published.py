"""The records of published keys: kept over runs and kills, and never a reason to fail."""

import errno
import os
import shutil
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncsync.disk.state.place import Place
from asyncsync.disk.state.published import Published
from asyncsync.disk.state.records import HASH_BYTES, HEADER, Records
from tests.rigs.state import STATE

KEYS = ["a", "1hz/2026/a.parquet", "raw\udcff", "é"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the records, in a folder of their own."""
    (tmp_path / "dest" / STATE).mkdir(parents=True)
    return tmp_path / "dest" / STATE / "published"


def place_of(path: Path) -> Place:
    """Return the destination whose records are at this path."""
    return Place(path.parents[2])


def record(path: Path, *keys: str) -> None:
    records = Published(place_of(path))
    with records.writing():
        for key in keys:
            records.add([key])


def known(path: Path) -> set[str]:
    return Published(place_of(path)).known([*KEYS, "other"])


def test_records_are_read_completely_before_they_are_used(path: Path) -> None:
    """A call in another thread meanwhile reads them itself."""
    record(path, *KEYS)
    seen: list[set[str]] = []

    class Interrupted(Published):
        def _read(self) -> "array[int]":
            if not seen:
                seen.append(set())
                seen.append(self.known(KEYS))
            return super()._read()

    assert Interrupted(place_of(path)).known(KEYS) == seen[1] == set(KEYS)


def test_records_with_a_second_hard_link_are_replaced(path: Path, tmp_path: Path) -> None:
    """A copy made of hard links keeps its own."""
    record(path, "a")
    other = tmp_path / "copy"
    os.link(path, other)
    before = other.read_bytes()
    record(path, *KEYS)
    assert known(path) == set(KEYS)
    assert other.read_bytes() == before


def test_records_of_all_runs_are_known(path: Path) -> None:
    """No other keys are; a record takes eight bytes."""
    assert known(path) == set()
    record(path, *KEYS[:2])
    record(path, *KEYS[2:])
    assert known(path) == set(KEYS)
    assert path.stat().st_size == HEADER.size + HASH_BYTES * len(KEYS)
    assert path.stat().st_mode & 0o777 == 0o644


def test_run_that_publishes_nothing_writes_nothing(path: Path) -> None:
    """The file is not modified."""
    record(path, "a")
    os.utime(path, (1, 1))
    record(path)
    assert path.stat().st_mtime == 1


@pytest.mark.row(118)
def test_record_that_a_kill_cut_is_left_out(path: Path) -> None:
    """Those before and after it are known."""
    record(path, "a", "é")
    os.truncate(path, path.stat().st_size - 3)
    assert known(path) == {"a"}
    record(path, *KEYS[1:3])
    assert known(path) == {"a", *KEYS[1:3]}


@pytest.mark.row(118)
@pytest.mark.parametrize("content", [b"", b"x", bytes(1000), os.urandom(1000)])
def test_file_with_another_header_is_reset(path: Path, content: bytes) -> None:
    """It knows no key, and records new ones."""
    path.write_bytes(content)
    assert known(path) == set()
    record(path, "a")
    assert known(path) == {"a"}


def test_records_do_not_count_in_a_copy_of_the_folder(path: Path) -> None:
    """A copy may have lost all file times; where the folder is moved, they count."""
    record(path, "a")
    destination = path.parents[2]
    shutil.copytree(destination, destination.with_name("copy"))
    assert known(destination.with_name("copy") / STATE / "published") == set()
    destination.rename(destination.with_name("moved"))
    assert known(destination.with_name("moved") / STATE / "published") == {"a"}


def test_records_that_were_dropped_are_not_nothing(path: Path) -> None:
    """Files were made here all the same, and no run may give their paths to other keys."""
    assert Published(place_of(path)).is_empty()
    record(path, "a")
    copy = path.parents[2].with_name("copy")
    shutil.copytree(path.parents[2], copy)
    record(copy / STATE / "published")
    assert known(copy / STATE / "published") == set()
    assert not Published(Place(copy)).is_empty()


@pytest.mark.parametrize("size", [HASH_BYTES, 4 * HASH_BYTES])
def test_file_of_any_kind_holds_as_many_records(
    path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Whatever a record takes, there is one for each of millions of keys; one of too many goes."""
    monkeypatch.setattr("asyncsync.disk.state.records.MOST_RECORDS", 4)
    records = Records(place_of(path), path.name, b"asyncxyz", size)
    several = [bytes([number]) * size for number in range(1, 6)]
    for each in several:
        with records.writing():
            records.append(each)
        assert records.read() == b"".join(several[: each[0]])[: 4 * size]
    with records.writing():
        assert records.read() == bytes(size)  # stands for what was dropped


def test_file_of_repeated_records_is_rewritten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there may be twice as many as keys, and not before."""
    monkeypatch.setattr("asyncsync.disk.state.records.MIN_COUNT", 10)
    sizes = []
    for _ in range(40):
        record(path, *KEYS)
        sizes.append((path.stat().st_size - HEADER.size) // HASH_BYTES)
        assert known(path) == set(KEYS)
    assert max(sizes) <= 2 * 10 + len(KEYS)
    assert min(sizes[5:]) == 2 * len(KEYS)
    assert os.listdir(path.parent) == ["published"]


def test_link_in_its_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    """Nothing is recorded and nothing is read."""
    (tmp_path / "precious").write_bytes(b"precious")
    path.symlink_to(tmp_path / "precious")
    record(path, "a")
    assert known(path) == set()
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("call", ["open", "write", "fstat", "ftruncate"])
def test_failing_call_stops_only_the_recording(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whichever call it is, the run goes on, and the next run records again."""

    def failing(*arguments: object, **options: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        record(path, *KEYS)
    record(path, "a")
    assert known(path) == {"a"}


def test_half_a_record_is_the_last(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk: what follows it would be misaligned."""
    records = Published(place_of(path))
    original: Callable[[int, bytes], int] = os.write
    with records.writing():
        records.add(["a"])
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda file, data: original(file, data[:4]))
            records.add(["é"])
        records.add(["raw\udcff"])
    assert known(path) == {"a"}
