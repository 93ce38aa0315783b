"""Small files are published in batches, and each gets its own result."""

import errno
import os
import shutil
import threading
from pathlib import Path

import anyio
import pytest

from asyncsync.disk.batches import BATCH_SIZE, WRITERS
from asyncsync.disk.folder import Folder
from asyncsync.disk.state.mounts import PartFolders
from asyncsync.errors import AsyncSyncError, IntegrityError, KeyCollisionError, LockHeldError
from asyncsync.model import Proof
from tests.rigs.publishing import prove_nothing, transfer_of
from tests.rigs.watch import tree, unfinished


@pytest.mark.anyio
async def test_no_file_waits_for_all_that_came_with_it(folder: Folder) -> None:
    """The last of many files is not proven until an early one is published."""
    is_published = threading.Event()

    async def publish(number: int) -> None:
        def prove() -> Proof:
            assert number < last or is_published.wait(60)
            return Proof.SIZE

        await folder.publish(transfer_of(f"{number}"), b"data", prove)
        if number == WRITERS:  # the files before it have batches of their own
            is_published.set()

    last = (WRITERS + 1) * BATCH_SIZE
    async with anyio.create_task_group() as group:
        for number in range(last + 1):
            group.start_soon(publish, number)


@pytest.mark.anyio
async def test_many_at_once_each_have_their_own_result(folder: Folder, root: Path) -> None:
    """Files of one batch share nothing else: one that fails fails alone."""
    (root / "full").mkdir()
    keys = [*(f"{number}/{number}" for number in range(50)), "full", "0/0/x"]
    errors: dict[str, AsyncSyncError] = {}

    async def publish(key: str) -> None:
        try:
            await folder.publish(transfer_of(key, len(key)), key.encode(), prove_nothing)
        except AsyncSyncError as error:
            errors[key] = error

    await publish(keys[0])  # on a busy machine, '0/0/x' could otherwise be first
    async with anyio.create_task_group() as group:
        for key in keys[1:]:
            group.start_soon(publish, key)
    assert tree(root) == {key: key.encode() for key in sorted(keys) if key not in errors}
    assert {key: type(error) for key, error in errors.items()} == {
        "full": KeyCollisionError,
        "0/0/x": KeyCollisionError,
    }
    await publish("after")
    assert tree(root)["after"] == b"after"


BATCH = [(transfer_of(key), b"data") for key in ("a/1", "a/2", "b/3")]


def test_folder_that_is_removed_amid_a_batch_is_made_again(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that have no name yet get it there, though the batch had opened the folder before."""
    original = os.replace

    def replace(*names: str, src_dir_fd: int, dst_dir_fd: int) -> None:
        original(*names, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        if names[1] == "1":
            shutil.rmtree(root / "a")

    monkeypatch.setattr(os, "replace", replace)
    assert folder._publisher.publish(BATCH) == [None, None, None]
    assert tree(root) == {"a/2": b"data", "b/3": b"data"}


def test_error_that_ends_the_run_leaves_nothing_of_its_batch_unfinished(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of an older version works on the disk that one file goes to: the others are there."""
    original, error = os.replace, LockHeldError("another run")

    def replace(*names: str, src_dir_fd: int, dst_dir_fd: int) -> None:
        if names[1] == "1":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        original(*names, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def add_for(folders: PartFolders, path: tuple[str, ...]) -> bool:
        raise error

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(PartFolders, "add_for", add_for)
    assert folder._publisher.publish(BATCH) == [error, None, None]
    assert tree(root) == {"a/2": b"data", "b/3": b"data"}
    assert unfinished(root) == []


def test_folder_that_cannot_be_closed_fails_no_file(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written through it; each folder is closed, and each caller has its result."""
    original, failures = os.close, list[str]()

    def close(file: int) -> None:
        path = os.readlink(f"/proc/self/fd/{file}")
        original(file)
        if path in {str(root / "a"), str(root / "b")}:
            failures.append(path)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    before = len(os.listdir("/proc/self/fd"))
    (root / "a").mkdir()
    (root / "b").mkdir()
    monkeypatch.setattr(os, "close", close)
    assert folder._publisher.publish(BATCH) == [None, None, None]
    assert sorted(failures) == [str(root / "a"), str(root / "b")]
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(tree(root)) == len(BATCH)


@pytest.mark.anyio
async def test_batch_without_a_sound_file_leaves_no_mark(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that publishes nothing need not wait for the disk."""

    def refuse() -> Proof:
        raise IntegrityError("a", "unsound")

    marked: list[bool] = []
    monkeypatch.setattr(folder._unsynced, "ensure_mark", lambda: marked.append(True))
    with pytest.raises(IntegrityError):
        await folder.publish(transfer_of("a"), b"data", refuse)
    assert (marked, tree(root)) == ([], {})
