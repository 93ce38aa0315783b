"""TLS on one connection: decrypts what is received straight into the connection's buffer.

An event loop's own TLS keeps a quarter of a megabyte per connection, and drops what a paused
connection has received when the server closes. Here all connections receive into one shared buffer,
and an end of the connection is reported only after everything received before it.
"""

import asyncio
import ssl
from typing import Final, cast

from asyncsync.http.connection import Connection

RECEIVE_SIZE: Final = 128 * 1024
"""Bytes that are received at once; less than a connection's large buffer holds."""
SLICE: Final = 32 * 1024
"""Bytes that OpenSSL is given at once: each connection keeps that much memory until it closes."""


class TlsLayer(asyncio.BufferedProtocol):
    """Sits between an event loop's transport and a `Connection`, and is the latter's transport.

    Args:
        connection: gets its transport when the handshake is done.
        context: decides which certificates are accepted.
        hostname: the name that the certificate must contain.
        receive_buffer: where bytes are received. All connections share it, because it is free again
            when `buffer_updated` returns.
    """

    __slots__ = (
        "_connection",
        "_error",
        "_handshake_done",
        "_incoming",
        "_outgoing",
        "_paused",
        "_receive_buffer",
        "_tls",
        "_transport",
    )

    _transport: asyncio.Transport

    def __init__(
        self,
        connection: Connection,
        context: ssl.SSLContext,
        hostname: str,
        receive_buffer: memoryview,
    ) -> None:
        self._connection = connection
        self._receive_buffer = receive_buffer
        # Some versions of Python set it, and then a connection that was cut looks complete.
        if hasattr(ssl, "OP_IGNORE_UNEXPECTED_EOF"):
            context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._handshake_done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._error: OSError | None = None
        self._paused = False

    async def handshake(self) -> None:
        """Wait until the server is authenticated and the connection can be used.

        Raises:
            ssl.SSLError: the handshake failed.
            OSError: the connection was lost.
        """
        await self._handshake_done

    # Called by the connection.

    def write(self, data: bytes | memoryview) -> None:
        """Encrypt and send the bytes; if TLS cannot (as during a key update), close the socket."""
        try:
            self._tls.write(data)
        except OSError as error:
            self._drop(error)
        self._flush()

    def pause_reading(self) -> None:
        """Stop receiving, and stop passing decrypted bytes to the connection."""
        self._paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Pass on what was received before the pause, then receive again."""
        self._paused = False
        self._decrypt()
        if not self._paused and not self._connection.closed:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close the socket at once, without a close_notify."""
        self._paused = True
        self._transport.abort()

    def get_extra_info(self, name: str) -> object:
        """Return the `ssl_object`, or what the transport returns for the name."""
        return self._tls if name == "ssl_object" else self._transport.get_extra_info(name)

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._continue_handshake()

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return the shared buffer."""
        return self._receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt bytes that were received into the shared buffer."""
        for start in range(0, nbytes, SLICE):
            self._incoming.write(self._receive_buffer[start : min(start + SLICE, nbytes)])
            self._process()

    def eof_received(self) -> None:
        """Note that the server sends no more; the transport then closes itself."""
        self._incoming.write_eof()
        self._process()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report that the socket is closed, and why."""
        if self._handshake_done.done():
            self._connection.connection_lost(exc or self._error)
        else:
            self._fail_handshake(exc or ConnectionResetError("closed during the TLS handshake"))

    # The handshake.

    def _process(self) -> None:
        if not self._handshake_done.done():
            self._continue_handshake()
        if self._handshake_done.done():
            self._decrypt()

    def _continue_handshake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except OSError as error:
            self._flush()  # an alert, which tells the server why
            self._fail_handshake(error)
        else:
            self._flush()
            self._handshake_done.set_result(None)
            self._connection.connection_made(self)

    def _fail_handshake(self, error: Exception) -> None:
        """Raise the error in `handshake`."""
        self._paused = True
        self._handshake_done.set_exception(error)
        self._handshake_done.exception()  # mark it as retrieved: the waiter may be gone

    # Decrypting and sending.

    def _decrypt(self) -> None:
        """Pass decrypted bytes to the connection until none are left or it pauses."""
        connection, read = self._connection, self._tls.read
        while not self._paused:
            view = connection.get_buffer(-1)
            count, got = 0, 1
            try:
                while got and count < len(view):
                    got = cast("int", read(len(view) - count, view[count:]))
                    count += got
            except ssl.SSLWantReadError:
                got = -1
            except OSError as error:  # no close_notify: anybody may have cut the connection
                self._drop(error)
                got = -1
            if count:
                connection.buffer_updated(count)
            if got == 0:
                connection.eof_received()
                self._transport.close()
            if got <= 0:
                break
        self._flush()  # reading may have produced an answer, as to a key update

    def _drop(self, error: OSError) -> None:
        """Close the socket, and keep the reason for `connection_lost`."""
        self._error = error
        self._transport.abort()

    def _flush(self) -> None:
        """Send what TLS has produced."""
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())
