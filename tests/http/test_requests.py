"""Requests and responses: what is sent, and what a caller gets back."""

import ssl

import pytest

from asyncsync.errors import ConfigError, ProtocolError
from asyncsync.http.buffers import BUFFER_SIZE
from asyncsync.http.client import HttpClient
from tests.rigs.http_client import AUTHORITY, CHUNKED, LARGE, client_of, fetch
from tests.rigs.scripted import ScriptedServer, answers, response

pytestmark = pytest.mark.anyio


async def test_request_goes_out_as_given(tls: ssl.SSLContext | None) -> None:
    """The target is sent verbatim; only Host and Accept-Encoding are added, unless given."""
    async with ScriptedServer(answers(response()), tls=tls) as server, client_of(server) as client:
        async with client.request("GET", "/b/a%20b?x=%2F", {"if-match": '"1"'}):
            pass
        async with client.request("HEAD", "/", {"host": "h", "accept-encoding": "gzip"}):
            pass
        assert server.heads == [
            (
                f"GET /b/a%20b?x=%2F HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\n"
                'accept-encoding: identity\r\nif-match: "1"\r\n\r\n'
            ),
            "HEAD / HTTP/1.1\r\nhost: h\r\naccept-encoding: gzip\r\n\r\n",
        ]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "ä"])
async def test_line_break_in_a_header_is_refused(value: str) -> None:
    """A header with a line break or a non-ASCII character is an error of the caller."""
    client = HttpClient("http://127.0.0.1:1")
    with pytest.raises(ValueError, match=r"line break|ascii"):
        client.request("GET", "/", {"if-match": value})


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
    """The Host header has the port only if it is not the default port of the scheme."""
    assert HttpClient(endpoint, ssl_context=AUTHORITY.client()).host == host


@pytest.mark.parametrize(
    "endpoint", ["", "example.org", "ftp://a", "http://", "http://a:x", "http://a..b"]
)
def test_endpoint_that_is_no_url_is_a_config_error(endpoint: str) -> None:
    """An endpoint that is not a usable URL is rejected before any request."""
    with pytest.raises(ConfigError, match="endpoint"):
        HttpClient(endpoint)


async def test_answers_are_whole(tls: ssl.SSLContext | None) -> None:
    """Status, headers and bodies of all sizes arrive complete, on one connection."""
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
    """Each block but the last has at least the requested size, and at most the buffer's."""
    async with (
        ScriptedServer(answers(response(LARGE)), tls=tls) as server,
        client_of(server) as client,
        client.request("GET", "/", {}) as answer,
    ):
        blocks = [bytes(block) async for block in answer.blocks(100_000)]
    assert b"".join(blocks) == LARGE
    assert all(100_000 <= len(block) <= BUFFER_SIZE for block in blocks[:-1])


@pytest.mark.row(41, 74)
@pytest.mark.parametrize("raw", [response(b"x" * 2000), CHUNKED])
async def test_body_over_the_limit_is_a_protocol_error(raw: bytes) -> None:
    """`read` keeps at most `limit` bytes in memory, whether the length is announced or not."""
    async with ScriptedServer(answers(raw)) as server, client_of(server) as client:
        with pytest.raises(ProtocolError, match="longer than 10 bytes"):
            async with client.request("GET", "/", {}) as answer:
                await answer.read(limit=10)


@pytest.mark.row(36, 37)
@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect"])
async def test_redirect_is_returned(status: str) -> None:
    """Redirects are never followed, and cookies are never sent back."""
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
    """A response cannot be read after its `async with` block, as its connection serves another."""
    async with ScriptedServer(answers(response(b"x"))) as server, client_of(server) as client:
        async with client.request("GET", "/", {}) as answer:
            blocks = answer.blocks()
        with pytest.raises(RuntimeError, match="within its request"):
            await anext(blocks)
        with pytest.raises(RuntimeError, match="within its request"):
            await answer.read()
