"""Files that a mover has written get their names in the run that it works for, and nowhere else."""

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asyncsync.disk import Folder, Handover, Written
from asyncsync.disk.folders.directory import Directory
from asyncsync.errors import (
    AsyncSyncError,
    IntegrityError,
    KeyCollisionError,
    LocalFileError,
    ThrottledError,
)
from asyncsync.model import Transfer
from tests.rigs.failing_disk import failing_call
from tests.rigs.publishing import MODIFIED, prove_nothing, transfer_of
from tests.rigs.state import PARTS

pytestmark = pytest.mark.anyio

LARGE = 256 * 1024 + 1
SIZES = pytest.mark.parametrize("size", [4, LARGE], ids=["small", "large"])


@asynccontextmanager
async def handing_over(folder: Folder, number: int = 0) -> AsyncIterator[Handover]:
    """Write for this folder, as a mover of this number would."""
    handover = Handover(folder.taking.terms, number)
    with handover.opened():
        yield handover


async def written(handover: Handover, folder: Folder, transfer: Transfer) -> Written:
    """Let a mover write a file with nothing but zeros in it."""
    content, (parts, inode) = bytes(transfer.remote.size), await folder.taking.parts_for(transfer)
    key = transfer.remote.key
    handover.place(key, parts, inode)
    if len(content) < LARGE:
        await handover.publish(transfer, content, prove_nothing)
    else:
        async with handover.part_file(transfer) as part:
            part.write(range(len(content)), content)
            await handover.publish_parts(transfer, part)
    return Written(transfer, parts, *handover.written(key))


async def taken(folder: Folder, file: Written) -> AsyncSyncError | None:
    """Take one file."""
    (error,) = await folder.taking.take([file])
    return error


@SIZES
async def test_file_has_its_name_once_it_is_taken(folder: Folder, root: Path, size: int) -> None:
    """With its time, recorded as one that was made here; nothing unfinished is left."""
    transfer = transfer_of("a/b.parquet", size)
    async with handing_over(folder) as handover:
        file = await written(handover, folder, transfer)
        assert not (root / "a").exists()
        assert await taken(folder, file) is None
    made = (root / "a" / "b.parquet").stat()
    assert (made.st_size, made.st_mtime_ns, made.st_ino) == (size, MODIFIED, file.inode)
    assert await folder.were_published(["a/b.parquet"]) == {"a/b.parquet"}


@SIZES
async def test_file_that_is_lost_is_to_be_fetched_again(folder: Folder, size: int) -> None:
    """Somebody has removed it before it was taken."""
    async with handing_over(folder) as handover:
        file = await written(handover, folder, transfer_of("a.parquet", size))
        (Path(file.parts) / file.name).unlink()
        assert isinstance(await taken(folder, file), IntegrityError)


@SIZES
async def test_file_whose_path_is_a_folder_is_removed(
    folder: Folder, root: Path, size: int
) -> None:
    """A later run could not take it either."""
    (root / "a.parquet" / "below").mkdir(parents=True)
    async with handing_over(folder) as handover:
        file = await written(handover, folder, transfer_of("a.parquet", size))
        assert isinstance(await taken(folder, file), KeyCollisionError)
    assert (root / "a.parquet" / "below").is_dir()


@SIZES
async def test_file_is_taken_once_files_can_be_opened_again(
    folder: Folder, root: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of open files loses none."""
    async with handing_over(folder) as handover:
        file = await written(handover, folder, transfer_of("a/b.parquet", size))
        with monkeypatch.context() as patch:
            patch.setattr(Directory, "move", failing_call(errno.EMFILE))
            assert isinstance(await taken(folder, file), ThrottledError)
        assert await taken(folder, file) is None
    assert (root / "a" / "b.parquet").stat().st_size == size


async def test_one_that_cannot_be_taken_holds_up_no_other(folder: Folder, root: Path) -> None:
    """Each has its own error."""
    (root / "b.parquet" / "below").mkdir(parents=True)
    async with handing_over(folder) as handover:
        files = [await written(handover, folder, transfer_of(f"{name}.parquet")) for name in "abc"]
        errors = await folder.taking.take(files)
    assert [type(error) for error in errors] == [type(None), KeyCollisionError, type(None)]
    assert all((root / f"{name}.parquet").is_file() for name in "ac")


async def test_folder_that_cannot_be_looked_at_fails_only_its_object(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without movers."""
    monkeypatch.setattr("asyncsync.disk.state.mounts.mounted", failing_call(errno.EIO))
    with pytest.raises(LocalFileError):
        await folder.taking.parts_for(transfer_of("a/b.parquet", LARGE))
    monkeypatch.setattr("asyncsync.disk.state.mounts.mounted", failing_call(errno.EMFILE))
    with pytest.raises(ThrottledError):
        await folder.taking.parts_for(transfer_of("c/d.parquet", LARGE))


async def test_what_a_mover_that_ended_has_left_is_removed(folder: Folder, root: Path) -> None:
    """Its small files, and no other mover's."""
    async with handing_over(folder, 1) as first, handing_over(folder, 11) as other:
        await written(first, folder, transfer_of("a.parquet"))
        file = await written(other, folder, transfer_of("b.parquet"))
        await folder.taking.clear(1)
        assert [path.name for path in (root / PARTS).iterdir()] == [file.name]
        assert await taken(folder, file) is None


async def test_mover_writes_in_no_other_folder_than_the_one_that_is_meant(
    folder: Folder, root: Path, tmp_path: Path
) -> None:
    """Somebody has put another one, or a link, in its place."""
    parts = root / PARTS
    parts.rename(root / "moved")
    try:
        parts.mkdir(mode=0o700)
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            async with handing_over(folder):
                pytest.fail("it was opened")
        parts.rmdir()
        parts.symlink_to(tmp_path / "outside")
        with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
            async with handing_over(folder):
                pytest.fail("it was opened")
    finally:
        parts.unlink(missing_ok=True)
        (root / "moved").rename(parts)
