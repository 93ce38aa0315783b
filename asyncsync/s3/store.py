"""A bucket behind the `Store` methods.

GET and HEAD are nearly all requests, and a call of an S3 client costs ten times as much as sending
the request, so they are signed (`sigv4.py`) and sent here. aioboto3's client (`client.py`) lists
the pages of a long listing. All requests use one transport (`http/`), which verifies
host names and never follows a redirect. `refusals.py` turns every unexpected answer into an error.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from anyio import Lock

from asyncsync.errors import (
    AsyncSyncError,
    AuthError,
    ClockCorrectedError,
    ClockError,
    ConnectionLostError,
    CredentialsRenewedError,
    HeadRefusedError,
    IntegrityError,
    RangeIgnoredError,
    RefusedError,
    RegionCorrectedError,
    ServerError,
    SourceError,
    TransientError,
)
from asyncsync.http import HttpClient, Response, send_both
from asyncsync.interfaces import READ_TIMEOUT, Body, Urgent
from asyncsync.model import UNKNOWN_SIZE, Fetched, Head, Page, RemoteObject, Settings
from asyncsync.s3.bodies import (
    ENCODINGS,
    FIRST_PART,
    UnannouncedBody,
    add_conditions,
    is_span,
    length_by_first_byte,
    open_body,
    other_size,
    parse_first_part,
    parse_head,
    require_unchanged,
)
from asyncsync.s3.checksums import parse_checksum
from asyncsync.s3.clock import Clock, agree
from asyncsync.s3.credentials import HeldCredentials, hold
from asyncsync.s3.pages import MARKER, as_text, only_with, page_query, parse_page, parse_size
from asyncsync.s3.reading import PageReader
from asyncsync.s3.refusals import refusal
from asyncsync.s3.regions import region_told, settings_in, told_of
from asyncsync.s3.server import MAY_REFUSE_HEAD, MODE_UNKNOWN, SERVED, Server
from asyncsync.s3.sigv4 import CHECKSUM_MODE, Signer, path_of
from asyncsync.secret import SignedHeaders
from asyncsync.services import address_of
from asyncsync.threads import in_thread

if TYPE_CHECKING:
    from asyncsync.s3.client import Lister

logger = logging.getLogger(__name__)

ERROR_LIMIT = 64 * 1024
SHORT_LISTING = 32
"""Pages that are listed without aioboto3's client: it would cost them more than a tenth."""


@asynccontextmanager
async def open_store(
    settings: Settings,
    notice: Callable[[str], object] = logger.info,
    read_timeout: float = READ_TIMEOUT,
) -> AsyncIterator["S3Store"]:
    """Open the bucket that the settings name; no request is sent yet.

    Args:
        settings: the endpoint, the bucket and the credentials.
        notice: called with what a person should know, such as that this machine's clock is wrong,
            or that the bucket is in another region.
        read_timeout: as for `HttpClient`.

    Raises:
        ConfigError: the file of certificate authorities that the environment names cannot be read.
    """
    http = HttpClient(address_of(settings).origin, read_timeout=read_timeout)
    async with http, hold(settings) as held, AsyncExitStack() as opened:
        yield S3Store(settings, http, Clock(notice), held, opened, notice)


class S3Store:
    """A bucket. Made by `open_store`.

    Args:
        settings: the endpoint and the bucket.
        http: the transport to the endpoint.
        clock: the time to sign with.
        held: the credentials to sign with.
        opened: closes the clients together with the store.
        notice: called with what a person should know.
    """

    def __init__(
        self,
        settings: Settings,
        http: HttpClient,
        clock: Clock,
        held: HeldCredentials,
        opened: AsyncExitStack,
        notice: Callable[[str], object],
    ) -> None:
        self._clock = clock
        self._opened = opened
        self._notice = notice
        self._held = held
        self._look_at(settings, http)
        self._server = Server(notice)
        self._lister: Lister | None = None
        self._has_moved = False
        """Whether another region was gone to, which is done once."""
        self._opening = Lock()
        self._pages = 0
        self._reader = PageReader()

    def _look_at(self, settings: Settings, http: HttpClient) -> None:
        """Send what is requested from now on to where these settings lead."""
        self._settings = settings
        self._http = http
        self._path = address_of(settings).path
        pays = settings.request_payer
        self._signer = Signer(http.host, settings.region, self._clock.stamp, request_payer=pays)

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return one page of a listing, as `Store` says."""
        sent = as_text(prefix)
        # Loading aioboto3's client takes as long as three pages, so a short listing goes without.
        # It signs with this machine's clock, which may be wrong, and sends no bytes as a marker.
        self._pages += 1
        is_long = self._pages > SHORT_LISTING and not self._clock.is_corrected
        if token and is_long and as_text(token) == token:
            page = await (await self._open_lister()).page(sent, delimiter, start_after, token)
        else:
            page = await self._page(sent, delimiter, start_after, token)
        return page if sent == prefix else only_with(prefix, page)

    async def _page(self, prefix: str, delimiter: str, start_after: str, token: str) -> Page:
        """Request a page by ListObjectsV2, or by ListObjects from a server that knows no other."""
        behind = {"start-after": start_after, "continuation-token": token}
        marker = {"marker": token.removeprefix(MARKER) or start_after}
        # A token of version 2 is no marker: as one, it would leave out all keys before it.
        if token.startswith(MARKER) or (self._server.lists_by_marker and not token):
            return await self._request_page(prefix, delimiter, marker)
        try:
            page = await self._request_page(prefix, delimiter, {"list-type": "2", **behind})
        except SourceError as error:
            if type(error) is not SourceError or self._server.lists_by_token:
                raise
            with suppress(SourceError):
                page = await self._request_page(prefix, delimiter, marker)
                self._server.note_markers()
                return page
            raise
        if not page.is_by_marker:
            self._server.lists_by_token = True
            return page
        self._server.note_markers()
        if start_after:  # of which such a server knows nothing
            page = await self._request_page(prefix, delimiter, marker)
        return page

    async def _request_page(self, prefix: str, delimiter: str, more: Mapping[str, str]) -> Page:
        query = page_query(prefix, delimiter, more)
        path = self._path or "/"
        headers = self._signed("GET", path, query)
        async with self._http.request("GET", f"{path}?{query}", headers) as response:
            if response.status != HTTPStatus.OK:
                raise await self._refused(response, None, headers)
            return parse_page(await self._reader.read(response))

    async def _open_lister(self) -> "Lister":
        """Return aioboto3's client; a new one when the credentials or the region have changed."""
        async with self._opening:
            place, held = self._signer.place, self._held.current
            if self._lister is None or not self._lister.is_for(held, place):
                where = (self._settings, held, self._http, place, self._reader, self._refused)
                opening = (await in_thread(_load_client))(*where)
                self._lister = await self._opened.enter_async_context(opening)
            return self._lister

    async def head(self, key: str) -> Head:
        """Return what the bucket says of an object, as `Store` says."""
        self._server.check_head(key)
        path = path_of(self._path, key)
        headers = self._signed_head(path)
        async with self._http.request("HEAD", path, headers) as response:
            return await self._head(response, path, key, headers)

    async def first_part(self, remote: RemoteObject) -> int:
        """Return the size of the first part of an object, as `Store` says."""
        path = path_of(self._path, remote.key)
        headers = self._signed("HEAD", path, FIRST_PART)
        async with self._http.request("HEAD", f"{path}?{FIRST_PART}", headers) as response:
            is_final = response.status in {*SERVED, *MODE_UNKNOWN}
            error = None if is_final else await self._refused(response, remote.key, headers)
            if isinstance(error, TransientError):
                raise error
            return parse_first_part(response, remote)

    def _signed_head(self, path: str) -> SignedHeaders:
        wants = self._server.wants_checksums
        return self._signer.sign("HEAD", path, self._held.current, wants_checksum=wants)

    async def _head(self, response: Response, path: str, key: str, sent: SignedHeaders) -> Head:
        """Return what the answer to a HEAD with these headers says."""
        if response.status in MODE_UNKNOWN and CHECKSUM_MODE in sent:
            if outdated := self._outdated(sent):
                raise outdated
            sent = self._signed("HEAD", path)
            async with self._http.request("HEAD", path, sent) as again:
                if again.status == HTTPStatus.OK:
                    self._server.note_refused_checksum()
                return await self._head(again, path, key, sent)
        if response.status != HTTPStatus.OK:
            raise await self._refused_head(response, path, key, sent)
        self._server.tells_checksums |= CHECKSUM_MODE in sent
        self._server.answers_head = True
        size = parse_size(response.headers["content-length"] or await self._told_size(path, key))
        if size == UNKNOWN_SIZE:
            raise IntegrityError(key, "neither HEAD nor a GET of its first byte tells its size")
        return parse_head(response, size, parse_checksum(response.headers))

    async def _refused_head(
        self, response: Response, path: str, key: str, sent: SignedHeaders
    ) -> AsyncSyncError:
        """Return why HEAD was refused, from the body of a GET: an answer to HEAD has none."""
        if response.status in {*MAY_REFUSE_HEAD, HTTPStatus.BAD_REQUEST}:
            headers = self._signed("GET", path)
            headers["range"] = "bytes=0-0"
            async with self._http.request("GET", path, headers) as told:
                if told.status >= HTTPStatus.BAD_REQUEST and told.status not in SERVED:
                    return await self._refused(told, key, headers)
                if outdated := self._outdated(sent):
                    return outdated
                if told.status in SERVED and self._server.refuses(response.status):
                    return self._server.head_refused(key)
        return await self._refused(response, key, sent)

    def _outdated(self, sent: SignedHeaders) -> TransientError | None:
        """Return what was put right since a HEAD had these headers, so that it is worth another."""
        if sent.place != self._signer.place:
            return RegionCorrectedError("HEAD was sent before the region was put right")
        if "authorization" not in sent:
            return None
        if self._clock.corrects(None, sent["x-amz-date"]):
            return ClockCorrectedError("HEAD was signed before the clock was corrected")
        if not self._held.signed(sent):
            return CredentialsRenewedError("HEAD was signed before the credentials were renewed")
        return None

    async def _told_size(self, path: str, key: str) -> str:
        """Return the size as stored, by its first byte: R2 decompresses, and HEAD may not say."""
        headers = self._signed("GET", path)
        headers["range"] = "bytes=0-0"
        headers["accept-encoding"] = ENCODINGS
        async with self._http.request("GET", path, headers) as response:
            if (length := length_by_first_byte(response)) is None:
                raise await self._refused(response, key, headers)
            return length

    async def fetch(self, remote: RemoteObject, *, asks: bool, as_stored: bool = False) -> Fetched:
        """Fetch a whole object, as `Store` says; both requests go out before either is awaited."""
        key = remote.key
        path = path_of(self._path, key)
        get_headers = self._conditional(path, remote, as_stored)
        get = self._http.request("GET", path, get_headers)
        if not asks or self._server.refuses_head:
            async with get as response:
                return await self._whole(response, remote, get_headers)
        head_headers = self._signed_head(path)
        head = self._http.request("HEAD", path, head_headers)
        try:
            await send_both(get, head)
            try:
                response = await get.receive(remote.size)
                fetched = await self._whole(response, remote, get_headers)
            except ConnectionLostError:
                raise  # the answer to HEAD may not come either
            except TransientError as error:
                fetched = Fetched(b"", error)
            get.close()
            try:
                asked = await self._head(await head.receive(), path, key, head_headers)
            except HeadRefusedError:
                return fetched
            except TransientError as error:
                return Fetched(fetched.content, fetched.got, error)
            return Fetched(fetched.content, fetched.got, asked)
        finally:
            get.close()
            head.close()

    async def _whole(
        self, response: Response, remote: RemoteObject, sent: SignedHeaders
    ) -> Fetched:
        """Read the answer to a GET of a whole object with these headers."""
        if response.status != HTTPStatus.OK:
            raise await self._refused(response, remote.key, sent)
        if "content-length" not in response.headers:
            if "accept-encoding" not in sent:
                require_unchanged(response, remote)
            body = UnannouncedBody(response, remote)
            return Fetched(await body.read(), body.head)
        head = parse_head(response, parse_size(response.headers["content-length"]))
        if head.size != remote.size:  # its bytes are refused; there may be too many to hold
            return Fetched(b"", other_size(head, response, remote))
        return Fetched(await response.read(), head)

    def _conditional(self, path: str, remote: RemoteObject, as_stored: bool) -> SignedHeaders:
        """Return the headers of a GET of the listed version."""
        headers = self._signed("GET", path)
        add_conditions(headers, remote, as_stored)
        return headers

    @asynccontextmanager
    async def get(
        self, remote: RemoteObject, span: range | None = None, *, as_stored: bool = False
    ) -> AsyncIterator[Body]:
        """Fetch the listed version of an object, as `Store` says."""
        path = path_of(self._path, remote.key)
        headers = self._conditional(path, remote, as_stored)
        if span is not None and len(span) == remote.size:
            span = None
        if span is not None:
            headers["range"] = f"bytes={span.start}-{span.stop - 1}"
        async with self._http.request("GET", path, headers) as response:
            is_ok = response.status == HTTPStatus.OK
            if not is_ok and (span is None or response.status != HTTPStatus.PARTIAL_CONTENT):
                raise await self._refused(response, remote.key, headers)
            if "content-length" not in response.headers and not as_stored:
                require_unchanged(response, remote)
            if is_ok and span is not None and not is_span(response, span):
                raise RangeIgnoredError(
                    remote.key, "the server sent the whole object instead of a part"
                )
            yield open_body(response, remote, span)

    def _signed(self, method: str, path: str, query: str = "") -> SignedHeaders:
        return self._signer.sign(method, path, self._held.current, query)

    async def _refused(
        self, response: Response, key: str | None, sent: SignedHeaders
    ) -> AsyncSyncError:
        """Return the error that the answer to a request with these headers stands for."""
        body = b""  # where it is cut off or endless, the status must do
        with suppress(TransientError):
            body = await response.read(ERROR_LIMIT)
        is_signed = "authorization" in sent
        status, headers, names = response.status, response.headers, self._settings.names
        error = refusal(status, headers, body, key, is_signed=is_signed, names=names)
        of_run = error.of_run if isinstance(error, RefusedError) else error
        if self._moves(response, body, sent):
            return RegionCorrectedError(f"{error}; the region was put right meanwhile")
        if isinstance(of_run, ClockError) and is_signed:
            if self._clock.corrects(of_run.ahead, sent["x-amz-date"]):
                return ClockCorrectedError(str(of_run))
            if agree(of_run.ahead) and self._clock.may_pass(key, sent["x-amz-date"]):
                return ServerError(str(of_run))
            return error
        if isinstance(of_run, AuthError) and is_signed:
            return await self._held.refused(error, sent)
        return error

    def _moves(self, response: Response, body: bytes, sent: SignedHeaders) -> bool:
        """Return whether requests now go elsewhere than this one, which was refused, has gone."""
        region = region_told(response.status, response.headers, body)
        if region and sent.place != self._signer.place:
            return True  # another request was refused before, and has put the region right
        found = self._settings
        there = settings_in(region, found, redirects="location" in response.headers)
        if there is None or self._has_moved:
            return False
        self._has_moved = True
        origin, http = address_of(there).origin, self._http
        if origin != address_of(found).origin:
            http = HttpClient(origin, read_timeout=http.read_timeout)
            self._opened.push_async_exit(http)
        self._look_at(there, http)
        self._notice(Urgent(told_of(found, there)))
        return True


def _load_client() -> "Callable[..., AbstractAsyncContextManager[Lister]]":
    from asyncsync.s3.client import open_lister

    return open_lister
