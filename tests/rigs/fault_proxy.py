"""An HTTP proxy in front of a real S3 server that plays faults by rules.

rules = [
    Rule("GET", "a.parquet", Act(stop=1000, ending="reset"), nth={1}),  # its first GET is cut
    Rule("LIST", "*", Act(instead=response(status="503 Slow Down")), chance=0.1),
]
async with FaultProxy(server.endpoint_url, rules, seed=7) as proxy:
    ...  # send requests to proxy.endpoint
    assert proxy.count("GET", "a.parquet") == 2

The Host header goes on as the client signed it, so signatures stay good. What a rule does depends
on the seed and on the request (its verb, its key, and how many of those came before), never on the
moment.
"""

import asyncio
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
"""Seconds between two bytes of a trickle."""


@dataclass(frozen=True, slots=True)
class Act:
    """What one request meets, in the order of the fields; without arguments nothing unusual."""

    until: asyncio.Event | None = None
    """The request waits for it."""
    delay: float = 0.0
    """Seconds that the request takes longer."""
    do: Callable[[], object] | None = None
    """Called before the request is passed on, such as to replace the object."""
    request: Mapping[str, str | None] = field(default_factory=dict)
    """Headers of the request that are passed on with another value, or not at all."""
    instead: bytes | None = None
    """The raw answer; the server is not asked."""
    body: Callable[[bytes], bytes] | None = None
    """Makes another body of the server's; the announced length stays what it was."""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """Headers that get another value, or go away; by their names in lower case."""
    chunked: bool = False
    """The body comes in chunks, with the final one unless it is stopped."""
    stop: int | None = None
    """Bytes of the body after which the answer breaks off."""
    ending: Ending | None = None
    """What comes then: the end of the stream, a reset, a reset of all, silence, or byte by byte."""
    then: Callable[[], object] | None = None
    """Called when the answer is sent."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests meet an act."""

    verb: Verb | Literal["*"]
    key: str
    """A glob for the key, for a listing its prefix."""
    act: Act
    nth: Container[int] | None = None
    """Which of the requests with one verb and one key, from 1 on; all of them unless given."""
    span: str = "*"
    """A glob for the value of Range, which is empty where there is none."""
    chance: float = 1.0
    """The share of those requests, picked by the proxy's seed."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came."""

    verb: Verb
    key: str
    """The prefix of a listing."""
    headers: Mapping[str, str]
    """By their names in lower case."""

    @property
    def span(self) -> str:
        """The value of Range; empty where there is none."""
        return self.headers.get("range", "")


class FaultProxy:
    """Passes requests without bodies on to the server, one connection each, less the faults."""

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
        """How many were made; over TLS with their handshake done."""

    @property
    def endpoint(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def count(self, verb: Verb, key: str = "*") -> int:
        """Return how many requests came with the verb and a key that matches the glob."""
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
        """Listen, on the same port as before."""
        if self._server is not None:
            return
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self._port, ssl=self._tls
        )
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
            pass  # the client has left
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
            # An answer to HTTP/1.0 has no chunks and ends with its connection.
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
    if "list-type" in asked:
        return Request("LIST", asked.get("prefix", [""])[0], headers)
    key = unquote(path.removeprefix("/").partition("/")[2])
    return Request("HEAD" if method == "HEAD" else "GET", key, headers)


def _edited(head: bytes, changes: Mapping[str, str | None]) -> bytes:
    """Return a head with other values for some headers, or without them."""
    line, *fields = head.decode("latin-1").split("\r\n")[:-2]
    kept = [field for field in fields if field.partition(":")[0].lower() not in changes]
    kept += [f"{name}: {value}" for name, value in changes.items() if value is not None]
    return "\r\n".join([line, *kept, "", ""]).encode("latin-1")


def _socket(writer: asyncio.StreamWriter) -> socket.socket:
    sock: socket.socket = writer.get_extra_info("socket")
    return sock


async def _delivered(writer: asyncio.StreamWriter) -> None:
    """Return when the client's side holds all that was sent, which a reset would drop here."""
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
    """Return what flips the bits of one byte of a body; counted from the end if negative."""

    def flip(body: bytes) -> bytes:
        changed = bytearray(body)
        changed[at] ^= 0xFF
        return bytes(changed)

    return flip


def padded(text: bytes) -> Callable[[bytes], bytes]:
    """Return what puts a text in place of a body, filled up or cut to the body's length."""
    return lambda body: text[: len(body)].ljust(len(body))
