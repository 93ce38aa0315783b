"""A large object on its way: its parts are fetched side by side into one unfinished file."""

from collections.abc import Sequence
from functools import partial

from anyio import CapacityLimiter

from asyncsync.concurrently import run_all
from asyncsync.disk import PartFile
from asyncsync.download import validate
from asyncsync.download.proof import Prover
from asyncsync.errors import ProtocolError, RangeIgnoredError
from asyncsync.interfaces import Observer, Store
from asyncsync.model import Checks, Proof, Transfer
from asyncsync.pace import Pace, Tries


class Parts:
    """The parts of one object, while they are fetched.

    Args:
        transfer: which object it is.
        ranges: the byte ranges to request, which make up the object.
        file: where its bytes go; some may be there already.
        store: the bucket.
        pace: limits the requests.
        tries: retries them.
        observer: gets the progress.
        checks: what to check.
        hash_limiter: limits the hashing threads of the run.
        as_stored: as for `Store.get`.
    """

    def __init__(
        self,
        transfer: Transfer,
        ranges: Sequence[range],
        file: PartFile,
        store: Store,
        pace: Pace,
        tries: Tries,
        observer: Observer,
        checks: Checks,
        hash_limiter: CapacityLimiter,
        *,
        as_stored: bool,
    ) -> None:
        self._transfer = transfer
        self._remote = transfer.remote
        self._ranges = ranges
        self._file = file
        self._store = store
        self._pace = pace
        self._tries = tries
        self._observer = observer
        self._checks = checks
        self._as_stored = as_stored
        crc = partial(file.crc, ranges)
        ask = partial(validate.ask_first_part, self._remote, store, pace, tries)
        self._prover = Prover(self._remote, checks, file.open, hash_limiter, tries, crc, ask)
        self._complete = {span for span in ranges if span in file}  # not written again
        self._waiting = iter([span for span in ranges if span not in self._complete])
        self.arrived = self._remote.size - sum(len(file.missing(span)) for span in ranges)
        """Bytes that are here, also from an earlier run."""
        self._furthest = self.arrived

    async def fetch(self) -> Proof:
        """Fetch the missing parts and HEAD, and return what the complete file proves.

        Raises:
            TransferError, SourceError: as for `Downloader.download`.
            RangeIgnoredError: the server sends whole objects only.
        """
        workers = [self._fetch_waiting] * min(len(self._ranges), self._pace.most)
        if self.arrived:
            self._observer.kept(self._transfer, self.arrived)
        if self._remote.is_pinned:
            await run_all(self._ask_and_hash, *workers)
        else:  # only a HEAD before and one after the bytes show that they are of one version
            await self._ask()
            await run_all(self._hash, *workers)
            if self._checks.head:
                async with self._pace.slot:
                    await validate.check_head(self._remote, self._store, self._tries)
        validate.check_length(self._remote, self.arrived)
        return await self._prover.finish()

    async def _ask(self) -> None:
        if self._checks.head:
            async with self._pace.slot:
                head = await validate.check_head(self._remote, self._store, self._tries)
            self._prover.expect(head)

    async def _hash(self) -> None:
        await self._prover.follow(self._ranges, self._complete)

    async def _ask_and_hash(self) -> None:
        await self._ask()
        await self._hash()

    async def _fetch_waiting(self) -> None:
        for span in self._waiting:  # shared: each worker takes the next one
            async with self._pace.streams, self._pace.slot:
                await self._tries.run(partial(self._fetch_part, span))
            self._complete.add(span)
            self._prover.notify()

    async def _fetch_part(self, span: range) -> None:
        if not self._remote.is_pinned or span in self._file:
            # The bytes may belong to another version, or the answer with the last byte was bad.
            self._forget(span)
        rest = self._file.missing(span)
        left = len(rest)
        get = self._store.get(self._remote, rest, as_stored=self._as_stored)
        try:
            async with get as body:
                self._pace.note_wait(body.head.waited)
                validate.check_answer(self._remote, body.head, "GET")
                async for block in body.blocks():
                    size = len(block)
                    left -= size
                    if left < 0:
                        break
                    self._file.write(span, block)
                    self.arrived += size
                    is_new = self.arrived > self._furthest  # not what was discarded before
                    if is_new:
                        self._furthest = self.arrived
                    self._pace.note_bytes(size, is_new=is_new)
                    self._observer.advanced(self._transfer, size)
        except RangeIgnoredError as error:
            if len(span) < self._remote.size:
                raise
            self._forget(span)
            raise ProtocolError("the server cannot send the rest without the start") from error
        if left < 0:
            self._forget(span)
            raise ProtocolError("the answer has more bytes than were requested")
        if left:
            raise ProtocolError("the answer has fewer bytes than were requested")

    def _forget(self, span: range) -> None:
        if size := self._file.forget(span):
            self.arrived -= size
            self._observer.advanced(self._transfer, -size)
