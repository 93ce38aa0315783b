"""What the answers to GET and HEAD hold of an object: their bodies, and what their headers say.

Some servers, and proxies before them, decompress what is stored with a Content-Encoding for a
client that does not accept it. Then the body is not the object. R2 shows it by a weak ETag and no
length, as nginx and Varnish do, Google by a warning. What comes with the listed length is not
suspected: its hash tells, whatever its headers call it.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from typing import Self

from asyncsync.errors import ConnectionLostError, EncodedObjectError, ProtocolError
from asyncsync.http import Headers, Response
from asyncsync.interfaces import Body
from asyncsync.keys import shown
from asyncsync.model import UNKNOWN_SIZE, Checksum, Head, RemoteObject
from asyncsync.s3.pages import parse_etag, parse_size
from asyncsync.secret import SignedHeaders
from asyncsync.times import format_http_date

ENCODINGS = "gzip, br"
"""What a client has to accept to get an object as it is stored: what R2 decompresses."""
FIRST_PART = "partNumber=1"
"""The query of a HEAD that asks for the first part of an upload alone."""
_HASHED = "AES256"
"""The only encryption by the server with which an ETag is the MD5 of the bytes."""
_CHANGED = "214"
"""The code of a Warning that the body was transformed on the way."""


class S3Body:
    """The answer to a GET."""

    __slots__ = ("_response", "head")

    def __init__(self, response: Response, head: Head) -> None:
        self.head = head
        self._response = response

    async def read(self) -> bytes:
        """Return the whole body."""
        return await self._response.read()

    def blocks(self) -> AsyncIterator[memoryview]:
        """Yield the body in blocks."""
        return self._response.blocks()


class UnannouncedBody:
    """A whole object that comes without Content-Length; its length must be the listed one."""

    def __init__(self, response: Response, remote: RemoteObject) -> None:
        self.head = parse_head(response, remote.size)
        self._remote = remote
        self._is_chunked = "transfer-encoding" in response.headers
        self._blocks = response.blocks()
        self._size = 0

    async def read(self) -> bytes:
        """Return the whole body."""
        return b"".join([block.tobytes() async for block in self])

    def blocks(self) -> AsyncIterator[memoryview]:
        """Yield the body in blocks."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> memoryview:
        listed = self._remote.size
        async for block in self._blocks:
            self._size += len(block)
            if self._size > listed:
                break
            return block
        if self._size < listed and not self._is_chunked:  # the end may just as well be a cut
            raise ConnectionLostError(
                f"the connection was closed after {self._size} of {listed} listed bytes"
            )
        if self._size != listed:
            raise EncodedObjectError(
                self._remote.key,
                f"listed with {listed} bytes, but another number comes, without a length: "
                "the server seems to decompress it",
            )
        raise StopAsyncIteration


def is_span(response: Response, span: range) -> bool:
    """Return whether the answer is this span by its range and its length, whatever its status."""
    shown_range = response.headers.get("content-range", "").partition("/")[0]
    length = response.headers.get("content-length", str(len(span)))
    return shown_range == _written(span) and length == str(len(span))


def length_by_first_byte(response: Response) -> str | None:
    """Return the object's length from an answer to a GET of its first byte; None if refused."""
    if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return "0"  # only an empty object has no first byte
    if response.status == HTTPStatus.PARTIAL_CONTENT or is_span(response, range(1)):
        return response.headers["content-range"].rpartition("/")[2]
    return response.headers["content-length"] if response.status == HTTPStatus.OK else None


def open_body(response: Response, remote: RemoteObject, span: range | None) -> Body:
    """Return the body after checking that it is the requested span, or the whole object.

    Raises:
        ProtocolError: it is not, or the answer does not tell the object's size.
    """
    length = response.headers.get("content-length")
    if span is None and length is None:
        return UnannouncedBody(response, remote)
    size = parse_size(length or "")
    if span is not None:
        shown_range, _, total = response.headers["content-range"].partition("/")
        size = parse_size(total)
        if shown_range != _written(span):
            raise ProtocolError(f"requested {_written(span)}, but got {shown(shown_range)!r}")
        if length not in {None, str(len(span))}:
            raise ProtocolError(
                f"requested {len(span)} bytes, but the answer announces {shown(length or '')}"
            )
    head = parse_head(response, size)
    return S3Body(
        response, head if head.size == remote.size else other_size(head, response, remote)
    )


def require_unchanged(response: Response, remote: RemoteObject) -> None:
    """Check that an answer without a length does not say that its body was changed on the way.

    It is not read to see how long it is: a piece of what was decompressed, and by chance the whole
    of it, may have the right number of bytes.

    Raises:
        EncodedObjectError: it says so.
    """
    if _is_changed(response.headers, remote):
        raise EncodedObjectError(
            remote.key, f"listed with {remote.size} bytes, but it comes changed, without a length"
        )


def other_size(head: Head, response: Response, remote: RemoteObject) -> Head:
    """Return what an answer of another size says, and whether that may depend on the encoding."""
    headers = response.headers
    varies = "accept-encoding" in headers["vary"].lower()
    varies = varies or "content-encoding" in headers or _is_changed(headers, remote)
    return replace(head, varies=varies)


def _is_changed(headers: Headers, remote: RemoteObject) -> bool:
    is_weak = remote.is_pinned and headers["etag"].startswith("W/")
    return is_weak or headers["warning"].startswith(_CHANGED)


def _written(span: range) -> str:
    return f"bytes {span.start}-{span.stop - 1}"


def parse_head(response: Response, size: int, checksum: Checksum | None = None) -> Head:
    """Return what the headers of an answer say of an object; they have said its size already.

    Raises:
        ProtocolError: they have not.
    """
    if size == UNKNOWN_SIZE:
        raise ProtocolError("the answer does not tell the object's size")
    headers = response.headers
    return Head(
        size,
        parse_etag(headers["etag"]),
        headers["last-modified"],
        checksum,
        headers.get("x-amz-server-side-encryption", _HASHED) == _HASHED,
        waited=response.waited,
    )


def parse_first_part(response: Response, remote: RemoteObject) -> int:
    """Return the size of the part that an answer to HEAD is about; 0 if it does not tell any."""
    headers = response.headers
    if response.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        return 0
    if parse_etag(headers["etag"]) != remote.etag:
        return 0
    return max(parse_size(headers["content-length"]), 0)


def add_conditions(headers: SignedHeaders, remote: RemoteObject, as_stored: bool) -> None:
    """Ask, in the headers of a GET, for the listed version."""
    if remote.is_pinned:
        headers["if-match"] = f'"{remote.etag}"'
    elif remote.modified_ns:
        headers["if-unmodified-since"] = format_http_date(remote.modified_ns)
    if as_stored:
        headers["accept-encoding"] = ENCODINGS
