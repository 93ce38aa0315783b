"""One transfer becomes one validated, published file.

    small     one request, and the file is written as a whole
    large     parts, fetched side by side into an unfinished file
    both      HEAD beside the GET; only when all agree, and the bytes have the hash that the ETag
              holds, does the file get its name

What fails for a passing reason is tried again, a part from where it broke off. Every request names
the listed version; when the bucket holds another one by now, the transfer starts again with that.
An object whose server knows no ranges comes in one piece or not at all. So does one whose version
has no name, and HEAD says before and after it that nothing was modified.
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
"""Bytes up to which an object is held in memory and written at once."""
STARTS = 3
"""How often a transfer is started when its object changes or does not arrive as promised."""


class Downloader:
    """Downloads transfers for one run; any number of them side by side.

    Args:
        store, folder: from where to where.
        pace: how many at once.
        observer: whoever looks on.
        checks: what is checked of what arrived.
        exact: whether an object that has changed fails, and is not fetched in its new version.
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
        self._hashers = proof.hashers()
        self._exact = exact
        self._knows_ranges = True
        """Whether the server does, as far as it has shown."""
        self._unpinned = ""
        self._many_unpinned = 0

    async def download(self, transfer: Transfer) -> Downloaded:
        """Fetch, validate and publish one object.

        Raises:
            TransferError: this object could not be had; its file is what it was before.
            SourceError, DestinationError: no object can.
        """
        started = time.monotonic()
        tries = self._pace.tries(transfer.remote.key)
        if not transfer.remote.is_pinned:
            self._unpinned = self._unpinned or transfer.remote.key
            self._many_unpinned += 1
        for _ in range(STARTS - 1):
            try:
                return await self._start(transfer, tries, started)
            except (IntegrityError, NotParquetError, RemoteChangedError) as error:
                if isinstance(error, NotParquetError) and error.is_original:
                    raise
                if isinstance(error, RemoteChangedError) and self._exact:
                    raise
                if not self._exact:
                    remote = await self._listed_again(transfer.remote, tries)
                    transfer = replace(transfer, remote=remote)
        return await self._start(transfer, tries, started)

    async def _start(self, transfer: Transfer, tries: Tries, started: float) -> Downloaded:
        kept = 0
        if transfer.remote.size <= SMALL:
            proven = await self._fetch_small(transfer, tries)
        else:
            kept, proven = await self._fetch_large(transfer, tries)
        return Downloaded(transfer, tries.most, time.monotonic() - started, kept, proven)

    def sum_up(self) -> None:
        """Tell of the objects whose version has no name; once, however many there are."""
        if self._many_unpinned:
            others = self._many_unpinned - 1
            self._observer.noticed(
                f"{self._unpinned}{f' and {others:,} others' if others else ''}: no strong ETag"
                " names the version, so that only size and LastModified tell of a replacement, and"
                " nothing is kept of an unfinished file"
            )

    async def _listed_again(self, remote: RemoteObject, tries: Tries) -> RemoteObject:
        page = await tries.run(partial(self._store.list_page, remote.key))
        for found in page.objects:
            if found.key == remote.key:
                return found
        if page.next_token:  # a key that is no text cannot be asked for; others sort before it
            return remote
        raise VanishedError(remote.key, "deleted since it was listed")

    # small --------------------------------------------------------------------------------------

    async def _fetch_small(self, transfer: Transfer, tries: Tries) -> Proof:
        remote = transfer.remote
        async with self._pace.slot:
            get = partial(tries.run, partial(self._read, remote))
            head = partial(validate.head_agrees, remote, self._store, tries)
            if not self._checks.head:
                content = await get()
            elif remote.is_pinned:
                content = await run_beside(head(), get())
            else:
                content = await _between(head, get)
            validate.arrived(remote, len(content))
            self._pace.received(len(content))
            prove = partial(proof.prove, remote, self._checks, content)
            publish = partial(self._folder.publish, transfer, content, prove)
            return await tries.locally(publish)

    async def _read(self, remote: RemoteObject) -> bytes:
        async with self._store.get(remote) as body:
            validate.agree(remote, body.head, "GET")
            return await body.read()

    # large --------------------------------------------------------------------------------------

    async def _fetch_large(self, transfer: Transfer, tries: Tries) -> tuple[int, Proof]:
        """Fetch in parts where the server can, and otherwise in one piece."""
        remote = transfer.remote
        if remote.is_pinned and self._knows_ranges:
            try:
                return await self._fetch_parts(transfer, [*spans(remote.size)], tries)
            except RangeIgnoredError:
                self._knows_ranges = False
        return await self._fetch_parts(transfer, [range(remote.size)], tries)

    async def _fetch_parts(
        self, transfer: Transfer, parts: Sequence[range], tries: Tries
    ) -> tuple[int, Proof]:
        """Fetch the parts that are not here yet; return how many bytes were, and what is proven."""
        remote = transfer.remote
        arrived = 0

        def count(size: int) -> None:
            nonlocal arrived
            arrived += size
            self._observer.advanced(transfer, size)

        async def fetch_parts() -> None:
            for span in waiting:  # shared by all: each takes the next that nobody has
                async with self._pace.streams, self._pace.slot:
                    await self._fetch_part(remote, span, part, count, tries)
                sound.add(span)
                prover.arrived()

        several = self._pace.large if len(parts) > 1 else nullcontext()
        async with several, AsyncExitStack() as opened:
            part = await tries.locally(
                lambda: opened.enter_async_context(self._folder.part_file(transfer))
            )
            prover = proof.Prover(remote, self._checks, part.open, self._hashers, tries)
            sound = {span for span in parts if span in part}  # nothing of them is written again
            waiting = (span for span in parts if span not in sound)
            many = min(-(-remote.size // PART), self._pace.most)
            calls: list[Callable[[], Coroutine[object, object, None]]] = [fetch_parts] * many
            if prover.hashes:
                calls.append(partial(prover.follow, parts, sound))
            head = partial(validate.head_agrees, remote, self._store, tries)
            self._observer.started(transfer)
            try:
                if kept := remote.size - sum(len(part.missing(span)) for span in parts):
                    count(kept)
                if not self._checks.head:
                    await run_all(*calls)
                elif remote.is_pinned:
                    await run_all(head, *calls)
                else:
                    await _between(head, partial(run_all, *calls))
                validate.arrived(remote, arrived)
                proven = await prover.verdict()
                await tries.locally(partial(self._folder.publish_parts, transfer, part))
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
                raise ProtocolError("the rest is not to be had without the beginning") from error

        await tries.run(fetch)

    async def _fetch_rest(
        self, remote: RemoteObject, span: range, part: PartFile, count: Callable[[int], None]
    ) -> None:
        if not remote.is_pinned or span in part:
            # What came before may be of another version, or the answer with its last byte was bad.
            count(-part.forget(span))
        rest = part.missing(span)
        left = len(rest)
        async with self._store.get(remote, rest) as body, part.at(span) as write:
            validate.agree(remote, body.head, "GET")
            async for block in body.blocks():
                left -= len(block)
                if left < 0:
                    break
                write(block)
                self._pace.received(len(block))
                count(len(block))
        if left < 0:
            count(-part.forget(span))
            raise ProtocolError("more bytes came than were asked for")
        if left:
            raise ProtocolError("fewer bytes came than were asked for")


async def _between(
    ask: Callable[[], Coroutine[object, object, None]],
    fetch: Callable[[], Coroutine[object, object, T]],
) -> T:
    """Return what is fetched, when asking before and after it shows nothing else."""
    await ask()
    fetched = await fetch()
    await ask()
    return fetched
