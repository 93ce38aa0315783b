"""Looking at many files at once."""

from pathlib import Path
from threading import Event, Thread

import pytest

from asyncsync.disk.folders import looking
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.folders.looking import Looker, find_keys


def test_slow_look_keeps_no_other_from_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that takes its time, several threads look side by side."""
    monkeypatch.setattr(looking, "PATIENCE", 0)
    (tmp_path / "slow").mkdir()
    (tmp_path / "file").write_bytes(b"1")
    begun, may_end = Event(), Event()

    def walk(path: tuple[str, ...]) -> Directory:
        if path == ("slow",):
            begun.set()
            assert may_end.wait(60)
        return Directory.walk(str(tmp_path), path)

    looker = Looker(walk)
    slow = Thread(target=looker.look_up, args=(["slow/x"], (), ()))
    slow.start()
    try:
        assert begun.wait(60)
        found = looker.look_up(["file", "no"], (), ())
        assert [file and file.size for file in found] == [1, None]
    finally:
        may_end.set()
        slow.join()


def test_look_that_fails_ends_its_turn(tmp_path: Path) -> None:
    """The next one need not wait for it."""

    def fail(_: tuple[str, ...]) -> Directory:
        raise RuntimeError

    looker = Looker(fail)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            looker.look_up(["a"], (), ())
        assert not looker._turn.locked()


def test_keys_come_in_pieces_of_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of millions is never held as a whole, and each key comes once."""
    monkeypatch.setattr(looking, "AT_ONCE", 3)
    expected = {f"{folder}/{number}" for folder in ("a", "a/b", "c") for number in range(8)}
    for key in expected:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).touch()
    pieces = [*find_keys({"": str(tmp_path)}, list)]
    assert all(len(piece) <= 3 for piece in pieces)
    assert all(len({key.rpartition("/")[0] for key in piece}) <= 1 for piece in pieces)
    assert sorted(key for piece in pieces for key in piece) == sorted(expected)
