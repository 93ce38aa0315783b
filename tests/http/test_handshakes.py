"""TLS handshakes of the client: trust, time limits, and errors."""

import asyncio
import ssl
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncsync.errors import ConfigError, ConnectionLostError, TLSError
from asyncsync.http.client import HttpClient
from asyncsync.http.dial import QuietContext, tls_context
from tests.rigs.http_client import AUTHORITY, cancel_when, end, fetch
from tests.rigs.scripted import Authority, Peer, ScriptedServer, answers, response

pytestmark = pytest.mark.anyio


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients without a context of their own trust the tests' authority."""
    bundle = tmp_path / "ca.pem"
    AUTHORITY.ca.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))


@pytest.mark.row(14)
@pytest.mark.usefixtures("trusted")
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
@pytest.mark.parametrize("is_pythons", [False, True], ids=["aiofastnet", "Python's TLS"])
async def test_bad_certificate_is_a_tls_error(
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], ssl.SSLContext],
    reason: str,
    is_pythons: bool,
) -> None:
    """The error has the reason and what to do, and no byte of the request is sent.

    Where Python has OpenSSL built in, aiofastnet uses Python's own objects.
    """
    monkeypatch.setattr(QuietContext, "_aiofastnet_force_fallback_ssl", is_pythons, raising=False)
    async with ScriptedServer(answers(response()), tls=make()) as server:
        async with HttpClient(server.endpoint) as client:
            with pytest.raises(TLSError, match=f"({reason}).*AWS_CA_BUNDLE or SSL_CERT_FILE"):
                await fetch(client)
        assert server.peers == []


@pytest.mark.usefixtures("trusted")
async def test_connection_needs_no_temporary_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It works where none can be written, and loses no time by them."""
    async with (
        ScriptedServer(answers(response(b"x")), tls=AUTHORITY.server()) as server,
        HttpClient(server.endpoint) as client,
    ):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        assert [await fetch(client), await fetch(client)] == [b"x", b"x"]
        assert len(server.peers) == 1


@pytest.mark.row(14)
@pytest.mark.parametrize(
    "greeting",
    [b"\x15\x03\x01\x00\x02\x02\x46", b"\x15\x03\x01\x00\x02\x02\x28", response(status="400 Bad")],
    ids=["alert protocol_version", "alert handshake_failure", "no TLS"],
)
async def test_server_that_does_not_agree_on_tls_is_a_tls_error(greeting: bytes) -> None:
    """A server that is too old, does not serve the host or does not use TLS is not retried."""

    async def script(peer: Peer) -> None:
        await peer.send(greeting)
        await peer.gone()

    async with ScriptedServer(script) as server:
        client = HttpClient(f"https://127.0.0.1:{server.port}", ssl_context=AUTHORITY.client())
        with pytest.raises(TLSError, match=r"TLS handshake with .* failed"):
            await fetch(client)


@pytest.mark.parametrize(
    ("greeting", "hint"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x28", "check the endpoint, with R2 the account's ID in it"),
        (response(status="400 Bad"), "it may not use TLS: check the port"),
    ],
    ids=["alert handshake_failure", "no TLS"],
)
async def test_what_to_do_about_a_handshake_is_told(greeting: bytes, hint: str) -> None:
    """R2 refuses the handshake for an account that it does not know; another server has no TLS."""

    async def script(peer: Peer) -> None:
        await peer.send(greeting)
        await peer.gone()

    async with ScriptedServer(script) as server:
        client = HttpClient(f"https://127.0.0.1:{server.port}", ssl_context=AUTHORITY.client())
        with pytest.raises(TLSError, match=hint):
            await fetch(client)


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
async def test_authorities_come_from_the_environment(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate file set in either variable is trusted."""
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
    """The error has the variable and the file, if that is missing or contains no certificate."""
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    monkeypatch.setenv(variable, str(bundle))
    with pytest.raises(ConfigError, match=f"ca.pem', set in {variable}"):
        tls_context()


@pytest.mark.row(14)
def test_default_context_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates and host names are verified, and TLS is at least 1.2, also with a directory."""
    for value in ("", str(tmp_path)):
        monkeypatch.setenv("AWS_CA_BUNDLE", value)
        context = tls_context()
        assert vars(ssl.SSLContext)["verify_mode"].__get__(context) == ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_context_tells_the_truth_to_versions_that_nobody_has_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One might verify by what it is told."""
    assert tls_context().verify_mode == ssl.CERT_NONE
    monkeypatch.setattr("aiofastnet.__version__", "1.3.0")
    assert tls_context().verify_mode == ssl.CERT_REQUIRED


@pytest.mark.row(6)
async def test_handshake_that_never_ends_is_cut_off() -> None:
    """The connect timeout covers TLS, and closes the socket."""
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
    """A connection that breaks during the handshake may be retried."""

    async def script(peer: Peer) -> None:
        await end(peer, ending)

    async with ScriptedServer(script) as server:
        endpoint = f"https://127.0.0.1:{server.port}"
        with pytest.raises(ConnectionLostError, match=str(server.port)):
            await fetch(HttpClient(endpoint, ssl_context=AUTHORITY.client()))


async def test_cancelled_handshake_closes_its_socket() -> None:
    """Cancelling a connection that is not yet in the pool closes it."""
    greeted, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        greeted.set()
        await peer.gone()
        gone.set()

    async with ScriptedServer(script) as server:
        client = HttpClient(f"https://127.0.0.1:{server.port}", ssl_context=AUTHORITY.client())
        await cancel_when(fetch(client), greeted.is_set)
        await gone.wait()
