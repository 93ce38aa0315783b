"""The remote wall: a bucket behind the `Store` verbs.

Requests are signed here (`sigv4.py`): HEAD and GET carry the load, and a call of a client costs ten
times what the request does. Listings with more than one page are gone on with by aioboto3's client
(`client.py`). All bytes go through one transport (`http.py`), which verifies host names and never
follows a redirect, and `refusals.py` says what an answer means that is not the one that was asked
for.
"""

import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from anyio import Lock

from asyncsync.errors import (
    AsyncSyncError,
    AuthError,
    ClockCorrectedError,
    ClockError,
    ConfigError,
    ConnectionLostError,
    CredentialsRenewedError,
    EncodedObjectError,
    IntegrityError,
    ProtocolError,
    RangeIgnoredError,
    TransientError,
)
from asyncsync.http import HttpClient, Response
from asyncsync.interfaces import Body
from asyncsync.keys import shown
from asyncsync.model import UNKNOWN_SIZE, Head, Page, RemoteObject, Settings
from asyncsync.s3.clock import Clock
from asyncsync.s3.pages import PAGE_LIMIT, parse_page, parse_size
from asyncsync.s3.refusals import refusal
from asyncsync.s3.sigv4 import Signer, path_of
from asyncsync.threads import in_thread
from asyncsync.times import format_http_date

if TYPE_CHECKING:
    from asyncsync.s3.client import Lister

logger = logging.getLogger(__name__)

ERROR_LIMIT = 64 * 1024

_NO_TEXT = re.compile("[\ud800-\udfff]")
"""Bytes of a key that are no UTF-8, as Python holds them in text."""
_OTHER_LENGTH = (
    "is served without a length, and not with the listed one, as by a server that decompresses it "
    "on the way; upload it with `Cache-Control: no-transform` or without the encoding"
)


@asynccontextmanager
async def open_store(
    settings: Settings, notice: Callable[[str], object] = logger.info
) -> AsyncIterator["S3Store"]:
    """Open the bucket that the settings name; no request is sent yet.

    Args:
        settings: where it is, and who asks.
        notice: is told what a person should know, such as that this machine's clock is wrong.

    Raises:
        ConfigError: the certificate authorities that the environment names cannot be read.
    """
    async with HttpClient(settings.endpoint_url) as http, AsyncExitStack() as opened:
        yield S3Store(settings, http, Clock(notice), opened)


class S3Store:
    """A bucket. Made by `open_store`.

    Args:
        settings: where it is, and who asks; read again when the credentials are refused.
        http: the transport to its endpoint.
        clock: what requests are signed with.
        opened: what is closed with it.
    """

    def __init__(
        self, settings: Settings, http: HttpClient, clock: Clock, opened: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._opened = opened
        self._credentials = settings.credentials
        self._signer = Signer(http.host, settings.region, clock)
        self._lister: Lister | None = None
        self._opening = Lock()

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return one page of a listing, as `Store` says."""
        sent = _NO_TEXT.split(prefix, maxsplit=1)[0]
        # Loading aioboto3's client takes 0.4 s of processor time, all else in a run that finds
        # nothing new less than 0.2 s. So the first page, often the only one, is requested without
        # it, and so are all of them where the client would sign with a clock that is wrong.
        if token and not self._clock.is_corrected:
            lister = await self._open_lister()
            page = await lister.page(sent, delimiter, start_after, token)
        else:
            page = await self._page(sent, delimiter, start_after, token)
        if sent != prefix:  # the client sends text only, so what it cannot ask for is left out here
            page = replace(
                page,
                objects=[found for found in page.objects if found.key.startswith(prefix)],
                prefixes=[found for found in page.prefixes if found.startswith(prefix)],
            )
        return page

    async def _page(self, prefix: str, delimiter: str, start_after: str, token: str) -> Page:
        parameters = {
            "prefix": prefix,
            "delimiter": delimiter,
            "start-after": start_after,
            "continuation-token": token,
        }
        path, query = f"/{self._settings.bucket}", "list-type=2&encoding-type=url"
        for name, value in parameters.items():
            query += f"&{name}={quote(value, safe='')}" if value else ""
        headers = self._signed("GET", path, query)
        async with self._http.request("GET", f"{path}?{query}", headers) as response:
            if response.status != HTTPStatus.OK:
                raise await self._refused(response, None, headers)
            return parse_page(await response.read(PAGE_LIMIT))

    async def _open_lister(self) -> "Lister":
        """Return the client, which has the credentials of this moment."""
        async with self._opening:
            if self._lister is None or self._lister.credentials != self._credentials:
                open_lister = await in_thread(_load_client)
                opening = open_lister(self._settings, self._credentials, self._http, self._refused)
                self._lister = await self._opened.enter_async_context(opening)
            return self._lister

    async def head(self, key: str) -> Head:
        """Return what the bucket says of an object, as `Store` says."""
        path = path_of(self._settings.bucket, key)
        headers = self._signed("HEAD", path)
        async with self._http.request("HEAD", path, headers) as response:
            if response.status != HTTPStatus.OK:
                raise await self._refused_head(response, path, key, headers)
        length = response.headers.get("content-length") or await self._length_by_range(path, key)
        if parse_size(length) == UNKNOWN_SIZE:
            raise IntegrityError(key, "neither HEAD nor its first byte's range says how long it is")
        return _head(response, length)

    async def _refused_head(
        self, response: Response, path: str, key: str, sent: Mapping[str, str]
    ) -> AsyncSyncError:
        """Return what a GET is refused with where HEAD, which has no body, cannot say why.

        That GET may be signed otherwise, after what another request was told meanwhile.
        """
        if response.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN}:
            headers = {**self._signed("GET", path), "Range": "bytes=0-0"}
            async with self._http.request("GET", path, headers) as told:
                is_empty = told.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
                if told.status >= HTTPStatus.BAD_REQUEST and not is_empty:
                    return await self._refused(told, key, headers)
                if self._clock.corrects(None, sent["x-amz-date"]):
                    return ClockCorrectedError("HEAD is refused, but not what is signed by now")
                if not self._signs_like(sent):
                    return CredentialsRenewedError("HEAD is refused, but not the new credentials")
        return await self._refused(response, key, sent)

    async def _length_by_range(self, path: str, key: str) -> str:
        """Return the length that the first byte's range shows: R2 may leave it out of HEAD."""
        headers = {**self._signed("GET", path), "Range": "bytes=0-0"}
        async with self._http.request("GET", path, headers) as response:
            if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return "0"  # only an empty object has no first byte
            if response.status == HTTPStatus.PARTIAL_CONTENT:
                return response.headers.get("content-range", "").rpartition("/")[2]
            if response.status == HTTPStatus.OK:
                return response.headers.get("content-length", "")
            raise await self._refused(response, key, headers)

    @asynccontextmanager
    async def get(self, remote: RemoteObject, span: range | None = None) -> AsyncIterator[Body]:
        """Fetch the listed version of an object, as `Store` says."""
        path = path_of(self._settings.bucket, remote.key)
        headers = self._signed("GET", path)
        if remote.is_pinned:
            headers["If-Match"] = f'"{remote.etag}"'
        elif remote.modified_ns:
            headers["If-Unmodified-Since"] = format_http_date(remote.modified_ns)
        partial = span is not None and len(span) != remote.size
        if span is not None and partial:
            headers["Range"] = f"bytes={span.start}-{span.stop - 1}"
        async with self._http.request("GET", path, headers) as response:
            if partial and response.status == HTTPStatus.OK:
                raise RangeIgnoredError(remote.key, "the whole object came in place of a part")
            if response.status != (HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK):
                raise await self._refused(response, remote.key, headers)
            if not partial and "content-length" not in response.headers:
                yield _UnannouncedBody(response, remote)
            else:
                yield _body(response, span if partial else None)

    def _signed(self, method: str, path: str, query: str = "") -> dict[str, str]:
        return self._signer.sign(method, path, self._credentials, query)

    async def _refused(
        self, response: Response, key: str | None, sent: Mapping[str, str]
    ) -> AsyncSyncError:
        """Return what the answer to a request with these headers means."""
        try:
            body = await response.read(ERROR_LIMIT)
        except TransientError:
            body = b""  # cut or without an end: the status has to do
        error = refusal(response.status, response.headers, body, key)
        if isinstance(error, ClockError):
            corrected = self._clock.corrects(error.ahead, sent["x-amz-date"])
            return ClockCorrectedError(str(error)) if corrected else error
        if isinstance(error, AuthError) and self._renewed(sent):
            return CredentialsRenewedError(f"{error}; there are others by now")
        return error

    def _renewed(self, sent: Mapping[str, str]) -> bool:
        """Return whether there are other credentials by now than those of a request."""
        if not self._signs_like(sent):
            return True  # somebody else was refused before, and has read them again
        if self._settings.reload is None:
            return False
        try:
            self._credentials = self._settings.reload().credentials
        except ConfigError:
            return False
        return not self._signs_like(sent)

    def _signs_like(self, sent: Mapping[str, str]) -> bool:
        access_key, token = self._credentials.access_key_id, self._credentials.session_token
        return (
            f"Credential={access_key}/" in sent["authorization"]
            and sent.get("x-amz-security-token", "") == token
        )


def _load_client() -> "Callable[..., AbstractAsyncContextManager[Lister]]":
    from asyncsync.s3.client import open_lister

    return open_lister


class _S3Body:
    """A GET's answer; its blocks are the transport's."""

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


class _UnannouncedBody:
    """A whole object whose length no header tells; it has to be the listed one."""

    def __init__(self, response: Response, remote: RemoteObject) -> None:
        self.head = _head(response, str(remote.size))
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
        if self._size < listed and not self._is_chunked:  # its end may as well be a cut
            raise ConnectionLostError(f"closed after {self._size} of {listed} listed bytes")
        if self._size != listed:
            raise EncodedObjectError(self._remote.key, _OTHER_LENGTH)
        raise StopAsyncIteration


def _body(response: Response, span: range | None) -> _S3Body:
    """Return the body, if it is the part that was asked for."""
    if span is None:
        return _S3Body(response, _head(response, response.headers.get("content-length", "")))
    shown_range, _, total = response.headers.get("content-range", "").partition("/")
    if shown_range != f"bytes {span.start}-{span.stop - 1}":
        raise ProtocolError(
            f"asked for bytes {span.start}-{span.stop - 1}, got {shown(shown_range)!r}"
        )
    length = response.headers.get("content-length", str(len(span)))
    if length != str(len(span)):
        raise ProtocolError(f"asked for {len(span)} bytes, but {shown(length)} are announced")
    return _S3Body(response, _head(response, total))


def _head(response: Response, length: str) -> Head:
    size = parse_size(length)
    if size == UNKNOWN_SIZE:
        raise ProtocolError("the answer does not say how long the object is")
    headers = response.headers
    return Head(
        size,
        headers.get("etag", "").strip('"'),
        headers.get("content-encoding", ""),
        headers.get("last-modified", ""),
    )
