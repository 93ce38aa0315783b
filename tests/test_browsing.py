"""The Python API of `ls`, `du` and `get`."""

import os
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

import asyncsync
from asyncsync import ConfigError, ListedFolder, ListedObject, SourceError, TransferError, Usage
from asyncsync.errors import ListingError
from tests.rigs.memory_store import MEMORY, Act, MemoryStore, use_memory
from tests.rigs.watch import Watcher, tree

pytestmark = pytest.mark.anyio

OBJECTS = {"1hz/a.parquet": b"a", "1hz/b.parquet": b"bb", "root.parquet": b"root"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """The bucket that the settings name."""
    store = MemoryStore(OBJECTS)
    use_memory(monkeypatch, store)
    return store


async def names(source: str | None = None, depth: int | None = 1) -> list[str]:
    """Return what is listed by name."""
    return [
        entry.prefix if isinstance(entry, ListedFolder) else entry.remote.key
        async for entry in asyncsync.ls(source, depth=depth)
    ]


async def test_ls_yields_objects_and_folders(store: MemoryStore) -> None:
    """In order; an object with what is here of it."""
    assert await names() == ["1hz/", "root.parquet"]
    assert await names(depth=None) == list(OBJECTS)
    assert await names(f"s3://{MEMORY.bucket}/1hz/") == ["1hz/a.parquet", "1hz/b.parquet"]
    await asyncsync.sync("1hz/")
    entries = [entry async for entry in asyncsync.ls("1hz/", "downloads")]
    assert [e.state for e in entries if isinstance(e, ListedObject)] == ["here", "here"]


async def test_ls_stops_when_it_is_closed(store: MemoryStore) -> None:
    """No further page is requested, however long the bucket is."""
    store.page_size = 1
    with anyio.fail_after(25):
        async with aclosing(asyncsync.ls(depth=None)) as entries:
            async for entry in entries:
                assert isinstance(entry, ListedObject)
                break
        requests = len(store.requests)
        await anyio.wait_all_tasks_blocked()
    assert len(store.requests) == requests


async def test_ls_does_not_run_ahead_of_who_reads_it(store: MemoryStore) -> None:
    """The memory that it takes is that of a few pages."""
    store.page_size = 1
    store.put_many({f"many/{number:03}.parquet": b"" for number in range(100)})
    with anyio.fail_after(25):
        async with aclosing(asyncsync.ls(depth=None)) as entries:
            await anext(entries)
            await anyio.wait_all_tasks_blocked()
            assert len(store.requests) < 6


async def test_errors_are_raised(store: MemoryStore) -> None:
    """By whoever reads, and not swallowed."""
    store.always("list", "", Act(error=ListingError("broken")))
    with pytest.raises(SourceError, match="broken"):
        await names()
    with pytest.raises(SourceError, match="broken"):
        await asyncsync.du()
    with pytest.raises(TransferError, match="no such key"):
        await asyncsync.get("zzz")


async def test_du_returns_figures_by_folder(store: MemoryStore) -> None:
    """Of one prefix or of all."""
    assert await asyncsync.du() == {"": Usage(1, 4, 0, 1, 4), "1hz/": Usage(2, 3, 0, 2, 3)}
    assert await asyncsync.du("1hz/", include="*a.*") == {"1hz/": Usage(1, 1, 0, 1, 1)}


async def test_get_returns_the_path(store: MemoryStore, tmp_path: Path) -> None:
    """Of a file with the object's bytes; observers see it as they see a sync."""
    watcher = Watcher()
    path = await asyncsync.get("1hz/b.parquet", observer=watcher)
    assert (path, watcher.downloaded) == (tmp_path / "b.parquet", ["1hz/b.parquet"])
    os.mkdir("folder")
    key = f"s3://{MEMORY.bucket}/root.parquet"
    assert await asyncsync.get(key, "folder") == tmp_path / "folder/root.parquet"
    await asyncsync.get("1hz/a.parquet", tmp_path / "a", strip_prefix=True)
    assert tree(tmp_path) == {
        "a": b"a",
        "b.parquet": b"bb",
        "folder/root.parquet": b"root",
    }


@pytest.mark.parametrize("depth", [0, -1, 101])
async def test_depth_is_a_number_of_levels(store: MemoryStore, depth: int) -> None:
    """Nothing is requested otherwise."""
    with pytest.raises(ConfigError, match="not a number from 1 to 100"):
        await names(depth=depth)
    with pytest.raises(ConfigError, match="not a number from 1 to 100"):
        await asyncsync.du(depth=depth)
    assert store.requests == []


@pytest.mark.parametrize("key", ["", "s3://bucket", "s3://bucket/", "1hz/"])
async def test_get_needs_a_key(store: MemoryStore, key: str) -> None:
    """One that a file can be called like."""
    with pytest.raises(ConfigError, match=r"names no object|name of a folder"):
        await asyncsync.get(key)
    assert store.requests == []
