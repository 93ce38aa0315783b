"""A bucket in memory that keeps to the `Store` protocol, with faults by script.

store = MemoryStore({"a.parquet": b"data"})
store.on("get", "a.parquet", Act(cut=2))  # its first GET breaks off after two bytes
store.on("list", "", Act(), Act(error=ServerError("failed")))  # the second page fails once
store.always("head", "a.parquet", Act(head=Head(size=5, etag="")))
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest

from asyncsync.errors import (
    AsyncSyncError,
    ConnectionLostError,
    EncodedObjectError,
    RemoteChangedError,
    TransientError,
    VanishedError,
)
from asyncsync.model import Fetched, Head, Page, RemoteObject, Settings

Verb = Literal["list", "head", "part", "get"]

MEMORY = Settings("AKID", "the-secret", "https://memory.example", "sensors")
"""The settings that lead to a store in memory."""

_FIRST_SECOND = 1_700_000_000
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Act:
    """What one call meets; without arguments nothing unusual."""

    before: Callable[[], object] | None = None
    """Called before all else, such as one that replaces the object."""
    until: anyio.Event | None = None
    """The answer waits for it."""
    error: AsyncSyncError | None = None
    """Raised in place of an answer."""
    page: Page | None = None
    """The answer of a listing."""
    head: Head | None = None
    """What the answer says of the object."""
    body: bytes | None = None
    """The bytes of a GET in place of those that were asked for."""
    cut: int | None = None
    """The body breaks off after so many bytes."""
    cut_error: TransientError | None = None
    """What a cut raises; a lost connection unless given."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call that was made."""

    verb: Verb
    key: str
    """The prefix of a listing."""
    span: range | None = None
    delimiter: str = ""
    start_after: str = ""
    token: str = ""
    as_stored: bool = False


@dataclass(frozen=True, slots=True)
class _Stored:
    data: bytes
    etag: str
    modified_ns: int


class MemoryStore:
    """A bucket in memory.

    Args:
        objects: what it holds at first.
        page_size: objects and rolled-up prefixes on one page.
        block_size: bytes of a body's block.
        order: what the listing is sorted by, other than the bytes of the keys.
    """

    def __init__(
        self,
        objects: Mapping[str, bytes] | None = None,
        *,
        page_size: int = 1000,
        block_size: int = 256 * 1024,
        order: Callable[[str], Sequence[object]] = os.fsencode,
    ) -> None:
        self.page_size = page_size
        self.block_size = block_size
        self._order: Callable[[str], Any] = order
        self.requests: list[Request] = []
        """All calls in the order of arrival."""
        self.decompressed: set[str] = set()
        """Keys of objects that come as they are stored only to those who ask so."""
        self.first_parts: dict[str, int] = {}
        """The sizes of objects' first parts, where it tells them."""
        self._puts = 0
        self._stored: dict[str, _Stored] = {}
        self._script: dict[tuple[Verb, str], chain[Act]] = {}
        for key, data in (objects or {}).items():
            self.put(key, data)

    # Setting the scene.

    def put(self, key: str, data: bytes = b"", *, etag: str = "") -> str:
        """Store an object, each a second younger than the last, and return its ETag.

        That is the MD5 of its bytes, unless another is given.
        """
        self._puts += 1
        etag = etag or hashlib.md5(data, usedforsecurity=False).hexdigest()
        modified_ns = (_FIRST_SECOND + self._puts) * _SECOND
        self._stored[key] = _Stored(data, etag, modified_ns)
        return etag

    def put_many(self, objects: Mapping[str, bytes]) -> None:
        """Store many objects."""
        for key, data in objects.items():
            self.put(key, data)

    def set_etag(self, key: str, etag: str) -> None:
        """Let an object have another ETag from now on."""
        self._stored[key] = replace(self._stored[key], etag=etag)

    def delete(self, key: str) -> None:
        """Delete an object."""
        self._stored.pop(key, None)

    def remote(self, key: str) -> RemoteObject:
        """Return the object as a listing shows it."""
        stored = self._stored[key]
        return RemoteObject(key, len(stored.data), stored.etag, stored.modified_ns)

    def on(self, verb: Verb, key: str, *acts: Act) -> None:
        """Say what the next calls of the verb for the key (or prefix) meet, one after the other."""
        self._script[verb, key] = chain(acts)

    def always(self, verb: Verb, key: str, act: Act) -> None:
        """Say what every call of the verb for the key (or prefix) meets from now on."""
        self._script[verb, key] = chain(repeat(act))

    def behave(self) -> None:
        """From now on, let no call meet anything unusual."""
        self._script.clear()

    # Looking at what happened.

    def count(self, verb: Verb, key: str | None = None) -> int:
        """Return how many calls of the verb were made, for the key if one is given."""
        return sum(request.verb == verb and key in (None, request.key) for request in self.requests)

    def spans(self, key: str) -> list[range | None]:
        """Return the spans of the key's GETs in the order of arrival."""
        return [r.span for r in self.requests if r.verb == "get" and r.key == key]

    # The protocol.

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return one page of a listing."""
        request = Request("list", prefix, delimiter=delimiter, start_after=start_after, token=token)
        act = await self._next(request)
        if act.page is not None:
            return act.page
        found = self._entries(prefix, delimiter, behind=token or start_after)
        entries = list(found)[: self.page_size]
        return Page(
            objects=[self.remote(entry) for entry in entries if not found[entry]],
            prefixes=[entry for entry in entries if found[entry]],
            next_token=entries[-1] if len(found) > self.page_size else "",
        )

    def _entries(self, prefix: str, delimiter: str, behind: str) -> dict[str, bool]:
        """Return what comes behind a place, in order, and whether it is rolled up."""
        entries: dict[str, bool] = {}
        for key in sorted(self._stored, key=self._order):
            if key.startswith(prefix):
                name, found, _ = key[len(prefix) :].partition(delimiter or "\0")
                rolled_up = bool(delimiter and found)
                entry = prefix + name + found if rolled_up else key
                if not behind or self._order(entry) > self._order(behind):
                    entries[entry] = rolled_up
        return entries

    async def head(self, key: str) -> Head:
        """Return what the bucket says of the object now."""
        act = await self._next(Request("head", key))
        return act.head or _head(self._find(key))

    async def first_part(self, remote: RemoteObject) -> int:
        """Return the size of the object's first part, or 0."""
        await self._next(Request("part", remote.key))
        return self.first_parts.get(remote.key, 0)

    async def fetch(self, remote: RemoteObject, *, asks: bool, as_stored: bool = False) -> Fetched:
        """Fetch the listed version of the object as a whole, with a HEAD beside the GET."""
        if not asks:
            return await self._whole(remote, as_stored)
        asking = asyncio.ensure_future(self.head(remote.key))
        try:
            try:
                fetched = await self._whole(remote, as_stored)
            except TransientError as error:
                fetched = Fetched(b"", error)
            try:
                return replace(fetched, asked=await asking)
            except TransientError as error:
                return replace(fetched, asked=error)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _whole(self, remote: RemoteObject, as_stored: bool) -> Fetched:
        async with self.get(remote, as_stored=as_stored) as body:
            return Fetched(await body.read(), body.head)

    @asynccontextmanager
    async def get(
        self, remote: RemoteObject, span: range | None = None, *, as_stored: bool = False
    ) -> AsyncIterator["MemoryBody"]:
        """Fetch the listed version of the object, or the bytes of a span of it."""
        act = await self._next(Request("get", remote.key, span, as_stored=as_stored))
        stored = self._find(remote.key)
        if remote.etag and remote.etag != stored.etag:
            raise RemoteChangedError(remote.key, "replaced since it was listed")
        if remote.key in self.decompressed and not as_stored:
            raise EncodedObjectError(remote.key, "decompressed on the way")
        data = stored.data if span is None else stored.data[span.start : span.stop]
        if span is not None and len(data) < len(span):
            raise RemoteChangedError(remote.key, "the span lies behind the end")
        if act.body is not None:
            data = act.body
        error: TransientError | None = None
        if act.cut is not None:
            data = data[: act.cut]
            error = act.cut_error or ConnectionLostError("cut")
        yield MemoryBody(act.head or _head(stored), data, error, self.block_size)

    async def _next(self, request: Request) -> Act:
        """Record a call and act out the first half of what it meets."""
        self.requests.append(request)
        act = next(self._script.get((request.verb, request.key), iter(())), Act())
        await anyio.lowlevel.checkpoint()  # a real request never answers at once
        if act.before is not None:
            act.before()
        if act.until is not None:
            await act.until.wait()
        if act.error is not None:
            raise act.error
        return act

    def _find(self, key: str) -> _Stored:
        if key not in self._stored:
            raise VanishedError(key, "deleted since it was listed")
        return self._stored[key]


class MemoryBody:
    """The answer to a GET."""

    def __init__(
        self, head: Head, data: bytes, error: TransientError | None, block_size: int
    ) -> None:
        self.head = head
        self._data = data
        self._error = error
        self._block_size = block_size

    async def read(self) -> bytes:
        """Return the whole body."""
        return b"".join([block async for block in self.blocks()])

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the body in blocks."""
        for start in range(0, len(self._data), self._block_size):
            await anyio.lowlevel.checkpoint()
            yield self._data[start : start + self._block_size]
        if self._error is not None:
            raise self._error


def _head(stored: _Stored) -> Head:
    return Head(len(stored.data), stored.etag)


def use_memory(
    monkeypatch: pytest.MonkeyPatch, store: MemoryStore, bucket: str = MEMORY.bucket
) -> None:
    """Let the settings lead to a store in memory, for all that runs in this process.

    Args:
        monkeypatch: sets the environment and the store.
        store: what a run gets that works on the bucket.
        bucket: the bucket that a run must name; the environment names that of `MEMORY`.
    """

    @asynccontextmanager
    async def open_store(settings: Settings, *_: object) -> AsyncIterator[MemoryStore]:
        assert settings == replace(MEMORY, bucket=bucket)
        yield store

    monkeypatch.setattr("asyncsync.s3.open_store", open_store)
    monkeypatch.setenv("R2_ACCESS_KEY_ID", MEMORY.access_key_id)
    monkeypatch.setenv("R2_SECRET_ACCESS_KEY", MEMORY.credentials.secret_access_key.reveal())
    monkeypatch.setenv("R2_ENDPOINT_URL", MEMORY.endpoint_url)
    monkeypatch.setenv("R2_BUCKET", MEMORY.bucket)
    monkeypatch.setenv("ASYNCSYNC_PROCESSES", "0")  # no other process has this store
