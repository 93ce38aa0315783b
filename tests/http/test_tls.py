"""`TlsLayer` without a network: the server is an SSL object in memory."""

import asyncio
import ssl
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsync.http.buffers import BUFFER_SIZE, BufferPool
from asyncsync.http.connection import Connection, StaleConnectionError
from asyncsync.http.tls import RECEIVE_SIZE, TlsLayer
from tests.rigs.scripted import Authority, response
from tests.rigs.transports import RecordingTransport

pytestmark = pytest.mark.anyio

AUTHORITY = Authority()
HOST = "127.0.0.1"
BODY = bytes(range(256)) * 3_000
RAW = response(BODY)


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: nothing here reaches the network."""
    return "asyncio"


class Link:
    """A TLS layer, the connection that uses it, and the server at the other end."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.lost: list[Connection] = []
        self.connection = Connection("peer", BufferPool(), self.lost.append)
        receive_buffer = memoryview(bytearray(RECEIVE_SIZE))
        trust = context or AUTHORITY.client()
        self.layer = TlsLayer(self.connection, trust, HOST, receive_buffer)
        self.transport = RecordingTransport()
        self._to_server, self._from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = AUTHORITY.server().wrap_bio(
            self._to_server, self._from_server, server_side=True
        )
        self.layer.connection_made(self.transport)

    def deliver(self, cuts: set[int] | None = None) -> None:
        """Pass what the server has written to the layer, segmented as by a network."""
        raw = self._from_server.read()
        stops = range(RECEIVE_SIZE, len(raw), RECEIVE_SIZE)
        edges = sorted({0, len(raw), *stops, *(cut for cut in cuts or () if cut < len(raw))})
        for start, stop in pairwise(edges):
            self.layer.get_buffer(-1)[: stop - start] = raw[start:stop]
            self.layer.buffer_updated(stop - start)

    def handshake(self, cuts: set[int] | None = None) -> None:
        """Do the handshake of both sides."""
        done = False
        while not done:
            self._to_server.write(self.transport.sent)
            self.transport.sent = b""
            try:
                self.server.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            self.deliver(cuts)

    def read_request(self) -> bytes:
        """Return what the server decrypts of what was sent."""
        self._to_server.write(self.transport.sent)
        self.transport.sent = b""
        return self.server.read()

    async def read_body(self) -> bytes:
        """Return the body of the response, read block by block."""
        got = b""
        while block := await self.connection.read_block(1):
            got += block
        return got


@settings(max_examples=25)
@given(cuts=st.sets(st.integers(min_value=1, max_value=5_000)))
def test_any_segmentation_decrypts_to_the_same(cuts: set[int]) -> None:
    """However the network segments the bytes, from the handshake on, all arrive exactly once."""

    async def play() -> None:
        link = Link()
        link.handshake(cuts)
        await link.layer.handshake()
        exchange = asyncio.ensure_future(
            link.connection.exchange(b"GET / HTTP/1.1\r\n\r\n", no_body=False)
        )
        await asyncio.sleep(0)
        assert link.read_request() == b"GET / HTTP/1.1\r\n\r\n"
        link.server.write(RAW)
        link.deliver(cuts)
        await exchange
        assert link.transport.paused  # the body is longer than the buffer
        assert await link.read_body() == BODY
        assert not link.transport.paused
        assert link.connection.reusable

    asyncio.run(play())


async def test_paused_connection_gets_nothing_until_it_asks() -> None:
    """The layer keeps what it had received, and receives no more."""
    link = Link()
    link.handshake()
    exchange = asyncio.ensure_future(link.connection.exchange(b"x", no_body=False))
    await asyncio.sleep(0)
    link.server.write(RAW)
    link.deliver()
    await exchange
    assert link.transport.paused
    block = await link.connection.read_block(BUFFER_SIZE)
    assert len(block) <= BUFFER_SIZE
    assert bytes(block) == BODY[: len(block)]


async def test_close_notify_ends_a_body_without_a_length() -> None:
    """The server has sent everything, and the socket is closed."""
    link = Link()
    link.handshake()
    exchange = asyncio.ensure_future(link.connection.exchange(b"x", no_body=False))
    await asyncio.sleep(0)
    link.server.write(b"HTTP/1.1 200 OK\r\n\r\nall")
    with pytest.raises(ssl.SSLWantReadError):
        link.server.unwrap()
    link.deliver()
    await exchange
    assert await link.read_body() == b"all"
    assert link.transport.ended == "close"


async def test_end_without_a_close_notify_is_a_lost_connection() -> None:
    """Bytes received before it are still returned.

    In some versions of Python, such as 3.11.2, the context hides such an end by default.
    """
    context = AUTHORITY.client()
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    link = Link(context)
    link.handshake()
    exchange = asyncio.ensure_future(link.connection.exchange(b"x", no_body=False))
    await asyncio.sleep(0)
    link.server.write(b"HTTP/1.1 200 OK\r\n\r\nsome")
    link.deliver()
    link.layer.eof_received()
    assert link.transport.ended == "abort"
    link.layer.connection_lost(None)
    await exchange
    assert bytes(await link.connection.read_block(1)) == b"some"
    assert isinstance(link.connection.error and link.connection.error.__cause__, ssl.SSLError)
    assert link.lost == [link.connection]


async def test_bytes_that_are_not_tls_end_the_connection() -> None:
    """They reach the reader only as an error."""
    link = Link()
    link.handshake()
    exchange = asyncio.ensure_future(link.connection.exchange(b"x", no_body=False))
    await asyncio.sleep(0)
    link.layer.get_buffer(-1)[:5] = b"HTTP/"
    link.layer.buffer_updated(5)
    link.layer.eof_received()
    assert link.transport.ended == "abort"
    link.layer.connection_lost(None)
    with pytest.raises(Exception, match="closed the connection without a response"):
        await exchange


async def test_request_that_cannot_be_encrypted_is_a_lost_connection() -> None:
    """As during a key update by the server; the request may be sent on another connection."""
    link = Link()
    link.handshake()
    outgoing = link.layer._tls

    class UpdatingKeys:
        """Raises what OpenSSL raises then."""

        read = outgoing.read

        def write(self, data: bytes) -> int:
            raise ssl.SSLWantReadError

    link.layer._tls = cast("ssl.SSLObject", UpdatingKeys())
    exchange = asyncio.ensure_future(link.connection.exchange(b"x", no_body=False))
    await asyncio.sleep(0)
    assert link.transport.ended == "abort"
    link.layer.connection_lost(None)
    with pytest.raises(StaleConnectionError):
        await exchange


async def test_connection_that_ends_while_it_resumes_stays_paused() -> None:
    """The close_notify came after the bytes that were kept during the pause."""
    link = Link()
    link.handshake()
    exchange = asyncio.ensure_future(link.connection.exchange(b"x", no_body=False))
    await asyncio.sleep(0)
    link.server.write(RAW[: BUFFER_SIZE + 1000])
    with pytest.raises(ssl.SSLWantReadError):
        link.server.unwrap()
    link.deliver()
    await exchange
    assert link.transport.paused
    while not link.transport.ended:
        await link.connection.read_block(1)
    assert link.transport.ended == "close"
    assert link.transport.paused


async def test_wrong_certificate_is_refused_before_anything_is_sent() -> None:
    """The server gets an alert, and the connection gets no transport."""
    link = Link(Authority().client())
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        link.handshake()
    with pytest.raises(ssl.SSLCertVerificationError):
        await link.layer.handshake()
    assert not hasattr(link.connection, "transport")


async def test_connection_lost_within_the_handshake_is_an_error() -> None:
    """It is raised to whoever waits for the handshake, and reported nowhere else."""
    link = Link()
    link.layer.connection_lost(None)
    with pytest.raises(ConnectionResetError):
        await link.layer.handshake()
    assert link.lost == []
