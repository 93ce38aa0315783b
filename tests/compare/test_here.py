"""What is here of objects to fetch: which files count as edited before they are replaced."""

import os
from pathlib import Path

import pytest

from asyncsync.compare.compare import compare_page
from asyncsync.disk import Folder
from asyncsync.model import Compare, Reason, RemoteObject, Transfer
from tests.rigs.publishing import MODIFIED, publish_small, transfer_of

pytestmark = pytest.mark.anyio

HOUR = 3600 * 10**9
PATH = "1hz/a.parquet"


async def never(prefix: str) -> bool:
    """Return that no key needs a folder."""
    return False


async def compared(
    dest: Path, size: int = 5, modified_ns: int = MODIFIED + HOUR, how: Compare = Compare.TIME
) -> Transfer:
    """Compare an object that was replaced an hour later with its file, of 4 bytes."""
    folder = Folder(dest)
    with folder.reading():
        remote = RemoteObject(PATH, size, "new", modified_ns)
        [found] = (await compare_page([remote], folder, never, how)).transfers
    return found


def change(dest: Path, modified_ns: int) -> None:
    """Write the file as another program does."""
    (dest / PATH).parent.mkdir(parents=True, exist_ok=True)
    (dest / PATH).write_bytes(b"mine")
    os.utime(dest / PATH, ns=(modified_ns, modified_ns))


@pytest.fixture
async def dest(tmp_path: Path) -> Path:
    """A destination with a file that was published here, and notes of that."""
    folder = Folder(tmp_path)
    with folder.writing():
        await publish_small(folder, transfer_of(PATH), b"data")
    return tmp_path


async def test_file_as_it_was_published_is_not_edited(dest: Path) -> None:
    """It is replaced because its object was."""
    assert await compared(dest) == Transfer(
        RemoteObject(PATH, 5, "new", MODIFIED + HOUR), ("1hz", "a.parquet"), Reason.SIZE_DIFFERS, 4
    )
    assert (await compared(dest, size=4)).reason is Reason.NEWER


@pytest.mark.parametrize("size", [4, 5])
async def test_younger_file_is_edited(dest: Path, size: int) -> None:
    """Whatever its size is, and whether it was published here or not."""
    change(dest, MODIFIED + 2 * HOUR)
    found = await compared(dest, size)
    assert found.is_edited
    assert found.reason is (Reason.EDITED if size == 4 else Reason.SIZE_DIFFERS)


async def test_file_that_others_made_is_edited(dest: Path) -> None:
    """If the notes go back to the folder's beginning, and do not name it."""
    (dest / PATH).rename(dest / "1hz/other.parquet")
    change(dest, MODIFIED)
    assert not (await compared(dest)).is_edited, "its key is noted"
    global_path = dest / "1hz/b.parquet"
    (dest / PATH).rename(global_path)
    folder = Folder(dest)
    remote = RemoteObject("1hz/b.parquet", 5, "new", MODIFIED + HOUR)
    with folder.reading():
        [found] = (await compare_page([remote], folder, never)).transfers
    assert (found.is_edited, found.reason) == (True, Reason.SIZE_DIFFERS)


async def test_without_notes_only_the_time_tells(tmp_path: Path) -> None:
    """Another tool may have filled the folder; all of its files would count as edited."""
    change(tmp_path, MODIFIED)
    assert not (await compared(tmp_path)).is_edited
    change(tmp_path, MODIFIED + 2 * HOUR)
    assert (await compared(tmp_path)).is_edited


async def test_file_whose_hash_differs_may_be_edited(dest: Path) -> None:
    """The comparison knows what it is before it is read."""
    change(dest, MODIFIED + 2 * HOUR)
    found = await compared(dest, 4, how=Compare.HASH)
    assert (found.is_edited, found.reason) == (True, Reason.UNPROVEN)
