"""The transport against a server that does whatever its script says."""

import asyncio
import inspect
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.errors import (
    AsyncSyncError,
    ConfigError,
    ConnectionLostError,
    NetworkError,
    ProtocolError,
    TLSError,
    TransientError,
)
from asyncsync.http.buffers import CAPACITY, SPARE, Buffers
from asyncsync.http.client import HttpClient, tls_context
from asyncsync.http.connection import Connection
from asyncsync.http.patience import Patience, Watch
from tests.rigs.scripted import Authority, Peer, Script, ScriptedServer, answers, response, silent

pytestmark = pytest.mark.anyio

AUTHORITY = Authority()
LARGE = os.urandom(3 * 1024 * 1024 + 17)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    b"5;why=not\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\nX-Sum: 12\r\nServer: late\r\n\r\n"
)


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The two event loops differ in TLS, in closing and in cancelled connections."""
    if request.param:
        pytest.importorskip("uvloop")
    return ("asyncio", {"use_uvloop": request.param})


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> ssl.SSLContext | None:
    """What the server speaks."""
    return AUTHORITY.server() if request.param == "tls" else None


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "NO_PROXY", "AWS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def client_of(
    server: ScriptedServer,
    *,
    connect_timeout: float = 10.0,
    read_timeout: float = 30.0,
    slow_rate: int = 1024,
    slow_time: float = 60.0,
) -> HttpClient:
    return HttpClient(
        server.endpoint,
        ssl_context=AUTHORITY.client(),
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        slow_rate=slow_rate,
        slow_time=slow_time,
    )


async def fetch(client: HttpClient, target: str = "/", method: str = "GET") -> bytes:
    async with client.request(method, target, {}) as answer:
        return await answer.read()


async def collect(client: HttpClient, into: bytearray, method: str = "GET") -> None:
    """Read a body as it comes, so that what came before an error is there to be seen."""
    async with client.request(method, "/", {}) as answer:
        async for block in answer.blocks(1):
            into += block


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # most conditions are states that set no event
            await asyncio.sleep(0)


def only_connection(client: HttpClient) -> Connection:
    (connection,) = client._pool._open
    return connection


# Requests and their answers.


async def test_many_connections_look_the_host_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver is not flooded; one that had no good answer is asked again."""
    if not isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        pytest.skip("this event loop does not ask through the socket module")
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *more: int) -> object:
        asked.append(host)
        return real(host, 1 if len(asked) == 1 else port, *more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with (
        ScriptedServer(answers(response(b"ok"))) as server,
        HttpClient(server.endpoint.replace("127.0.0.1", "localhost")) as client,
    ):
        with pytest.raises(TransientError):
            await fetch(client)
        bodies = await asyncio.gather(*[fetch(client) for _ in range(8)])
        assert bodies == [b"ok"] * 8
        assert len(server.peers) == 8
    assert asked == ["localhost"] * 2


async def test_request_goes_out_as_given(tls: ssl.SSLContext | None) -> None:
    """The target is sent verbatim, Host and Accept-Encoding are added, and nothing else is."""
    async with ScriptedServer(answers(response()), tls=tls) as server, client_of(server) as client:
        async with client.request("GET", "/b/a%20b?x=%2F", {"If-Match": '"1"'}):
            pass
        async with client.request("HEAD", "/", {"host": "h", "ACCEPT-ENCODING": "gzip"}):
            pass
        assert server.heads == [
            (
                f"GET /b/a%20b?x=%2F HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                'Accept-Encoding: identity\r\nIf-Match: "1"\r\n\r\n'
            ),
            "HEAD / HTTP/1.1\r\nhost: h\r\nACCEPT-ENCODING: gzip\r\n\r\n",
        ]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "ä"])
async def test_line_break_in_a_header_is_refused(value: str) -> None:
    """A header that would end its line, or is not ASCII, is an error of the caller."""
    client = HttpClient("http://127.0.0.1:1")
    with pytest.raises(ValueError, match=r"line break|ascii"):
        client.request("GET", "/", {"If-Match": value})


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("http://example.org", "example.org"),
        ("http://example.org:80/", "example.org"),
        ("https://Example.org:8443", "example.org:8443"),
        ("http://[::1]:80", "[::1]"),
        ("http://[::1]:81", "[::1]:81"),
    ],
)
def test_host_header_omits_the_default_port(endpoint: str, host: str) -> None:
    """The value of Host is what the URL's authority means."""
    assert HttpClient(endpoint, ssl_context=AUTHORITY.client()).host == host


@pytest.mark.parametrize(
    "endpoint", ["", "example.org", "ftp://a", "http://", "http://a:x", "http://a..b"]
)
def test_endpoint_that_is_no_url_is_a_config_error(endpoint: str) -> None:
    """What cannot be connected to is refused before anything is sent."""
    with pytest.raises(ConfigError, match="endpoint"):
        HttpClient(endpoint)


async def test_answers_are_whole(tls: ssl.SSLContext | None) -> None:
    """Status, headers and bodies of all sizes arrive on one connection."""
    odd = response(b"no", status="404 Not Found", headers={"X-A": "1 ", "x-a": "2", "Empty": ""})
    script = answers(odd, response(LARGE), response(), response(b"x"))
    async with ScriptedServer(script, tls=tls) as server, client_of(server) as client:
        async with client.request("GET", "/", {}) as answer:
            assert answer.status == 404
            assert answer.headers == {"content-length": "2", "x-a": "1, 2", "empty": ""}
            assert await answer.read() == b"no"
            assert await answer.read() == b""
        assert await fetch(client) == LARGE
        assert await fetch(client) == b""
        assert await fetch(client) == b"x"
        assert len(server.peers) == 1


async def test_blocks_are_of_the_size_asked_for(tls: ssl.SSLContext | None) -> None:
    """Blocks hold the size asked for or more, up to the buffer; the last one holds the rest."""
    async with (
        ScriptedServer(answers(response(LARGE)), tls=tls) as server,
        client_of(server) as client,
        client.request("GET", "/", {}) as answer,
    ):
        blocks = [bytes(block) async for block in answer.blocks(100_000)]
    assert b"".join(blocks) == LARGE
    assert all(100_000 <= len(block) <= CAPACITY for block in blocks[:-1])


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
    """No body is waited for where HTTP has none, and interim answers are skipped."""
    async with ScriptedServer(answers(raw)) as server, client_of(server) as client:
        assert await fetch(client, method=method) == b""
        async with client.request(method, "/", {}) as answer:
            assert answer.status != 100
            assert "link" not in answer.headers
        assert len(server.heads) == 2
        assert len(server.peers) == 1


async def test_chunked_body_is_decoded(tls: ssl.SSLContext | None) -> None:
    """Chunks are joined, extensions and trailers ignored, and the connection stays."""
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
    """A body without a length ends where the server closes properly."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE)
        await peer.close()

    async with ScriptedServer(script, tls=tls) as server, client_of(server) as client:
        assert await fetch(client) == LARGE
        assert await fetch(client) == LARGE
        assert len(server.peers) == 2


class NoTransport(asyncio.Transport):
    """Takes a request and sends it nowhere."""

    def write(self, data: object) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("chunked", [False, True])
@given(cuts=st.sets(st.integers(min_value=1, max_value=300)))
def test_any_segmentation_gives_the_same_answer(chunked: bool, cuts: set[int]) -> None:
    """However the network cuts an answer, it is read the same."""
    raw = CHUNKED if chunked else response(b"hello, world", headers={"X-A": "b"})
    raw = INTERIM + raw

    async def play() -> bytes:
        connection = Connection("peer", Buffers(), lambda _: None)
        connection.connection_made(NoTransport())
        task = asyncio.ensure_future(connection.exchange(b"", bodiless=False))
        await asyncio.sleep(0)
        edges = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
        for start, stop in pairwise(edges):
            connection.get_buffer(-1)[: stop - start] = raw[start:stop]
            connection.buffer_updated(stop - start)
        await task
        assert connection.status == 200
        assert connection.complete
        return bytes(await connection.block(CAPACITY))

    assert asyncio.run(play()) == b"hello, world"


def test_buffer_that_came_back_is_lent_again() -> None:
    """The last one first, and so many are kept that a burst leaves no memory behind."""
    buffers = Buffers()
    lent = [buffers.lend() for _ in range(2 * SPARE)]
    assert len({id(buffer.obj) for buffer in lent}) == 2 * SPARE
    for buffer in lent:
        assert len(buffer) == CAPACITY
        buffers.give_back(buffer)
    again = [buffers.lend() for _ in range(2 * SPARE)]
    assert again[0] is lent[SPARE - 1]
    assert len({id(buffer) for buffer in again} & {id(buffer) for buffer in lent}) == SPARE


@pytest.mark.parametrize("size", [0, 1, CAPACITY - 1, CAPACITY, CAPACITY + 1, 2 * CAPACITY + 7])
async def test_transport_always_finds_room_or_is_paused(size: int) -> None:
    """Also when the last byte of a body fills the buffer: no room at all would be an error."""
    body = LARGE[:size]
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body
    connection = Connection("peer", Buffers(), lambda _: None)
    transport = PausingTransport()
    connection.connection_made(transport)
    got = b""

    async def read() -> None:
        nonlocal got
        await connection.exchange(b"", bodiless=False)
        while block := await connection.block(1):
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
    connection.rest()
    assert not transport.paused


class PausingTransport(NoTransport):
    """Remembers whether it was paused."""

    paused = False

    def pause_reading(self) -> None:
        """Read no more."""
        self.paused = True

    def resume_reading(self) -> None:
        """Read on."""
        self.paused = False


@pytest.mark.row(36, 37)
@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect"])
async def test_redirect_is_returned(status: str) -> None:
    """Redirects are never followed, and cookies never kept."""
    headers = {"Location": "http://127.0.0.1:1/", "Set-Cookie": "a=b"}
    script = answers(response(status=status, headers=headers))
    async with ScriptedServer(script) as server, client_of(server) as client:
        for _ in range(2):
            async with client.request("GET", "/", {}) as answer:
                assert answer.status == int(status[:3])
                assert answer.headers["location"] == "http://127.0.0.1:1/"
        assert len(server.heads) == 2
        assert "cookie" not in server.heads[1].lower()


async def test_response_ends_with_its_context() -> None:
    """Reading behind the context is an error, as the connection serves others by then."""
    async with ScriptedServer(answers(response(b"x"))) as server, client_of(server) as client:
        async with client.request("GET", "/", {}) as answer:
            pass
        with pytest.raises(RuntimeError, match="outside its context"):
            await answer.read()


# Which connections are used again.


@pytest.mark.parametrize(
    "raw",
    [
        response(b"x", headers={"Connection": "close"}),
        response(b"x", headers={"Connection": "Keep-Alive, Close"}),
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    ],
)
async def test_connection_that_is_to_close_is_not_used_again(raw: bytes) -> None:
    """`Connection: close` and HTTP/1.0 end the connection behind the answer."""
    async with ScriptedServer(answers(raw)) as server, client_of(server) as client:
        assert await fetch(client) == b"x"
        assert await fetch(client) == b"x"
        assert len(server.peers) == 2


async def test_connection_with_an_unread_body_is_closed(tls: ssl.SSLContext | None) -> None:
    """Leaving early costs the connection, not the next answer."""
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
    """The pool is last in, first out, so that the connections that are not needed age."""
    async with ScriptedServer(answers(response(b"x"))) as server, client_of(server) as client:
        await asyncio.gather(*(fetch(client) for _ in range(4)))
        assert len(server.peers) == 4
        resting = [*client._pool._idle[False]]
        await fetch(client)
        assert [*client._pool._idle[False]] == resting


async def test_the_pool_keeps_no_more_than_max_idle() -> None:
    """Connections above the limit are closed when they come back."""
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
    """A request on a kept connection that is closed without a byte goes out on another one."""

    async def once(peer: Peer) -> None:
        await answers_once(peer)
        await peer.receive()
        await end(peer, ending)

    script = answers(response(b"second"))
    async with ScriptedServer(once, script, tls=tls) as server, client_of(server) as client:
        assert await fetch(client) == b"first"
        assert await fetch(client) == b"second"
        assert len(server.heads) == 3


@pytest.mark.row(17)
async def test_stale_connections_are_not_tried_for_ever() -> None:
    """Behind one stale connection a new one is opened, and its failure counts."""

    async def once(peer: Peer) -> None:
        await answers_once(peer)
        await peer.receive()
        peer.reset()

    async def never(peer: Peer) -> None:
        await peer.receive()
        peer.reset()

    async with ScriptedServer(once, once, never) as server, client_of(server) as client:
        await asyncio.gather(fetch(client), fetch(client))
        with pytest.raises(ConnectionLostError, match="without an answer"):
            await fetch(client)
        assert len(server.heads) == 4


async def test_answer_that_has_begun_is_not_asked_for_again(tls: ssl.SSLContext | None) -> None:
    """One byte of an answer shows that the request was served."""

    async def begun(peer: Peer) -> None:
        await answers_once(peer)
        await peer.receive()
        await peer.send(b"H")
        await peer.close()

    async with ScriptedServer(begun, tls=tls) as server, client_of(server) as client:
        await fetch(client)
        with pytest.raises(ConnectionLostError, match="inside the head"):
            await fetch(client)
        assert len(server.heads) == 2


@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_connection_closed_at_rest_is_forgotten(
    farewell: bytes, tls: ssl.SSLContext | None
) -> None:
    """What the server closes, or sends unasked, between two requests concerns nobody."""
    at_rest = asyncio.Event()

    async def script(peer: Peer) -> None:
        await answers_once(peer)
        await at_rest.wait()
        await peer.send(farewell)
        await peer.close()

    later = answers(response(b"second"))
    async with ScriptedServer(script, later, tls=tls) as server, client_of(server) as client:
        assert await fetch(client) == b"first"
        at_rest.set()
        await until(lambda: not client._pool._open)
        assert await fetch(client) == b"second"
        assert len(server.heads) == 2


# What goes wrong on the way.


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
    """Anything but a well-formed head of bounded size is refused at once."""
    async with ScriptedServer(answers(raw)) as server, client_of(server) as client:
        with pytest.raises(ProtocolError, match=str(server.port)):
            await fetch(client)
        await until(lambda: not client._pool._open)


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
    """More than was announced is an error, is never handed out, and ends the connection."""
    async with ScriptedServer(answers(raw), tls=tls) as server, client_of(server) as client:
        got = bytearray()
        with pytest.raises(ProtocolError):
            await collect(client, got, method)
        assert b"hello, world".startswith(got)
        await until(lambda: not client._pool._open)


@pytest.mark.row(41, 74)
@pytest.mark.parametrize("raw", [response(b"x" * 2000), CHUNKED])
async def test_body_over_the_limit_is_a_protocol_error(raw: bytes) -> None:
    """`read` bounds what it keeps in memory, whether the length is announced or not."""
    async with ScriptedServer(answers(raw)) as server, client_of(server) as client:
        with pytest.raises(ProtocolError, match="longer than 10 bytes"):
            async with client.request("GET", "/", {}) as answer:
                await answer.read(limit=10)


@pytest.mark.row(1, 2, 3, 15)
@pytest.mark.parametrize("ending", ["close", "cut", "reset"])
@pytest.mark.parametrize("raw", [response(LARGE), CHUNKED], ids=["length", "chunked"])
async def test_cut_body_is_a_lost_connection(
    raw: bytes, ending: str, tls: ssl.SSLContext | None
) -> None:
    """What came before the cut is handed out, then the error is raised."""
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
    """Whoever cuts a TLS stream without a close_notify cannot pass for the server's end."""

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
    """A server that closes behind its answer loses nothing of it, however late it is read."""
    body = LARGE[: CAPACITY + 150_000]
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
        for _ in range(100):  # the end arrives while the reader is elsewhere
            await asyncio.sleep(0)
        assert b"".join([bytes(block) async for block in answer.blocks(1000)]) == body


async def test_connection_that_dies_before_its_first_request_is_lost() -> None:
    """A request is never sent, nor waited for, on a connection that is closed already."""
    lost = Connection("peer", Buffers(), lambda _: None)
    lost.connection_made(NoTransport())
    lost.connection_lost(None)
    with pytest.raises(ConnectionLostError, match="without an answer"):
        await lost.exchange(b"", bodiless=False)


@pytest.mark.row(5, 6)
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", response(b"hello")[:-1]])
async def test_silence_is_a_lost_connection(sent: bytes, tls: ssl.SSLContext | None) -> None:
    """A server that sends nothing for the read time-out is given up, and the error says so."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(sent)

    async with (
        ScriptedServer(script, tls=tls) as server,
        client_of(server, read_timeout=0.05) as client,
    ):
        with pytest.raises(ConnectionLostError, match=r"sent nothing for 0\.05 s"):
            await fetch(client)
        await until(lambda: not client._pool._open)


@pytest.mark.row(6)
async def test_silence_on_a_kept_connection_is_not_retried() -> None:
    """Only a closed connection is stale; a silent one has used up its time."""

    async def script(peer: Peer) -> None:
        await answers_once(peer)
        await peer.receive()

    async with (
        ScriptedServer(script) as server,
        client_of(server, read_timeout=0.05) as client,
    ):
        await fetch(client)
        with pytest.raises(ConnectionLostError, match="sent nothing"):
            await fetch(client)
        assert len(server.peers) == 1


@pytest.mark.row(7)
async def test_trickle_is_a_lost_connection() -> None:
    """A body that moves, but slower than the least rate, has stalled."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(response(LARGE)[:200])
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.002)

    async with (
        ScriptedServer(script) as server,
        client_of(server, slow_rate=100_000, slow_time=0.1) as client,
    ):
        with pytest.raises(ConnectionLostError, match="less than 100000 bytes/s"):
            await fetch(client)


def test_silence_is_noticed_within_a_tick_of_the_limit() -> None:
    """It lasts as long as the limit says, and no more than one tick longer, however it began."""
    patience, watch = Patience(read_timeout=5, slow_rate=0, slow_time=10), Watch()
    for progress in (0, 100):  # the answer has not begun, and it breaks off behind a byte
        ticks = 1
        while not watch.tick(patience, progress):
            ticks += 1
        # The first tick comes at once at the earliest, and a whole one later at the latest.
        assert (ticks - 1) * patience.tick == patience.read_timeout
        watch.hush()


def test_answer_that_keeps_moving_is_given_all_the_time() -> None:
    """Each window is measured by itself, and silence since the last byte or the wait began."""
    patience, watch = Patience(read_timeout=5, slow_rate=10, slow_time=10), Watch()
    assert patience.tick == 0.5
    arrived = [100 * (ticks // 10) for ticks in range(1000)]  # 100 bytes each 5 s
    assert not any(watch.tick(patience, progress) for progress in arrived)
    watch.hush()
    silence = [watch.tick(patience, arrived[-1]) for _ in range(11)]
    assert silence[:-1] == [""] * 10
    assert silence[-1] == "sent nothing for 5 s"


async def test_slow_reader_is_not_a_stalled_server() -> None:
    """Time counts only while somebody waits for bytes."""
    async with (
        ScriptedServer(answers(response(LARGE))) as server,
        client_of(server) as client,
        client.request("GET", "/", {}) as answer,
    ):
        await until(lambda: only_connection(client)._paused)
        for _ in range(1000):
            client._pool._ticker.cancel()  # type: ignore[union-attr]  # it is set while connected
            client._pool._tick()
        assert await answer.read() == LARGE


async def test_slow_reader_holds_back_its_own_connection_only(tls: ssl.SSLContext | None) -> None:
    """An unread body fills the buffers and no more, while others are served."""

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
        assert slow._end == CAPACITY
        blocks = answer.blocks()
        assert [len(await anext(blocks)) > 0 for _ in range(10)] == [True] * 10


# Connecting.


@pytest.mark.row(9)
async def test_refused_connection_is_lost_and_names_the_address() -> None:
    """Nobody listens: host, port and the reason are in the error."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    async with HttpClient(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(ConnectionLostError) as caught:
            await fetch(client)
    assert str(caught.value) == f"no connection to 127.0.0.1:{port}: Connection refused"
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.row(5, 6, 7)
def test_limits_of_patience_are_those_that_are_promised() -> None:
    """10 s to connect, 30 s without a byte, less than 1 KiB a second for a minute."""
    parameters = inspect.signature(HttpClient).parameters
    names = ("connect_timeout", "read_timeout", "slow_rate", "slow_time")
    assert [parameters[name].default for name in names] == [10, 30, 1024, 60]


@pytest.mark.row(6)
async def test_handshake_that_never_ends_is_cut_off() -> None:
    """The connect time-out covers TLS, and closes the socket."""
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.gone()
        gone.set()

    async with ScriptedServer(script) as server:
        endpoint = f"https://127.0.0.1:{server.port}"
        client = HttpClient(endpoint, ssl_context=AUTHORITY.client(), connect_timeout=0.05)
        while not server.peers:  # a busy machine may not get as far as the handshake
            with pytest.raises(ConnectionLostError, match=r"within 0\.05 s"):
                await fetch(client)
        await gone.wait()


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_handshake_that_is_cut_is_a_lost_connection(ending: str) -> None:
    """A server that goes away inside the handshake may be back."""

    async def script(peer: Peer) -> None:
        await end(peer, ending)

    async with ScriptedServer(script) as server:
        endpoint = f"https://127.0.0.1:{server.port}"
        with pytest.raises(ConnectionLostError, match=str(server.port)):
            await fetch(HttpClient(endpoint, ssl_context=AUTHORITY.client()))


@pytest.mark.row(11)
@pytest.mark.parametrize(
    ("code", "error"),
    [(socket.EAI_NONAME, NetworkError), (socket.EAI_AGAIN, ConnectionLostError)],
)
async def test_unknown_name_ends_the_run_and_a_failing_resolver_does_not(
    code: int, error: type[AsyncSyncError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that does not exist stays so; a resolver that is busy may answer later."""

    async def resolve(*args: object, **kwargs: object) -> socket.socket:
        raise socket.gaierror(code, "not resolved")

    monkeypatch.setattr("asyncsync.http.dial.start_connection", resolve)
    async with HttpClient("http://127.0.0.1:9999") as client:
        with pytest.raises(error, match=r"127\.0\.0\.1:9999.*not resolved"):
            await fetch(client)


@pytest.mark.row(12)
async def test_name_with_several_addresses_is_connected_to() -> None:
    """Whichever address of `localhost` answers is used."""
    async with (
        ScriptedServer(answers(response(b"x"))) as server,
        HttpClient(f"http://localhost:{server.port}") as client,
    ):
        assert await fetch(client) == b"x"


@pytest.mark.row(14)
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Authority().server(), "unable to get local issuer|self.signed"),
        (lambda: AUTHORITY.server("example.org"), "not valid for '127.0.0.1'"),
        (
            lambda: AUTHORITY.server(not_after=datetime.now(UTC) - timedelta(days=1)),
            "has expired",
        ),
    ],
    ids=["unknown authority", "wrong host", "expired"],
)
async def test_bad_certificate_is_a_tls_error(
    make: Callable[[], ssl.SSLContext], reason: str
) -> None:
    """The error gives the reason and a hint, and no byte of the request is sent."""
    async with ScriptedServer(answers(response()), tls=make()) as server:
        async with client_of(server) as client:
            with pytest.raises(TLSError, match=f"({reason}).*AWS_CA_BUNDLE or SSL_CERT_FILE"):
                await fetch(client)
        assert server.peers == []


@pytest.mark.row(14)
@pytest.mark.parametrize(
    "greeting",
    [b"\x15\x03\x01\x00\x02\x02\x46", b"\x15\x03\x01\x00\x02\x02\x28", response(status="400 Bad")],
    ids=["alert protocol_version", "alert handshake_failure", "no TLS"],
)
async def test_server_that_does_not_agree_on_tls_is_a_tls_error(greeting: bytes) -> None:
    """A server that is too old, does not serve the host, or speaks no TLS stays so."""

    async def script(peer: Peer) -> None:
        await peer.send(greeting)
        await peer.gone()

    async with ScriptedServer(script) as server:
        client = HttpClient(f"https://127.0.0.1:{server.port}", ssl_context=AUTHORITY.client())
        with pytest.raises(TLSError, match="do not agree on TLS"):
            await fetch(client)


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
async def test_authorities_come_from_the_environment(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate file that is named there is trusted."""
    bundle = tmp_path / "ca.pem"
    AUTHORITY.ca.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv(variable, str(bundle))
    async with (
        ScriptedServer(answers(response(b"x")), tls=AUTHORITY.server()) as server,
        HttpClient(server.endpoint) as client,
    ):
        assert await fetch(client) == b"x"


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_unusable_authorities_are_a_config_error(
    variable: str, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is missing or holds no certificate is named together with its variable."""
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.setenv(variable, str(bundle))
    with pytest.raises(ConfigError, match=f"{variable} names .*ca.pem"):
        tls_context()


@pytest.mark.row(14)
def test_default_context_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates and host names are verified, and TLS is 1.2 at least, also with a directory."""
    for value in ("", str(tmp_path)):
        monkeypatch.setenv("AWS_CA_BUNDLE", value)
        context = tls_context()
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


# Proxies.


def tunnel(tls: ssl.SSLContext) -> Script:
    """Return the script of a proxy that is the origin as well."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await peer.start_tls(tls)
        await answers(response(b"inside"))(peer)

    return script


def proxied_client(
    monkeypatch: pytest.MonkeyPatch, proxy: str, *, connect_timeout: float = 10.0
) -> HttpClient:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    return HttpClient(
        "https://storage.invalid", ssl_context=AUTHORITY.client(), connect_timeout=connect_timeout
    )


async def test_proxy_is_asked_for_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy sees the origin's name and its own credentials; the rest is TLS to the origin."""
    async with ScriptedServer(tunnel(AUTHORITY.server("storage.invalid"))) as server:
        proxy = f"http://us%40er:p%3Aw@127.0.0.1:{server.port}"
        async with proxied_client(monkeypatch, proxy) as client:
            assert await fetch(client, "/a") == b"inside"
            assert await fetch(client, "/b") == b"inside"
    assert server.heads[0] == (
        "CONNECT storage.invalid:443 HTTP/1.1\r\nHost: storage.invalid:443\r\n"
        "Proxy-Authorization: Basic dXNAZXI6cDp3\r\n\r\n"
    )
    assert [head.split("\r\n")[:2] for head in server.heads[1:]] == [
        ["GET /a HTTP/1.1", "Host: storage.invalid"],
        ["GET /b HTTP/1.1", "Host: storage.invalid"],
    ]
    assert len(server.peers) == 1


async def test_origin_is_verified_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that answers in the origin's place is found out before the request is sent."""
    async with ScriptedServer(tunnel(AUTHORITY.server("proxy.invalid"))) as server:
        async with proxied_client(monkeypatch, f"127.0.0.1:{server.port}") as client:
            with pytest.raises(TLSError, match=r"not valid for 'storage\.invalid'"):
                await fetch(client)
        assert len(server.heads) == 1


@pytest.mark.row(16)
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_refusing_proxy_ends_the_run(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the proxy and the status, and never its password."""
    async with ScriptedServer(answers(response(b"no", status=status))) as server:
        proxy = f"http://user:secret@127.0.0.1:{server.port}"
        async with proxied_client(monkeypatch, proxy) as client:
            with pytest.raises(
                NetworkError, match=f"{server.port} refuses.*{status[:3]}"
            ) as caught:
                await fetch(client)
    assert "secret" not in str(caught.value)


@pytest.mark.row(16)
async def test_silent_proxy_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connect time-out covers the proxy, and the error shows no password."""
    async with ScriptedServer(silent) as server:
        proxy = f"http://user:secret@127.0.0.1:{server.port}"
        async with proxied_client(monkeypatch, proxy, connect_timeout=0.05) as client:
            with pytest.raises(
                ConnectionLostError, match=f"proxy 127.0.0.1:{server.port}"
            ) as caught:
                await fetch(client)
    assert "secret" not in str(caught.value)


async def test_no_proxy_exempts_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that NO_PROXY names is connected to directly, and so is every http endpoint."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with (
        ScriptedServer(answers(response(b"x")), tls=AUTHORITY.server()) as server,
        client_of(server) as client,
    ):
        assert await fetch(client) == b"x"
    monkeypatch.delenv("NO_PROXY")
    async with ScriptedServer(answers(response(b"x"))) as server, client_of(server) as client:
        assert await fetch(client) == b"x"


@pytest.mark.parametrize("proxy", ["https://u:secret@p:1", "http://u:secret@p:port", "socks5://p"])
def test_unusable_proxy_is_a_config_error(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable and does not show its value."""
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        proxied_client(monkeypatch, proxy)
    assert "secret" not in str(caught.value)


# Cancellation and closing.


async def cancel_when(work: Awaitable[object], reached: Callable[[], object]) -> None:
    """Start the work, and cancel it when it has come so far."""
    task = asyncio.ensure_future(work)
    await until(reached)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("stage", ["connect", "head", "body"])
async def test_cancelled_request_leaves_nothing(stage: str, tls: ssl.SSLContext | None) -> None:
    """Wherever a request is cancelled, its socket closes, no task stays, and the pool works."""
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


async def test_cancelled_handshake_closes_its_socket() -> None:
    """A connection that is not yet in the pool is closed as well."""
    greeted, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        greeted.set()
        await peer.gone()
        gone.set()

    async with ScriptedServer(script) as server:
        client = HttpClient(f"https://127.0.0.1:{server.port}", ssl_context=AUTHORITY.client())
        await cancel_when(fetch(client), greeted.is_set)
        await gone.wait()


async def test_aclose_closes_kept_and_busy_connections(tls: ssl.SSLContext | None) -> None:
    """Kept connections close, and whoever still reads gets an error."""
    closed: list[Peer] = []

    async def script(peer: Peer) -> None:
        await answers_once(peer)
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


async def answers_once(peer: Peer) -> None:
    """Answer one request with `first`."""
    await peer.receive()
    await peer.send(response(b"first"))


async def end(peer: Peer, how: str) -> None:
    """End the connection in one of three ways."""
    if how == "close":
        await peer.close()
    elif how == "cut":
        peer.cut()
    else:
        peer.reset()
