"""aioboto3's S3 client: it goes on with listings that have more than one page.

To load it takes a quarter of a second, which is more than all else that a run does that finds
nothing to do. So `s3.py` asks for first pages itself, and loads this module, in a thread, when one
of them says that there are more.

The client makes requests, and knows no secret: they are signed and sent by whoever loads it. Nor
does it read the answers, for which it would take seven times as long.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import UNSIGNED

from asyncsync.model import Page, Settings

Fetch = Callable[[str, str], Awaitable[Page]]
"""Asks for a page: the path and the query of the request in, what is on the page out."""


class Lister:
    """Lists one bucket. Made by `open_lister`.

    Args:
        client: aioboto3's.
        bucket: its name.
        fetch: sends the client's requests.
    """

    def __init__(self, client: Any, bucket: str, fetch: Fetch) -> None:
        self._client = client
        self._bucket = bucket
        self._fetch = fetch
        self._page: ContextVar[Page] = ContextVar("page")
        client.meta.events.register_first("before-send.s3.ListObjectsV2", self._send)

    async def page(self, prefix: str, delimiter: str, start_after: str, token: str) -> Page:
        """Return one page of a listing, as `Store.list_page` does.

        Raises:
            SourceError, TransientError: what `fetch` raises.
        """
        wanted = {
            "Prefix": prefix,
            "Delimiter": delimiter,
            "StartAfter": start_after,
            "ContinuationToken": token,
        }
        await self._client.list_objects_v2(
            Bucket=self._bucket,
            EncodingType="url",
            **{name: value for name, value in wanted.items() if value},
        )
        return self._page.get()

    async def _send(self, request: Any, **_: object) -> "_EmptyPage":
        """Send what the client has made; the page goes to the call of `page` in the same task."""
        parts = urlsplit(request.url)
        self._page.set(await self._fetch(parts.path, parts.query))
        return _EmptyPage(request.url)


@asynccontextmanager
async def open_lister(settings: Settings, fetch: Fetch) -> AsyncIterator[Lister]:
    """Open a client for the bucket of the settings; no request is sent yet."""
    session = aioboto3.Session(region_name=settings.region, botocore_session=_isolated_session())
    config = AioConfig(
        signature_version=UNSIGNED,
        retries={"total_max_attempts": 1, "mode": "standard"},
        parameter_validation=False,
        s3={"addressing_style": "path"},
    )
    async with session.client("s3", endpoint_url=settings.endpoint_url, config=config) as client:
        yield Lister(client, settings.bucket, fetch)


def _isolated_session() -> AioSession:
    """Return a session that knows nothing of the AWS settings of this machine."""
    nowhere = {"config_file": os.devnull, "credentials_file": os.devnull}
    session = AioSession({"profile": (None, None, None, None)})
    for variable, value in nowhere.items():
        session.set_config_variable(variable, value)
    return session


class _EmptyPage:
    """The answer that the client gets to see."""

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
