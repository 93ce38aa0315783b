"""How many bytes of objects a second a run takes, where it is not as many as it can.

One `Limit` serves all bodies of a run, however many and however large. Every byte has its moment:
whoever asks gets the next ones and waits for them, so that the rate is even and nobody is left out.
A small body is paid for before it is asked for. A large one is paid for block by block, and between
them it is not read, which makes the server wait. As nobody waits for bytes meanwhile, that is not
taken for a stall.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

import anyio

from asyncsync.interfaces import Body, Store
from asyncsync.model import Head, Page, RemoteObject

SMALL = 256 * 1024
"""Bytes up to which a body is paid for as a whole: a block or two."""
SLACK = 0.2
"""Seconds whose bytes may be made up for: timers are late, and a busy machine more so."""
STREAM_RATE = 1 << 20
"""Bytes a second that a large body should get: below that, servers lose their patience."""


class Limit:
    """The moments of the bytes; `rate` of them fit into a second."""

    def __init__(
        self,
        rate: int,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.streams = max(1, rate // STREAM_RATE)
        """Large bodies at once that all get enough."""
        self._rate = rate
        self._sleep = sleep
        self._clock = clock
        self._taken_until: float | None = None

    async def take(self, size: int) -> None:
        """Wait for the moment of so many bytes more."""
        now = self._clock()
        begin = now if self._taken_until is None else max(self._taken_until, now - SLACK)
        self._taken_until = begin + size / self._rate
        if (wait := self._taken_until - now) > 0:
            await self._sleep(wait)


class LimitedStore:
    """A store whose bodies come no faster than a limit allows; listings and HEADs are free."""

    def __init__(self, store: Store, limit: Limit) -> None:
        self._store = store
        self._limit = limit

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return one page of a listing, as `Store` says."""
        return await self._store.list_page(
            prefix, delimiter=delimiter, start_after=start_after, token=token
        )

    async def head(self, key: str) -> Head:
        """Return what the bucket says of an object, as `Store` says."""
        return await self._store.head(key)

    @asynccontextmanager
    async def get(self, remote: RemoteObject, span: range | None = None) -> AsyncIterator[Body]:
        """Fetch an object or a part of it, as `Store` says."""
        size = remote.size if span is None else len(span)
        if size <= SMALL:
            await self._limit.take(size)
        async with self._store.get(remote, span) as body:
            yield body if size <= SMALL else _LimitedBody(body, self._limit)


class _LimitedBody:
    """A body whose blocks wait for their moment."""

    __slots__ = ("_blocks", "_body", "_limit")

    def __init__(self, body: Body, limit: Limit) -> None:
        self._body = body
        self._limit = limit

    @property
    def head(self) -> Head:
        """What the answer says of the object."""
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
