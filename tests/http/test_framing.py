"""Where a response ends: heads, Content-Length, chunks, closed connections, and too many bytes."""

import asyncio
import ssl
from itertools import pairwise

import pytest
from httptools import HttpParserError
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.errors import ConnectionLostError, ProtocolError
from asyncsync.http.buffers import BUFFER_SIZE, BufferPool
from asyncsync.http.connection import Connection
from tests.rigs.http_client import (
    AUTHORITY,
    CHUNKED,
    INTERIM,
    LARGE,
    client_of,
    collect,
    end,
    fetch,
    until,
)
from tests.rigs.scripted import Peer, ScriptedServer, answers, response
from tests.rigs.transports import RecordingTransport

pytestmark = pytest.mark.anyio


# Complete responses.


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 404 Not Found\r\n\r\n"),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("GET", INTERIM + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_answers_without_a_body_keep_the_connection(method: str, raw: bytes) -> None:
    """Responses that cannot have a body end with their head; interim responses are skipped."""
    async with ScriptedServer(answers(raw)) as server, client_of(server) as client:
        assert await fetch(client, method=method) == b""
        async with client.request(method, "/", {}) as answer:
            assert answer.status != 100
            assert "link" not in answer.headers
        assert len(server.heads) == 2
        assert len(server.peers) == 1


async def test_chunked_body_is_decoded(tls: ssl.SSLContext | None) -> None:
    """Chunks are joined, extensions and trailers are ignored, and the connection is reused."""
    async with ScriptedServer(answers(CHUNKED), tls=tls) as server, client_of(server) as client:
        async with client.request("GET", "/", {}) as answer:
            assert await answer.read() == b"hello, world"
            assert "x-sum" not in answer.headers
            assert "server" not in answer.headers
        assert await fetch(client) == b"hello, world"
        assert len(server.peers) == 1


async def test_large_chunked_body_is_decoded(tls: ssl.SSLContext | None) -> None:
    """Chunks larger and smaller than the buffer are decoded in place."""
    sizes = [1, 700_000, 16, 300_000, 2_000_000]
    raw, start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0
    for size in sizes:
        raw += b"%x\r\n%b\r\n" % (size, LARGE[start : start + size])
        start += size
    async with (
        ScriptedServer(answers(raw + b"0\r\n\r\n"), tls=tls) as server,
        client_of(server) as client,
    ):
        assert await fetch(client) == LARGE[:start]


async def test_body_until_close_is_whole(tls: ssl.SSLContext | None) -> None:
    """A body without a length ends where the server closes the connection properly."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE)
        await peer.close()

    async with ScriptedServer(script, tls=tls) as server, client_of(server) as client:
        assert await fetch(client) == LARGE
        assert await fetch(client) == LARGE
        assert len(server.peers) == 2


@pytest.mark.parametrize("chunked", [False, True])
@given(cuts=st.sets(st.integers(min_value=1, max_value=300)))
def test_any_segmentation_gives_the_same_answer(chunked: bool, cuts: set[int]) -> None:
    """A response is read the same, however the network segments it."""
    raw = CHUNKED if chunked else response(b"hello, world", headers={"X-A": "b"})
    raw = INTERIM + raw

    async def play() -> bytes:
        connection = Connection("peer", BufferPool(), lambda _: None)
        connection.connection_made(RecordingTransport())
        connection.send(b"", no_body=False)
        task = asyncio.ensure_future(connection.receive())
        await asyncio.sleep(0)
        edges = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
        for start, stop in pairwise(edges):
            connection.get_buffer(-1)[: stop - start] = raw[start:stop]
            connection.buffer_updated(stop - start)
        await task
        assert connection.status == 200
        assert connection.reusable
        return bytes(await connection.read_block(BUFFER_SIZE))

    assert asyncio.run(play()) == b"hello, world"


# Broken responses.


@pytest.mark.row(8)
@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: y\r\n" * 10_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
    ],
)
async def test_answer_that_is_not_http_is_a_protocol_error(raw: bytes) -> None:
    """Anything but a well-formed head of limited size is rejected at once."""
    async with ScriptedServer(answers(raw)) as server, client_of(server) as client:
        with pytest.raises(ProtocolError, match=str(server.port)):
            await fetch(client)
        await until(lambda: not client._pool._open)


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["head", "chunks"],
)
async def test_parser_error_is_the_cause_of_the_protocol_error(raw: bytes) -> None:
    """The traceback shows what the parser objected to."""
    async with ScriptedServer(answers(raw)) as server, client_of(server) as client:
        with pytest.raises(ProtocolError) as caught:
            await fetch(client)
    assert isinstance(caught.value.__cause__, HttpParserError)


@pytest.mark.row(4)
@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("GET", response(b"hello") + b"!"),
        ("HEAD", response(b"hello")),
        ("GET", CHUNKED + b"!"),
        ("GET", CHUNKED + CHUNKED),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ],
)
async def test_bytes_beyond_the_body_are_a_protocol_error(
    method: str, raw: bytes, tls: ssl.SSLContext | None
) -> None:
    """Bytes beyond the announced end are an error, are not returned, and end the connection."""
    async with ScriptedServer(answers(raw), tls=tls) as server, client_of(server) as client:
        got = bytearray()
        with pytest.raises(ProtocolError):
            await collect(client, got, method)
        assert b"hello, world".startswith(got)
        await until(lambda: not client._pool._open)


@pytest.mark.row(1, 2, 3, 15)
@pytest.mark.parametrize("ending", ["close", "cut", "reset"])
@pytest.mark.parametrize("raw", [response(LARGE), CHUNKED], ids=["length", "chunked"])
async def test_cut_body_is_a_lost_connection(
    raw: bytes, ending: str, tls: ssl.SSLContext | None
) -> None:
    """Bytes received before the cut are returned, then the error is raised."""
    sent = len(raw) - 9 if raw is CHUNKED else 1_000_000

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(raw[:sent])
        if ending == "reset":  # which may overtake data
            await until(lambda: got == body)
        await end(peer, ending)

    body = b"hello, world" if raw is CHUNKED else LARGE[: sent - raw.index(LARGE[:32])]
    got = bytearray()
    async with ScriptedServer(script, tls=tls) as server, client_of(server) as client:
        with pytest.raises(ConnectionLostError, match=str(server.port)):
            await collect(client, got)
        assert got == body
        await until(lambda: not client._pool._open)


@pytest.mark.row(15)
async def test_tls_body_until_close_needs_a_proper_end() -> None:
    """A TLS stream without a close_notify is cut off, since anybody may have closed it."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        peer.cut()

    async with (
        ScriptedServer(script, tls=AUTHORITY.server()) as server,
        client_of(server) as client,
    ):
        with pytest.raises(ConnectionLostError, match="after a part of the body"):
            await fetch(client)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Length: %d\r\n\r\n",
    ],
    ids=["length", "until close"],
)
async def test_slow_reader_gets_all_of_a_closed_connection(
    head: bytes, tls: ssl.SSLContext | None
) -> None:
    """A late reader gets the whole response of a server that has already closed the connection."""
    body = LARGE[: BUFFER_SIZE + 150_000]
    closing = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(head % len(body) + body)
        peer.hang_up()
        closing.set()

    async with (
        ScriptedServer(script, tls=tls) as server,
        client_of(server) as client,
        client.request("GET", "/", {}) as answer,
    ):
        await closing.wait()
        for _ in range(100):  # the end of the stream is received while nobody reads
            await asyncio.sleep(0)
        assert b"".join([bytes(block) async for block in answer.blocks(1000)]) == body
