"""Limit the bytes of objects per second (`--limit-rate`).

All bodies of a run share one `Limit`. Every byte has its time: each caller takes the next bytes and
waits for them, so the rate is even and no body starves. The bytes of a small body are taken before
the request is sent. Those of a large one are taken block by block; in between it is not read, which
makes the server wait. That does not count as a stall, because nothing waits for bytes meanwhile.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, Self

import anyio

from asyncsync.interfaces import Body, Store
from asyncsync.model import Fetched, Head, Page, RemoteObject

SMALL = 256 * 1024
"""The bytes of a body of at most this size are taken at once: one or two blocks."""
SLACK = 0.2
"""Seconds that may be caught up: timers are late, and more so on a busy machine."""
STREAM_RATE = 1 << 20
"""Bytes per second that a large body should get: servers cut slower connections."""


class Limit:
    """Gives each byte its time.

    Args:
        rate: bytes per second.
        sleep, clock: for tests; times are in seconds.
    """

    def __init__(
        self,
        rate: int,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.streams = max(1, rate // STREAM_RATE)
        """How many large bodies can be read at the same time, so that each is fast enough."""
        self.rate = float(rate)
        """Bytes per second; another one counts for all that is taken from then on."""
        self._sleep = sleep
        self._clock = clock
        self._taken_until: float | None = None

    async def take(self, size: int) -> None:
        """Take so many bytes, and wait until their time has come."""
        now = self._clock()
        begin = now if self._taken_until is None else max(self._taken_until, now - SLACK)
        self._taken_until = begin + size / self.rate
        if (wait := self._taken_until - now) > 0:
            await self._sleep(wait)


class Meter(Protocol):
    """What a `Limit` is for those who read bodies."""

    async def take(self, size: int) -> None:
        """Take so many bytes, and wait until their time has come."""


class LimitedStore:
    """A store that reads bodies no faster than a limit allows; nothing else is limited."""

    def __init__(self, store: Store, limit: Meter) -> None:
        self._store = store
        self._limit = limit

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return one page of a listing, as in `Store`."""
        return await self._store.list_page(
            prefix, delimiter=delimiter, start_after=start_after, token=token
        )

    async def head(self, key: str) -> Head:
        """Return the headers of an object, as in `Store`."""
        return await self._store.head(key)

    async def first_part(self, remote: RemoteObject) -> int:
        """Return the size of an object's first part, as in `Store`."""
        return await self._store.first_part(remote)

    async def fetch(self, remote: RemoteObject, *, asks: bool, as_stored: bool = False) -> Fetched:
        """Get an object as a whole, as in `Store`."""
        await self._limit.take(remote.size)
        return await self._store.fetch(remote, asks=asks, as_stored=as_stored)

    @asynccontextmanager
    async def get(
        self, remote: RemoteObject, span: range | None = None, *, as_stored: bool = False
    ) -> AsyncIterator[Body]:
        """Download an object or a part of it, as in `Store`."""
        size = remote.size if span is None else len(span)
        if size <= SMALL:
            await self._limit.take(size)
        async with self._store.get(remote, span, as_stored=as_stored) as body:
            yield body if size <= SMALL else _LimitedBody(body, self._limit)


class _LimitedBody:
    """A body whose blocks wait until their time has come."""

    __slots__ = ("_blocks", "_body", "_limit")

    def __init__(self, body: Body, limit: Meter) -> None:
        self._body = body
        self._limit = limit

    @property
    def head(self) -> Head:
        """What the headers of the answer say about the object."""
        return self._body.head

    async def read(self) -> bytes:
        """Return the whole body."""
        content = await self._body.read()
        await self._limit.take(len(content))
        return content

    def blocks(self) -> AsyncIterator[bytes | memoryview]:
        """Yield the body in blocks."""
        self._blocks = self._body.blocks()
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes | memoryview:
        block = await anext(self._blocks)
        await self._limit.take(len(block))
        return block
