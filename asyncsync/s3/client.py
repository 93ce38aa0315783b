"""aioboto3's S3 client: lists the pages of a listing behind the first.

Importing aioboto3 takes 0.2 s of processor time and opening a client 0.03 s, more than everything
else does in a run that finds nothing new. So `store.py` requests the first page of each listing
itself, and imports this module, in a thread, once a page says that more follow.

The client signs its requests with the credentials of its session. They are sent by the transport
that sends all others (`http/`), where host names are verified, which aiobotocore's own does not
do. Its answers are parsed by `pages.py`, in a seventh of the time that botocore takes.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlsplit

import aioboto3
import aioboto3.s3.inject  # or opening a client would import it, in the event loop
from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.handlers import add_recursion_detection_header
from botocore.loaders import Loader

from asyncsync.errors import AsyncSyncError
from asyncsync.http import HttpClient, Response
from asyncsync.model import Credentials, Page, Settings
from asyncsync.s3.pages import MARKER, parse_page
from asyncsync.s3.reading import PageReader
from asyncsync.s3.redaction import redact_libraries
from asyncsync.secret import SignedHeaders
from asyncsync.services import address_of
from asyncsync.threads import in_thread

_VARIABLES = AioSession.SESSION_VARIABLES
"""For each: its name in the files of AWS, that in the environment, its default, a conversion."""
_NOTHING = (None, None, None, None)
_BUCKET = "bucket"
"""What botocore is told: it has rules for names, and the endpoint has the bucket's already."""
_VERSION = "2006-03-01"
"""Of the interface of S3; it has no other."""

Refused = Callable[[Response, None, SignedHeaders], Awaitable[AsyncSyncError]]
"""Returns the error that an unexpected answer stands for: the answer, no key, the headers sent."""


class Lister:
    """Lists one bucket. Made by `open_lister`.

    Args:
        client: aioboto3's.
        settings: whether the sender pays.
        credentials: what the client signs with.
        place: the host and the region that it asks.
    """

    def __init__(
        self, client: Any, settings: Settings, credentials: Credentials, place: str
    ) -> None:
        self._client = client
        self._payer = "requester" if settings.request_payer else ""
        self._made_for = credentials, place

    def is_for(self, credentials: Credentials, place: str) -> bool:
        """Return whether it signs with these credentials, and asks this host and region."""
        return self._made_for == (credentials, place)

    async def page(self, prefix: str, delimiter: str, start_after: str, token: str) -> Page:
        """Return one page of a listing, as `Store.list_page` does.

        Raises:
            SourceError, TransientError: as for `Store.list_page`.
        """
        parameters = {"Prefix": prefix, "Delimiter": delimiter, "RequestPayer": self._payer}
        if token.startswith(MARKER):
            list_objects = self._client.list_objects
            parameters["Marker"] = token.removeprefix(MARKER)
        else:
            list_objects = self._client.list_objects_v2
            parameters |= {"StartAfter": start_after, "ContinuationToken": token}
        try:
            answer = await list_objects(
                Bucket=_BUCKET,
                EncodingType="url",
                **{name: value for name, value in parameters.items() if value},
            )
        except AsyncSyncError as error:  # without the libraries' frames: they hold the request
            raise error.with_traceback(None) from error.__cause__
        page: Page = answer["Page"]
        return page


@asynccontextmanager
async def open_lister(
    settings: Settings,
    credentials: Credentials,
    http: HttpClient,
    place: str,
    reader: PageReader,
    refused: Refused,
) -> AsyncIterator[Lister]:
    """Open a client for the bucket of the settings; no request is sent yet.

    Args:
        settings: where the bucket is.
        credentials: of this moment; others need another client.
        http: sends the requests.
        place: the host and the region that they are for.
        reader: reads the pages.
        refused: says what an answer means that is not a page.
    """
    isolated = await in_thread(_isolated_session, settings)  # 20 ms
    session = aioboto3.Session(
        aws_access_key_id=credentials.access_key_id or None,
        aws_secret_access_key=credentials.secret_access_key.reveal() or None,
        aws_session_token=credentials.session_token.reveal() or None,
        region_name=settings.region,
        botocore_session=isolated,
    )
    config = AioConfig(
        signature_version="s3v4" if credentials.access_key_id else UNSIGNED,
        user_agent=f"{isolated.user_agent_name}/{isolated.user_agent_version} "
        f"{isolated.user_agent_extra}",  # or it would have what AWS_EXECUTION_ENV says
        retries={"total_max_attempts": 1, "mode": "standard"},
        parameter_validation=False,
        # Without the last, us-east-1 would be looked up as the region of all that have no own.
        s3={"addressing_style": "path", "us_east_1_regional_endpoint": "regional"},
        http_session_cls=partial(_Transport, http, place, reader, refused),
    )
    redact_libraries()
    endpoint_url = address_of(settings).origin
    async with session.client("s3", endpoint_url=endpoint_url, config=config) as client:
        # Handlers of all services run before those of one. S3's own would parse each page to look
        # for an error in it, which `parse_page` does as well.
        client.meta.events.register_first("before-parse.*.*", _parse)
        yield Lister(client, settings, credentials, place)


def _parse(
    response_dict: dict[str, Any], customized_response_dict: dict[str, object], **_: object
) -> None:
    """Parse a page in botocore's place, which is left an empty body."""
    customized_response_dict["Page"] = parse_page(response_dict["body"])
    response_dict["body"] = b""


def _isolated_session(settings: Settings) -> AioSession:
    """Return a session that knows nothing of this machine's settings and models of AWS.

    Each of its variables keeps its default, whatever the environment and the files of AWS say: they
    are meant for other programs, and a value that botocore cannot read would end the listing.
    """
    defaults = {name: (None, None, known[2], None) for name, known in _VARIABLES.items()}
    session = AioSession({**defaults, "s3": _NOTHING, "proxies_config": _NOTHING})
    for variable in ("config_file", "credentials_file"):
        session.set_config_variable(variable, os.devnull)
    models = _Models(settings)
    models.load_service_model("s3", "service-2")  # which it keeps
    session.register_component("data_loader", models)
    session.unregister("before-call", add_recursion_detection_header)
    return session


class _Models(Loader):  # type: ignore[misc]  # botocore has no types
    """The files that botocore reads: of all services only S3, and of all endpoints only one.

    To look through those of AWS takes longer than all else that a new client does.

    Args:
        settings: where the bucket is.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__([self.BUILTIN_DATA_PATH], include_default_search_paths=False)
        signed = {
            "name": "sigv4",
            "signingName": "s3",
            "signingRegion": settings.region,
            "disableDoubleEncoding": True,
        }
        address = address_of(settings)
        found = {
            "url": f"{address.origin}{address.path}",
            "properties": {"authSchemes": [signed]},
        }
        self._own = {
            "endpoints": {"partitions": []},
            f"s3/{_VERSION}/endpoint-rule-set-1": {
                "version": "1.0",
                "parameters": {},
                "rules": [{"type": "endpoint", "conditions": [], "endpoint": found}],
            },
        }

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore's
        """Return the one that is used, without looking for others."""
        return ["s3"]

    def determine_latest_version(self, service_name: str, type_name: str) -> str:  # noqa: ARG002
        """Return the only version that S3 has."""
        return _VERSION

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        """Return what botocore asks for by the name of a file."""
        if name in self._own:
            return self._own[name], ""
        found: tuple[Any, str] = super().load_data_with_path(name)
        return found


class _Transport:
    """What aiobotocore sends requests with: it expects an HTTP session of its own making.

    Args:
        http: sends them, and outlives the client.
        place: the host and the region that they are for.
        reader: reads the pages.
        refused: says what an answer means that is not a page.
    """

    def __init__(
        self, http: HttpClient, place: str, reader: PageReader, refused: Refused, **_: object
    ) -> None:
        self._http = http
        self._place = place
        self._reader = reader
        self._refused = refused

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the connections to their owner."""

    async def send(self, request: Any) -> AioAWSResponse:
        """Send a signed request and return its answer, which is a page.

        Raises:
            SourceError, TransientError: the answer is anything else, or none came.
        """
        parts = urlsplit(request.url)
        headers = SignedHeaders()
        headers.place = self._place
        for name in request.headers:
            headers[name.lower()] = _as_text(request.headers[name])
        target = f"{parts.path or '/'}?{parts.query}"
        async with self._http.request(request.method, target, headers) as response:
            if response.status != HTTPStatus.OK:
                raise await self._refused(response, None, headers)
            body = await self._reader.read(response)
        return AioAWSResponse(request.url, response.status, response.headers, _Body(body))


class _Body:
    """A body that has arrived, as aiobotocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def read(self) -> bytes:
        """Return the whole body."""
        return self._content


def _as_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("ascii")
