"""The remote wall: a bucket behind the `Store` verbs.

aioboto3 is the client: its session holds the credentials, and it makes, routes and signs the
listing's requests. HEAD and GET carry the load, and there a client call costs ten times what the
request does, so they are signed here (`sigv4.py`). Either way the bytes go through one transport
(`http.py`), which verifies host names and never follows a redirect, and `refusals.py` says what an
answer means that is not the one that was asked for.
"""

import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlsplit

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from asyncsync.clock import Clock
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
from asyncsync.model import Credentials, Head, Page, RemoteObject
from asyncsync.pages import parse_page
from asyncsync.redaction import redact_libraries
from asyncsync.refusals import refusal
from asyncsync.settings import Settings
from asyncsync.sigv4 import Signer, path_of
from asyncsync.times import http_date

logger = logging.getLogger(__name__)

PAGE_LIMIT = 64 * 1024 * 1024
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
    async with HttpClient(settings.endpoint_url) as http:
        session = aioboto3.Session(
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            aws_session_token=settings.session_token or None,
            region_name=settings.region,
            botocore_session=_isolated_session(),
        )
        config = AioConfig(
            retries={"total_max_attempts": 1, "mode": "standard"},
            parameter_validation=False,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        )
        async with session.client(
            "s3", endpoint_url=settings.endpoint_url, config=config
        ) as client:
            redact_libraries()
            credentials = await session.get_credentials()
            clock = Clock(notice)
            yield S3Store(settings.bucket, http, client, credentials, clock, settings.reload)


def _isolated_session() -> AioSession:
    """Return a session that knows nothing of the AWS settings of this machine."""
    nowhere = {"config_file": os.devnull, "credentials_file": os.devnull}
    session = AioSession({"profile": (None, None, None, None)})
    for variable, value in nowhere.items():
        session.set_config_variable(variable, value)
    return session


class S3Store:
    """A bucket. Made by `open_store`.

    Args:
        bucket: its name.
        http: the transport to its endpoint.
        client: an aioboto3 S3 client; its requests are sent through `http` as well.
        credentials: of aiobotocore; asked before each request, so they may refresh.
        clock: what requests are signed with.
        reload: reads the settings again, when the credentials are refused.
    """

    def __init__(
        self,
        bucket: str,
        http: HttpClient,
        client: Any,
        credentials: Any,
        clock: Clock,
        reload: Callable[[], Settings] | None = None,
    ) -> None:
        self._bucket = bucket
        self._http = http
        self._client = client
        self._credentials = credentials
        self._reload = reload
        self._clock = clock
        self._signer = Signer(http.host, client.meta.region_name, clock)
        self._page: ContextVar[Page] = ContextVar("page")
        client.meta.events.register_first("before-send.s3.ListObjectsV2", self._send_listing)

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return one page of a listing, as `Store` says."""
        sent = _NO_TEXT.split(prefix, maxsplit=1)[0]
        wanted = {
            "Prefix": sent,
            "Delimiter": delimiter,
            "StartAfter": start_after,
            "ContinuationToken": token,
        }
        await self._client.list_objects_v2(
            Bucket=self._bucket,
            EncodingType="url",
            **{name: value for name, value in wanted.items() if value},
        )
        page = self._page.get()
        if sent != prefix:  # the client sends text only, so what it cannot ask for is left out here
            page = replace(
                page,
                objects=[found for found in page.objects if found.key.startswith(prefix)],
                prefixes=[found for found in page.prefixes if found.startswith(prefix)],
            )
        return page

    async def _send_listing(self, request: Any, **_: object) -> "_EmptyPage":
        """Send a request of the client's through our transport, and read the answer here.

        The client would take seven times as long to parse it, so it gets to see an empty page. The
        page goes to the `list_page` that waits for it in the same task.

        The client signs with this machine's clock; where that is wrong, the request is signed here.
        """
        parts = urlsplit(request.url)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        if self._clock.is_corrected:
            headers = await self._signed("GET", parts.path, parts.query)
        async with self._http.request("GET", f"{parts.path}?{parts.query}", headers) as response:
            if response.status != HTTPStatus.OK:
                raise await self._refused(response, None, headers)
            self._page.set(parse_page(await response.read(PAGE_LIMIT)))
            return _EmptyPage(request.url)

    async def head(self, key: str) -> Head:
        """Return what the bucket says of an object, as `Store` says."""
        path = path_of(self._bucket, key)
        headers = await self._signed("HEAD", path)
        async with self._http.request("HEAD", path, headers) as response:
            if response.status != HTTPStatus.OK:
                raise await self._refused_head(response, path, key, headers)
        length = response.headers.get("content-length") or await self._length_by_range(path, key)
        if not _is_number(length):
            raise IntegrityError(key, "neither HEAD nor its first byte's range says how long it is")
        return _head(response, length)

    async def _refused_head(
        self, response: Response, path: str, key: str, sent: Mapping[str, str]
    ) -> AsyncSyncError:
        """Return what a GET is refused with where HEAD, which has no body, cannot say why.

        That GET may be signed otherwise, after what another request was told meanwhile.
        """
        if response.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN}:
            headers = {**await self._signed("GET", path), "Range": "bytes=0-0"}
            async with self._http.request("GET", path, headers) as told:
                if told.status >= HTTPStatus.BAD_REQUEST:
                    return await self._refused(told, key, headers)
                if self._clock.corrects(None, sent["x-amz-date"]):
                    return ClockCorrectedError("HEAD is refused, but not what is signed by now")
                if not self._signs_like(sent):
                    return CredentialsRenewedError("HEAD is refused, but not the new credentials")
        return await self._refused(response, key, sent)

    async def _length_by_range(self, path: str, key: str) -> str:
        """Return the length that the first byte's range shows: R2 may leave it out of HEAD."""
        headers = {**await self._signed("GET", path), "Range": "bytes=0-0"}
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
        path = path_of(self._bucket, remote.key)
        headers = await self._signed("GET", path)
        if remote.is_pinned:
            headers["If-Match"] = f'"{remote.etag}"'
        elif remote.modified_ns:
            headers["If-Unmodified-Since"] = http_date(remote.modified_ns)
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

    async def _signed(self, method: str, path: str, query: str = "") -> dict[str, str]:
        frozen = await self._credentials.get_frozen_credentials()
        credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")
        return self._signer.sign(method, path, credentials, query)

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
        if self._reload is None:
            return False
        try:
            found = self._reload()
        except ConfigError:
            return False
        self._credentials.access_key = found.access_key_id
        self._credentials.secret_key = found.secret_access_key
        self._credentials.token = found.session_token or None
        return not self._signs_like(sent)

    def _signs_like(self, sent: Mapping[str, str]) -> bool:
        access_key, token = self._credentials.access_key, self._credentials.token or ""
        return (
            f"Credential={access_key}/" in sent["authorization"]
            and sent.get("x-amz-security-token", "") == token
        )


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


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _head(response: Response, size: str) -> Head:
    if not _is_number(size):
        raise ProtocolError("the answer does not say how long the object is")
    headers = response.headers
    return Head(
        int(size),
        headers.get("etag", "").strip('"'),
        headers.get("content-encoding", ""),
        headers.get("last-modified", ""),
    )


class _EmptyPage:
    """An answer as aiobotocore reads it."""

    status_code = 200
    raw = None

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: Mapping[str, str] = {}

    @property
    def content(self) -> Awaitable[bytes]:
        return self._content()

    async def _content(self) -> bytes:
        return b"<ListBucketResult/>"


def _text(value: str | bytes) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value
