r"""A server that follows a script, byte by byte.

async def cut(peer: Peer) -> None:
    await peer.receive()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
    peer.reset()

async with ScriptedServer(cut, answers(response(b"hello"))) as server:
    ...  # the first connection to server.endpoint is cut, all others work
    assert server.heads[0].startswith("GET ")
"""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from datetime import datetime
from types import TracebackType
from typing import Self

import trustme

Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's side of one connection."""

    def __init__(
        self, server: "ScriptedServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._writer.transport.set_write_buffer_limits(
            1
        )  # so that `drain` waits until the bytes are sent
        self.sent = 0
        """Bytes sent."""

    async def receive(self) -> str:
        """Wait for the head of a request, record it and return it."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        self._server.heads.append(head)
        return head

    async def send(self, data: bytes) -> None:
        """Send the bytes as fast as the client receives them."""
        for start in range(0, len(data), 65536):
            piece = data[start : start + 65536]
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)  # otherwise a fast client would block the event loop
            self.sent += len(piece)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Continue in TLS, as in the tunnel of a proxy."""
        await self._writer.start_tls(context)

    async def close(self) -> None:
        """Close the connection; over TLS with a close_notify."""
        self._writer.close()
        await self._writer.wait_closed()

    def hang_up(self) -> None:
        """Close without waiting for the client; over TLS with a close_notify."""
        if self._writer.get_extra_info("ssl_object") is not None:
            self._writer.close()
        self.cut()

    def cut(self) -> None:
        """End the TCP stream (FIN); over TLS without a close_notify."""
        with socket.socket(fileno=os.dup(self._socket.fileno())) as sock:
            sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Reset the connection (RST)."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        try:
            while await self._reader.read(65536):
                pass
        except OSError:
            pass

    @property
    def _socket(self) -> socket.socket:
        sock: socket.socket = self._writer.get_extra_info("socket")
        return sock


class ScriptedServer:
    """Runs the n-th script on the n-th connection, and the last script on all later ones.

    A connection stays open after its script has ended. A script's exception is raised at the end of
    the server's `async with` block, unless the client had closed the connection.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = scripts
        self._tls = tls
        self._tasks: list[asyncio.Task[None]] = []
        self.heads: list[str] = []
        """The heads of all requests, in order."""
        self.peers: list[Peer] = []
        """All connections, in order; over TLS after their handshake."""

    @property
    def port(self) -> int:
        """The port, while the server runs."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def endpoint(self) -> str:
        """The URL, while the server runs."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for peer in self.peers:
            peer._writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        failures = [result for result in results if isinstance(result, Exception)]
        if failures and exc is None:
            raise failures[0]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(self, reader, writer)
        script = self._scripts[min(len(self.peers), len(self._scripts) - 1)]
        self.peers.append(peer)
        self._tasks.append(asyncio.ensure_future(self._play(script, peer)))

    async def _play(self, script: Script, peer: Peer) -> None:
        try:
            await script(peer)
        except (OSError, asyncio.IncompleteReadError):
            return


def answers(*raw: bytes) -> Script:
    """Return a script that answers each request with the next bytes, and repeats the last ones."""

    async def script(peer: Peer) -> None:
        count = 0
        while True:
            await peer.receive()
            await peer.send(raw[min(count, len(raw) - 1)])
            count += 1

    return script


async def silent(peer: Peer) -> None:
    """Receive a request and never answer it."""
    await peer.receive()


def response(
    body: bytes = b"", *, status: str = "200 OK", headers: dict[str, str] | None = None
) -> bytes:
    """Return a response with its Content-Length."""
    fields = {"Content-Length": str(len(body))} | (headers or {})
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Authority:
    """A certificate authority for tests."""

    def __init__(self) -> None:
        self.ca = trustme.CA()

    def server(self, *names: str, not_after: datetime | None = None) -> ssl.SSLContext:
        """Return the context of a server with a certificate for the names (default 127.0.0.1)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = names or ("127.0.0.1", "localhost")
        self.ca.issue_cert(*names, not_after=not_after).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """Return the context of a client that trusts this authority and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        return context
