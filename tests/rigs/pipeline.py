"""A pipeline between a bucket in memory and a folder."""

from collections.abc import Mapping
from pathlib import Path

import anyio

from asyncsync import pipeline
from asyncsync.compare import NamedSelection, Selection
from asyncsync.disk import Folder
from asyncsync.download.download import SMALL
from asyncsync.interfaces import Observer, Observers
from asyncsync.mirror import Mirror
from asyncsync.model import Checks
from asyncsync.paths import PLAIN, Paths
from asyncsync.shards import Shard
from tests.rigs.memory_store import MemoryStore
from tests.rigs.watch import Watcher, quick_pace, unfinished

OBJECTS: Mapping[str, bytes] = {
    "1hz/2026/01/a.parquet": b"a",
    "1hz/b.parquet": b"bb",
    "fft_hub1/c.parquet": bytes(SMALL + 1),
    "fft_hub1/empty.parquet": b"",
    "root.parquet": b"root",
}


class Rig:
    """A pipeline between a bucket in memory and a folder.

    Args:
        dest: the destination.
        objects: what the bucket holds at first.
        page_size: objects and prefixes on one page of a listing.
    """

    def __init__(
        self, dest: Path, objects: Mapping[str, bytes] = OBJECTS, *, page_size: int = 1000
    ) -> None:
        self.dest = dest
        self.store = MemoryStore(objects, page_size=page_size)
        self.watcher = Watcher()
        self.prefixes: list[str] = []
        self.include = ["*.parquet"]
        self.exclude: list[str] = []
        self.workers = 8
        self.source = ""
        """The bucket, as the folder notes it."""
        self.max_delete = ""
        """How many files may be deleted; none is unless this is set."""
        self.allow_empty = False
        self.follows_links = False
        self.shard: Shard | None = None
        self.keys: list[str] | None = None
        """The keys that are named, sorted; None for all."""

    def job(self, paths: Paths = PLAIN) -> pipeline.Job:
        """Return what to work on."""
        notice = self.watcher.noticed
        folder = Folder(
            self.dest,
            notice=notice,
            paths=paths,
            source=self.source,
            follows_links=self.follows_links,
            shard=self.shard,
        )
        selection = Selection(self.include, self.exclude, self.prefixes, paths, shard=self.shard)
        if self.keys is not None:
            selection = NamedSelection(self.keys, self.prefixes, paths, shard=self.shard)
        observer: Observer = self.watcher
        mirror = None
        if self.max_delete:
            mirror = Mirror(folder, selection, observer, self.max_delete, self.allow_empty)
            observer = Observers(observer, mirror)
        return pipeline.Job(
            store=self.store,
            folder=folder,
            selection=selection,
            pace=quick_pace(workers=self.workers),
            observer=observer,
            checks=Checks(parquet=False),
            mirror=mirror,
        )

    async def sync(self) -> Watcher:
        """Sync, and return what the observer saw."""
        with anyio.fail_after(25):
            await pipeline.sync(self.job())
        assert unfinished(self.dest) == []
        return self.watcher

    async def again(self) -> Watcher:
        """Sync again with a new observer, and return what it saw."""
        self.watcher = Watcher()
        self.store.requests.clear()
        return await self.sync()
