"""One connection's TLS, without a network: a server in memory, and a transport that only notes."""

import asyncio
import ssl
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsync.http.buffers import CAPACITY, Buffers
from asyncsync.http.connection import Connection, StaleConnectionError
from asyncsync.http.tls import ROOM, TlsLayer
from tests.rigs.scripted import Authority, response

pytestmark = pytest.mark.anyio

AUTHORITY = Authority()
HOST = "127.0.0.1"
BODY = bytes(range(256)) * 3_000
RAW = response(BODY)


class NotingTransport(asyncio.Transport):
    """Keeps what is sent through it, and what else is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = ""
        self.paused = False

    def write(self, data: object) -> None:
        """Keep it."""
        assert isinstance(data, bytes)
        self.sent += data

    def pause_reading(self) -> None:
        """Take note."""
        self.paused = True

    def resume_reading(self) -> None:
        """Take note."""
        self.paused = False

    def abort(self) -> None:
        """Take note."""
        self.ended = "abort"

    def close(self) -> None:
        """Take note."""
        self.ended = self.ended or "close"


class Played:
    """A layer, the connection above it, and the server at its other end."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.lost: list[Connection] = []
        self.connection = Connection("peer", Buffers(), self.lost.append)
        room = memoryview(bytearray(ROOM))
        trust = context or AUTHORITY.client()
        self.layer = TlsLayer(self.connection, trust, HOST, room)
        self.transport = NotingTransport()
        self._to_server, self._from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = AUTHORITY.server().wrap_bio(
            self._to_server, self._from_server, server_side=True
        )
        self.layer.connection_made(self.transport)

    def deliver(self, cuts: set[int] | None = None) -> None:
        """Give the layer what the server has written, cut into pieces, as a network would."""
        raw = self._from_server.read()
        stops = range(ROOM, len(raw), ROOM)
        edges = sorted({0, len(raw), *stops, *(cut for cut in cuts or () if cut < len(raw))})
        for start, stop in pairwise(edges):
            self.layer.get_buffer(-1)[: stop - start] = raw[start:stop]
            self.layer.buffer_updated(stop - start)

    def shake(self, cuts: set[int] | None = None) -> None:
        """Do both sides' part of the handshake."""
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

    def asked(self) -> bytes:
        """Return what the server can read of what was sent."""
        self._to_server.write(self.transport.sent)
        self.transport.sent = b""
        return self.server.read()

    async def answer(self) -> bytes:
        """Return the body of an answer that is read as it comes."""
        got = b""
        while block := await self.connection.block(1):
            got += block
        return got


@settings(max_examples=25)
@given(cuts=st.sets(st.integers(min_value=1, max_value=5_000)))
def test_any_segmentation_decrypts_to_the_same(cuts: set[int]) -> None:
    """However the network cuts what comes, from the handshake on, all of it arrives, once."""

    async def play() -> None:
        played = Played()
        played.shake(cuts)
        await played.layer.handshake()
        exchange = asyncio.ensure_future(
            played.connection.exchange(b"GET / HTTP/1.1\r\n\r\n", bodiless=False)
        )
        await asyncio.sleep(0)
        assert played.asked() == b"GET / HTTP/1.1\r\n\r\n"
        played.server.write(RAW)
        played.deliver(cuts)
        await exchange
        assert played.transport.paused  # the body is longer than the buffer
        assert await played.answer() == BODY
        assert not played.transport.paused
        assert played.connection.reusable

    asyncio.run(play())


async def test_paused_connection_gets_nothing_until_it_asks() -> None:
    """What was received meanwhile waits in the layer, and no more is received."""
    played = Played()
    played.shake()
    exchange = asyncio.ensure_future(played.connection.exchange(b"x", bodiless=False))
    await asyncio.sleep(0)
    played.server.write(RAW)
    played.deliver()
    await exchange
    assert played.transport.paused
    block = await played.connection.block(CAPACITY)
    assert len(block) <= CAPACITY
    assert bytes(block) == BODY[: len(block)]


async def test_farewell_ends_an_answer_without_a_length() -> None:
    """TLS says that all was sent; then the socket is closed as well."""
    played = Played()
    played.shake()
    exchange = asyncio.ensure_future(played.connection.exchange(b"x", bodiless=False))
    await asyncio.sleep(0)
    played.server.write(b"HTTP/1.1 200 OK\r\n\r\nall")
    with pytest.raises(ssl.SSLWantReadError):
        played.server.unwrap()
    played.deliver()
    await exchange
    assert await played.answer() == b"all"
    assert played.transport.ended == "close"


async def test_closed_without_a_farewell_is_a_cut() -> None:
    """Anybody may have done that; what came before it is not lost.

    Contexts of some versions of Python, such as 3.11.2, would take it for an end.
    """
    context = AUTHORITY.client()
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    played = Played(context)
    played.shake()
    exchange = asyncio.ensure_future(played.connection.exchange(b"x", bodiless=False))
    await asyncio.sleep(0)
    played.server.write(b"HTTP/1.1 200 OK\r\n\r\nsome")
    played.deliver()
    played.layer.eof_received()
    assert played.transport.ended == "abort"
    played.layer.connection_lost(None)
    await exchange
    assert bytes(await played.connection.block(1)) == b"some"
    assert isinstance(played.connection.error and played.connection.error.__cause__, ssl.SSLError)
    assert played.lost == [played.connection]


async def test_nonsense_ends_the_connection() -> None:
    """Bytes that are no TLS are told of nowhere but in the error."""
    played = Played()
    played.shake()
    exchange = asyncio.ensure_future(played.connection.exchange(b"x", bodiless=False))
    await asyncio.sleep(0)
    played.layer.get_buffer(-1)[:5] = b"HTTP/"
    played.layer.buffer_updated(5)
    played.layer.eof_received()
    assert played.transport.ended == "abort"
    played.layer.connection_lost(None)
    with pytest.raises(Exception, match="closed the connection without an answer"):
        await exchange


async def test_request_that_cannot_be_encrypted_is_a_lost_connection() -> None:
    """As while a server wants other keys first; the request may go out on another connection."""
    played = Played()
    played.shake()
    outgoing = played.layer._tls

    class Changing:
        """Says what OpenSSL does then."""

        read = outgoing.read

        def write(self, data: bytes) -> int:
            raise ssl.SSLWantReadError

    played.layer._tls = cast("ssl.SSLObject", Changing())
    exchange = asyncio.ensure_future(played.connection.exchange(b"x", bodiless=False))
    await asyncio.sleep(0)
    assert played.transport.ended == "abort"
    played.layer.connection_lost(None)
    with pytest.raises(StaleConnectionError):
        await exchange


async def test_connection_that_ends_while_it_resumes_is_read_no_more() -> None:
    """The farewell was behind what had waited for it."""
    played = Played()
    played.shake()
    exchange = asyncio.ensure_future(played.connection.exchange(b"x", bodiless=False))
    await asyncio.sleep(0)
    played.server.write(RAW[: CAPACITY + 1000])
    with pytest.raises(ssl.SSLWantReadError):
        played.server.unwrap()
    played.deliver()
    await exchange
    assert played.transport.paused
    while not played.transport.ended:
        await played.connection.block(1)
    assert played.transport.ended == "close"
    assert played.transport.paused


async def test_wrong_certificate_is_refused_before_anything_is_sent() -> None:
    """The server is told why, and the connection above never begins."""
    played = Played(Authority().client())
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        played.shake()
    with pytest.raises(ssl.SSLCertVerificationError):
        await played.layer.handshake()
    assert not hasattr(played.connection, "transport")


async def test_connection_lost_within_the_handshake_is_an_error() -> None:
    """Whoever waits for the handshake learns of it; nobody else has to."""
    played = Played()
    played.layer.connection_lost(None)
    with pytest.raises(ConnectionResetError):
        await played.layer.handshake()
    assert played.lost == []
