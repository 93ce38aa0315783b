"""The brain's side: deals transfers in batches, takes the files, and tells what became of each.

    a transfer waits        until a batch has room for it, and a worker for the batch
    a batch is a task       two for each worker at a time; Dask says where it runs, and runs it
                            again when its worker dies
    a batch comes back      what it wrote gets its names, and each object is told of
    none comes back         this process downloads the objects itself, or all where the cluster
                            is gone

A batch that runs again writes files of other names, and only those are taken which the answer
names: so nothing is published twice, and a worker that is only cut off may write on.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

from anyio import CancelScope
from anyio.abc import TaskGroup

from asyncsync import __version__
from asyncsync.concurrently import task_group
from asyncsync.dask.batch import Batch
from asyncsync.dask.cluster import Cluster, GoneError, LostError
from asyncsync.dask.dealt import Answer, Dealt, Moved
from asyncsync.dask.orders import Ordering
from asyncsync.dask.portions import AHEAD, most_dealt, portion, weight
from asyncsync.disk import Folder, Sign
from asyncsync.download import Downloader
from asyncsync.errors import (
    AsyncSyncError,
    AuthError,
    IntegrityError,
    ThrottledError,
    WorkerError,
)
from asyncsync.interfaces import Observer, Urgent
from asyncsync.model import Checks, Downloaded, Transfer
from asyncsync.movers import Event, Hire, dealt_line
from asyncsync.pace import Pace

logger = logging.getLogger(__name__)

GATHER = 0.05
"""Seconds in which transfers come together before they are dealt."""
COUNTING = 5.0
"""Seconds between two counts of the workers."""
PAUSING = 1.0
"""Seconds between two times that all workers are told to pause."""
MOST_NOTICES = 100
"""Messages of workers that are told, each of them once."""


class Crew:
    """The workers of a cluster, for one run; made by `crew_on`.

    Args:
        cluster: of Dask.
        workers: how many workers it has.
        folder: the destination; the run may write there.
        pace: the brain's.
        observer: gets the progress of large objects.
        ordering: makes the batches.
        own: the brain's downloader.
        group: runs what goes on beside the downloads.
    """

    def __init__(
        self,
        cluster: Cluster,
        workers: int,
        folder: Folder,
        pace: Pace,
        observer: Observer,
        ordering: Ordering,
        own: Downloader,
        group: TaskGroup,
    ) -> None:
        self.most = most_dealt(workers)
        self.run = ""
        """The id of the run, once it writes."""
        self._parts = ""
        """Its usual parts folder."""
        self._cluster = cluster
        self._workers = workers
        self._folder = folder
        self._pace = pace
        self._observer = observer
        self._ordering = ordering
        self._own = own
        self._group = group
        self.is_gone = False
        """Whether there is no cluster any more."""
        self._has_begun = False
        self._beginning = asyncio.Lock()
        self._waiting: deque[Dealt] = deque()
        self._weight = 0.0
        """Of what waits."""
        self._has_news = asyncio.Event()
        self._under_way: dict[int, Sequence[Dealt]] = {}
        """The batches, by number."""
        self._paused_at = float("-inf")
        self._messages: asyncio.Queue[str] = asyncio.Queue()
        self._told: set[str] = set()

    def expect(self, transfers: Iterable[Transfer]) -> None:
        """Do nothing: the workers are there."""

    async def download(self, transfer: Transfer) -> Downloaded:
        """Have one object downloaded, validated and published, by a worker or by this process.

        What an earlier run has left of an object is here, and this process goes on with it.

        Raises:
            TransferError, SourceError, DestinationError: as for `Downloader.download`.
            ConfigError: a worker has another asyncsync, or none.
        """
        if self.is_gone or transfer.kept or not transfer.remote.is_pinned:
            return await self._own.download(transfer)
        if not (self._has_begun or await self._begin()):
            return await self._own.download(transfer)
        tries = self._pace.tries(transfer.remote.key)
        parts, inode = await tries.run_locally(partial(self._folder.taking.parts_for, transfer))
        line = dealt_line(transfer, None if parts == self._parts else (parts, inode))
        outcome: asyncio.Future[Downloaded] = asyncio.get_running_loop().create_future()
        heavy = weight(transfer.remote.size, len(line))
        self._wait(Dealt(transfer, outcome, line, parts, heavy))
        return await outcome

    def _wait(self, dealt: Dealt) -> None:
        self._waiting.append(dealt)
        self._weight += dealt.weight
        self._has_news.set()

    # begin --------------------------------------------------------------------------------------

    async def _begin(self) -> bool:
        """Begin to write, once; return whether this run may."""
        async with self._beginning:
            if not self._has_begun and not self.is_gone and await self._folder.begin_writing():
                try:
                    await self._start()
                except OSError as error:
                    self._give_up(f"the cluster does not answer: {error}")
            return self._has_begun

    async def _start(self) -> None:
        """Check that the workers can write in the destination, and start to deal."""
        terms = self._folder.taking.terms
        self.run, self._parts = terms.run, terms.parts
        sign = await self._folder.taking.put_sign()
        self._ordering.begin(terms, sign)
        await self._enlist(await self._check_workers(sign))
        await self._cluster.listen(self.run, self._messages.put_nowait)
        self._group.start_soon(self._hear_all)
        self._group.start_soon(self._keep_count)
        self._group.start_soon(self._deal)
        self._has_begun = True

    async def _check_workers(self, sign: Sign) -> list[str]:
        """Check that the workers can write in the destination; return their addresses."""
        from asyncsync.dask import worker

        said = await self._cluster.everywhere(worker.check, sign, __version__)
        for address, why in said.items():
            if why and not isinstance(why, OSError):  # it has just died
                raise WorkerError(address, str(why))
        return [address for address, why in said.items() if not why]

    async def _enlist(self, addresses: list[str]) -> bool:
        """Enlist workers, which have this asyncsync; return whether all of them are now."""
        from asyncsync.dask import worker

        enlistment = await self._ordering.enlistment(max(self._workers, 1))
        try:
            said = await self._cluster.everywhere(worker.enlist, enlistment, workers=addresses)
        except OSError as error:
            logger.info("workers cannot be enlisted: %s", error)
            return False
        return not any(said.values())

    async def _keep_count(self) -> None:
        """Count the workers now and then, of which there may be more or fewer."""
        while not self.is_gone:
            await asyncio.sleep(COUNTING)
            with suppress(OSError):
                self._workers = await self._cluster.size()
                self._has_news.set()
            if not self._workers:
                self._tell("the cluster has no worker; waiting for one")

    # deal ---------------------------------------------------------------------------------------

    async def _deal(self) -> None:
        """Deal what waits, whenever there is something and a worker has room for it."""
        while True:
            await self._has_news.wait()
            await asyncio.sleep(GATHER)
            self._has_news.clear()
            workers = max(self._workers, 1)
            while self._waiting and (places := AHEAD * workers - len(self._under_way)) > 0:
                batch = self._next(portion(self._weight, places, workers))
                if batch:
                    await self._send(batch)

    def _next(self, most: float) -> list[Dealt]:
        """Return the next transfers that go together, but those that nobody waits for any more."""
        batch: list[Dealt] = []
        left = most
        while self._waiting and (not batch or self._waiting[0].weight <= left):
            dealt = self._waiting.popleft()
            self._weight -= dealt.weight
            if not dealt.outcome.done():
                left -= dealt.weight
                batch.append(dealt)
        return batch

    async def _send(self, batch: Sequence[Dealt]) -> None:
        lines = b"".join(dealt.line for dealt in batch)
        sent = await self._ordering.batch(lines, max(self._workers, 1))
        self._under_way[sent.number] = batch
        self._group.start_soon(self._fetch, sent, batch)

    async def _fetch(self, sent: Batch, batch: Sequence[Dealt]) -> None:
        """Have one batch downloaded, and tell what became of its objects."""
        try:
            said = await self._cluster.fetch(sent)
        except GoneError as error:
            self._give_up(str(error))
            said = b""
        except LostError as error:
            self._observer.noticed(f"{error}; this process downloads its objects itself")
            said = b""
        finally:
            del self._under_way[sent.number]
            self._has_news.set()
        answer = Answer.parse(said, batch, self._folder.paths)
        await self._handle(answer, sent.generation)

    def _give_up(self, why: str) -> None:
        """Go on without the cluster, which is gone."""
        if not self.is_gone:
            self.is_gone = True
            self._ordering.share(0)
            self._observer.noticed(f"{why}; this process downloads the rest itself")
            while self._waiting:
                self._group.start_soon(self._fetch_self, self._waiting.popleft())

    # hear ---------------------------------------------------------------------------------------

    async def _handle(self, answer: Answer, generation: int) -> None:
        """Do what a worker tells of a batch; all files that it tells of are taken at once."""
        for dealt, arrived in answer.arrived:
            dealt.progress(self._observer, arrived)
        for dealt, error in answer.failed:
            dealt.end(self._observer, error)
        if answer.written:
            await self._take(answer.written)
        if answer.left:
            await self._handle_left(answer, generation)

    async def _handle_left(self, answer: Answer, generation: int) -> None:
        """Decide about the transfers of a batch of which a worker says nothing."""
        left, ending = answer.left.values(), answer.ending
        deals_again = answer.is_unlisted and await self._enlist([answer.address])
        if isinstance(ending, AuthError):
            ending = await self._ordering.refused(ending, generation)
            deals_again = ending is None
        if deals_again:
            for dealt in left:
                self._wait(dealt)
        elif ending:
            for dealt in left:
                dealt.end(self._observer, ending)
        else:  # they were returned, or no worker could fetch them
            if answer.unable:
                self._tell(f"{answer.unable}; this process downloads its objects itself")
            for dealt in left:
                self._group.start_soon(self._fetch_self, dealt)

    async def _take(self, written: Sequence[Moved]) -> None:
        """Give files their names, and tell those who wait what became of each."""
        errors = await self._folder.taking.take([each.file for each in written])
        self._pace.note_object(sum(each.outcome.remote.size for each in written))
        for each, error in zip(written, errors, strict=True):
            if isinstance(error, ThrottledError):
                self._group.start_soon(self._take_again, each)
            elif isinstance(error, IntegrityError):
                self._group.start_soon(self._fetch_self, each.dealt)
            else:
                each.dealt.end(self._observer, error or each.outcome)

    async def _take_again(self, written: Moved) -> None:
        """Give a file its name once there are open files enough for that."""

        async def take() -> None:
            for error in await self._folder.taking.take([written.file]):
                if error:
                    raise error

        dealt = written.dealt
        try:
            await self._pace.tries(dealt.transfer.remote.key).run_locally(take)
        except IntegrityError:
            await self._fetch_self(dealt)
        except AsyncSyncError as error:
            dealt.end(self._observer, error)
        else:
            dealt.end(self._observer, written.outcome)

    async def _fetch_self(self, dealt: Dealt) -> None:
        """Download in this process what a worker cannot."""
        dealt.take_back(self._observer)
        try:
            dealt.end(self._observer, await self._own.download(dealt.transfer))
        except AsyncSyncError as error:
            dealt.end(self._observer, error)

    async def _hear_all(self) -> None:
        """Do what workers tell before their batches have ended."""
        while True:
            self._hear(json.loads(await self._messages.get()))

    def _hear(self, event: Event) -> None:
        match event["event"]:
            case "advanced":
                for number, at, arrived in event["objects"]:
                    if batch := self._under_way.get(number):
                        batch[at].progress(self._observer, arrived)
            case "throttled":
                self._pace.throttle(event["retry_after"])
                self.throttle(event["retry_after"])
            case "notice":
                self._tell(event["message"], is_urgent=event["urgent"])

    def _tell(self, message: str, *, is_urgent: bool = False) -> None:
        if message not in self._told and len(self._told) < MOST_NOTICES:
            self._told.add(message)
            self._observer.noticed(Urgent(message) if is_urgent else message)

    def throttle(self, requested: float) -> None:
        """Let all workers pause, and the batches that are still to be dealt."""
        now = asyncio.get_running_loop().time()
        if self.run and not self.is_gone and now - self._paused_at > PAUSING:
            self._paused_at = now
            self._group.start_soon(self._pause, requested)

    async def _pause(self, requested: float) -> None:
        from asyncsync.dask import worker

        with suppress(OSError):
            await self._cluster.everywhere(worker.pause, self.run, requested)


@asynccontextmanager
async def crew_on(
    cluster: Cluster,
    folder: Folder,
    pace: Pace,
    observer: Observer,
    checks: Checks,
    hire: Hire,
    own: Downloader,
    *,
    exact: bool,
) -> AsyncIterator[Crew]:
    """Have the workers of a cluster as a crew; at the end they do nothing more for this run."""
    ordering = Ordering(hire, pace, checks, exact=exact)
    async with task_group() as group:
        workers = 0
        with suppress(OSError):  # it is told when something is to be dealt
            workers = await cluster.size()
        crew = Crew(cluster, workers, folder, pace, observer, ordering, own, group)
        pace.throttled = crew.throttle
        try:
            yield crew
        finally:
            group.cancel_scope.cancel()
            if crew.run:
                with CancelScope(shield=True):
                    if not crew.is_gone:
                        await cluster.end(crew.run)
                    await folder.taking.clear_apart()
