"""The records of how files were made: only a file that is as it was made may be removed."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsync.disk import Backup, Folder, LocalFile
from asyncsync.errors import LocalFileError
from tests.rigs.publishing import MODIFIED, Publish, publish_small, transfer_of
from tests.rigs.state import STATE
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio
KEY = "1hz/2026/a.parquet"


async def look(folder: Folder, key: str = KEY) -> LocalFile:
    """Return what is at a key's path."""
    [found] = await folder.look_up([folder.paths.of(key)])
    assert found
    return found


async def may_go(root: Path, *keys: str) -> set[str]:
    """Return which of the keys' files a later run may remove."""
    folder = Folder(root)
    return folder.removal.may_go([(key, await look(folder, key)) for key in keys or [KEY]])


async def make(root: Path, publish: Publish = publish_small, content: bytes = b"data") -> None:
    """Let a run of its own make the file."""
    folder = Folder(root)
    with folder.writing():
        await publish(folder, transfer_of(KEY, len(content)), content)


async def test_file_that_was_made_here_may_go(root: Path, publish: Publish) -> None:
    """Whichever way it was published; a record takes 32 bytes, and only its owner can read them."""
    await make(root, publish)
    assert await may_go(root) == {KEY}
    found = (root / STATE / "made").stat()
    assert (found.st_size, found.st_mode & 0o777) == (24 + 32, 0o600)


async def test_file_of_before_there_were_records_stays(root: Path) -> None:
    """An earlier version has made it, but how is not known."""
    await make(root)
    (root / STATE / "made").unlink()
    assert await may_go(root) == set()


def edit(path: Path) -> None:
    path.write_bytes(b"mine")


def append(path: Path) -> None:
    path.write_bytes(b"data and mine")
    os.utime(path, ns=(MODIFIED, MODIFIED))


def touch(path: Path) -> None:
    os.utime(path)


def replace_alike(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(b"mine")
    os.utime(new, ns=(MODIFIED, MODIFIED))
    new.replace(path)


@pytest.mark.parametrize("change", [edit, append, touch, replace_alike])
async def test_file_that_was_changed_stays(root: Path, change: Callable[[Path], None]) -> None:
    """Edited, touched, or replaced by one of its size and time."""
    await make(root)
    change(root / KEY)
    assert await may_go(root) == set()


async def test_file_that_was_made_again_may_go(root: Path) -> None:
    """The last record of it holds, and so does the first of another file."""
    await make(root)
    await make(root, content=b"other")
    assert await may_go(root) == {KEY}


@pytest.mark.parametrize("copy", [shutil.copy2, os.link])
async def test_copy_of_the_folder_has_made_nothing(
    root: Path, copy: Callable[[str, str], object]
) -> None:
    """Nor has one of hard links, whose files are the same; and the folder keeps its records."""
    await make(root)
    other = root.with_name("copy")
    shutil.copytree(root, other, copy_function=copy)
    assert await may_go(other) == set()
    with Folder(other).writing():
        pass
    assert await may_go(other) == set()
    assert await may_go(root) == {KEY}


async def test_file_that_was_taken_for_what_it_is_stays(root: Path) -> None:
    """Another tool has made it; a hash has only proven that it is the object."""
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).write_bytes(b"data")
    folder = Folder(root)
    with folder.writing():
        assert await folder.adopt(transfer_of(KEY), await look(folder))
    assert (root / KEY).stat().st_mtime_ns == MODIFIED
    assert await may_go(root) == set()


async def test_records_that_cannot_be_read_are_none(root: Path) -> None:
    """Neither a torn one, nor those of a damaged file."""
    await make(root)
    made = root / STATE / "made"
    os.truncate(made, made.stat().st_size - 1)
    assert await may_go(root) == set()
    made.write_bytes(os.urandom(200))
    assert await may_go(root) == set()
    made.unlink()
    made.mkdir()
    assert await may_go(root) == set()


async def test_removal_takes_the_folders_that_it_empties(folder: Folder, root: Path) -> None:
    """As far as they are empty, and never the destination."""
    for key in (KEY, "1hz/b.parquet", "c.parquet"):
        await publish_small(folder, transfer_of(key), b"data")
    (root / "empty").mkdir()
    assert folder.removal.remove(KEY, await look(folder))
    assert sorted(path.name for path in (root / "1hz").iterdir()) == ["b.parquet"]
    assert folder.removal.remove("1hz/b.parquet", await look(folder, "1hz/b.parquet"))
    assert folder.removal.remove("c.parquet", await look(folder, "c.parquet"))
    assert tree(root) == {}
    assert sorted(os.listdir(root)) == [".asyncsync", "empty"]


@pytest.mark.parametrize("change", [edit, append, touch, replace_alike, Path.unlink])
async def test_file_that_changes_at_the_last_moment_stays(
    folder: Folder, root: Path, change: Callable[[Path], None]
) -> None:
    """It is looked at once more, by its descriptor, before it is removed."""
    await publish_small(folder, transfer_of(KEY), b"data")
    found = await look(folder)
    change(root / KEY)
    before = tree(root)
    assert not folder.removal.remove(KEY, found)
    assert tree(root) == before


async def test_removal_follows_no_link(folder: Folder, root: Path) -> None:
    """Neither to a folder nor to a file, whatever lies there."""
    outside = root.parent / "outside" / "precious"
    found = outside.stat()
    file = replace(
        LocalFile(found.st_size, found.st_mtime_ns), inode=found.st_ino
    )  # as if it had been made here
    (root / "link").symlink_to(outside.parent)
    (root / "precious").symlink_to(outside)
    for key in ("link/precious", "precious"):
        with pytest.raises(LocalFileError, match="cannot be deleted"):
            folder.removal.remove(key, file)
    assert outside.exists()


async def test_file_that_cannot_be_removed_is_named(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason of the system; and it stays."""
    await publish_small(folder, transfer_of(KEY), b"data")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(LocalFileError, match="deleted: Permission denied"):
            folder.removal.remove(KEY, await look(folder))
    assert (root / KEY).exists()


@pytest.mark.row(181)
async def test_file_that_was_put_back_stays(root: Path, tmp_path: Path) -> None:
    """Whoever did so, out of the backups for instance, wants it here; until a run makes it anew."""
    await make(root)
    folder = Folder(root, backup=Backup(tmp_path / "kept"))
    with folder.writing():
        assert folder.removal.remove(KEY, await look(folder))
    (root / KEY).parent.mkdir(parents=True)
    (tmp_path / "kept" / KEY).rename(root / KEY)
    assert await may_go(root) == set()
    await make(root)
    assert await may_go(root) == {KEY}


async def test_earlier_file_that_was_put_back_stays(root: Path) -> None:
    """Only the last one that a run has made there is believed to be of it."""
    await make(root)
    os.link(root / KEY, root / "mine")
    await make(root, content=b"other")
    (root / "mine").replace(root / KEY)
    assert await may_go(root) == set()
