"""An `HttpClient` and responses for tests of the transport; `tests/http/conftest.py` has fixtures.

async with ScriptedServer(answers(response(b"data"))) as server, client_of(server) as client:
    assert await fetch(client) == b"data"
"""

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from asyncsync.http.client import HttpClient
from asyncsync.http.connection import Connection
from tests.rigs.scripted import Authority, Peer, ScriptedServer, response

AUTHORITY = Authority()
"""Issues the certificates of all servers that the client trusts."""
LARGE = os.urandom(3 * 1024 * 1024 + 17)
"""A body of many buffers."""
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
"""Interim heads, which may come before any response."""
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    b"5;why=not\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\nX-Sum: 12\r\nServer: late\r\n\r\n"
)
"""A response of `hello, world` in chunks, with an extension and trailers."""


def client_of(
    server: ScriptedServer,
    *,
    connect_timeout: float = 10.0,
    read_timeout: float = 30.0,
    slow_rate: int = 1024,
    slow_time: float = 60.0,
) -> HttpClient:
    """Return a client for the server."""
    return HttpClient(
        server.endpoint,
        ssl_context=AUTHORITY.client(),
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        slow_rate=slow_rate,
        slow_time=slow_time,
    )


async def fetch(client: HttpClient, target: str = "/", method: str = "GET") -> bytes:
    """Send a request and return the body of its response."""
    async with client.request(method, target, {}) as answer:
        return await answer.read()


async def collect(client: HttpClient, into: bytearray, method: str = "GET") -> None:
    """Read a body block by block, so that a test sees what was received before an error."""
    async with client.request(method, "/", {}) as answer:
        async for block in answer.blocks(1):
            into += block


async def until(condition: Callable[[], object]) -> None:
    """Run the event loop until the condition holds, for at most 5 seconds."""
    async with asyncio.timeout(25):
        while not condition():  # noqa: ASYNC110  # most conditions are states that set no event
            await asyncio.sleep(0)


def only_connection(client: HttpClient) -> Connection:
    """Return the client's connection; fails if there is not exactly one."""
    (connection,) = client._pool._open
    return connection


async def cancel_when(work: Awaitable[object], condition: Callable[[], object]) -> None:
    """Start the work, and cancel it as soon as the condition holds."""
    task = asyncio.ensure_future(work)
    await until(condition)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def answer_first(peer: Peer) -> None:
    """Answer one request with `first`."""
    await peer.receive()
    await peer.send(response(b"first"))


async def end(peer: Peer, how: str) -> None:
    """End the connection: `close`, `cut` (no TLS close_notify), or `reset`."""
    if how == "close":
        await peer.close()
    elif how == "cut":
        peer.cut()
    else:
        peer.reset()


async def exchange(connection: Connection, request: bytes, *, no_body: bool) -> None:
    """Send a request and wait for the head of its response."""
    connection.send(request, no_body=no_body)
    await connection.receive()
