"""One HTTP/1.1 connection: sends a request, buffers its response, pauses when the buffer is full.

Buffering: the transport receives straight into the connection's one buffer. A chunked body goes
through the parser there; the bytes of a body of known length are only counted. A reader gets a view
of the buffer, so nothing is copied on the way to the disk.

Pausing: a full buffer pauses the socket until the reader has taken the bytes. A slow reader holds
back its own connection and nothing else.

Phases: a response with a body moves like this; one without a body goes from HEAD to IDLE.

    IDLE ──request──▶ HEAD ──head──▶ LENGTH, CHUNKED or UNTIL_CLOSE ──last byte──▶ IDLE
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from asyncsync.errors import AsyncSyncError, ConnectionLostError, ProtocolError, SilentError
from asyncsync.http.buffers import BUFFER_SIZE, BufferPool, Transport
from asyncsync.http.heads import Headers, parse_headers
from asyncsync.http.patience import Patience, StallDetector

SMALL_BUFFER_SIZE: Final = 4 * 1024
"""Bytes of a connection's own buffer; it borrows a large one when a response needs more."""
MAX_HEAD: Final = 64 * 1024
"""Bytes of all heads of one response, interim (1xx) ones included."""

_NOBODY: Final = object()
"""Told of a head while it is parsed, and does nothing."""
_DISCARDED: Final = memoryview(bytearray(SMALL_BUFFER_SIZE))
"""Where the rest goes that TLS still decrypts after an error."""

# The phase of the response. IDLE: it is complete, but the reader may not have taken all of it yet.
# A body's phase is named after what ends it: its Content-Length, its last chunk, or a close.
_IDLE, _HEAD, _LENGTH, _CHUNKED, _UNTIL_CLOSE = range(5)


class StaleConnectionError(ConnectionLostError):
    """The server closed the connection before the first byte of a response."""


class Connection(asyncio.BufferedProtocol):
    """One connection, and the one response that is arriving on it.

    The client calls `send`, `receive`, and `read_block` until the body ends. Meanwhile the
    transport fills the buffer, and `buffer_updated` wakes the client when it holds enough.

    Args:
        peer: host and port, for error messages.
        pool: lends a large buffer.
        on_lost: called once, when the socket is closed.
    """

    transport: Transport
    _parser: HttpResponseParser  # of a chunked body

    def __init__(
        self, peer: str, pool: BufferPool, on_lost: Callable[["Connection"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._peer = peer
        self._on_lost = on_lost
        self._pool = pool
        self._small_buffer = memoryview(bytearray(SMALL_BUFFER_SIZE))
        self._buffer = self._small_buffer  # or a borrowed one, while a response needs more
        self._room = SMALL_BUFFER_SIZE  # bytes of the buffer
        self._start = 0  # the first byte not yet parsed (head) or not yet read (body)
        self._end = 0  # one after the last byte received
        self._phase = _IDLE
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = 0  # bytes of body that the waiter waits for
        self.closed = False
        self.error: AsyncSyncError | None = None
        """The first error; raised when the reader has taken everything received before it."""
        self.lost: asyncio.Future[None] = self._loop.create_future()
        """Done when the socket is closed."""

    # Called by the client.

    def send(self, request: bytes | memoryview, *, no_body: bool) -> None:
        """Send a request; the response before it must be complete.

        With `no_body` the response has no body, whatever its headers say, as for HEAD.
        """
        self.status = 0
        self.headers = Headers()
        self.keep_alive = False
        self.waited = 0.0  # seconds, until the end of the head
        self.length = -1  # bytes of the body, if the response announces them
        self._no_body = no_body
        self._remaining = 0  # of `length`
        self._start = self._end = 0
        self._progress = 0  # bytes that count for the stall detector
        self._stalls: StallDetector | None = None
        self._phase = _HEAD
        self._sent_at = monotonic()
        if self.closed:
            self._fail(self._closed_error())
        else:
            self.transport.write(request)

    async def receive(self, wanted: int = 0) -> None:
        """Wait until the head of the response has come, and so many bytes of its body.

        Fewer bytes are enough if the body ends before, the buffer is full, or after an error.

        Raises:
            StaleConnectionError: the server closed before the first byte of the response.
            ConnectionLostError: the server closed later, or the response stalled.
            ProtocolError: the response is not HTTP.
        """
        while (
            self._phase != _IDLE
            and self.error is None
            and (self._phase == _HEAD or (not self._paused and self._end - self._start < wanted))
        ):
            self._wanted = wanted
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._phase == _HEAD:
            raise cast("AsyncSyncError", self.error)

    async def read_block(self, size: int) -> memoryview:
        """Return everything buffered, once it is `size` bytes or the body ends; empty at the end.

        The block is a view of the connection's buffer, and is valid until the next call.

        Raises:
            ConnectionLostError: the body was cut off or stalled; all before that was returned.
            ProtocolError: the body is malformed or longer than announced.
        """
        if self._start == self._end:
            self._start = self._end = 0
            if self._paused:
                self._resume()
        if self._phase != _IDLE and self.error is None:
            await self.receive(size)
        start, end = self._start, self._end
        if start == end and self.error is not None:
            raise self.error
        self._start = end
        return self._buffer[start:end]

    @property
    def reusable(self) -> bool:
        """Whether the response is complete and another request can be sent."""
        return self._phase == _IDLE and self.keep_alive and not self.closed and self.error is None

    def make_idle(self) -> None:
        """Give the borrowed buffer back, and read on to notice when the server closes."""
        self._start = self._end = 0
        if self._buffer is not self._small_buffer:
            self._pool.release(self._buffer)
            self._buffer = self._small_buffer
            self._room = SMALL_BUFFER_SIZE
        if self._paused:
            self._resume()

    def abort(self) -> None:
        """Close the socket at once, without a TLS close_notify."""
        self.closed = True
        self.transport.abort()

    def tick(self, patience: Patience, start: float = 0.0) -> None:
        """Fail the response if a reader waits for it and it has stalled."""
        if self._waiter is not None:
            self._stalls = self._stalls or StallDetector()
            if reason := self._stalls.tick(patience, self._progress, self._waiter, start):
                lost = ConnectionLostError if self._progress else SilentError
                self._fail(lost(f"{self._peer} {reason}", self._stalls.silence))

    # Called by the transport.

    def connection_made(self, transport: "asyncio.BaseTransport | Transport") -> None:
        """Use this transport. With TLS it is called again, with one that encrypts."""
        self.transport = cast("Transport", transport)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return the free rest of the buffer."""
        return self._buffer[self._end :] if self.error is None else _DISCARDED

    def buffer_updated(self, nbytes: int) -> None:
        """Process bytes that were received into the buffer."""
        if self.error is not None:
            return
        end = self._end = self._end + nbytes
        phase = self._phase
        if phase == _LENGTH:
            self._progress += nbytes
            self._remaining -= nbytes
            if self._remaining <= 0:
                self._finish_length()
        elif phase == _HEAD:
            self._progress += nbytes
            self._parse_heads()
        elif phase == _CHUNKED:
            self._parse_chunks(end - nbytes)
        elif phase == _UNTIL_CLOSE:
            self._progress += nbytes
        else:
            self._end -= nbytes
            self._fail(self._overrun_error())
        if self._end == self._room:
            self._handle_full_buffer()
        waiter = self._waiter
        if waiter is not None and (
            self._phase == _IDLE
            or (self._phase != _HEAD and (self._paused or self._end - self._start >= self._wanted))
        ):
            self._wake(waiter)

    def _handle_full_buffer(self) -> None:
        """Borrow a larger one for a long head; pause the socket: an empty buffer is an error."""
        if self._phase == _HEAD:
            self._borrow_buffer(0)
        elif not self._paused:
            self._paused = True
            if not self.closed:
                self.transport.pause_reading()

    def eof_received(self) -> None:
        """End a body without a length. The transport closes itself then."""
        self.closed = True
        if self._phase == _UNTIL_CLOSE:
            self._phase = _IDLE
            if self._waiter is not None:
                self._wake(self._waiter)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail a response that is incomplete."""
        self.closed = True
        self._on_lost(self)
        self.lost.set_result(None)
        if self._phase != _IDLE and self.error is None:
            self._fail(self._closed_error(), exc)

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Reject a second response after a chunked body."""
        if self._phase == _IDLE:
            self._fail(self._overrun_error())

    def on_body(self, body: bytes) -> None:
        """Write decoded bytes of a chunked body over the raw ones, which are never shorter."""
        if self._phase != _CHUNKED:
            return
        end = self._end + len(body)
        self._buffer[self._end : end] = body
        self._end = end

    def on_message_complete(self) -> None:
        """End a chunked body."""
        if self._phase == _CHUNKED:
            self._phase = _IDLE

    # Parsing.

    def _parse_heads(self) -> None:
        """Parse the head as soon as it is complete, and skip interim heads before it."""
        while self._phase == _HEAD:
            received = str(self._buffer[self._start : self._end], "latin-1")
            found = received.find("\r\n\r\n")
            stop = self._end if found < 0 else self._start + found + 4
            if stop > MAX_HEAD:
                self._fail(self._protocol_error(f"the head is longer than {MAX_HEAD} bytes"))
                return
            head = self._buffer[self._start : stop]
            parser = HttpResponseParser(_NOBODY)  # from its first byte again, if it comes slowly
            try:
                parser.feed_data(head)
            except (HttpParserError, HttpParserUpgrade) as error:
                self._fail(self._protocol_error("the response is not HTTP"), error)
                return
            if found < 0:
                return
            self._start = stop
            self.status = parser.get_status_code()
            if not 100 <= self.status < 200:
                self._finish_head(received[: found + 4])

    def _finish_head(self, head: str) -> None:
        """Enter the phase of the body that the head announces."""
        status = self.status
        self.waited = monotonic() - self._sent_at
        headers = self.headers = parse_headers(head)
        version = head[5:8]
        self.keep_alive = version == "1.1" and "close" not in headers["connection"].lower()
        received = self._end - self._start
        coding = headers["transfer-encoding"]
        length = headers["content-length"]
        if status < 100 or version not in ("1.1", "1.0"):
            self._fail(self._protocol_error(f"not HTTP/1: status {status}, version {version}"))
        elif self._no_body or status in (204, 304):
            self.length = 0
            self._remaining = -received
            self._finish_length()
        elif coding:
            if coding.lower() != "chunked":
                self._fail(self._protocol_error(f"unsupported transfer coding {coding!r}"))
                return
            self._parser = HttpResponseParser(self)
            self._parser.feed_data(head.encode("latin-1"))
            self._phase = _CHUNKED
            self._borrow_buffer(self._start)
            self._parse_chunks(self._start)
        elif length:
            self._phase = _LENGTH
            self.length = int(length)
            self._remaining = self.length - received
            # One byte more than the body, so that bytes after it are noticed.
            if self._start + self.length >= self._room:
                self._borrow_buffer(self._start)
            if self._remaining <= 0:
                self._finish_length()
        else:
            self._phase = _UNTIL_CLOSE
            self._borrow_buffer(self._start)
            self.keep_alive = False

    def _borrow_buffer(self, start: int) -> None:
        """Move the bytes from `start` on to the beginning of a large buffer, if not done yet."""
        if self._buffer is self._small_buffer:
            kept = self._buffer[start : self._end]
            self._buffer = self._pool.acquire()
            self._room = BUFFER_SIZE
            self._buffer[: len(kept)] = kept
            self._start -= start
            self._end -= start

    def _parse_chunks(self, raw: int) -> None:
        """Decode the raw bytes between `raw` and the end in place."""
        stop, self._end = self._end, raw
        if raw == stop:
            return
        try:
            self._parser.feed_data(self._buffer[raw:stop])
        except (HttpParserError, HttpParserUpgrade) as error:
            if self._phase == _IDLE:
                self._fail(self._overrun_error())
            else:
                self._fail(self._protocol_error("the chunked body is malformed"), error)
        # Only decoded bytes are progress, so that an endless chunk extension counts as silence.
        self._progress += self._end - raw

    def _finish_length(self) -> None:
        """End a body of known length; bytes after it are dropped, and are an error."""
        self._phase = _IDLE
        if self._remaining < 0:
            self._end += self._remaining
            self._fail(self._overrun_error())

    # Waking and resuming.

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    def _resume(self) -> None:
        self._paused = False
        if not self.closed:
            self.transport.resume_reading()

    # Failing.

    def _fail(self, error: AsyncSyncError, cause: Exception | None = None) -> None:
        """Keep the first error, close the socket and wake the reader."""
        if self.error is None:
            error.__cause__ = cause
            self.error = error
        self.abort()
        if self._waiter is not None:
            self._wake(self._waiter)

    def _closed_error(self) -> ConnectionLostError:
        if self._phase == _HEAD:
            if self._progress == 0:
                return StaleConnectionError(
                    f"{self._peer} closed the connection without a response"
                )
            return ConnectionLostError(f"{self._peer} closed the connection within the head")
        if self._phase == _LENGTH:
            got = f"{self.length - self._remaining} of {self.length} bytes"
        else:
            got = "a part"
        return ConnectionLostError(f"{self._peer} closed the connection after {got} of the body")

    def _overrun_error(self) -> ProtocolError:
        return ProtocolError(f"{self._peer} sent more bytes than it announced")

    def _protocol_error(self, what: str) -> ProtocolError:
        return ProtocolError(f"{self._peer}: {what}")
