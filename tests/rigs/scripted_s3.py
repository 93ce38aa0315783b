"""An S3 server that answers by a script: keys, listings and objects that a real one will not keep.

async with ScriptedS3({"a.parquet": b"data", "../x": b"evil"}) as s3:
    s3.on_list = lambda request: Answer(s3.page("a.parquet", token="A"))  # the same page for ever
    ran = await sync(s3, dest)
    assert ran.code == 4

A key is a str; a byte of it that is no UTF-8 is a surrogate, as in names of files.
"""

import asyncio
import base64
import hashlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

import anyio

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.crc import Crc
from asyncsync.disk import Folder
from asyncsync.errors import AsyncSyncError
from asyncsync.interfaces import READ_TIMEOUT, Observers
from asyncsync.model import Checks, Settings
from asyncsync.movers import Hire
from asyncsync.pace import Deadline, Limit, Pace
from asyncsync.paths import PLAIN, Paths
from asyncsync.report import Report
from asyncsync.s3 import open_store
from tests.rigs.watch import Watcher, quick_pace, unfinished

MODIFIED = "2026-01-02T03:04:05.678Z"
SECONDS = 25
"""After so long a run counts as hung; a stall would end after 30."""
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came in."""

    verb: str
    """LIST, HEAD or GET."""
    key: str
    """The prefix of a listing."""
    number: int
    """How many of its verb came before it."""
    headers: Mapping[str, str]
    """By lower-cased name."""
    delimiter: str = ""
    start_after: str = ""
    token: str = ""
    marker: str = ""
    version: int = 2
    """Of the interface that lists."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """In place of those that go with the body, or with the object."""
    cut: int | None = None
    """The connection is reset after so many bytes of the body."""
    until: asyncio.Event | None = None
    """The answer waits for it."""
    more: int | None = None
    """Bytes that follow the body as fast as the client takes them, also in an answer to HEAD.

    The end of the connection ends them, unless the headers say otherwise.
    """


Tells = Callable[[bytes], Mapping[str, str]]
"""Returns headers that tell a checksum of an object's bytes."""
Hook = Callable[[Request], Answer | None]
"""Says what a request meets; None for nothing unusual."""


class ScriptedS3:
    """A server with one bucket of objects in memory.

    Args:
        objects: what it holds at first.
        page_size: objects and rolled-up prefixes on one page.
        encodes: whether it does what `encoding-type=url` asks for.
        second: what it makes of a request by version 2 of the interface that lists: `ignored`
            answers as by version 1, which knows neither `start-after` nor tokens.
        listener: where it listens, unless on a free port of 127.0.0.1.
        tls: what it speaks.
    """

    def __init__(
        self,
        objects: Mapping[str, bytes] | None = None,
        *,
        page_size: int = 1000,
        encodes: bool = True,
        second: Literal["known", "refused", "ignored"] = "known",
        listener: socket.socket | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._tls = tls
        self.objects = dict(objects or {})
        self.page_size = page_size
        self.encodes = encodes
        self.modified: dict[str, str] = {}
        """When an object was uploaded, if not at `MODIFIED`."""
        self.second = second
        self.on_list: Hook = _nothing
        self.on_object: Hook = _nothing
        """For GET and HEAD."""
        self.tag: Callable[[bytes], str] = etag_of
        """Returns the ETag of an object's bytes, without its quotes."""
        self.tells: Tells = _nothing_told
        """What it adds to an answer to a HEAD that asks for checksums."""
        self.requests: list[Request] = []
        """All requests in the order of arrival."""
        self.allowance: int | None = None
        """Bytes of objects that are sent before all their answers stop half-way."""
        self.used_up = asyncio.Event()
        """Set when the allowance is."""
        self.sent: list[int] = []
        """For each answer with `more`, how much of that the client has taken."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    # where it is --------------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def settings(self) -> Settings:
        """What leads here."""
        return Settings("AKID", "the-secret", self.endpoint, "sensors")

    @property
    def environment(self) -> dict[str, str]:
        """What leads a child process here."""
        return {
            "R2_ACCESS_KEY_ID": "AKID",
            "R2_SECRET_ACCESS_KEY": "the-secret",
            "R2_ENDPOINT_URL": self.endpoint,
            "R2_BUCKET": "sensors",
        }

    # what to answer -----------------------------------------------------------------------------

    def page(
        self,
        *keys: str,
        token: str = "",
        truncated: bool | None = None,
        prefixes: Iterable[str] = (),
        encoded: bool | None = None,
        marker: str | None = None,
    ) -> bytes:
        """Return the XML of a page; a key of no object is shown with one byte.

        With a marker, which may be empty, it is a page of version 1.
        """
        encoded = self.encodes if encoded is None else encoded
        truncated = bool(token) if truncated is None else truncated

        def written(key: str) -> str:
            return quote(key, errors="surrogateescape") if encoded else escape(key)

        lines = ['<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>']
        lines += ["<EncodingType>url</EncodingType>"] * encoded
        lines += [f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"]
        if marker is None:
            lines += [f"<NextContinuationToken>{token}</NextContinuationToken>"] * bool(token)
        else:
            lines += ["<Marker></Marker>"]
            lines += [f"<NextMarker>{written(marker)}</NextMarker>"] * bool(marker)
        for key in keys:
            data = self.objects.get(key, b"x")
            lines.append(
                f"<Contents><Key>{written(key)}</Key><LastModified>"
                f"{self.modified.get(key, MODIFIED)}</LastModified>"
                f"<ETag>&quot;{self.tag(data)}&quot;</ETag><Size>{len(data)}</Size></Contents>"
            )
        for prefix in prefixes:
            lines.append(f"<CommonPrefixes><Prefix>{written(prefix)}</Prefix></CommonPrefixes>")
        lines.append("</ListBucketResult>")
        return "".join(lines).encode("utf-8", "surrogateescape")

    # what happened ------------------------------------------------------------------------------

    def count(self, verb: str, key: str | None = None) -> int:
        """Return how many requests of the verb came, for the key if one is given."""
        return sum(r.verb == verb and key in (None, r.key) for r in self.requests)

    def hang_up(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            if not writer.transport.is_closing():
                _reset(writer)

    # serving ------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        listener = self._listener or socket.create_server(("127.0.0.1", 0))
        # Handed on to its connections; asyncio does that for sockets only that it has made itself.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = await asyncio.start_server(self._accept, sock=listener, ssl=self._tls)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        await self._stop()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:  # of tasks that were cancelled before they had begun
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        self._writers.add(writer)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = self._read(await reader.readuntil(b"\r\n\r\n"))
                self.requests.append(request)
                hook = self.on_list if request.verb == "LIST" else self.on_object
                await self._send(writer, request, hook(request) or self.usual(request))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            with suppress(OSError):  # which would be told of as one that nobody has heard
                await writer.wait_closed()

    def _read(self, head: bytes) -> Request:
        line, *fields = head.decode("ascii").split("\r\n")[:-2]
        method, target, _ = line.split(" ")
        pairs = (name_value.partition(":") for name_value in fields)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        parts = urlsplit(target)
        key = unquote(parts.path.removeprefix("/sensors").removeprefix("/"), errors=_ESCAPE)
        if key or method == "HEAD":
            return Request(method, key, self.count(method), headers)
        query = parse_qs(parts.query, errors=_ESCAPE)
        prefix, delimiter, start_after, token = (
            query.get(name, [""])[0]
            for name in ("prefix", "delimiter", "start-after", "continuation-token")
        )
        number = self.count("LIST")
        marker = query.get("marker", [""])[0]
        version = 2 if "list-type" in query else 1
        told = (delimiter, start_after, token, marker, version)
        return Request("LIST", prefix, number, headers, *told)

    def usual(self, request: Request) -> Answer:
        """Return what a request is answered with that meets nothing unusual."""
        if request.verb == "LIST":
            if request.version == 2 and self.second == "refused":
                return Answer(b"<Error><Code>NotImplemented</Code></Error>", 501)
            return Answer(self._listed(request))
        if request.key not in self.objects:
            return Answer(b"<Error><Code>NoSuchKey</Code></Error>", 404)
        data = self.objects[request.key]
        headers = {"ETag": f'"{self.tag(data)}"'}
        if request.headers.get("if-match", headers["ETag"]) != headers["ETag"]:
            return Answer(b"<Error><Code>PreconditionFailed</Code></Error>", 412)
        if asked := request.headers.get("range"):
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            return Answer(data[first : last + 1], 206, headers)
        if request.verb == "HEAD" and "x-amz-checksum-mode" in request.headers:
            headers |= self.tells(data)
        return Answer(data, 200, headers)

    def _tag(self, request: Request) -> Mapping[str, str]:
        data = None if request.verb == "LIST" else self.objects.get(request.key)
        return {} if data is None else {"ETag": f'"{self.tag(data)}"'}

    def _listed(self, request: Request) -> bytes:
        first = request.version == 1 or self.second == "ignored"
        if first:
            behind = _raw(request.marker)
        else:
            behind = bytes.fromhex(request.token) or _raw(request.start_after)
        entries: dict[str, bool] = {}  # and whether they are rolled up
        for key in sorted(self.objects, key=_raw):
            if key.startswith(request.key):
                at = key.find(request.delimiter, len(request.key)) if request.delimiter else -1
                entry = key if at < 0 else key[: at + len(request.delimiter)]
                if _raw(entry) > behind:
                    entries[entry] = at >= 0
        shown = list(entries)[: self.page_size]
        last = shown[-1] if len(entries) > len(shown) > 0 else ""
        return self.page(
            *(entry for entry in shown if not entries[entry]),
            token=_raw(last).hex(),
            prefixes=[entry for entry in shown if entries[entry]],
            marker=(last if request.delimiter else "") if first else None,  # as S3 names it
        )

    async def _send(self, writer: asyncio.StreamWriter, request: Request, answer: Answer) -> None:
        if answer.until:
            await answer.until.wait()
        is_open = answer.more or "Transfer-Encoding" in answer.headers
        usual = {} if is_open else {"Content-Length": str(len(answer.body))}
        headers = {**usual, **self._tag(request), **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} -", *(f"{n}: {v}" for n, v in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        body = b"" if request.verb == "HEAD" else answer.body[: answer.cut]
        for start in range(0, len(body), _PIECE):
            piece = body[start : start + _PIECE]
            if request.verb == "GET" and self.allowance is not None:
                piece = piece[: self.allowance]
                self.allowance -= len(piece)
                writer.write(piece)
                if not self.allowance:
                    self.used_up.set()
                    await asyncio.Event().wait()
            else:
                writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # a writer that is never held up would stop the event loop
        if answer.more:
            await self._flood(writer, answer.more)
        if answer.cut is not None:
            await _sent(writer)
            _reset(writer)

    async def _flood(self, writer: asyncio.StreamWriter, size: int) -> None:
        writer.transport.set_write_buffer_limits(0)  # what is counted has left
        number = len(self.sent)
        self.sent.append(0)
        chunk = b"%x\r\n%b\r\n" % (_PIECE, bytes(_PIECE))
        while self.sent[number] < size:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)  # a writer that is never held up would stop the event loop
            self.sent[number] += _PIECE
        writer.transport.abort()


_ESCAPE = "surrogateescape"


def _nothing(request: Request) -> Answer | None:
    return None


def _nothing_told(data: bytes) -> Mapping[str, str]:
    return {}


def _raw(key: str) -> bytes:
    return key.encode("utf-8", _ESCAPE)


@lru_cache(maxsize=256)
def etag_of(data: bytes) -> str:
    """Return the version's tag without its quotes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def checksum_of(data: bytes, type_: str = "FULL_OBJECT") -> Mapping[str, str]:
    """Return headers that tell the CRC64NVME of these bytes."""
    crc = Crc("crc64nvme")
    crc.update(data)
    value = base64.b64encode(bytes.fromhex(crc.hexdigest())).decode()
    return {"x-amz-checksum-crc64nvme": value, "x-amz-checksum-type": type_}


async def _sent(writer: asyncio.StreamWriter) -> None:
    """Return when all has left, so that a reset cannot overtake it."""
    writer.transport.set_write_buffer_limits(0)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# runs -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a run in this process."""

    code: int
    """The exit code that the command line would return."""
    error: AsyncSyncError | None
    """What ended the run."""
    seen: Watcher
    report: Report


async def sync(
    s3: ScriptedS3,
    dest: Path,
    *prefixes: str,
    include: Iterable[str] = ("*",),
    workers: int = 8,
    seen: Watcher | None = None,
    alone: bool = True,
    pace: Pace | None = None,
    paths: Paths = PLAIN,
    processes: int = 0,
    limit: Limit | None = None,
    deadline: Deadline | None = None,
) -> Ran:
    """Sync with pauses that take no time; a run to the end must leave nothing unfinished.

    Unless it is not alone: what another run has not finished, it must leave. In movers, pauses take
    their time.
    """
    report, seen = Report(), seen or Watcher()
    error: AsyncSyncError | None = None
    found = s3.settings
    async with open_store(found, seen.noticed) as store:
        job = pipeline.Job(
            store=store,
            folder=Folder(dest, notice=seen.noticed, paths=paths),
            selection=Selection(tuple(include), (), prefixes, paths),
            pace=pace or quick_pace(workers=workers),
            observer=Observers(report, seen),
            checks=Checks(parquet=False),
            hire=Hire(processes, found, READ_TIMEOUT, workers, workers, 3, limit, seen.noticed),
            deadline=deadline or Deadline(),
        )
        try:
            with anyio.fail_after(SECONDS):
                await pipeline.sync(job)
        except AsyncSyncError as ended_by:
            error = ended_by
    assert error or not alone or unfinished(dest) == []
    return Ran(error.exit_code if error else report.exit_code, error, seen, report)
