"""An HTTP/1.1 client for one origin: requests, responses, and the pool of keep-alive connections.

`dial.py` opens the connections, and `connection.py` is one of them. Redirects are not followed,
cookies are not stored, and bodies are not decompressed.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Final, Self

from asyncsync.concurrently import run_all
from asyncsync.errors import ConnectionLostError, ProtocolError, SilentError, UnreachableError
from asyncsync.http.buffers import BUFFER_SIZE
from asyncsync.http.connection import Connection, StaleConnectionError
from asyncsync.http.dial import Dialer
from asyncsync.http.heads import Headers, encode_head
from asyncsync.http.patience import LONGEST_START, MOST_LATE, Patience
from asyncsync.interfaces import CONNECT_TIMEOUT, READ_TIMEOUT
from asyncsync.secret import SignedHeaders

__all__ = ["HttpClient", "Response"]

BLOCK: Final = 256 * 1024
"""Bytes of a body that are worth one write to the disk."""
READ_LIMIT: Final = 16 * 1024 * 1024
"""Bytes that `Response.read` accepts by default."""


class Response:
    """The response to a request. It can be read only within the request's `async with` block."""

    __slots__ = ("_exchange", "headers", "status", "waited")

    status: int
    headers: Headers
    """The values of a repeated header are joined with `, `."""
    waited: float
    """Seconds from the request to the end of this head; opening a connection does not count."""

    def __init__(self, exchange: "Exchange", connection: Connection) -> None:
        self._exchange = exchange
        self.status = connection.status
        self.headers = connection.headers
        self.waited = connection.waited

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        """Return the whole body, at most `limit` bytes.

        Raises:
            ConnectionLostError: the body was cut off or stalled.
            ProtocolError: the body is malformed, longer than announced or longer than `limit`.
        """
        connection = self._exchange.connection
        content = b""
        while connection.length <= limit and len(content) <= limit:
            block = await connection.read_block(BUFFER_SIZE)
            if not block:
                return content
            content += block
        raise ProtocolError(f"the body is longer than {limit} bytes")

    def blocks(self, size: int = BLOCK) -> AsyncIterator[memoryview]:
        """Yield the body in blocks of `size` to 384 KiB; the last one may be shorter.

        A block is valid until the next one is requested. Bytes received before an error are yielded
        before it is raised.

        Raises:
            ConnectionLostError: the body was cut off or stalled.
            ProtocolError: the body is malformed or longer than announced.
        """
        return _Blocks(self._exchange, size)


class _Blocks:
    """Blocks of a body. Not a generator, which would need finalizing when a reader stops early."""

    __slots__ = ("_exchange", "_size")

    def __init__(self, exchange: "Exchange", size: int) -> None:
        self._exchange = exchange
        self._size = size

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> memoryview:
        block = await self._exchange.connection.read_block(self._size)
        if not block:
            raise StopAsyncIteration
        return block


class HttpClient:
    """Sends requests to one origin. Bound to the event loop in which it is first used.

    Args:
        endpoint: `scheme://host[:port]`.
        ssl_context: for https; by default one that verifies, as `tls_context` says.
        connect_timeout: seconds for resolving the name, connecting, the proxy and TLS together.
        read_timeout: seconds without a byte after which a response that is waited for has stalled.
            To begin, it has twice as long after each time that this was too short for the request.
        max_idle: idle connections kept open; counted separately for HEAD.
        slow_rate: bytes per second below which a response that is waited for has stalled.
        slow_time: seconds over which `slow_rate` is measured.

    Raises:
        ConfigError: the endpoint, HTTPS_PROXY or the file of authorities cannot be used.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        max_idle: int = 512,
        slow_rate: int = 1024,
        slow_time: float = 60.0,
    ) -> None:
        dialer = Dialer(endpoint, ssl_context=ssl_context, timeout=connect_timeout)
        self.host = dialer.host
        self.read_timeout = read_timeout
        self._pool = _Pool(dialer, Patience(read_timeout, slow_rate, slow_time), max_idle)

    def request(self, method: str, target: str, headers: Mapping[str, str]) -> "Exchange":
        """Return a request without a body, which is not sent yet: GET, HEAD or DELETE.

        Args:
            method: in upper case.
            target: `path?query`, percent-encoded, sent as it is.
            headers: by name in lower case; `host` and `accept-encoding: identity` are added if
                missing.

        Raises:
            ValueError: the target or a header contains a line break or is not ASCII.
        """
        sent = SignedHeaders({"host": self.host, "accept-encoding": "identity", **headers})
        head = encode_head(method, target, sent)
        return Exchange(self._pool, f"{method} {target}", head, method == "HEAD")

    async def aclose(self) -> None:
        """Close all connections; responses that are still being read fail."""
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
    """The open connections. The most recently used idle one is reused first, so the others age."""

    def __init__(self, dialer: Dialer, patience: Patience, max_idle: int) -> None:
        self._dialer = dialer
        self._patience = patience
        self._max_idle = max_idle
        self._open: set[Connection] = set()
        self._idle: dict[bool, dict[Connection, None]] = {False: {}, True: {}}
        """By `no_body`: connections that served only such responses have used little memory."""
        self._ticker: asyncio.TimerHandle | None = None
        self.is_crowded = False
        """Whether the server left a new connection waiting: then HEAD and GET share the idle ones.

        Otherwise each might wait for ever, while the other's idle ones are all that is served.
        """
        self.late: dict[str, float] = {}
        """Requests that were given up in silence, and the seconds to wait for them next time."""
        self._starts: dict[Connection, float] = {}
        """The seconds to wait for those that are under way again."""

    def note_late(self, connection: Connection, line: str) -> None:
        """Wait longer for the response on this connection if the request was given up before."""
        if start := self.late.get(line):
            self._starts[connection] = start

    def note_silence(self, line: str, seconds: float) -> None:
        """Record that no response to a request began within so many seconds: wait longer next."""
        if len(self.late) >= MOST_LATE:
            self.late.clear()
        self.late[line] = max(min(2 * seconds, LONGEST_START), self.late.get(line, 0.0))

    def take_idle(self, no_body: bool) -> Connection | None:
        """Return an open connection that nobody uses, None if there is none."""
        for kind in (no_body, not no_body) if self.is_crowded else (no_body,):
            idle = self._idle[kind]
            while idle:
                connection, _ = idle.popitem()
                if connection.error is None and not connection.closed:
                    return connection
        return None

    async def dial(self) -> Connection:
        """Open a connection; raises what `Dialer.dial` does."""
        try:
            connection = await self._dialer.dial(self._forget)
        except UnreachableError:
            self.is_crowded = True
            raise
        if not connection.lost.done():
            self._open.add(connection)
        if self._ticker is None:
            self._tick()
        return connection

    def release(self, connection: Connection, no_body: bool) -> None:
        """Keep the connection if its response is complete, otherwise close it."""
        if self._starts:
            self._starts.pop(connection, None)
        if connection.reusable and len(self._idle[no_body]) < self._max_idle:
            connection.make_idle()
            self._idle[no_body][connection] = None
        else:
            connection.abort()

    async def aclose(self) -> None:
        """Close all connections and wait until their sockets are closed."""
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        for connection in self._open:
            connection.abort()
        if self._open:
            await asyncio.wait([connection.lost for connection in self._open])

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._starts.pop(connection, None)
        for idle in self._idle.values():
            idle.pop(connection, None)

    def _tick(self) -> None:
        """Check all connections for stalled responses, repeatedly while any is open.

        One timer serves all, so that no request and no read has to set one.
        """
        self._ticker = None
        for connection in self._open:
            connection.tick(self._patience, self._starts.get(connection, 0.0))
        if self._open:
            loop = asyncio.get_running_loop()
            self._ticker = loop.call_later(self._patience.tick, self._tick)


class Exchange:
    """One request and its response; a context manager that sends the one and yields the other.

    To have two requests on their way at the same time, `send` both, and enter each afterwards.
    """

    __slots__ = ("_connection", "_is_new", "_line", "_no_body", "_pool", "_request")

    def __init__(self, pool: _Pool, line: str, request: memoryview, no_body: bool) -> None:
        self._pool = pool
        self._line = line
        self._request = request
        self._no_body = no_body
        self._is_new = False
        """Whether the connection was opened for this request."""
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        """The connection that the request went out on."""
        if self._connection is None:
            raise RuntimeError("a response can be read only within its request's block")
        return self._connection

    def send_at_once(self) -> bool:
        """Send the request if a connection is open and free; return whether there was one."""
        self._connection = self._pool.take_idle(self._no_body)
        if self._connection:
            self._connection.send(self._request, no_body=self._no_body)
            if self._pool.late:
                self._pool.note_late(self._connection, self._line)
        return self._connection is not None

    async def send(self) -> None:
        """Send the request, over a new connection if need be. Raises what `receive` does."""
        if self._connection is None and not self.send_at_once():
            await self._send_anew()

    async def receive(self, wanted: int = 0) -> Response:
        """Wait for the head of the response, and for so many bytes of its body if it has them.

        The server may close an idle connection just as a request is sent on it. If no byte of a
        response came, the request was not served, and is sent again on a new connection.

        Raises:
            NetworkError: the host name does not exist, or the proxy refused.
            TLSError: the certificate was rejected; nothing of the request was sent.
            UnreachableError: no connection could be opened.
            ThrottledError: this process cannot open more files.
            SilentError: a new connection was opened, and nothing came on it.
            ConnectionLostError: the connection was cut, or the response stalled.
            ProtocolError: the response is not HTTP.
        """
        connection = self._connection
        if connection is None:
            await self.send()
            return await self.receive(wanted)
        try:
            await connection.receive(wanted)
        except StaleConnectionError:
            if self._is_new:
                raise
            connection.abort()
            self._connection = None
            await self._send_anew()
            return await self.receive(wanted)
        except ConnectionLostError as error:
            if error.silence:
                self._pool.note_silence(self._line, error.silence)
            if isinstance(error, SilentError):
                if not self._is_new:  # it has served others before
                    raise ConnectionLostError(str(error), error.silence) from error
                self._pool.is_crowded = True
            raise
        return Response(self, connection)

    async def _send_anew(self) -> None:
        self._is_new = True
        self._connection = await self._pool.dial()
        self._connection.send(self._request, no_body=self._no_body)
        self._pool.note_late(self._connection, self._line)

    def close(self) -> None:
        """Give the connection back; one whose response has not come completely is closed."""
        if self._connection:
            self._pool.release(self._connection, self._no_body)
            self._connection = None

    async def __aenter__(self) -> Response:
        try:
            return await self.receive()
        except BaseException:
            self.close()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


async def send_both(one: Exchange, other: Exchange) -> None:
    """Send two requests; connections that have to be opened are opened at the same time."""
    if one.send_at_once() & other.send_at_once():
        return
    await run_all(one.send, other.send)
