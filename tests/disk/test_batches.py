"""Small files are published in batches, and each gets its own result."""

import threading
from pathlib import Path

import anyio
import pytest

from asyncsync.disk.batches import BATCH_SIZE, WRITERS
from asyncsync.disk.folder import Folder
from asyncsync.errors import AsyncSyncError, KeyCollisionError
from asyncsync.model import Proof
from tests.rigs.publishing import prove_nothing, transfer_of
from tests.rigs.watch import tree


@pytest.mark.anyio
async def test_no_file_waits_for_all_that_came_with_it(folder: Folder) -> None:
    """The last of many files is not proven until an early one is published."""
    is_published = threading.Event()

    async def publish(number: int) -> None:
        def prove() -> Proof:
            assert number < last or is_published.wait(5)
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
