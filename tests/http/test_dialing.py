"""Opening connections: resolving names, addresses, and proxies."""

import asyncio
import socket
import ssl

import pytest

from asyncsync.errors import (
    AsyncSyncError,
    ConfigError,
    ConnectionLostError,
    NetworkError,
    TLSError,
    TransientError,
    UnreachableError,
)
from asyncsync.http.client import HttpClient
from tests.rigs.http_client import AUTHORITY, client_of, fetch
from tests.rigs.scripted import Peer, Script, ScriptedServer, answers, response

pytestmark = pytest.mark.anyio


# Names and addresses.


async def test_many_connections_look_the_host_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections opened together resolve the host once, and again after a failed connection."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **options: int) -> object:
        asked.append(host)
        return real(host, 1 if len(asked) == 1 else port, **options)

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


@pytest.mark.row(9)
async def test_refused_connection_is_lost_and_names_the_address() -> None:
    """The error has host, port and the reason when nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    async with HttpClient(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(ConnectionLostError) as caught:
            await fetch(client)
    assert str(caught.value) == f"cannot connect to 127.0.0.1:{port}: Connection refused"
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.row(11)
@pytest.mark.parametrize(
    ("code", "error"),
    [(socket.EAI_NONAME, NetworkError), (socket.EAI_AGAIN, ConnectionLostError)],
)
async def test_unknown_name_ends_the_run_and_a_failing_resolver_does_not(
    code: int, error: type[AsyncSyncError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that does not exist ends the run; a resolver that fails now may answer later."""

    def resolve(*args: object, **kwargs: object) -> object:
        raise socket.gaierror(code, "not resolved")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with HttpClient("http://bucket.example:9999") as client:
        with pytest.raises(error, match=r"bucket\.example:9999.*not resolved"):
            await fetch(client)


@pytest.mark.row(11)
@pytest.mark.parametrize(
    "code", [socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME), socket.EAI_AGAIN]
)
async def test_name_that_was_known_before_may_be_known_again(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the network is gone, and the resolver that is left knows nothing of it."""
    real = socket.getaddrinfo
    known = True

    def resolve(host: str, port: int, **options: int) -> object:
        if not known:
            raise socket.gaierror(code, "not resolved")
        return real("127.0.0.1", port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with (
        ScriptedServer(answers(response(b"x", headers={"Connection": "close"}))) as server,
        HttpClient(f"http://bucket.example:{server.port}") as client,
    ):
        assert await fetch(client) == b"x"
        known = False
        client._pool._dialer._addresses.forget()
        with pytest.raises(UnreachableError, match=r"bucket\.example.*not resolved"):
            await fetch(client)
        known = True
        assert await fetch(client) == b"x"


@pytest.mark.row(12)
async def test_name_with_several_addresses_is_connected_to() -> None:
    """Any address of `localhost` that accepts connections is used."""
    async with (
        ScriptedServer(answers(response(b"x"))) as server,
        HttpClient(f"http://localhost:{server.port}") as client,
    ):
        assert await fetch(client) == b"x"


# Proxies.


def tunnel(tls: ssl.SSLContext) -> Script:
    """Return the script of a proxy that also plays the origin."""

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
    """The proxy gets the origin's name and its own credentials; the rest is TLS to the origin."""
    async with ScriptedServer(tunnel(AUTHORITY.server("storage.invalid"))) as server:
        proxy = f"http://us%40er:p%3Aw@127.0.0.1:{server.port}"
        async with proxied_client(monkeypatch, proxy) as client:
            assert await fetch(client, "/a") == b"inside"
            assert await fetch(client, "/b") == b"inside"
    assert server.heads[0] == (
        "CONNECT storage.invalid:443 HTTP/1.1\r\nhost: storage.invalid:443\r\n"
        "proxy-authorization: Basic dXNAZXI6cDp3\r\n\r\n"
    )
    assert [head.split("\r\n")[:2] for head in server.heads[1:]] == [
        ["GET /a HTTP/1.1", "host: storage.invalid"],
        ["GET /b HTTP/1.1", "host: storage.invalid"],
    ]
    assert len(server.peers) == 1


async def test_origin_is_verified_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that poses as the origin is detected before the request is sent."""
    async with ScriptedServer(tunnel(AUTHORITY.server("proxy.invalid"))) as server:
        async with proxied_client(monkeypatch, f"127.0.0.1:{server.port}") as client:
            with pytest.raises(TLSError, match=r"not valid for 'storage\.invalid'"):
                await fetch(client)
        assert len(server.heads) == 1


@pytest.mark.row(16)
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_refusing_proxy_ends_the_run(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the proxy and the status, but not its password."""
    async with ScriptedServer(answers(response(b"no", status=status))) as server:
        proxy = f"http://user:secret@127.0.0.1:{server.port}"
        async with proxied_client(monkeypatch, proxy) as client:
            with pytest.raises(
                NetworkError, match=f"{server.port} refused to.*{status[:3]}"
            ) as caught:
                await fetch(client)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("proxy", "advice"),
    [
        ("socks5://u:secret@p:1", "SOCKS proxies are not supported; name an HTTP proxy"),
        ("SOCKS5h://p:1", "SOCKS proxies are not supported"),
        ("https://u:secret@p:1", "reached by TLS are not supported; write http://host:port"),
    ],
)
def test_proxy_of_another_kind_is_called_by_it(
    proxy: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the error says what to set in its place."""
    with pytest.raises(ConfigError, match=advice) as caught:
        proxied_client(monkeypatch, proxy)
    assert "secret" not in str(caught.value)


async def test_no_proxy_exempts_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts in NO_PROXY and all http endpoints are connected to directly."""
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
    """The error names the variable but not its value."""
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        proxied_client(monkeypatch, proxy)
    assert "secret" not in str(caught.value)
