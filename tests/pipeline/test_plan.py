"""A plan, and the sync of a plan."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncsync import pipeline
from asyncsync.disk import PART
from asyncsync.download.download import SMALL
from asyncsync.errors import (
    ConfigError,
    ListingError,
    RemoteChangedError,
    ServerError,
    SourceError,
    UnsafeKeyError,
    VanishedError,
)
from asyncsync.model import RemoteObject
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import OBJECTS, Rig
from tests.rigs.watch import Watcher, tree, unfinished

pytestmark = pytest.mark.anyio


async def test_plan_only_lists(dest: Path) -> None:
    """It does not even create the destination."""
    rig = Rig(dest)
    await pipeline.plan(rig.job())
    keys = [t.remote.key for page in rig.watcher.pages for t in page.transfers]
    assert sorted(keys) == sorted(OBJECTS)
    assert {request.verb for request in rig.store.requests} == {"list"}
    assert not dest.parent.exists()
    assert rig.watcher.listings_ended == 1


async def test_plan_raises_the_error_of_the_listing(dest: Path) -> None:
    """A plan of half a bucket would be wrong."""
    rig = Rig(dest)
    rig.store.always("list", "", Act(error=ListingError("broken")))
    with pytest.raises(SourceError, match="broken"):
        await pipeline.plan(rig.job())


async def planned(rig: Rig, *keys: str) -> Watcher:
    """Sync these objects as they are listed now, without a listing."""
    pages = iter([[rig.store.remote(key)] for key in keys])
    rig.store.requests.clear()
    rig.watcher = Watcher()
    with anyio.fail_after(25):
        await pipeline.sync(replace(rig.job(), planned=pages))
    assert rig.store.count("list") == 0
    return rig.watcher


async def test_plan_is_synced_without_a_listing(dest: Path) -> None:
    """It syncs exactly the objects in the plan, without selecting again."""
    rig = Rig(dest, {**OBJECTS, "notes.txt": b"-"})
    seen = await planned(rig, "1hz/b.parquet", "fft_hub1/c.parquet", "notes.txt")
    assert seen.downloaded == ["1hz/b.parquet", "fft_hub1/c.parquet", "notes.txt"]
    assert (seen.files, seen.listings_ended) == ({}, 1)
    again = await planned(rig, "1hz/b.parquet", "root.parquet")
    assert again.downloaded == ["root.parquet"]
    assert again.files == {"1hz/": 1}
    assert "1hz/2026/01/a.parquet" not in tree(dest)


async def test_plan_takes_no_other_version(dest: Path) -> None:
    """A replaced object fails, a deleted one is skipped, and their old files stay."""
    rig = Rig(dest)
    await rig.sync()
    before = tree(dest)
    rig.store.put_many(dict.fromkeys(OBJECTS, b"second"))
    listed = [rig.store.remote(key) for key in OBJECTS]
    rig.store.put("1hz/b.parquet", b"third")
    rig.store.put("fft_hub1/c.parquet", bytes(SMALL + 2))
    rig.store.delete("root.parquet")
    rig.store.requests.clear()
    rig.watcher = Watcher()
    await pipeline.sync(replace(rig.job(), planned=iter([listed])))
    assert rig.watcher.failures == {
        "1hz/b.parquet": RemoteChangedError,
        "fft_hub1/c.parquet": RemoteChangedError,
        "root.parquet": VanishedError,
    }
    assert rig.store.count("list") == 0
    assert rig.store.count("get", "1hz/b.parquet") == 1
    changed = dict.fromkeys(("1hz/2026/01/a.parquet", "fft_hub1/empty.parquet"), b"second")
    assert tree(dest) == {**before, **changed}
    assert unfinished(dest) == []


async def test_planned_object_that_arrives_damaged_is_fetched_again(dest: Path) -> None:
    """In the same version, without a listing."""
    rig = Rig(dest)
    rig.store.on("get", "root.parquet", Act(body=b"too long"))
    assert (await planned(rig, "root.parquet")).downloaded == ["root.parquet"]
    assert rig.store.count("get", "root.parquet") == 2


async def test_hostile_keys_of_a_plan_are_refused(dest: Path) -> None:
    """In the same way as those of a listing; a folder marker is not a file."""
    hostile = ["../x.parquet", "/x.parquet", "a//b", "folder/", "", ".asyncsync/lock", "\ud800"]
    rig = Rig(dest, dict.fromkeys(hostile, b"x"))
    seen = await planned(rig, *hostile)
    assert seen.failures == dict.fromkeys(hostile, UnsafeKeyError)
    assert rig.store.requests == []
    assert (tree(dest), os.listdir(dest.parent)) == ({}, [dest.name])


async def test_plan_keeps_unfinished_files_of_other_objects(dest: Path) -> None:
    """It does not know which objects exist besides its own."""
    rig = Rig(dest, {"large.parquet": bytes(3 * PART), "small.parquet": b"x"})
    rig.workers = 1
    cut = [Act(error=ServerError("500"))] * 9
    rig.store.on("get", "large.parquet", Act(), *cut)
    await pipeline.sync(rig.job())
    left = unfinished(dest)
    assert left
    rig.store.behave()
    await planned(rig, "small.parquet")
    assert unfinished(dest) == left
    assert (await planned(rig, "large.parquet")).downloaded == ["large.parquet"]
    assert rig.store.count("get", "large.parquet") == 2
    assert unfinished(dest) == []


async def test_plan_that_cannot_be_read_to_its_end_ends_the_run(dest: Path) -> None:
    """Its first objects may have been downloaded by then."""

    def pages() -> Iterator[list[RemoteObject]]:
        yield [rig.store.remote("root.parquet")]
        raise ConfigError("line 2")

    rig = Rig(dest)
    with pytest.raises(ConfigError, match="line 2"):
        await pipeline.sync(replace(rig.job(), planned=pages()))
    assert unfinished(dest) == []
