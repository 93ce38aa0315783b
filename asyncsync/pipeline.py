"""The main path: list, compare, queue what is missing, download, validate, report.

    list_objects ──page──▶ compare ──transfer──▶ queue ──▶ workers: download ──▶ observer
    (prefixes side by side)                    (bounded)   (GET and HEAD, publish)

The listing is cheap and the downloads are slow, so one queue stands between them, and no other.
It is bounded: a listing that is far ahead waits, and memory does not grow with the bucket.

A plan that was made before can take the listing's place: it is pages of objects as well.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from anyio import create_memory_object_stream
from anyio.streams.memory import MemoryObjectReceiveStream

from asyncsync.compare import Check, PlanCheck, Selection, Space, Then, in_order
from asyncsync.concurrently import run_all, task_group
from asyncsync.disk import Folder
from asyncsync.download import Downloader, Verifier
from asyncsync.errors import DestinationError, SourceError, TransferError
from asyncsync.interfaces import Observer, Store
from asyncsync.listing import Landmarks, Since, has_key, list_in_order, list_objects
from asyncsync.model import Checks, Compared, Failed, Outcome, RemoteObject, Transfer, UpToDate
from asyncsync.pace import Pace
from asyncsync.threads import in_thread

QUEUE = 2000
"""Objects that may wait: two pages of a listing."""

Item = TypeVar("Item", bound=Transfer | UpToDate)
Pages = Iterator[Sequence[RemoteObject]]


@dataclass(frozen=True, slots=True)
class Job:
    """What a run works on, and with what."""

    store: Store
    folder: Folder
    selection: Selection
    pace: Pace
    observer: Observer
    checks: Checks
    checks_space: bool = True
    """Whether the run ends at once when what is found does not fit on the disk."""
    deep: bool = False
    """Whether a verification reads the files."""
    planned: Pages | None = None
    """What to sync instead of listing the bucket: these objects, in these versions or not at all.

    The next page may take a while, and is asked for in a thread.
    """
    since: Since | None = None
    """What need not be listed."""

    def lists(self, key: str) -> bool:
        """Return whether the listing shows the key, if it is in the bucket."""
        return self.selection(key) and not (self.since and self.since.passes_over(key))


async def sync(job: Job) -> None:
    """Bring the folder in step with the bucket; the observer learns what happens to each object.

    What was found before the listing failed is downloaded all the same, but for a key or two that
    the next page would have decided on.

    Raises:
        SourceError: the remote side ended the run.
        DestinationError: the local side did.
    """
    exact = job.planned is not None
    downloader = Downloader(job.store, job.folder, job.pace, job.observer, job.checks, exact=exact)
    with job.folder.writing():
        try:
            claim = Space(job.folder).claim if job.checks_space else None
            await _work_through(job, lambda page: page.transfers, downloader.download, claim)
            downloader.sum_up()
            if job.planned is None:  # only a listing knows what no object needs
                job.folder.clear_stale(job.lists)
            if job.since:
                job.since.save()
        finally:
            await job.folder.settle()


async def plan(job: Job) -> None:
    """Compare the bucket with the folder; nothing is fetched and nothing is written.

    Raises:
        SourceError: the bucket could not be listed to its end.
    """

    async def leave(page: Compared) -> None:
        """Do nothing about what is missing."""

    await _list_and_compare(job, leave)


async def verify(job: Job) -> None:
    """Check every object's file, changing nothing; one that is not in step has failed.

    The listing says whether it is there, of the right size and not too old. HEAD, if it is asked,
    must agree with the listing. A deep verification reads the files as well, and proves them as a
    download would. Files without an object are told of, and are no failures: `sync` leaves them.

    Raises:
        SourceError: the remote side ended the run.
    """
    verifier = Verifier(job.store, job.folder, job.pace, job.checks, deep=job.deep)
    listed: set[int] = set()  # by hash, which takes a third of what the keys would

    def take_down(page: Compared) -> Sequence[UpToDate | Transfer]:
        found: list[UpToDate | Transfer] = [*page.up_to_date, *page.transfers]
        listed.update(hash(known.remote.key) for known in [*found, *page.refused])
        return found

    await _work_through(job, take_down, verifier.verify)
    for key in await job.folder.unlisted(job.selection, listed):
        job.observer.unlisted(key)


async def _work_through(
    job: Job,
    pick: Callable[[Compared], Sequence[Item]],
    work: Callable[[Item], Awaitable[Outcome]],
    claim: Callable[[Iterable[Item]], None] | None = None,
) -> None:
    """Work on what is picked from each page that is found, while the finding goes on.

    What is picked is claimed before any of it is worked on.
    """
    queue, items = create_memory_object_stream[Item](QUEUE)
    underway: set[str] = set()

    async def enqueue(page: Compared) -> None:
        # Some servers list a key twice. What is under way now may have ended before its turn comes.
        fresh = {item.remote.key: item for item in pick(page) if item.remote.key not in underway}
        if claim:
            claim(fresh.values())
        underway.update(fresh)
        for item in fresh.values():
            await queue.send(item)

    async def worker(items: MemoryObjectReceiveStream[Item]) -> None:
        with items:
            async for item in items:
                job.observer.ended(await _outcome(work, item))
                underway.discard(item.remote.key)

    listing_error: SourceError | None = None
    try:
        async with task_group() as run:
            run.start_soon(job.pace.tune)
            async with task_group() as workers:
                with items:
                    for _ in range(job.pace.most):
                        workers.start_soon(worker, items.clone())
                with queue:
                    listing_error = await _find(job, enqueue)
            run.cancel_scope.cancel()
    except DestinationError as error:
        if not listing_error:
            raise
        job.observer.noticed(str(error))  # of two exit codes the remote side's counts
    if listing_error:
        raise listing_error


async def _outcome(work: Callable[[Item], Awaitable[Outcome]], item: Item) -> Outcome:
    try:
        return await work(item)
    except TransferError as error:
        return Failed(item.remote, error)


async def _find(job: Job, then: Then) -> SourceError | None:
    """Pass on every page of objects to work on; return what kept the listing from its end."""
    try:
        if job.planned is None:
            await _list_and_compare(job, then)
        else:
            await _compare_planned(job, job.planned, then)
    except SourceError as error:
        return error
    return None


async def _list_and_compare(job: Job, then: Then) -> None:
    """Pass on every page that was compared with the disk, as the disk was before the run."""
    since, prefixes = job.since, job.selection.prefixes
    check = Check(
        job.folder,
        job.selection,
        job.observer,
        then,
        is_needed=partial(has_key, job.store, job.pace, job.selection.needs_folder),
        expected=[prefix for prefix in prefixes or [""] if not (since and since.knows(prefix))],
    )
    landmarks = Landmarks()

    async def count() -> None:
        await check.count(landmarks.along(job.selection))
        landmarks.settle()

    async def list_all() -> None:
        found = (job.store, prefixes, job.pace, check.page)
        if check.needs_order:
            await list_in_order(*found, since)
        else:
            await list_objects(*found, check.rolled_up, since, landmarks)
        await check.end()

    await run_all(count, list_all)


async def _compare_planned(job: Job, planned: Pages, then: Then) -> None:
    """Pass on the planned objects as a listing's."""
    check = PlanCheck(job.folder, job.observer, then)
    pages = in_order(planned) if check.needs_order else planned
    while objects := await in_thread(next, pages, None):
        await check.page(objects)
    job.observer.listed()
