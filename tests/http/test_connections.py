"""Connections: which are reused, how they buffer and pause, and how they are closed."""

import asyncio
import ssl

import pytest

from asyncsync.errors import ConnectionLostError
from asyncsync.http.buffers import BUFFER_SIZE, MAX_SPARE, BufferPool
from asyncsync.http.client import HttpClient
from asyncsync.http.connection import Connection
from tests.rigs.http_client import (
    LARGE,
    answer_first,
    cancel_when,
    client_of,
    end,
    exchange,
    fetch,
    only_connection,
    until,
)
from tests.rigs.scripted import Peer, ScriptedServer, answers, response, silent
from tests.rigs.transports import RecordingTransport

pytestmark = pytest.mark.anyio


# Reuse.


@pytest.mark.parametrize(
    "raw",
    [
        response(b"x", headers={"Connection": "close"}),
        response(b"x", headers={"Connection": "Keep-Alive, Close"}),
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    ],
)
async def test_connection_that_is_to_close_is_not_used_again(raw: bytes) -> None:
    """After a response with `Connection: close` or of HTTP/1.0, a new connection is opened."""
    async with ScriptedServer(answers(raw)) as server, client_of(server) as client:
        assert await fetch(client) == b"x"
        assert await fetch(client) == b"x"
        assert len(server.peers) == 2


async def test_connection_with_an_unread_body_is_closed(tls: ssl.SSLContext | None) -> None:
    """A connection whose response was not read to its end is closed, not reused."""
    gone = asyncio.Event()

    async def half(peer: Peer) -> None:
        await peer.receive()
        await peer.send(response(LARGE)[:100_000])
        await peer.gone()
        gone.set()

    async with (
        ScriptedServer(half, answers(response(b"x")), tls=tls) as server,
        client_of(server) as client,
    ):
        async with client.request("GET", "/", {}) as answer:
            async for _ in answer.blocks(1000):
                break
        assert await fetch(client) == b"x"
        await gone.wait()


async def test_the_freshest_connection_is_used_first() -> None:
    """The pool is last in, first out, so that connections that are not needed age."""
    async with ScriptedServer(answers(response(b"x"))) as server, client_of(server) as client:
        await asyncio.gather(*(fetch(client) for _ in range(4)))
        assert len(server.peers) == 4
        idle = [*client._pool._idle[False]]
        await fetch(client)
        assert [*client._pool._idle[False]] == idle


async def test_the_pool_keeps_no_more_than_max_idle() -> None:
    """Connections above the limit are closed after their response."""
    async with (
        ScriptedServer(answers(response(b"x"))) as server,
        HttpClient(server.endpoint, max_idle=2) as client,
    ):
        await asyncio.gather(*(fetch(client) for _ in range(4)))
        assert len(client._pool._idle[False]) == 2
        await until(lambda: len(client._pool._open) == 2)


@pytest.mark.row(17)
@pytest.mark.parametrize("ending", ["close", "cut", "reset"])
async def test_stale_connection_is_replaced_silently(
    ending: str, tls: ssl.SSLContext | None
) -> None:
    """A request on an idle connection that closes without a byte is sent again on another one."""

    async def once(peer: Peer) -> None:
        await answer_first(peer)
        await peer.receive()
        await end(peer, ending)

    script = answers(response(b"second"))
    async with ScriptedServer(once, script, tls=tls) as server, client_of(server) as client:
        assert await fetch(client) == b"first"
        assert await fetch(client) == b"second"
        assert len(server.heads) == 3


@pytest.mark.row(17)
async def test_stale_connections_are_not_tried_for_ever() -> None:
    """After one stale connection a new one is opened, and an error of that one is raised."""

    async def once(peer: Peer) -> None:
        await answer_first(peer)
        await peer.receive()
        peer.reset()

    async def never(peer: Peer) -> None:
        await peer.receive()
        peer.reset()

    async with ScriptedServer(once, once, never) as server, client_of(server) as client:
        await asyncio.gather(fetch(client), fetch(client))
        with pytest.raises(ConnectionLostError, match="without a response"):
            await fetch(client)
        assert len(server.heads) == 4


async def test_answer_that_has_begun_is_not_asked_for_again(tls: ssl.SSLContext | None) -> None:
    """A request is not repeated if one byte came back: the server has processed it."""

    async def one_byte(peer: Peer) -> None:
        await answer_first(peer)
        await peer.receive()
        await peer.send(b"H")
        await peer.close()

    async with ScriptedServer(one_byte, tls=tls) as server, client_of(server) as client:
        await fetch(client)
        with pytest.raises(ConnectionLostError, match="within the head"):
            await fetch(client)
        assert len(server.heads) == 2


@pytest.mark.parametrize("unasked", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_connection_closed_at_rest_is_forgotten(
    unasked: bytes, tls: ssl.SSLContext | None
) -> None:
    """A connection on which the server closes, or sends something, between requests is dropped."""
    idle = asyncio.Event()

    async def script(peer: Peer) -> None:
        await answer_first(peer)
        await idle.wait()
        await peer.send(unasked)
        await peer.close()

    later = answers(response(b"second"))
    async with ScriptedServer(script, later, tls=tls) as server, client_of(server) as client:
        assert await fetch(client) == b"first"
        idle.set()
        await until(lambda: not client._pool._open)
        assert await fetch(client) == b"second"
        assert len(server.heads) == 2


async def test_connection_that_dies_before_its_first_request_is_lost() -> None:
    """A request on a connection that is already closed fails at once and is not sent."""
    lost = Connection("peer", BufferPool(), lambda _: None)
    lost.connection_made(RecordingTransport())
    lost.connection_lost(None)
    with pytest.raises(ConnectionLostError, match="without a response"):
        await exchange(lost, b"", no_body=False)


# Buffers and pauses.


def test_buffer_that_came_back_is_lent_again() -> None:
    """Released buffers are lent again, the last one first, and the pool keeps a limited number."""
    pool = BufferPool()
    lent = [pool.acquire() for _ in range(2 * MAX_SPARE)]
    assert len({id(buffer.obj) for buffer in lent}) == 2 * MAX_SPARE
    for buffer in lent:
        assert len(buffer) == BUFFER_SIZE
        pool.release(buffer)
    again = [pool.acquire() for _ in range(2 * MAX_SPARE)]
    assert again[0] is lent[MAX_SPARE - 1]
    assert len({id(buffer) for buffer in again} & {id(buffer) for buffer in lent}) == MAX_SPARE


@pytest.mark.parametrize(
    "size", [0, 1, BUFFER_SIZE - 1, BUFFER_SIZE, BUFFER_SIZE + 1, 2 * BUFFER_SIZE + 7]
)
async def test_transport_always_finds_room_or_is_paused(size: int) -> None:
    """The buffer offered to the transport is never empty, even when a body's last byte fills it."""
    body = LARGE[:size]
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body
    connection = Connection("peer", BufferPool(), lambda _: None)
    transport = RecordingTransport()
    connection.connection_made(transport)
    got = b""

    async def read() -> None:
        nonlocal got
        await exchange(connection, b"", no_body=False)
        while block := await connection.read_block(1):
            got += block

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    while raw:
        await asyncio.sleep(0)
        room = connection.get_buffer(-1)
        assert transport.paused or len(room) > 0
        taken = 0 if transport.paused else min(len(room), len(raw))
        room[:taken], raw = raw[:taken], raw[taken:]
        if taken:
            connection.buffer_updated(taken)
    assert transport.paused or len(connection.get_buffer(-1)) > 0
    await reader
    assert got == body
    connection.make_idle()
    assert not transport.paused


async def test_slow_reader_holds_back_its_own_connection_only(tls: ssl.SSLContext | None) -> None:
    """An unread body fills only its own buffer, and other requests are served."""

    async def endless(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
        while True:
            await peer.send(LARGE)

    script = answers(response(b"quick"))
    async with (
        ScriptedServer(endless, script, tls=tls) as server,
        client_of(server) as client,
        client.request("GET", "/", {}) as answer,
    ):
        slow = only_connection(client)
        await until(lambda: slow._paused)
        for _ in range(20):
            assert await fetch(client) == b"quick"
        assert slow._end == BUFFER_SIZE
        blocks = answer.blocks()
        assert [len(await anext(blocks)) > 0 for _ in range(10)] == [True] * 10


# Cancellation and closing.


@pytest.mark.parametrize("stage", ["connect", "head", "body"])
async def test_cancelled_request_leaves_nothing(stage: str, tls: ssl.SSLContext | None) -> None:
    """A cancelled request closes its socket and leaves no task, and the pool still works."""
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.receive()
        if stage == "body":
            await peer.send(response(LARGE)[:1000])
        await peer.gone()
        gone.set()

    async with (
        ScriptedServer(script, answers(response(b"x")), tls=tls) as server,
        client_of(server) as client,
    ):
        tasks = len(asyncio.all_tasks())
        work = fetch(client)
        if stage == "connect":
            await cancel_when(work, lambda: True)
        else:
            await cancel_when(
                work,
                lambda: (
                    server.heads
                    and only_connection(client)._waiter
                    and only_connection(client).status == (200 if stage == "body" else 0)
                ),
            )
            await gone.wait()
        assert await fetch(client) == b"x" if stage != "connect" else True
        assert len(client._pool._open) == (0 if stage == "connect" else 1)
        assert client._pool._open == set(client._pool._idle[False])
        await until(lambda: len(asyncio.all_tasks()) <= tasks + 1)


async def test_aclose_closes_kept_and_busy_connections(tls: ssl.SSLContext | None) -> None:
    """`aclose` closes idle connections, and a response that is being read fails."""
    closed: list[Peer] = []

    async def script(peer: Peer) -> None:
        await answer_first(peer)
        await peer.gone()
        closed.append(peer)

    async with ScriptedServer(script, silent, tls=tls) as server:
        client = client_of(server)
        first = asyncio.ensure_future(fetch(client))
        await first
        kept = only_connection(client)
        client._pool._idle[False].clear()
        second = asyncio.ensure_future(fetch(client))
        await until(lambda: len(server.heads) == 2)
        await client.aclose()
        assert kept.lost.done()
        assert client._pool._open == set()
        with pytest.raises(ConnectionLostError):
            await second
        await until(lambda: closed)
