"""How a connection to the endpoint comes about: names, proxies, TLS, and what fails on the way."""

import asyncio
import base64
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from aiohappyeyeballs import AddrInfoType, start_connection

from asyncsync import descriptors
from asyncsync.errors import AsyncSyncError, ConfigError, NetworkError, TLSError, UnreachableError
from asyncsync.http.buffers import Buffers
from asyncsync.http.connection import Connection
from asyncsync.http.heads import encode_head
from asyncsync.http.tls import ROOM, TlsLayer

_CA_VARIABLES: Final = ("AWS_CA_BUNDLE", "SSL_CERT_FILE")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_UNKNOWN_NAME: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_HAPPY_EYEBALLS_DELAY: Final = 0.25
"""Seconds that one address family gets before the other is tried beside it."""
_KEEP_ADDRESSES: Final = 10.0
"""Seconds for which a host is not looked up again, unless it cannot be connected to."""


def tls_context() -> ssl.SSLContext:
    """Return a context that verifies certificates and host names.

    The authorities are those of AWS_CA_BUNDLE or SSL_CERT_FILE, the first that is set (a file, or a
    directory as OpenSSL hashes it), otherwise the system's.

    Raises:
        ConfigError: the file cannot be read or holds no certificate.
    """
    for variable in _CA_VARIABLES:
        path = os.environ.get(variable)
        if path:
            try:
                context = _context_with(path)
            except OSError as error:
                reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error
                raise ConfigError(f"{variable} names {path!r}, unusable: {reason}") from error
            break
    else:
        context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _context_with(path: str) -> ssl.SSLContext:
    if os.path.isdir(path):
        os.listdir(path)  # OpenSSL looks into it later, and says nothing when it cannot
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


@dataclass(frozen=True, slots=True)
class _Proxy:
    host: str
    port: int
    peer: str
    authorization: str = field(repr=False)


class _Addresses:
    """Where a host is: looked up once for the many connections that are opened at one moment."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._found: Sequence[AddrInfoType] = ()
        self._good_until = float("-inf")
        self._asking = asyncio.Lock()

    async def get(self) -> Sequence[AddrInfoType]:
        loop = asyncio.get_running_loop()
        async with self._asking:
            if loop.time() >= self._good_until:
                kind = socket.SOCK_STREAM
                self._found = await loop.getaddrinfo(self._host, self._port, type=kind)
                self._good_until = loop.time() + _KEEP_ADDRESSES
        return self._found

    def forget(self) -> None:
        """Look the host up again next time: it may have moved."""
        self._good_until = float("-inf")


class Dialer:
    """Opens connections to one origin, through a proxy where the environment asks for one.

    Args:
        endpoint: `scheme://host[:port]`.
        ssl_context: for https; `tls_context()` unless given.
        timeout: seconds for name look-up, connection, proxy and TLS handshake together.

    Raises:
        ConfigError: the endpoint, HTTPS_PROXY or the file of authorities is unusable.
    """

    def __init__(
        self, endpoint: str, *, ssl_context: ssl.SSLContext | None, timeout: float
    ) -> None:
        parts = _split(endpoint, "the endpoint")
        self._hostname, self._port, self._peer = _address(parts)
        self._timeout = timeout
        self._buffers = Buffers()
        self._room = memoryview(bytearray(ROOM))
        self._context: ssl.SSLContext | None = None
        self._proxy: _Proxy | None = None
        if parts.scheme == "https":
            self._context = ssl_context or tls_context()
            self._proxy = _proxy_for(self._hostname)
        default = self._port == _DEFAULT_PORTS[parts.scheme]
        self.host = self._peer.removesuffix(f":{self._port}") if default else self._peer
        """The value of the Host header."""
        self.via = self._proxy.host if self._proxy else self._hostname
        """The host that connections are opened to."""
        self._addresses = _Addresses(self.via, self._proxy.port if self._proxy else self._port)

    async def look_up(self) -> list[str]:
        """Return the addresses of the host that connections are opened to.

        Raises:
            NetworkError: it is not known.
            UnreachableError: nobody could be asked.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                self.via, None, type=socket.SOCK_STREAM
            )
        except OSError as error:
            raise _translated(error, self._proxy.peer if self._proxy else self._peer) from error
        return [str(address[0]) for *_, address in found]

    async def dial(self, on_lost: Callable[[Connection], None]) -> Connection:
        """Open a connection; `on_lost` is called when it is gone.

        Raises:
            NetworkError: the host is not known, or the proxy refuses.
            TLSError: the certificate or the TLS version is not acceptable.
            UnreachableError: any other failure.
        """
        proxy, context = self._proxy, self._context
        peer = f"{self._peer} through the proxy {proxy.peer}" if proxy else self._peer
        connection = Connection(peer, self._buffers, on_lost)
        tls = TlsLayer(connection, context, self._hostname, self._room) if context else None
        transport: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(self._timeout):
                transport = await _open(self._addresses, connection if proxy else tls or connection)
                if proxy and tls:
                    await self._pass(connection, proxy)
                    transport.set_protocol(tls)
                    tls.connection_made(transport)
                if tls:
                    await tls.handshake()
        except BaseException as error:
            if transport:
                transport.abort()
            if isinstance(error, Exception):
                self._addresses.forget()
            if isinstance(error, TimeoutError):
                message = f"no connection to {peer} within {self._timeout:g} s"
                raise UnreachableError(message) from error
            if isinstance(error, OSError):
                raise _translated(error, peer) from error
            raise
        return connection

    async def _pass(self, connection: Connection, proxy: _Proxy) -> None:
        """Let the proxy pass on to the origin what is sent from now on."""
        lines = [f"CONNECT {self._peer} HTTP/1.1", f"Host: {self._peer}"]
        if proxy.authorization:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        await connection.exchange(encode_head(lines), bodiless=True)
        if not 200 <= connection.status < 300:
            hint = " (it asks for a user and a password)" if connection.status == 407 else ""
            message = f"the proxy {proxy.peer} refuses {self._peer}: {connection.status}{hint}"
            raise NetworkError(message)
        if connection.error is not None:
            raise connection.error


async def _open(addresses: _Addresses, protocol: asyncio.BaseProtocol) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    found = await addresses.get()
    # uvloop's create_connection knows no happy eyeballs.
    try:
        sock = await start_connection(found, happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY)
    except RuntimeError as error:  # what uvloop raises for some failures
        raise ConnectionError(str(error)) from error
    try:
        transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
    except BaseException:
        sock.close()
        raise
    return transport


def _split(url: str, name: str) -> SplitResult:
    """Split a URL whose text may hold a password, and so stays out of the error."""
    try:
        parts = urlsplit(url)
        if parts.scheme in _DEFAULT_PORTS and parts.hostname and parts.port != 0:
            parts.hostname.encode("idna")
            return parts
    except ValueError:  # about the port, a bracket, or a name that cannot be looked up
        pass
    raise ConfigError(f"{name} is not a URL such as https://host:port")


def _address(parts: SplitResult) -> tuple[str, int, str]:
    """Return host, port, and both as one text."""
    host = parts.hostname or ""
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return host, port, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _proxy_for(host: str) -> _Proxy | None:
    if not (os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")):
        return None
    from urllib.request import getproxies, proxy_bypass  # slow to import, rarely needed

    url = getproxies().get("https", "")
    if not url or proxy_bypass(host):
        return None
    parts = _split(url if "://" in url else f"http://{url}", "HTTPS_PROXY")
    if parts.scheme != "http":
        raise ConfigError("HTTPS_PROXY: only proxies that are spoken to in http:// are supported")
    authorization = ""
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(user.encode()).decode()
    return _Proxy(*_address(parts), authorization)


def _translated(error: OSError, peer: str) -> AsyncSyncError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return TLSError(
            f"the certificate of {peer} is not acceptable: {error.verify_message}. If its authority"
            " is your own, name the authority's file in AWS_CA_BUNDLE or SSL_CERT_FILE"
        )
    if isinstance(error, ssl.SSLError) and _is_refusal(error.reason or ""):
        return TLSError(f"{peer} and this machine do not agree on TLS: {error.reason}")
    if isinstance(error, socket.gaierror) and error.errno in _UNKNOWN_NAME:
        return NetworkError(f"the host of {peer} is not known: {error.strerror}")
    if throttled := descriptors.refused(error):
        return throttled
    return UnreachableError(f"no connection to {peer}: {_reason(error)}")


def _reason(error: OSError) -> str:
    """Return the system's words for an error: asyncio's name the address instead of the reason."""
    if error.errno and not isinstance(error, ssl.SSLError | socket.gaierror):  # of other numbers
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


def _is_refusal(reason: str) -> bool:
    """Whether the sides will never agree: no common version, a host not served, no TLS at all."""
    return any(word in reason for word in ("VERSION", "PROTOCOL", "HANDSHAKE_FAILURE"))
