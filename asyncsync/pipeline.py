"""The main path: list, compare, queue what is missing, download, validate, report.

    list_objects ──page──▶ compare ──transfer──▶ queue ──▶ workers: download ──▶ observer
    (prefixes side by side)                    (bounded)   (GET and HEAD, publish)

The listing is cheap and the downloads are slow, so one queue stands between them, and no other.
It is bounded: a listing that is far ahead waits, and memory does not grow with the bucket.

A plan that was made before can take the listing's place: it is pages of objects as well.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from anyio import Event, create_memory_object_stream
from anyio.streams.memory import MemoryObjectReceiveStream

from asyncsync import proof
from asyncsync.collisions import Collisions
from asyncsync.compare import Selection, compare
from asyncsync.concurrently import task_group, together
from asyncsync.disk import Folder
from asyncsync.download import Downloader
from asyncsync.errors import (
    DestinationError,
    IntegrityError,
    LocalFileError,
    SourceError,
    TransferError,
)
from asyncsync.folding import Names, in_order
from asyncsync.interfaces import Observer, Store
from asyncsync.keys import has_path
from asyncsync.landmarks import Landmarks
from asyncsync.listing import list_in_order, list_objects
from asyncsync.model import (
    Checks,
    Compared,
    Failed,
    Outcome,
    Proof,
    Reason,
    RemoteObject,
    Transfer,
    UpToDate,
)
from asyncsync.pace import Pace
from asyncsync.paging import Paging
from asyncsync.since import Since
from asyncsync.space import Space
from asyncsync.threads import in_thread
from asyncsync.validate import head_agrees, in_step

QUEUE = 2000
"""Objects that may wait: two pages of a listing."""

Item = TypeVar("Item", bound=Transfer | UpToDate)
Then = Callable[[Compared], Awaitable[None]]
Pages = Iterator[Sequence[RemoteObject]]


@dataclass(frozen=True, slots=True)
class Job:
    """What a run works on, and with what."""

    store: Store
    folder: Folder
    prefixes: Sequence[str]
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

    def covers(self, key: str) -> bool:
        """Return whether the key is one of those to work on."""
        return key.startswith(tuple(self.prefixes) or "") and self.selection(key)

    def lists(self, key: str) -> bool:
        """Return whether the listing brings the key, if it is in the bucket."""
        return self.covers(key) and not (self.since and self.since.passes_over(key))

    def takes(self, remote: RemoteObject) -> bool:
        """Return whether the object is to be told of: it counts, or is a marker with content.

        A marker is judged by its folder's name. Its bytes have no file that could hold them.
        """
        key = remote.key
        if not key.endswith("/"):
            return self.covers(key)
        return (
            bool(remote.size)
            and key.startswith(tuple(self.prefixes) or "")
            and (self.selection(key.rstrip("/")))
        )

    def needs_folder(self, key: str) -> bool:
        """Return whether the key's file is going to be there, in its folder."""
        return self.covers(key) and has_path(key)


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

    async def work(transfer: Transfer) -> None:
        outcome: Outcome
        try:
            outcome = await downloader.download(transfer)
        except TransferError as error:
            outcome = Failed(transfer.remote, error)
        job.observer.ended(outcome)

    with job.folder.writing():
        try:
            claim = Space(job.folder).claim if job.checks_space else None
            await _work_through(job, _transfers, work, claim)
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
    listed: set[int] = set()  # by hash, which takes a third of what the keys would
    hashers = proof.hashers()

    def take_down(page: Compared) -> Sequence[UpToDate | Transfer]:
        found: list[UpToDate | Transfer] = [*page.up_to_date, *page.transfers]
        listed.update(hash(known.remote.key) for known in [*found, *page.refused])
        return found

    async def check(found: UpToDate | Transfer) -> UpToDate:
        remote = in_step(found)
        proven = Proof.SIZE
        tries = job.pace.tries(remote.key)
        if job.checks.head:
            async with job.pace.slot:
                await head_agrees(remote, job.store, tries)
            if remote.is_pinned:
                proven = Proof.SIZE_AND_VERSION
        if job.deep:
            opened = partial(job.folder.open, remote)
            checks = replace(job.checks, content=True)
            proven |= await _read(proof.Prover(remote, checks, opened, hashers, tries), remote)
        return UpToDate(remote, proven)

    async def work(found: UpToDate | Transfer) -> None:
        outcome: Outcome
        try:
            outcome = await check(found)
        except TransferError as error:
            outcome = Failed(found.remote, error)
        job.observer.ended(outcome)

    await _work_through(job, take_down, work)
    for key in await job.folder.unlisted(job.covers, listed):
        job.observer.unlisted(key)


async def _read(prover: proof.Prover, remote: RemoteObject) -> Proof:
    """Prove a file that is here."""
    try:
        return await prover.of_whole_file()
    except IntegrityError as error:  # which a sync does not see: it reads no files
        text = f"{error}; remove the file, and a sync fetches it again"
        raise IntegrityError(remote.key, text) from error
    except OSError as error:
        reason = error.strerror or error
        raise LocalFileError(remote.key, f"the file cannot be read: {reason}") from error


def _transfers(page: Compared) -> Sequence[Transfer]:
    return page.transfers


async def _work_through(
    job: Job,
    pick: Callable[[Compared], Sequence[Item]],
    work: Callable[[Item], Awaitable[None]],
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
                await work(item)
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
    since = job.since
    asked_for = job.prefixes or [""]
    unmatched = {prefix for prefix in asked_for if not (since and since.knows(prefix))}
    counted = Event()
    folders: set[str] = set()
    landmarks = Landmarks()
    folding = job.folder.folding()
    names = Names(folding) if folding else None

    async def count() -> None:
        job.observer.counted(await job.folder.count(landmarks.along(job.covers)))
        landmarks.settle()
        counted.set()

    is_needed = partial(_is_needed, job)
    collisions = Collisions(job.needs_folder, is_needed, folders)

    async def pass_on(page: Compared) -> None:
        await counted.wait()
        page = names.kept(page) if names else page
        job.observer.compared(page)
        await then(page)

    async def handle(objects: Sequence[RemoteObject], known_to: str) -> None:
        selected = [remote for remote in objects if job.takes(remote)]
        if not selected:
            return
        unmatched.difference_update(
            [p for p in unmatched if any(remote.key.startswith(p) for remote in selected)]
        )
        compared = await compare(selected, job.folder, is_needed)
        page, doubtful = collisions.parted(objects, compared, known_to)
        if names:  # whoever waits may be the first to have a name
            page.transfers.extend(collisions.passed(known_to))
        await pass_on(page)
        if doubtful:
            await pass_on(await collisions.settled(doubtful))

    found = (job.store, job.prefixes, job.pace, handle)
    listing = (
        partial(list_in_order, *found, since)
        if names
        else partial(list_objects, *found, folders.update, since, landmarks)
    )

    async def list_to_the_end() -> None:
        await listing()  # if it fails, what waits has to wait for the next run's
        if waiting := collisions.rest():
            await pass_on(Compared(waiting, [], []))

    await together(count, list_to_the_end)
    for prefix in sorted(unmatched):
        job.observer.unmatched(prefix)
    job.observer.listed()


async def _is_needed(job: Job, prefix: str) -> bool:
    """Ask the bucket for a key below the prefix that needs a folder there.

    Raises:
        SourceError: the prefix cannot be listed.
    """
    async with aclosing(Paging(job.store, job.pace).pages(prefix)) as pages:
        async for page in pages:
            below = [remote.key for remote in page.objects if remote.key.startswith(prefix)]
            if any(map(job.needs_folder, below)):
                return True
            if page.objects and not below:
                break  # the server lists what it likes, and perhaps for ever
    return False


async def _compare_planned(job: Job, planned: Pages, then: Then) -> None:
    """Pass on the planned objects as a listing's; of the files, only theirs are counted."""
    local = Counter[str]()
    folding = job.folder.folding()
    names = Names(folding) if folding else None
    if names:
        planned = in_order(planned)

    async def is_needed(prefix: str) -> bool:  # noqa: ARG001
        return False  # not known without a listing, and no planned object needs to be

    while objects := await in_thread(next, planned, None):
        page = await compare(objects, job.folder, is_needed)
        page = names.kept(page) if names else page
        local.update(known.remote.prefix for known in page.up_to_date)
        local.update(
            transfer.remote.prefix
            for transfer in page.transfers
            if transfer.reason is not Reason.MISSING
        )
        job.observer.counted(local)
        job.observer.compared(page)
        await then(page)
    job.observer.listed()
