"""Download one object: one transfer becomes one validated, published file.

    small     one GET, and the file is written as a whole
    large     parts, downloaded at the same time into an unfinished file
    both      HEAD beside the GET; the file gets its name only if all answers agree with the
              listing, and the bytes have the checksum that HEAD tells or the ETag holds

After a transient error the request is retried; a part goes on where it broke off. Every request is
conditional on the listed ETag (If-Match). If the object was replaced, the transfer starts again
with the new version. If the server does not support ranges, an object is downloaded in one piece.
So is an object without a strong ETag, with a HEAD before and after it to check that it did not
change. One that the server decompresses on the way is requested again as it is stored.
"""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, nullcontext, suppress
from dataclasses import replace
from functools import partial

from asyncsync.disk import spans
from asyncsync.download import proof, validate
from asyncsync.download.parts import Parts
from asyncsync.download.sink import Sink
from asyncsync.errors import (
    EncodedObjectError,
    HeadRefusedError,
    IntegrityError,
    NotParquetError,
    RangeIgnoredError,
    RemoteChangedError,
    TransientError,
    VanishedError,
)
from asyncsync.interfaces import Observer, Store
from asyncsync.model import Checks, Downloaded, Head, Proof, RemoteObject, Transfer
from asyncsync.pace import Pace, Tries, requested_pause

SMALL = 256 * 1024
"""Objects of at most so many bytes are held in memory and written at once."""
STARTS = 3
"""How often a transfer starts if its object changes or arrives damaged."""


class Downloader:
    """Downloads objects for one run, any number of them at the same time.

    Args:
        store: the bucket.
        sink: where the files go.
        pace: limits and retries the requests.
        observer: gets the progress of large objects.
        checks: what to check before a file is published.
        exact: whether an object that has changed fails, instead of being downloaded in its new
            version.
    """

    def __init__(
        self,
        store: Store,
        sink: Sink,
        pace: Pace,
        observer: Observer,
        checks: Checks,
        *,
        exact: bool = False,
    ) -> None:
        self._store = store
        self._sink = sink
        self._pace = pace
        self._observer = observer
        self._checks = checks
        self._hash_limiter = proof.hash_limiter()
        self._exact = exact
        self._supports_ranges = True
        """Whether the server does, as far as is known."""
        self._first_unpinned = ""
        self._unpinned = 0

    async def download(self, transfer: Transfer) -> Downloaded:
        """Download, validate and publish one object.

        Raises:
            TransferError: this object failed; an existing file is unchanged.
            SourceError, DestinationError: no object can be downloaded.
        """
        started = time.monotonic()
        tries = self._pace.tries(transfer.remote.key, self._pace.slot)
        if not transfer.remote.is_pinned:
            self._first_unpinned = self._first_unpinned or transfer.remote.key
            self._unpinned += 1
        starts, as_stored = 1, False
        refused: tuple[RemoteObject, str] | None = None
        while True:
            try:
                fetch = self._fetch_small if transfer.remote.size <= SMALL else self._fetch_large
                kept, proven = await fetch(transfer, tries, as_stored)
                seconds, paths = time.monotonic() - started, self._sink.paths
                return Downloaded(transfer, tries.most, seconds, kept, proven, paths)
            except EncodedObjectError:
                if as_stored:
                    raise
                as_stored = True
                continue
            except RemoteChangedError:
                if starts == STARTS or self._exact:
                    raise
            except (IntegrityError, NotParquetError) as error:
                if starts == STARTS or _is_final(error, transfer.remote, refused):
                    raise
                refused = transfer.remote, error.found
            starts, as_stored = starts + 1, False
            if not self._exact:
                remote = await self._list_again(transfer.remote, tries)
                transfer = replace(transfer, remote=remote)

    def report_unpinned(self) -> None:
        """Report the objects without a strong ETag, all of them in one message."""
        if self._unpinned:
            others = self._unpinned - 1
            self._observer.noticed(
                f"{self._first_unpinned}{f' and {others:,} others' if others else ''}: no strong"
                " ETag, so a replacement shows only in size and LastModified, and an interrupted"
                " download starts again from its first byte"
            )

    async def _list_again(self, remote: RemoteObject, tries: Tries) -> RemoteObject:
        async with self._pace.slot:
            page = await tries.run(partial(self._store.list_page, remote.key))
        for found in page.objects:
            if found.key == remote.key:
                return found
        if page.next_token:  # no request can hold a key that is not valid UTF-8; it may come later
            return remote
        raise VanishedError(remote.key, "deleted since it was listed")

    # Small objects ------------------------------------------------------------------------------

    async def _fetch_small(
        self, transfer: Transfer, tries: Tries, as_stored: bool
    ) -> tuple[int, Proof]:
        """Download in one request; return that no bytes were here already, and the proof."""
        remote, asks = transfer.remote, self._checks.head
        async with self._pace.slot:
            if remote.is_pinned or not asks:
                content, head = await self._fetch_whole(remote, tries, as_stored, asks=asks)
            else:
                head = await validate.check_head(remote, self._store, tries)
                content, _ = await self._fetch_whole(remote, tries, as_stored, asks=False)
                await validate.check_head(remote, self._store, tries)
        self._pace.note_object(len(content))
        prove = partial(proof.prove, remote, self._checks, content, head)
        publish = partial(self._sink.publish, transfer, content, prove)
        return 0, await tries.run_locally(publish)

    async def _fetch_whole(
        self, remote: RemoteObject, tries: Tries, as_stored: bool, *, asks: bool
    ) -> tuple[bytes, Head | None]:
        """Return the content, and the answer to a HEAD that is sent beside the GET if it `asks`.

        What has been answered is not requested again when the other request has to be.
        """
        content: bytes | None = None
        head: Head | None = None

        async def attempt() -> None:
            nonlocal content, head
            if content is not None:
                with suppress(HeadRefusedError):  # then the GET has to do
                    head = await self._store.head(remote.key)
                    validate.check_answer(remote, head, "HEAD")
                return
            asks_now = asks and head is None
            fetched = await self._store.fetch(remote, asks=asks_now, as_stored=as_stored)
            errors: list[TransientError] = []
            if isinstance(fetched.got, TransientError):
                errors.append(fetched.got)
            else:
                self._pace.note_wait(fetched.got.waited)
                validate.check_answer(remote, fetched.got, "GET")
                validate.check_length(remote, len(fetched.content))
                content = fetched.content
            if isinstance(fetched.asked, TransientError):
                errors.append(fetched.asked)
            elif fetched.asked:
                validate.check_answer(remote, fetched.asked, "HEAD")
                head = fetched.asked
            if errors:
                raise max(errors, key=requested_pause)

        await tries.run(attempt, 1 + asks)
        return content or b"", head

    # Large objects ------------------------------------------------------------------------------

    async def _fetch_large(
        self, transfer: Transfer, tries: Tries, as_stored: bool
    ) -> tuple[int, Proof]:
        """Download in parts if the server supports ranges, otherwise in one piece."""
        remote = transfer.remote
        if remote.is_pinned and self._supports_ranges:
            try:
                ranges = [*spans(remote.size)]
                return await self._fetch_parts(transfer, ranges, tries, as_stored)
            except RangeIgnoredError:
                self._supports_ranges = False
        return await self._fetch_parts(transfer, [range(remote.size)], tries, as_stored)

    async def _fetch_parts(
        self, transfer: Transfer, ranges: Sequence[range], tries: Tries, as_stored: bool
    ) -> tuple[int, Proof]:
        """Download the missing parts; return how many bytes were here already, and the proof."""
        several = self._pace.large if len(ranges) > 1 else nullcontext()
        async with several, AsyncExitStack() as stack:
            file = await tries.run_locally(
                lambda: stack.enter_async_context(self._sink.part_file(transfer))
            )
            parts = Parts(
                transfer,
                ranges,
                file,
                self._store,
                self._pace,
                tries,
                self._observer,
                self._checks,
                self._hash_limiter,
                as_stored=as_stored,
            )
            kept = parts.arrived
            self._observer.started(transfer)
            try:
                proven = await parts.fetch()
                await tries.run_locally(partial(self._sink.publish_parts, transfer, file))
            except Exception:  # when the run is stopped, what has arrived is kept
                self._observer.advanced(transfer, -parts.arrived)
                raise
            return kept, proven


def _is_final(
    error: IntegrityError | NotParquetError,
    remote: RemoteObject,
    refused: tuple[RemoteObject, str] | None,
) -> bool:
    """Return whether another download could not help: what came twice would come again.

    Args:
        error: why the bytes are refused.
        remote: the object.
        refused: the last object and bytes that were, if any.
    """
    is_original = isinstance(error, NotParquetError) and error.is_original
    return is_original or (error.found != "" and (remote, error.found) == refused)
