"""The floor: the same bytes, moved with as little around them as there can be.

    python -m benchmarks.floor STEPS OBJECTS BUCKET DIRECTORY CONNECTIONS

It is no product. It lists nothing, compares nothing, tries nothing again and ends at the first
error. What it takes is what asyncio, TLS, the system's files and MD5 take; what asyncsync takes
beyond that is the price of its layers. It shares no code with asyncsync. STEPS is one of

    get         GET of each object, written under a name of its own, then renamed
    head        the same, with a HEAD behind each GET that must tell the same size and ETag
    md5         the same, with the MD5 of the content
    ranges      GETs of ranges of 8 MiB, each written to its place in the file
    ranges-md5  the same, with the MD5 of each range

OBJECTS is a file as `objects.py` describes it. Credentials and endpoint come from the AWS_
variables, and every request is signed. The loop is asyncio's own, the transport aiofastnet's.
"""

import asyncio
import hashlib
import hmac
import os
import ssl
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote, urlsplit

import aiofastnet

from benchmarks import objects
from benchmarks.objects import Entry

_RANGE = 8 << 20
_BUFFER = 256 << 10
_NO_BODY = hashlib.sha256(b"").hexdigest()
_SIGNED = "host;x-amz-content-sha256;x-amz-date"


class Signer:
    """Makes signed requests to one host, ready to be sent."""

    def __init__(self, host: str, key_id: str, secret: str) -> None:
        self._host, self._key_id = host, key_id
        self._day = f"{datetime.now(UTC):%Y%m%d}"  # a run is over before its day is
        self._scope = f"{self._day}/auto/s3/aws4_request"
        key = b"AWS4" + secret.encode()
        for step in (self._day, "auto", "s3", "aws4_request"):
            key = hmac.digest(key, step.encode(), "sha256")
        self._key = key

    def request(self, method: str, path: str, more: str = "") -> bytes:
        """Return a request; `more` is header lines that are not signed."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        text = (
            f"{method}\n{path}\n\nhost:{self._host}\nx-amz-content-sha256:{_NO_BODY}\n"
            f"x-amz-date:{now}\n\n{_SIGNED}\n{_NO_BODY}"
        )
        digest = hashlib.sha256(text.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{now}\n{self._scope}\n{digest}"
        signature = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        return (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nx-amz-date: {now}\r\n"
            f"x-amz-content-sha256: {_NO_BODY}\r\nAccept-Encoding: identity\r\n{more}"
            f"Authorization: AWS4-HMAC-SHA256 Credential={self._key_id}/{self._scope}, "
            f"SignedHeaders={_SIGNED}, Signature={signature}\r\n\r\n"
        ).encode()


class Connection(asyncio.BufferedProtocol, ABC):
    """A connection with one request at a time; the subclasses say what becomes of a body."""

    def __init__(self, signer: Signer) -> None:
        self.headers: dict[str, str] = {}
        self._signer = signer
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()
        self._done.set_result(None)  # no request is open
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._filled = 0
        """Bytes of the buffer."""
        self._start = -1
        """Where in the buffer the body begins; -1 until the head has arrived."""
        self._length = 0
        """Bytes of the body."""
        self._bodiless = False
        self._expected = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request that is open."""
        if not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("closed by the server"))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the base class names it
        """Return the free rest of the buffer."""
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has arrived."""
        self._filled += nbytes
        if self._start >= 0 or self._read_head():
            self._read_body()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _send(self, method: str, path: str, more: str = "") -> "asyncio.Future[None]":
        self._filled, self._start = 0, -1
        self._bodiless = method == "HEAD"
        self._expected = b"206" if more else b"200"
        self._done = self._loop.create_future()
        self._transport.write(self._signer.request(method, path, more))
        return self._done

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, self._filled)
        if end < 0:
            return False
        first, *lines = str(self._view[:end], "latin-1").split("\r\n")
        if first[9:12].encode() != self._expected:
            self._done.set_exception(ValueError(f"the server says {first}"))
            return False
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        self._start = end + 4
        self._length = 0 if self._bodiless else int(self.headers["content-length"])
        return True

    @abstractmethod
    def _read_body(self) -> None:
        """Take what has arrived; set `_done` when it is all."""


class Whole(Connection):
    """A connection that collects a body as a whole."""

    async def ask(self, method: str, path: str) -> memoryview:
        """Send a request and return the body; it is overwritten by that of the next one."""
        await self._send(method, path)
        return self._view[self._start : self._start + self._length]

    def _read_body(self) -> None:
        end = self._start + self._length
        if self._filled >= end:
            self._done.set_result(None)
        elif end > len(self._buffer):
            larger = bytearray(end)
            larger[: self._filled] = self._view[: self._filled]
            self._buffer, self._view = larger, memoryview(larger)


@dataclass(frozen=True, slots=True)
class Range:
    """A piece of an object, and the open file that it belongs to."""

    path: str
    file: int
    start: int
    end: int


class Ranged(Connection):
    """A connection that writes each range to its place as it arrives."""

    async def fetch(self, piece: Range, *, md5: bool) -> None:
        """Fetch one range."""
        self._position, self._piece = piece.start, piece
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        await self._send("GET", piece.path, f"Range: bytes={piece.start}-{piece.end - 1}\r\n")
        if self._md5:
            self._md5.hexdigest()

    def _read_body(self) -> None:
        arrived = self._filled - self._start
        left = self._piece.end - self._position - arrived
        if left and self._filled < len(self._buffer):
            return
        content = self._view[self._start : self._filled]
        os.pwrite(self._piece.file, content, self._position)
        if self._md5:
            self._md5.update(content)
        self._position += arrived
        self._filled = self._start = 0
        if not left:
            self._done.set_result(None)


@dataclass(frozen=True, slots=True)
class Task:
    """What a run has to do."""

    entries: list[Entry]
    bucket: str
    directory: Path
    connections: int
    head: bool
    md5: bool


_Any = TypeVar("_Any", bound=Connection)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and how to know it."""

    host: str
    port: int
    context: ssl.SSLContext

    async def connect(self, make: Callable[[], _Any]) -> _Any:
        """Return a new connection."""
        loop = asyncio.get_running_loop()
        _, made = await aiofastnet.create_connection(
            loop, make, self.host, self.port, ssl=self.context
        )
        return made


async def move_objects(task: Task, signer: Signer, address: Address) -> None:
    """Fetch every object with one request, and let a HEAD confirm it if the task says so."""
    entries = iter(task.entries)
    parts = task.directory / ".parts"
    parts.mkdir(parents=True)
    for folder in {entry.key.rpartition("/")[0] for entry in task.entries}:
        (task.directory / folder).mkdir(parents=True, exist_ok=True)

    async def work(number: int) -> None:
        connection = await address.connect(lambda: Whole(signer))
        part = f"{parts}/{number}"
        for entry in entries:
            path = quote(f"/{task.bucket}/{entry.key}")
            content = await connection.ask("GET", path)
            found = connection.headers
            if task.md5:
                md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
                if md5 != entry.etag and "-" not in entry.etag:
                    raise ValueError(f"{entry.key}: the content is not that of the ETag")
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.write(file, content)
            os.close(file)
            if task.head:
                await connection.ask("HEAD", path)
                for name in ("etag", "content-length"):
                    if connection.headers[name] != found[name]:
                        raise ValueError(f"{entry.key}: another {name} by HEAD")
            os.utime(part, (1, 1))
            os.rename(part, f"{task.directory}/{entry.key}")
        connection.close()

    await asyncio.gather(*map(work, range(min(task.connections, len(task.entries)))))
    parts.rmdir()


async def move_ranges(task: Task, signer: Signer, address: Address) -> None:
    """Fetch every object in ranges, each written to its place."""
    pieces = _ranges(task)

    async def work() -> None:
        connection = await address.connect(lambda: Ranged(signer))
        for piece in pieces:
            await connection.fetch(piece, md5=task.md5)
        connection.close()

    await asyncio.gather(*(work() for _ in range(task.connections)))


def _ranges(task: Task) -> Iterator[Range]:
    for entry in task.entries:
        path = task.directory / entry.key
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.truncate(file, entry.size)
        url = quote(f"/{task.bucket}/{entry.key}")
        for start in range(0, entry.size, _RANGE):
            yield Range(url, file, start, min(start + _RANGE, entry.size))


async def move(arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    """Do what the module says, with the arguments and the variables of a command line."""
    steps, described, bucket, directory, connections = arguments
    endpoint = urlsplit(variables["AWS_ENDPOINT_URL"])
    address = Address(
        endpoint.hostname or "",
        endpoint.port or 443,
        ssl.create_default_context(cafile=variables["AWS_CA_BUNDLE"]),
    )
    signer = Signer(
        endpoint.netloc, variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
    )
    task = Task(
        entries=list(objects.read(Path(described))),
        bucket=bucket,
        directory=Path(directory),
        connections=int(connections),
        head=steps in ("head", "md5"),
        md5=steps in ("md5", "ranges-md5"),
    )
    if steps.startswith("ranges"):
        await move_ranges(task, signer, address)
    else:
        await move_objects(task, signer, address)


def main() -> None:
    """Run to the end."""
    asyncio.run(move(sys.argv[1:], os.environ))


if __name__ == "__main__":
    main()
