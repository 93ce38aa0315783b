"""Whether the objects found so far fit on the disk."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from asyncsync.compare.space import Space
from asyncsync.disk import Folder
from asyncsync.errors import DestinationError, DiskFullError
from asyncsync.model import Reason, RemoteObject, Transfer
from tests.rigs.state import PARTS

Disk = Callable[..., None]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Return a function that sets how much of the disk is free, in bytes."""

    def say(free: int, total: int = 1000) -> None:
        found = SimpleNamespace(total=total, used=total - free, free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: found)

    return say


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A destination without unfinished files."""
    folder = Folder(tmp_path / "dest")
    with folder.writing():
        return folder


def transfer(size: int, replaces: int = 0) -> Transfer:
    return Transfer(RemoteObject("a", size, "etag", 1), ("a",), Reason.MISSING, replaces)


def test_space_can_be_used_to_the_last_byte(folder: Folder, disk: Disk) -> None:
    """One more byte does not fit; the message says how much is needed and free."""
    disk(free=100)
    space = Space(folder)
    space.claim([transfer(60), transfer(0)])
    space.claim([])
    space.claim([transfer(40)])
    with pytest.raises(DiskFullError, match=r"at least 101 B needed, 100 B free") as caught:
        space.claim([transfer(1)])
    assert str(folder.path) in str(caught.value)


def test_disk_that_cannot_be_read_ends_the_run(folder: Folder) -> None:
    """As when it has just been removed."""
    shutil.rmtree(folder.path)
    with pytest.raises(DestinationError, match="No such file or directory"):
        Space(folder).claim([transfer(1)])


def test_replaced_files_make_room(folder: Folder, disk: Disk) -> None:
    """A bucket whose objects were all rewritten fits where the old files did."""
    disk(free=10)
    space = Space(folder)
    space.claim([transfer(90, replaces=90), transfer(50, replaces=60)])
    space.claim([transfer(20)])
    with pytest.raises(DiskFullError):
        space.claim([transfer(2, replaces=1)])


def test_unfinished_files_count_as_free_space(folder: Folder, disk: Disk) -> None:
    """Their bytes are not needed again; holes in them are not bytes."""
    disk(free=10)
    part = folder.path / PARTS / "unfinished"
    with part.open("wb") as file:
        file.write(bytes(8192))
        file.truncate(10**9)
    blocks = 512 * part.stat().st_blocks
    assert 8192 <= blocks < 10**6
    Space(folder).claim([transfer(10 + blocks)])
    with pytest.raises(DiskFullError):
        Space(folder).claim([transfer(11 + blocks)])


def test_disk_of_unknown_size_is_never_too_small(folder: Folder, disk: Disk) -> None:
    """Some network file systems report only zeros."""
    disk(free=0, total=0)
    Space(folder).claim([transfer(10**15)])


def test_full_disk_can_take_replacements(folder: Folder, disk: Disk) -> None:
    """Nothing is free, and nothing more is needed."""
    disk(free=0)
    space = Space(folder)
    space.claim([transfer(5, replaces=5), transfer(0)])
    with pytest.raises(DiskFullError):
        space.claim([transfer(1)])
