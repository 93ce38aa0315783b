"""Opens connections to the endpoint: host name, proxy, TLS, and the errors of each step."""

import asyncio
import base64
import os
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import aiofastnet
from aiohappyeyeballs import AddrInfoType, start_connection

from asyncsync import descriptors
from asyncsync.errors import AsyncSyncError, ConfigError, NetworkError, TLSError, UnreachableError
from asyncsync.http.buffers import BufferPool
from asyncsync.http.connection import Connection
from asyncsync.http.heads import encode_head
from asyncsync.secret import SignedHeaders
from asyncsync.threads import in_thread

_CA_VARIABLES: Final = ("AWS_CA_BUNDLE", "SSL_CERT_FILE")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_NAME_UNKNOWN: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_OTHER_NAME: Final = {62, 64}
"""OpenSSL's codes for a certificate of another host name or address (X509_V_ERR_..._MISMATCH)."""
_HAPPY_EYEBALLS_DELAY: Final = 0.25
"""Seconds after which the next address is tried as well (RFC 8305)."""
_RECEIVE_SIZE: Final = 128 * 1024
"""Bytes that are received and decrypted at once."""
_SEND_SIZE: Final = 16 * 1024
"""Bytes that are encrypted and sent at once: more than any request has."""
_NO_FILES: Final = "_aiofastnet_force_fallback_ssl"
"""With this attribute of a context, aiofastnet 1.2 leaves TLS to Python, which is slower."""
_ADDRESSES_VALID: Final = 10.0
"""Seconds before a host name is resolved again; at once if a connection failed."""


def tls_context() -> ssl.SSLContext:
    """Return a context that verifies certificates and host names.

    It trusts the certificate authorities in AWS_CA_BUNDLE or SSL_CERT_FILE, the first that is set
    (a file, or a directory of files named by OpenSSL's hashes), otherwise the system's.

    Raises:
        ConfigError: the file cannot be read or contains no certificate.
    """
    for variable in _CA_VARIABLES:
        path = os.environ.get(variable)
        if path:
            try:
                context = _context_trusting(path)
            except OSError as error:
                reason = "it contains no certificate" if isinstance(error, ssl.SSLError) else error
                raise ConfigError(f"cannot use {path!r}, set in {variable}: {reason}") from error
            break
    else:
        context = _new_context()
        context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Some versions of Python set it, and then a connection that was cut looks complete.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


class QuietContext(ssl.SSLContext):
    """A context that verifies, as every other, and whose connections tell nothing of certificates.

    For each connection aiofastnet 1.2 would decode the certificate of the server, by way of a
    temporary file, which takes as long as the handshake. It does so where this attribute says that
    one is asked for, and uses it for nothing else: OpenSSL verifies as it was told. A test sees it;
    what later versions do, nobody knows.
    """

    @property
    def verify_mode(self) -> ssl.VerifyMode:  # type: ignore[override]
        """What aiofastnet is to take for the mode."""
        return ssl.CERT_NONE


def _new_context() -> ssl.SSLContext:
    """Return what `ssl.create_default_context` does, before it loads certificates.

    That would write the keys of all connections to the file in SSLKEYLOGFILE, for which Python
    looks for an object of its own in each of them; aiofastnet's have none, so the process crashes.
    """
    is_known = aiofastnet.__version__.startswith("1.2.")
    context = (QuietContext if is_known else ssl.SSLContext)(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context


def _context_trusting(path: str) -> ssl.SSLContext:
    context = _new_context()
    if os.path.isdir(path):
        os.listdir(path)  # OpenSSL reads it later, and reports no error then
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(path)
    return context


@dataclass(frozen=True, slots=True)
class _Proxy:
    """A proxy for HTTPS; `authorization` is a header's value and secret."""

    host: str
    port: int
    peer: str
    authorization: str = field(repr=False)


class _Addresses:
    """The addresses of a host, resolved once for all connections that are opened together."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._resolved: Sequence[AddrInfoType] = ()
        self._valid_until = float("-inf")
        self._lock = asyncio.Lock()
        self.are_known = False
        """Whether the host was resolved before, so that its name exists."""

    async def get(self) -> Sequence[AddrInfoType]:
        loop = asyncio.get_running_loop()
        async with self._lock:
            if loop.time() >= self._valid_until:
                self._resolved = await _resolve(self._host, self._port)
                self.are_known = True
                self._valid_until = loop.time() + _ADDRESSES_VALID
        return self._resolved

    def forget(self) -> None:
        """Resolve the host again next time: it may have moved."""
        self._valid_until = float("-inf")


async def _resolve(host: str, port: int | None) -> Sequence[AddrInfoType]:
    """Return the addresses of a host; asyncio's own way fails if no thread can be started."""
    return await in_thread(partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM))


class Dialer:
    """Opens connections to one origin, through the proxy that the environment sets for it.

    Args:
        endpoint: `scheme://host[:port]`.
        ssl_context: for https; by default one that verifies, as `tls_context` says.
        timeout: seconds for resolving the name, connecting, the proxy and TLS together.
        tells_certificates: whether its connections can tell the server's certificate.

    Raises:
        ConfigError: the endpoint, HTTPS_PROXY or the file of authorities cannot be used.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        ssl_context: ssl.SSLContext | None,
        timeout: float,
        tells_certificates: bool = False,
    ) -> None:
        parts = _split(endpoint)
        if parts is None:
            raise ConfigError("the endpoint is not a URL such as https://host:port")
        self._hostname, self._port, self._peer = _host_and_port(parts)
        self._timeout = timeout
        self._buffers = BufferPool()
        self._context: ssl.SSLContext | None = None
        self._proxy: _Proxy | None = None
        if parts.scheme == "https":
            self._context = ssl_context or tls_context()
            if tells_certificates:
                setattr(self._context, _NO_FILES, True)
            self._proxy = _find_proxy(self._hostname)
        default = self._port == _DEFAULT_PORTS[parts.scheme]
        self.host = self._peer.removesuffix(f":{self._port}") if default else self._peer
        """The value of the Host header."""
        self.via = self._proxy.host if self._proxy else self._hostname
        """The host that connections are opened to: the proxy's or the endpoint's."""
        self._addresses = _Addresses(self.via, self._proxy.port if self._proxy else self._port)

    async def look_up(self) -> list[str]:
        """Return the addresses of `via`.

        Raises:
            NetworkError: the name does not exist.
            UnreachableError: the name could not be resolved now.
        """
        try:
            found = await _resolve(self.via, None)
        except OSError as error:
            raise _translate(error, self._proxy.peer if self._proxy else self._peer) from error
        return [str(address[0]) for *_, address in found]

    async def dial(self, on_lost: Callable[[Connection], None]) -> Connection:
        """Open a connection; `on_lost` is called when its socket is closed.

        Raises:
            NetworkError: the host name never existed, or the proxy refused.
            TLSError: the certificate or the TLS version was rejected.
            ThrottledError: this process cannot open more files.
            UnreachableError: any other failure.
        """
        proxy, context = self._proxy, self._context
        peer = f"{self._peer} through the proxy {proxy.peer}" if proxy else self._peer
        connection = Connection(peer, self._buffers, on_lost)
        transport: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(self._timeout):
                transport = await _connect(self._addresses, connection)
                if proxy and context:
                    await self._open_tunnel(connection, proxy)
                if context:
                    connection.connection_made(
                        await self._start_tls(transport, connection, context)
                    )
        except BaseException as error:
            if transport:
                transport.abort()
            if isinstance(error, Exception):
                self._addresses.forget()
            if isinstance(error, TimeoutError):
                message = f"cannot connect to {peer} within {self._timeout:g} s"
                raise UnreachableError(message) from error
            if isinstance(error, OSError):
                raise _translate(
                    error, peer, self._hostname, exists=self._addresses.are_known
                ) from error
            raise
        return connection

    async def _start_tls(
        self, transport: asyncio.Transport, connection: Connection, context: ssl.SSLContext
    ) -> asyncio.Transport:
        """Do the handshake; return the transport that encrypts what it is given.

        `create_connection` would do this as well, but in aiofastnet 1.2.0 what a connection had
        received before it was paused would stay unread until more came.
        """
        return await aiofastnet.start_tls(
            asyncio.get_running_loop(),
            transport,
            connection,
            context,
            server_hostname=self._hostname,
            ssl_incoming_bio_size=_RECEIVE_SIZE,
            ssl_outgoing_bio_size=_SEND_SIZE,
        )

    async def _open_tunnel(self, connection: Connection, proxy: _Proxy) -> None:
        """Have the proxy forward everything that is sent from now on to the origin."""
        connection.send(_tunnel_request(self._peer, proxy), no_body=True)
        await connection.receive()
        if not 200 <= connection.status < 300:
            hint = " (it requires a user name and a password)" if connection.status == 407 else ""
            raise NetworkError(
                f"the proxy {proxy.peer} refused to connect to {self._peer}:"
                f" status {connection.status}{hint}"
            )
        if connection.error is not None:
            raise connection.error


def _tunnel_request(peer: str, proxy: _Proxy) -> memoryview:
    headers = SignedHeaders(host=peer)
    if proxy.authorization:
        headers["proxy-authorization"] = proxy.authorization
    return encode_head("CONNECT", peer, headers)


async def _connect(addresses: _Addresses, connection: Connection) -> asyncio.Transport:
    sock = await start_connection(await addresses.get(), happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY)
    try:
        transport, _ = await aiofastnet.create_connection(
            asyncio.get_running_loop(), lambda: connection, sock=sock
        )
    except BaseException:
        sock.close()
        raise
    return transport


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, None if it is none. It may have a password: nothing is raised."""
    try:
        parts = urlsplit(url)
        if parts.scheme in _DEFAULT_PORTS and parts.hostname and parts.port != 0:
            parts.hostname.encode("idna")
            return parts
    except ValueError:  # a bad port or bracket, or a name that IDNA cannot encode
        pass
    return None


def _host_and_port(parts: SplitResult) -> tuple[str, int, str]:
    """Return host and port, and `host:port` as text."""
    host = parts.hostname or ""
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return host, port, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _find_proxy(host: str) -> _Proxy | None:
    """Return the proxy that HTTPS_PROXY and NO_PROXY set for the host."""
    try:
        return _read_proxy(host)
    except ValueError as error:
        problem = str(error)
    raise ConfigError(problem)  # anew: the frames of the other hold the password


def _read_proxy(host: str) -> _Proxy | None:
    if not (os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")):
        return None
    from urllib.request import getproxies, proxy_bypass  # slow to import and rarely needed

    url = getproxies().get("https", "")
    if not url or proxy_bypass(host):
        return None
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme.startswith("socks"):
        raise ValueError(
            "HTTPS_PROXY: SOCKS proxies are not supported; name an HTTP proxy (http://host:port), "
            "or unset it, or list the endpoint's host in NO_PROXY"
        )
    if scheme == "https":
        raise ValueError(
            "HTTPS_PROXY: proxies that are reached by TLS are not supported; write http://host:port"
            " if it listens without TLS too: what goes through it is encrypted up to the endpoint"
        )
    parts = _split(url if scheme else f"http://{url}")
    if parts is None:
        raise ValueError("HTTPS_PROXY is not a URL such as http://host:port")
    authorization = ""
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(user.encode()).decode()
    return _Proxy(*_host_and_port(parts), authorization)


def _translate(
    error: OSError, peer: str, hostname: str = "", *, exists: bool = False
) -> AsyncSyncError:
    """Return our error for one of the system or of OpenSSL.

    Args:
        error: what was raised.
        peer: who was connected to, for the message.
        hostname: the name that the certificate had to contain.
        exists: whether the name of the host was resolved before: then a resolver that does not
            know it is out of order, as one of a network that has gone.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message
        if error.verify_code in _OTHER_NAME:
            reason = f"it is not valid for {hostname!r}"
        return TLSError(
            f"the certificate of {peer} was rejected: {reason}. If your own authority"
            " issued it, set AWS_CA_BUNDLE or SSL_CERT_FILE to the authority's certificate file"
        )
    if isinstance(error, ssl.SSLError) and _is_permanent(reason := error.reason or ""):
        return TLSError(f"the TLS handshake with {peer} failed: {reason}{_hint(reason)}")
    if isinstance(error, socket.gaierror) and error.errno in _NAME_UNKNOWN:
        kind = UnreachableError if exists else NetworkError
        return kind(f"cannot resolve the host name of {peer}: {error.strerror}")
    if throttled := descriptors.too_many_open_files(error):
        return throttled
    return UnreachableError(f"cannot connect to {peer}: {_reason(error)}")


def _reason(error: OSError) -> str:
    """Return the system's text for an error: asyncio's has the address instead of the reason."""
    # TLS and name resolution number their errors differently.
    if error.errno and not isinstance(error, ssl.SSLError | socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


def _hint(reason: str) -> str:
    """Return what is likely wrong with an address where TLS fails."""
    if "HANDSHAKE_FAILURE" in reason:  # R2 answers so to an ID that it does not know
        return (
            "; it may not serve this name: check the endpoint, with R2 the account's ID in it;"
            " that of a new account may need some minutes"
        )
    if reason == "WRONG_VERSION_NUMBER":
        return "; it may not use TLS: check the port, and whether http:// is meant"
    return ""


def _is_permanent(reason: str) -> bool:
    """Return whether TLS will keep failing: no common version, host not served, or not TLS."""
    return any(word in reason for word in ("VERSION", "PROTOCOL", "HANDSHAKE_FAILURE"))
