"""One HTTP/1.1 connection: a request goes out, its answer is parsed and buffered.

The transport reads straight into the connection's one buffer. The head and a chunked body pass
through the parser there; the bytes of a body of known length are only counted. A full buffer pauses
the socket, so that a slow reader holds back its own connection and nothing else.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from asyncsync.errors import AsyncSyncError, ConnectionLostError, ProtocolError
from asyncsync.http.buffers import Buffers, Transport
from asyncsync.http.patience import Patience, Watch

HEAD_ROOM: Final = 4 * 1024
"""Bytes that it buffers until it knows that a body needs more; most connections are idle."""
MAX_HEAD: Final = 64 * 1024
"""Bytes of all heads of one answer, interim ones included."""

# Where an answer stands. IDLE: none is outstanding, it may be whole and not yet taken.
_IDLE, _HEAD, _LENGTH, _CHUNKED, _UNTIL_CLOSE = range(5)


class StaleConnectionError(ConnectionLostError):
    """The connection was closed before a byte of the answer came."""


class Connection(asyncio.BufferedProtocol):
    """One connection and the answer that arrives on it.

    The first error is kept in `error`, which the reader raises when it has taken what came before.
    """

    transport: Transport
    _parser: HttpResponseParser

    def __init__(
        self, peer: str, buffers: Buffers, on_lost: Callable[["Connection"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._peer = peer
        self._on_lost = on_lost
        self._buffers = buffers
        self._own = memoryview(bytearray(HEAD_ROOM))
        self._view = self._own  # or a lent buffer, while a body needs more
        self._begin = 0  # the first byte not parsed yet (head) or not taken yet (body)
        self._end = 0  # behind the last byte received
        self._phase = _IDLE
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._want = 0
        self.closed = False
        self.error: AsyncSyncError | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()
        """Done when the socket is gone."""

    # What the client calls.

    async def exchange(self, request: bytes, *, bodiless: bool) -> None:
        """Send a request and return when its head is parsed.

        Raises:
            StaleConnectionError: the connection was closed before a byte of the answer came.
            ConnectionLostError: it was closed or silent later.
            ProtocolError: what came is not HTTP.
        """
        self.status = 0
        self.headers: dict[str, str] = {}
        self.keep_alive = False
        self.length = -1
        """Bytes of the body where they are announced, otherwise -1."""
        self._bodiless = bodiless
        self._left = 0
        self._begin = self._end = 0
        self._progress = 0
        self._watch = Watch()
        self._parser = HttpResponseParser(self)
        self._phase = _HEAD
        if self.closed:
            raise self._cut()
        self.transport.write(request)
        await self._wait(0)
        if self._phase == _HEAD:
            raise cast("AsyncSyncError", self.error)

    async def block(self, size: int) -> memoryview:
        """Return all that is buffered once it is `size` bytes or the end; empty behind the end.

        Nothing is copied: the block is the connection's own buffer, and good until the next call.

        Raises:
            ConnectionLostError: the body was cut or has stalled, and all before that was taken.
            ProtocolError: the body is malformed or longer than announced.
        """
        if self._begin == self._end:
            self._begin = self._end = 0
            if self._paused:
                self._resume()
        await self._wait(min(size, len(self._view) - self._begin))
        begin, end = self._begin, self._end
        if begin == end and self.error is not None:
            raise self.error
        self._begin = end
        return self._view[begin:end]

    @property
    def complete(self) -> bool:
        """Whether the answer has arrived to its last byte."""
        return self._phase == _IDLE

    @property
    def reusable(self) -> bool:
        """Whether another request can be sent."""
        return self._phase == _IDLE and self.keep_alive and not self.closed and self.error is None

    def rest(self) -> None:
        """Drop what is buffered and watch for the server closing the connection."""
        self._begin = self._end = 0
        if self._view is not self._own:
            self._buffers.give_back(self._view)
            self._view = self._own
        if self._paused:
            self._resume()

    def abort(self) -> None:
        """Close the socket without a farewell."""
        self.closed = True
        self.transport.abort()

    def tick(self, patience: Patience) -> None:
        """Fail the answer if somebody waits for it and it is silent or too slow."""
        if self._waiter is not None:
            stalled = self._watch.tick(patience, self._progress)
            if stalled:
                self._fail(ConnectionLostError(f"{self._peer} {stalled}"))

    # What the transport calls.

    def connection_made(self, transport: "asyncio.BaseTransport | Transport") -> None:
        """Start to use a transport: a plain one or, perhaps after it, a TLS layer."""
        self.transport = cast("Transport", transport)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Offer the free rest of the buffer."""
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of bytes that arrived in the buffer."""
        end = self._end = self._end + nbytes
        phase = self._phase
        if phase == _LENGTH:
            self._progress += nbytes
            self._left -= nbytes
            if self._left <= 0:
                self._finish()
        elif phase == _HEAD:
            self._progress += nbytes
            self._parse_heads()
        elif phase == _CHUNKED:
            self._parse_chunks(end - nbytes)
        elif phase == _UNTIL_CLOSE:
            self._progress += nbytes
        else:
            self._end -= nbytes
            self._fail(self._overrun())
        if self._end == len(self._view):
            self._fill_up()
        waiter = self._waiter
        if waiter is not None and (
            self._phase == _IDLE or (self._phase != _HEAD and self._end - self._begin >= self._want)
        ):
            self._wake(waiter)

    def _fill_up(self) -> None:
        """Grow for a long head; hold the server back for a body, also behind its last byte.

        The transport never finds the buffer without room: it would take that for an error.
        """
        if self._phase == _HEAD:
            self._make_room(0)
        elif not self._paused:
            self._paused = True
            if not self.closed:
                self.transport.pause_reading()

    def eof_received(self) -> None:
        """Take note that the server has said that it sends no more; the transport closes itself."""
        self.closed = True
        if self._phase == _UNTIL_CLOSE:
            self._end_stream()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the answer that is under way."""
        self.closed = True
        self._on_lost(self)
        self.lost.set_result(None)
        if self._phase != _IDLE and self.error is None:
            self._fail(self._cut(), exc)

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header; those behind a chunked body are ignored."""
        if self._phase != _HEAD:
            return
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip()
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_message_begin(self) -> None:
        """Notice a second answer behind a chunked body."""
        if self._phase == _IDLE:
            self._fail(self._overrun())

    def on_headers_complete(self) -> None:
        """Note the end of a head."""
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Put a piece of a chunked body where its raw form was: it is never longer."""
        if self._phase != _CHUNKED:
            return
        end = self._end + len(body)
        self._view[self._end : end] = body
        self._end = end

    def on_message_complete(self) -> None:
        """End a chunked body."""
        if self._phase == _CHUNKED:
            self._phase = _IDLE

    # Parsing.

    def _parse_heads(self) -> None:
        while self._phase == _HEAD and self._begin < self._end:
            buffer = cast("bytearray", self._view.obj)
            found = buffer.find(b"\r\n\r\n", max(self._begin - 3, 0), self._end)
            stop = self._end if found < 0 else found + 4
            try:
                self._parser.feed_data(self._view[self._begin : stop])
            except (HttpParserError, HttpParserUpgrade) as error:
                self._fail(self._malformed("the answer is not HTTP", error))
                return
            self._begin = stop
            if stop > MAX_HEAD:
                self._fail(self._malformed(f"the head is longer than {MAX_HEAD} bytes"))
            elif found >= 0:
                self._end_head()

    def _end_head(self) -> None:
        """Find out how the body is framed, now that a head is whole."""
        status, headers = self.status, self.headers
        if 100 < status < 200 or status == 100:
            self._parser = HttpResponseParser(self)
            self.headers = {}
            self.status = 0
            return
        version = self._parser.get_http_version()
        self.keep_alive = version == "1.1" and "close" not in headers.get("connection", "").lower()
        received = self._end - self._begin
        coding = headers.get("transfer-encoding", "")
        length = headers.get("content-length", "")
        if status < 100 or version not in ("1.1", "1.0"):
            self._fail(self._malformed(f"the answer is not HTTP: status {status}, {version}"))
        elif self._bodiless or status in (204, 304):
            self.length = 0
            self._left = -received
            self._finish()
        elif coding:
            if coding.lower() != "chunked":
                self._fail(self._malformed(f"the transfer coding is {coding!r}"))
                return
            self._phase = _CHUNKED
            self._make_room(self._begin)
            self._parse_chunks(self._begin)
        elif length:
            self._phase = _LENGTH
            self.length = int(length)
            self._left = self.length - received
            if self._begin + self.length >= len(self._view):  # one more, to notice an overrun
                self._make_room(self._begin)
            if self._left <= 0:
                self._finish()
        else:
            self._phase = _UNTIL_CLOSE
            self._make_room(self._begin)
            self.keep_alive = False
        waiter = self._waiter
        if waiter is not None:
            self._wake(waiter)

    def _make_room(self, start: int) -> None:
        """Go on in a lent buffer, with the byte at `start` as its first, unless that is done."""
        if self._view is self._own:
            kept = self._view[start : self._end]
            self._view = self._buffers.lend()
            self._view[: len(kept)] = kept
            self._begin -= start
            self._end -= start

    def _parse_chunks(self, raw: int) -> None:
        """Decode the chunks between `raw` and the end in place."""
        stop, self._end = self._end, raw
        if raw == stop:
            return
        try:
            self._parser.feed_data(self._view[raw:stop])
        except (HttpParserError, HttpParserUpgrade) as error:
            if self._phase == _IDLE:
                self._fail(self._overrun())
            else:
                self._fail(self._malformed("the chunks are malformed", error))
        # Counting decoded bytes only, an endless chunk extension is silence.
        self._progress += self._end - raw

    def _finish(self) -> None:
        """End a body of known length, and cut off what came behind it."""
        self._phase = _IDLE
        if self._left < 0:
            self._end += self._left
            self._fail(self._overrun())

    # Waiting, pausing, failing.

    async def _wait(self, want: int) -> None:
        """Return when `want` bytes of body are buffered, or no more will come."""
        while (
            self._phase != _IDLE
            and self.error is None
            and (self._phase == _HEAD or self._end - self._begin < want)
        ):
            self._want = want
            self._watch.hush()
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    def _resume(self) -> None:
        self._paused = False
        if not self.closed:
            self.transport.resume_reading()

    def _end_stream(self) -> None:
        """End a body that goes on until the server closes."""
        self._phase = _IDLE
        if self._waiter is not None:
            self._wake(self._waiter)

    def _fail(self, error: AsyncSyncError, cause: Exception | None = None) -> None:
        if self.error is None:
            error.__cause__ = cause
            self.error = error
        self.abort()
        if self._waiter is not None:
            self._wake(self._waiter)

    def _cut(self) -> ConnectionLostError:
        if self._phase == _HEAD:
            if self._progress == 0:
                return StaleConnectionError(f"{self._peer} closed the connection without an answer")
            return ConnectionLostError(f"{self._peer} closed the connection inside the head")
        if self._phase == _LENGTH:
            got = f"{self.length - self._left} of {self.length} bytes"
        else:
            got = "a part"
        return ConnectionLostError(f"{self._peer} closed the connection after {got} of the body")

    def _overrun(self) -> ProtocolError:
        return ProtocolError(f"{self._peer} sent more bytes than it announced")

    def _malformed(self, what: str, cause: Exception | None = None) -> ProtocolError:
        error = ProtocolError(f"{self._peer}: {what}")
        error.__cause__ = cause
        return error
