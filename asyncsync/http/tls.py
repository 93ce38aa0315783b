"""TLS on one connection: what arrives is decrypted straight into the connection's buffer.

An event loop's own TLS keeps a quarter of a megabyte for each connection, and drops what a paused
one has received when the server closes. Here all connections receive into one buffer, and what is
known to be lost is only told behind all that came before.
"""

import asyncio
import ssl
from typing import Final, cast

from asyncsync.http.connection import Connection

ROOM: Final = 128 * 1024
"""Bytes that are received at once; a connection's buffer has place for more."""
SLICE: Final = 32 * 1024
"""Bytes that TLS is given at once: it keeps as much memory, for as long as the connection lives."""


class TlsLayer(asyncio.BufferedProtocol):
    """Lies between a transport and a `Connection`, and is the transport that the latter uses.

    Args:
        connection: used once the handshake is done.
        context: says which certificates are good.
        hostname: whom the certificate has to name.
        room: where bytes are received; shared by all, since it is free again when a call returns.
    """

    __slots__ = (
        "_connection",
        "_error",
        "_incoming",
        "_outgoing",
        "_paused",
        "_room",
        "_shaken",
        "_tls",
        "_transport",
    )

    _transport: asyncio.Transport

    def __init__(
        self, connection: Connection, context: ssl.SSLContext, hostname: str, room: memoryview
    ) -> None:
        self._connection = connection
        self._room = room
        if hasattr(ssl, "OP_IGNORE_UNEXPECTED_EOF"):  # set by some Pythons: a cut would be an end
            context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._shaken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._error: OSError | None = None
        self._paused = False

    async def handshake(self) -> None:
        """Wait until the other side has shown who it is, and the connection can be used.

        Raises:
            OSError: the connection was lost, or, as `ssl.SSLError`, TLS did not come about.
        """
        await self._shaken

    # What the connection calls.

    def write(self, data: bytes) -> None:
        """Encrypt and send; the connection is lost if that cannot be, as when keys are changed."""
        try:
            self._tls.write(data)
        except OSError as error:
            self._lose(error)
        self._flush()

    def pause_reading(self) -> None:
        """Pass on nothing more for now."""
        self._paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Pass on what has waited here, and then go on."""
        self._paused = False
        self._decrypt()
        if not self._paused and not self._connection.closed:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close the socket without a farewell."""
        self._paused = True
        self._transport.abort()

    def get_extra_info(self, name: str) -> object:
        """Return the `ssl_object`, or what the transport says."""
        return self._tls if name == "ssl_object" else self._transport.get_extra_info(name)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._shake()

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Offer the shared buffer."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt what has arrived in the shared buffer."""
        for start in range(0, nbytes, SLICE):
            self._incoming.write(self._room[start : min(start + SLICE, nbytes)])
            self._go_on()

    def eof_received(self) -> None:
        """Take note that no more comes; the transport closes itself."""
        self._incoming.write_eof()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the socket is gone, and why."""
        if self._shaken.done():
            self._connection.connection_lost(exc or self._error)
        else:
            self._refuse(exc or ConnectionResetError("closed within the TLS handshake"))

    # Between the two.

    def _go_on(self) -> None:
        if not self._shaken.done():
            self._shake()
        if self._shaken.done():
            self._decrypt()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except OSError as error:
            self._flush()  # says why, to whoever is there
            self._refuse(error)
        else:
            self._flush()
            self._shaken.set_result(None)
            self._connection.connection_made(self)

    def _refuse(self, error: Exception) -> None:
        self._paused = True
        self._shaken.set_exception(error)
        self._shaken.exception()  # perhaps nobody waits any more

    def _decrypt(self) -> None:
        """Pass on all that can be decrypted, as far as the connection takes it."""
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
            except OSError as error:  # without TLS' own farewell, anybody may have cut it
                self._lose(error)
                got = -1
            if count:
                connection.buffer_updated(count)
            if got == 0:
                connection.eof_received()
                self._transport.close()
            if got <= 0:
                break
        self._flush()  # perhaps keys are to be changed

    def _lose(self, error: OSError) -> None:
        self._error = error
        self._transport.abort()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())
