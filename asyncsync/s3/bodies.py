"""What the answers to GET and HEAD hold of an object: their bodies, and what their headers say."""

from collections.abc import AsyncIterator
from typing import Self

from asyncsync.errors import ConnectionLostError, EncodedObjectError, ProtocolError
from asyncsync.http import Response
from asyncsync.keys import shown
from asyncsync.model import UNKNOWN_SIZE, Checksum, Head, RemoteObject
from asyncsync.s3.pages import parse_etag, parse_size

_OTHER_LENGTH = (
    "the server sends no length and not the listed number of bytes, probably because it "
    "decompresses the object; upload it with `Cache-Control: no-transform` or without the encoding"
)


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
            raise EncodedObjectError(self._remote.key, _OTHER_LENGTH)
        raise StopAsyncIteration


def open_body(response: Response, span: range | None) -> S3Body:
    """Return the body after checking that it is the requested span.

    Raises:
        ProtocolError: it is not, or the answer does not tell the object's size.
    """
    if span is None:
        return S3Body(
            response, parse_head(response, parse_size(response.headers["content-length"]))
        )
    shown_range, _, total = response.headers["content-range"].partition("/")
    if shown_range != f"bytes {span.start}-{span.stop - 1}":
        raise ProtocolError(
            f"requested bytes {span.start}-{span.stop - 1}, but got {shown(shown_range)!r}"
        )
    length = response.headers.get("content-length", str(len(span)))
    if length != str(len(span)):
        raise ProtocolError(
            f"requested {len(span)} bytes, but the answer announces {shown(length)}"
        )
    return S3Body(response, parse_head(response, parse_size(total)))


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
        headers["content-encoding"],
        headers["last-modified"],
        checksum,
        response.waited,
    )
