"""An HTTP proxy in front of a real S3 server that injects faults by rules.

rules = [
    Rule("GET", "a.parquet", Act(stop=1000, ending="reset"), nth={1}),  # its first GET is cut
    Rule("LIST", "*", Act(instead=response(status="503 Slow Down")), chance=0.1),
]
async with FaultProxy(server.endpoint_url, rules, seed=7) as proxy:
    ...  # send requests to proxy.endpoint
    assert proxy.count("GET", "a.parquet") == 2

The Host header is passed on as the client signed it, so signatures stay valid. What a rule does
depends on the seed and on the request (verb, key, and how many such requests came before), never on
the time.
"""

import asyncio
import errno
import fcntl
import os
import random
import socket
import ssl
import struct
import termios
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

Verb = Literal["LIST", "HEAD", "GET"]
Ending = Literal["fin", "reset", "down", "stall", "trickle"]

TRICKLE = 0.002
"""Seconds between two bytes if an answer trickles."""


@dataclass(frozen=True, slots=True)
class Act:
    """What happens to one request, in the order of the fields; by default nothing unusual."""

    until: asyncio.Event | None = None
    """The request waits for this event."""
    delay: float = 0.0
    """Seconds by which the request is delayed."""
    do: Callable[[], object] | None = None
    """Called before the request is passed on, for example to replace the object."""
    request: Mapping[str, str | None] = field(default_factory=dict)
    """Headers of the request, by lower-case name, that get another value or are removed."""
    instead: bytes | None = None
    """The raw answer; the request is not passed on."""
    body: Callable[[bytes], bytes] | None = None
    """Changes the server's body; the announced length stays."""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """Headers of the answer, by lower-case name, that get another value or are removed."""
    chunked: bool = False
    """The body is sent in chunks, without the final one if there is an `ending`."""
    stop: int | None = None
    """Bytes of the body that are sent before the `ending`."""
    ending: Ending | None = None
    """What follows: FIN, RST, RST of all connections and no new ones, silence, or single bytes."""
    then: Callable[[], object] | None = None
    """Called when the answer has been sent."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests an act happens to."""

    verb: Verb | Literal["*"]
    key: str
    """A glob for the key, or for the prefix of a listing."""
    act: Act
    nth: Container[int] | None = None
    """Which of the requests with the same verb and key, counted from 1; by default all."""
    span: str = "*"
    """A glob for the value of Range, which is empty if there is none."""
    chance: float = 1.0
    """The share of those requests, chosen by the proxy's seed."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was received."""

    verb: Verb
    key: str
    """The prefix of a listing."""
    headers: Mapping[str, str]
    """By name in lower case."""

    @property
    def span(self) -> str:
        """The value of Range; empty if there is none."""
        return self.headers.get("range", "")


class FaultProxy:
    """Passes requests without bodies on to the server, one connection each, and injects faults."""

    def __init__(
        self,
        target: str,
        rules: Sequence[Rule] = (),
        *,
        seed: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._rules = rules
        self._seed = seed
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._port = 0
        self._counts: Counter[tuple[Verb, str]] = Counter()
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self.requests: list[Request] = []
        """All requests in the order of arrival."""
        self.connections = 0
        """How many were accepted; over TLS, after their handshake."""

    @property
    def endpoint(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def count(self, verb: Verb, key: str = "*") -> int:
        """Return how many requests had the verb and a key that matches the glob."""
        return sum(r.verb == verb and fnmatchcase(r.key, key) for r in self.requests)

    def spans(self, key: str) -> list[str]:
        """Return the Range of each GET for the key, in the order of arrival."""
        return [r.span for r in self.requests if (r.verb, r.key) == ("GET", key)]

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.down()
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        failures = [result for result in results if isinstance(result, Exception)]
        if failures and exc is None:
            raise failures[0]

    async def up(self) -> None:
        """Accept connections, on the same port as before."""
        if self._server is not None:
            return
        while self._server is None:
            try:
                self._server = await asyncio.start_server(
                    self._accept, "127.0.0.1", self._port, ssl=self._tls
                )
            except OSError as error:  # meanwhile the system may lend the port to a client
                if error.errno != errno.EADDRINUSE:
                    raise
                await asyncio.sleep(0.05)
        self._port = self._server.sockets[0].getsockname()[1]

    def down(self) -> None:
        """Refuse connections from now on, and reset those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            _reset(writer)

    # One connection.

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.append(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while not writer.is_closing():
                await self._exchange(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client closed the connection
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = await reader.readuntil(b"\r\n\r\n")
        request = _parse(raw)
        self.requests.append(request)
        act = self._act_for(request)
        if act.until is not None:
            await act.until.wait()
        await asyncio.sleep(act.delay)
        if act.do is not None:
            act.do()
        if act.instead is not None:
            head, separator, body = act.instead.partition(b"\r\n\r\n")
            head += separator
        else:
            head, body = await self._ask(_edited(raw, act.request))
            body = act.body(body) if act.body else body
            head = _edited(head, act.headers)
        await self._answer(writer, act, head, b"" if request.verb == "HEAD" else body)
        if act.then is not None:
            act.then()
        if act.ending is not None:
            await _gone(reader)

    def _act_for(self, request: Request) -> Act:
        self._counts[request.verb, request.key] += 1
        nth = self._counts[request.verb, request.key]
        for number, rule in enumerate(self._rules):
            if (
                rule.verb in {"*", request.verb}
                and fnmatchcase(request.key, rule.key)
                and (rule.nth is None or nth in rule.nth)
                and fnmatchcase(request.span, rule.span)
                and (rule.chance == 1.0 or self._dice(number, request, nth) < rule.chance)
            ):
                return rule.act
        return Act()

    def _dice(self, number: int, request: Request, nth: int) -> float:
        return random.Random(f"{self._seed} {number} {request.verb} {request.key} {nth}").random()

    async def _ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Return the head and the body of the server's answer."""
        reader, writer = await asyncio.open_connection(*self._target)
        try:
            # The answer to HTTP/1.0 has no chunks, and ends when the connection closes.
            writer.write(request.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.transport.abort()
        changes: dict[str, str | None] = {"connection": None}
        if not request.startswith(b"HEAD "):
            changes["content-length"] = str(len(body))
        head = b"HTTP/1.1 " + head.partition(b" ")[2] + b"\r\n\r\n"
        return _edited(head, changes), body

    async def _answer(
        self, writer: asyncio.StreamWriter, act: Act, head: bytes, body: bytes
    ) -> None:
        stop = len(body) if act.stop is None else act.stop
        begin, rest = body[:stop], body[stop:]
        if act.chunked:
            head = _edited(head, {"content-length": None, "transfer-encoding": "chunked"})
            begin = b"%x\r\n%b\r\n" % (len(begin), begin) if begin else b""
            begin += b"" if act.ending else b"0\r\n\r\n"
        writer.write(head + begin)
        await writer.drain()
        match act.ending:
            case "fin":
                await _delivered(writer)
                _end_stream(writer)
            case "reset":
                await _delivered(writer)
                _reset(writer)
            case "down":
                await _delivered(writer)
                self.down()
            case "trickle":
                for byte in rest:
                    await asyncio.sleep(TRICKLE)
                    writer.write(bytes([byte]))
                    await writer.drain()


def _parse(raw: bytes) -> Request:
    line, *fields = raw.decode().split("\r\n")[:-2]
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    asked = parse_qs(query)
    named = (field.partition(":") for field in fields)
    headers = {name.lower(): value.strip() for name, _, value in named}
    if "list-type" in asked or "encoding-type" in asked:  # by version 2 or 1
        return Request("LIST", asked.get("prefix", [""])[0], headers)
    key = unquote(path.removeprefix("/").partition("/")[2])
    return Request("HEAD" if method == "HEAD" else "GET", key, headers)


def _edited(head: bytes, changes: Mapping[str, str | None]) -> bytes:
    """Return a head with some headers changed or removed."""
    line, *fields = head.decode("latin-1").split("\r\n")[:-2]
    kept = [field for field in fields if field.partition(":")[0].lower() not in changes]
    kept += [f"{name}: {value}" for name, value in changes.items() if value is not None]
    return "\r\n".join([line, *kept, "", ""]).encode("latin-1")


def _socket(writer: asyncio.StreamWriter) -> socket.socket:
    sock: socket.socket = writer.get_extra_info("socket")
    return sock


async def _delivered(writer: asyncio.StreamWriter) -> None:
    """Wait until the client's kernel has all bytes: a reset drops those that are still here."""
    empty = struct.pack("i", 0)
    while (
        writer.transport.get_write_buffer_size()
        or fcntl.ioctl(_socket(writer).fileno(), termios.TIOCOUTQ, empty) != empty
    ):
        if writer.is_closing():
            raise ConnectionResetError
        await asyncio.sleep(0)


def _end_stream(writer: asyncio.StreamWriter) -> None:
    """Send a FIN; over TLS without a close_notify."""
    with socket.socket(fileno=os.dup(_socket(writer).fileno())) as sock:
        sock.shutdown(socket.SHUT_WR)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Send an RST."""
    if not writer.is_closing():
        linger = struct.pack("ii", 1, 0)
        _socket(writer).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()


async def _gone(reader: asyncio.StreamReader) -> None:
    """Return when the client has closed the connection."""
    while await reader.read(65536):
        pass
    raise ConnectionResetError


def flipped(at: int) -> Callable[[bytes], bytes]:
    """Return a function that inverts one byte of a body; a negative index counts from the end."""

    def flip(body: bytes) -> bytes:
        changed = bytearray(body)
        changed[at] ^= 0xFF
        return bytes(changed)

    return flip


def padded(text: bytes) -> Callable[[bytes], bytes]:
    """Return a function that replaces a body by a text, padded or cut to the body's length."""
    return lambda body: text[: len(body)].ljust(len(body))
