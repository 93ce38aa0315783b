"""Download one object: one transfer becomes one validated, published file.

    small     one GET, and the file is written as a whole
    large     parts, downloaded at the same time into an unfinished file
    both      HEAD beside the GET; the file gets its name only if all answers agree with the
              listing, and the bytes have the hash that the ETag holds

After a transient error the request is retried; a part goes on where it broke off. Every request is
conditional on the listed ETag (If-Match). If the object was replaced, the transfer starts again
with the new version. If the server does not support ranges, an object is downloaded in one piece.
So is an object without a strong ETag, with a HEAD before and after it to check that it did not
change.
"""

import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import replace
from functools import partial
from typing import TypeVar

from asyncsync.concurrently import run_all, run_beside
from asyncsync.disk import PART, Folder, PartFile, spans
from asyncsync.download import proof, validate
from asyncsync.errors import (
    IntegrityError,
    NotParquetError,
    ProtocolError,
    RangeIgnoredError,
    RemoteChangedError,
    VanishedError,
)
from asyncsync.interfaces import Observer, Store
from asyncsync.model import Checks, Downloaded, Proof, RemoteObject, Transfer
from asyncsync.pace import Pace, Tries

T = TypeVar("T")

SMALL = 256 * 1024
"""Objects of at most so many bytes are held in memory and written at once."""
STARTS = 3
"""How often a transfer starts if its object changes or arrives damaged."""


class Downloader:
    """Downloads objects for one run, any number of them at the same time.

    Args:
        store: the bucket.
        folder: where the files go.
        pace: limits and retries the requests.
        observer: gets the progress of large objects.
        checks: what to check before a file is published.
        exact: whether an object that has changed fails, instead of being downloaded in its new
            version.
    """

    def __init__(
        self,
        store: Store,
        folder: Folder,
        pace: Pace,
        observer: Observer,
        checks: Checks,
        *,
        exact: bool = False,
    ) -> None:
        self._store = store
        self._folder = folder
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
        tries = self._pace.tries(transfer.remote.key)
        if not transfer.remote.is_pinned:
            self._first_unpinned = self._first_unpinned or transfer.remote.key
            self._unpinned += 1
        for _ in range(STARTS - 1):
            try:
                return await self._try_once(transfer, tries, started)
            except (IntegrityError, NotParquetError, RemoteChangedError) as error:
                if isinstance(error, NotParquetError) and error.is_original:
                    raise
                if isinstance(error, RemoteChangedError) and self._exact:
                    raise
                if not self._exact:
                    remote = await self._list_again(transfer.remote, tries)
                    transfer = replace(transfer, remote=remote)
        return await self._try_once(transfer, tries, started)

    async def _try_once(self, transfer: Transfer, tries: Tries, started: float) -> Downloaded:
        kept = 0
        if transfer.remote.size <= SMALL:
            proven = await self._fetch_small(transfer, tries)
        else:
            kept, proven = await self._fetch_large(transfer, tries)
        return Downloaded(transfer, tries.most, time.monotonic() - started, kept, proven)

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
        page = await tries.run(partial(self._store.list_page, remote.key))
        for found in page.objects:
            if found.key == remote.key:
                return found
        if page.next_token:  # no request can hold a key that is not valid UTF-8; it may come later
            return remote
        raise VanishedError(remote.key, "deleted since it was listed")

    # Small objects ------------------------------------------------------------------------------

    async def _fetch_small(self, transfer: Transfer, tries: Tries) -> Proof:
        remote = transfer.remote
        async with self._pace.slot:
            get = partial(tries.run, partial(self._read, remote))
            head = partial(validate.check_head, remote, self._store, tries)
            if not self._checks.head:
                content = await get()
            elif remote.is_pinned:
                content = await run_beside(head(), get())
            else:
                content = await _fetch_between_heads(head, get)
            validate.check_length(remote, len(content))
            self._pace.note_object(len(content))
            prove = partial(proof.prove, remote, self._checks, content)
            publish = partial(self._folder.publish, transfer, content, prove)
            return await tries.run_locally(publish)

    async def _read(self, remote: RemoteObject) -> bytes:
        async with self._store.get(remote) as body:
            validate.check_answer(remote, body.head, "GET")
            return await body.read()

    # Large objects ------------------------------------------------------------------------------

    async def _fetch_large(self, transfer: Transfer, tries: Tries) -> tuple[int, Proof]:
        """Download in parts if the server supports ranges, otherwise in one piece."""
        remote = transfer.remote
        if remote.is_pinned and self._supports_ranges:
            try:
                return await self._fetch_parts(transfer, [*spans(remote.size)], tries)
            except RangeIgnoredError:
                self._supports_ranges = False
        return await self._fetch_parts(transfer, [range(remote.size)], tries)

    async def _fetch_parts(
        self, transfer: Transfer, parts: Sequence[range], tries: Tries
    ) -> tuple[int, Proof]:
        """Download the missing parts; return how many bytes were here already, and the proof."""
        remote = transfer.remote
        arrived = furthest = 0

        def count(size: int) -> None:
            nonlocal arrived, furthest
            arrived += size
            if arrived > furthest:  # what is discarded, and comes again, is not new
                furthest = arrived
                self._pace.note_progress()
            self._observer.advanced(transfer, size)

        async def fetch_parts() -> None:
            for span in waiting:  # shared: each takes the next one
                async with self._pace.streams, self._pace.slot:
                    await self._fetch_part(remote, span, part, count, tries)
                complete.add(span)
                prover.notify()

        several = self._pace.large if len(parts) > 1 else nullcontext()
        async with several, AsyncExitStack() as stack:
            part = await tries.run_locally(
                lambda: stack.enter_async_context(self._folder.part_file(transfer))
            )
            prover = proof.Prover(remote, self._checks, part.open, self._hash_limiter, tries)
            complete = {span for span in parts if span in part}  # not written again
            waiting = (span for span in parts if span not in complete)
            workers = min(-(-remote.size // PART), self._pace.most)
            calls: list[Callable[[], Coroutine[object, object, None]]] = [fetch_parts] * workers
            if prover.hashes:
                calls.append(partial(prover.follow, parts, complete))
            head = partial(validate.check_head, remote, self._store, tries)
            self._observer.started(transfer)
            try:
                furthest = kept = remote.size - sum(len(part.missing(span)) for span in parts)
                if kept:
                    count(kept)
                if not self._checks.head:
                    await run_all(*calls)
                elif remote.is_pinned:
                    await run_all(head, *calls)
                else:
                    await _fetch_between_heads(head, partial(run_all, *calls))
                validate.check_length(remote, arrived)
                proven = await prover.finish()
                await tries.run_locally(partial(self._folder.publish_parts, transfer, part))
            except BaseException:
                self._observer.advanced(transfer, -arrived)
                raise
            return kept, proven

    async def _fetch_part(
        self,
        remote: RemoteObject,
        span: range,
        part: PartFile,
        count: Callable[[int], None],
        tries: Tries,
    ) -> None:
        async def fetch() -> None:
            try:
                await self._fetch_rest(remote, span, part, count)
            except RangeIgnoredError as error:
                if len(span) < remote.size:
                    raise
                count(-part.forget(span))
                raise ProtocolError("the server cannot send the rest without the start") from error

        await tries.run(fetch)

    async def _fetch_rest(
        self, remote: RemoteObject, span: range, part: PartFile, count: Callable[[int], None]
    ) -> None:
        if not remote.is_pinned or span in part:
            # The bytes may belong to another version, or the answer with the last byte was bad.
            count(-part.forget(span))
        rest = part.missing(span)
        left = len(rest)
        async with self._store.get(remote, rest) as body, part.at(span) as write:
            validate.check_answer(remote, body.head, "GET")
            async for block in body.blocks():
                left -= len(block)
                if left < 0:
                    break
                write(block)
                self._pace.note_bytes(len(block))
                count(len(block))
        if left < 0:
            count(-part.forget(span))
            raise ProtocolError("the answer has more bytes than were requested")
        if left:
            raise ProtocolError("the answer has fewer bytes than were requested")


async def _fetch_between_heads(
    check_head: Callable[[], Coroutine[object, object, None]],
    fetch: Callable[[], Coroutine[object, object, T]],
) -> T:
    """Return what was fetched, if the HEAD before and the HEAD after it agree with the listing."""
    await check_head()
    fetched = await fetch()
    await check_head()
    return fetched
