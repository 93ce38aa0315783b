"""The transport: every byte from the endpoint comes through here.

An HTTP/1.1 client for one origin with a pool of keep-alive connections. `dial.py` opens them and
`wire.py` is one of them. Redirects, cookies and compression are left alone.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self

from asyncsync.errors import ProtocolError
from asyncsync.http.buffers import CAPACITY
from asyncsync.http.connection import Connection, StaleConnectionError
from asyncsync.http.dial import Dialer, tls_context
from asyncsync.http.heads import encode_head
from asyncsync.http.patience import Patience
from asyncsync.interfaces import CONNECT_TIMEOUT

__all__ = ["HttpClient", "Response", "tls_context"]

BLOCK: Final = 128 * 1024
"""Bytes of a body that are worth a write to the disk."""
READ_LIMIT: Final = 16 * 1024 * 1024
"""Bytes that `Response.read` takes unless told otherwise."""


class Response:
    """The answer to a request, to be read inside the request's context."""

    __slots__ = ("_connection", "headers", "status")

    status: int
    headers: Mapping[str, str]
    """Names are lower-cased; the values of repeated ones are joined with a comma."""

    def __init__(self, connection: Connection) -> None:
        self.status = connection.status
        self.headers = connection.headers
        self._connection: Connection | None = connection

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        """Return the whole body, of `limit` bytes at most.

        Raises:
            ConnectionLostError: the body was cut or has stalled.
            ProtocolError: the body is malformed, longer than announced or longer than `limit`.
        """
        connection = self._opened()
        blocks: list[bytes] = []
        size = 0
        while max(size, connection.length) <= limit:
            block = await connection.block(CAPACITY)
            if not block:
                return blocks[0] if len(blocks) == 1 else b"".join(blocks)
            blocks.append(block.tobytes())
            size += len(block)
        raise ProtocolError(f"the body is longer than {limit} bytes")

    def blocks(self, size: int = BLOCK) -> AsyncIterator[memoryview]:
        """Yield the body in blocks of `size` bytes or somewhat more; the last may be shorter.

        A block is good until the next one is asked for. None is longer than 192 KiB. What came
        before an error is yielded before it is raised.

        Raises:
            ConnectionLostError: the body was cut or has stalled.
            ProtocolError: the body is malformed or longer than announced.
        """
        return _Blocks(self._opened(), size)

    def close(self) -> None:
        """End the use of the connection; called when the context is left."""
        self._connection = None

    def _opened(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the response is used outside its context")
        return self._connection


class _Blocks:
    """A class and not a generator: nothing is left to finalize when a reader stops early."""

    __slots__ = ("_connection", "_size")

    def __init__(self, connection: Connection, size: int) -> None:
        self._connection = connection
        self._size = size

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> memoryview:
        block = await self._connection.block(self._size)
        if not block:
            raise StopAsyncIteration
        return block


class HttpClient:
    """Requests to one origin. Belongs to the event loop it is first used in.

    Args:
        endpoint: `scheme://host[:port]`.
        ssl_context: for https; `tls_context()` unless given.
        connect_timeout: seconds for name look-up, connection, proxy and TLS handshake together.
        read_timeout: seconds of silence while somebody waits for bytes.
        max_idle: connections kept open for later.
        slow_rate: bytes a second; an answer that stays below while being waited for has stalled.
        slow_time: seconds over which `slow_rate` is measured.

    Raises:
        ConfigError: the endpoint, HTTPS_PROXY or the file of authorities is unusable.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = 30.0,
        max_idle: int = 512,
        slow_rate: int = 1024,
        slow_time: float = 60.0,
    ) -> None:
        dialer = Dialer(endpoint, ssl_context=ssl_context, timeout=connect_timeout)
        self.host = dialer.host
        self._pool = _Pool(dialer, Patience(read_timeout, slow_rate, slow_time), max_idle)

    def request(
        self, method: str, target: str, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Response]:
        """Send a request without a body: GET, HEAD or DELETE.

        Args:
            method: in upper case.
            target: `path?query`, percent-encoded, sent as it is.
            headers: sent as they are; Host and `Accept-Encoding: identity` are added unless given.

        Raises:
            ValueError: the target or a header holds a line break or is not ASCII.
            NetworkError: the host is not known, or the proxy refuses.
            TLSError: the certificate is not acceptable; nothing of the request was sent.
            UnreachableError: no connection came about.
            ConnectionLostError: cut, or not answered in time.
            ProtocolError: the answer is not HTTP.
        """
        lines = [f"{method} {target} HTTP/1.1"]
        given = {name.lower() for name in headers}
        if "host" not in given:
            lines.append(f"Host: {self.host}")
        if "accept-encoding" not in given:
            lines.append("Accept-Encoding: identity")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return _Exchange(self._pool, encode_head(lines), method == "HEAD")

    async def aclose(self) -> None:
        """Close all connections; answers that are still being read fail."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


class _Pool:
    """The open connections; those at rest are used last in first out, so that the others age."""

    def __init__(self, dialer: Dialer, patience: Patience, max_idle: int) -> None:
        self._dialer = dialer
        self._patience = patience
        self._max_idle = max_idle
        self._open: set[Connection] = set()
        self._idle: dict[bool, dict[Connection, None]] = {False: {}, True: {}}
        """By whether they carry answers without bodies: those have never needed much memory."""
        self._ticker: asyncio.TimerHandle | None = None

    async def exchange(self, request: bytes, bodiless: bool) -> Connection:
        """Send a request and return the connection on which the head of its answer has come.

        The server may close a connection at rest just when a request leaves on it. Without a byte
        of an answer the request was not served, and goes out again, on a new connection.
        """
        while idle := self._idle[bodiless]:
            connection, _ = idle.popitem()
            if connection.reusable:
                try:
                    return await self._exchange(connection, request, bodiless)
                except StaleConnectionError:
                    break
        connection = await self._dialer.dial(self._forget)
        if not connection.lost.done():
            self._open.add(connection)
        if self._ticker is None:
            self._tick()
        return await self._exchange(connection, request, bodiless)

    async def _exchange(self, connection: Connection, request: bytes, bodiless: bool) -> Connection:
        try:
            await connection.exchange(request, bodiless=bodiless)
        except BaseException:
            connection.abort()
            raise
        return connection

    def release(self, connection: Connection, bodiless: bool) -> None:
        """Keep the connection for later if its answer has come whole, or close it."""
        if connection.reusable and len(self._idle[bodiless]) < self._max_idle:
            connection.rest()
            self._idle[bodiless][connection] = None
        else:
            connection.abort()

    async def aclose(self) -> None:
        """Close all connections and wait until they are gone."""
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        for connection in self._open:
            connection.abort()
        if self._open:
            await asyncio.wait([connection.lost for connection in self._open])

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        for idle in self._idle.values():
            idle.pop(connection, None)

    def _tick(self) -> None:
        """Look for stalled answers, again and again while a connection is open.

        One timer for all: no request sets one up, and no read re-arms one.
        """
        self._ticker = None
        for connection in self._open:
            connection.tick(self._patience)
        if self._open:
            loop = asyncio.get_running_loop()
            self._ticker = loop.call_later(self._patience.tick, self._tick)


class _Exchange:
    """The context of one request."""

    __slots__ = ("_bodiless", "_connection", "_pool", "_request", "_response")

    _connection: Connection
    _response: Response

    def __init__(self, pool: _Pool, request: bytes, bodiless: bool) -> None:
        self._pool = pool
        self._request = request
        self._bodiless = bodiless

    async def __aenter__(self) -> Response:
        self._connection = await self._pool.exchange(self._request, self._bodiless)
        self._response = Response(self._connection)
        return self._response

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._response.close()
        self._pool.release(self._connection, self._bodiless)
