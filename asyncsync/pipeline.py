"""The main path: list, compare, queue what is missing, download, validate, report.

    list_objects ──page──▶ Check ──transfer──▶ queue ──▶ workers: Downloader ──▶ Observer
    (prefixes side by side)                  (bounded)   (GET and HEAD, validate, publish)

Listing is fast and downloading is slow, so one queue connects them. It is the only queue. It is
bounded: a listing that is far ahead waits, so memory does not grow with the bucket.

A plan that was made earlier can replace the listing: it is a sequence of pages as well.

Where only its hash can tell whether a file is up to date, a worker reads the file first. Whether
the object is needed is told then, and the listing counts as ended only when all of that is known.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from anyio import CancelScope

from asyncsync.compare import Check, ComparedHandler, Hints, PlanCheck, Selection, Space, in_order
from asyncsync.concurrently import run_all, task_group
from asyncsync.disk import Folder
from asyncsync.download import Adopter, Downloader, Repairer, Unproven, Verifier
from asyncsync.errors import (
    DestinationError,
    IncompleteListingError,
    SourceError,
    TransferError,
)
from asyncsync.hashset import HashSet
from asyncsync.interfaces import Observer, Store
from asyncsync.keys import key_hashes
from asyncsync.listing import (
    MIN_FILES,
    Incremental,
    Landmarks,
    has_named,
    has_object,
    list_in_order,
    list_named,
    list_objects,
)
from asyncsync.mirror import Mirror
from asyncsync.model import (
    Checks,
    Compare,
    Compared,
    Failed,
    Outcome,
    Reason,
    RemoteObject,
    Transfer,
    UpToDate,
)
from asyncsync.movers import Fetcher, Hire, crew_of
from asyncsync.pace import Deadline, Pace
from asyncsync.threads import in_thread

QUEUE_SIZE = 20_000
"""Objects that the queue holds, which take some megabytes.

While it is not full, the sync check and the totals do not wait for downloads.
"""

Item = TypeVar("Item", bound=Transfer | UpToDate)
Pages = Iterator[Sequence[RemoteObject]]


@dataclass(frozen=True, slots=True)
class Job:
    """What one run works on, and with what."""

    store: Store
    folder: Folder
    selection: Selection
    pace: Pace
    observer: Observer
    checks: Checks
    compare: Compare = Compare.TIME
    """What shows that a file is up to date."""
    checks_space: bool = True
    """Whether a sync fails as soon as the objects found so far do not fit on the disk."""
    deep: bool = False
    """Whether a verification reads the files."""
    repairs: bool = False
    """Whether a verification fetches again what it finds not to be in order."""
    planned: Pages | None = None
    """The objects to sync instead of a listing's, in exactly the versions that are given here.

    `next` is called in a thread, because it may block.
    """
    incremental: Incremental | None = None
    """Which keys an earlier run has listed already, so that this one need not."""
    mirror: Mirror | None = None
    """Deletes the files whose objects are gone; only with a whole listing."""
    deadline: Deadline = field(default_factory=Deadline)
    """When the run ends, even if something is left."""
    hire: Hire | None = None
    """The other processes that download in a sync; None for none."""

    def lists(self, key: str) -> bool:
        """Return whether this run lists the key, if the bucket has it."""
        selects = self.selection
        skips = self.incremental and self.incremental.skips(key)
        return selects(key) and not (skips or selects.is_beyond(key))


# The three commands -----------------------------------------------------------------------------


async def sync(job: Job) -> None:
    """Download every object that is missing or out of date; the observer gets each outcome.

    When the listing fails, the objects that were found before are downloaded anyway, except for a
    key or two whose collisions only the next page could rule out.

    When the time is up (`job.deadline`), the observer is told what is held back. The listing then
    counts as cut, whatever it had shown: what needs a whole one is left to a later run.

    Raises:
        SourceError: the remote side ended the run.
        DestinationError: the local side ended the run.
    """
    exact, common = job.planned is not None, (job.folder, job.pace, job.observer)
    downloader = Downloader(job.store, *common, job.checks, exact=exact)
    unproven, space = _unproven(job), Space(job.folder) if job.checks_space else None

    with job.folder.syncing():
        try:
            async with crew_of(*common, job.checks, job.hire, downloader, exact=exact) as crew:
                work = partial(unproven.fetch, crew.expect, crew.download)
                accept = partial(_accept, crew, unproven, space)
                left = await _run(job, _transfers, work, unproven, accept, lambda: crew.most)
            downloader.report_unpinned()
            job.folder.check_place()
            if left:
                job.observer.held_back(f"{left}; the next run goes on")
                return
            if job.planned is None:  # only a listing shows which unfinished files have no object
                job.folder.clear_stale(job.lists)
            if job.incremental:
                job.incremental.save()
            if job.mirror:
                await job.mirror.delete(job.store, job.pace)
        finally:
            await job.folder.settle()


def _accept(
    crew: Fetcher, unproven: Unproven, space: Space | None, transfers: Collection[Transfer]
) -> None:
    unproven.add(transfers)
    if space:
        space.claim(transfers)
    if certain := [each for each in transfers if each.reason is not Reason.UNPROVEN]:
        crew.expect(certain)


def _transfers(page: Compared) -> Sequence[Transfer]:
    return [*page.transfers, *page.unproven] if page.unproven else page.transfers


async def plan(job: Job) -> None:
    """Compare the bucket with the folder, without downloading or writing anything.

    A file of which only its hash can tell is read.

    Raises:
        SourceError: the bucket could not be listed completely.
        DestinationError: the folder could not be read.
    """
    unproven = _unproven(job)

    async def decide(transfer: Transfer) -> None:
        await unproven.decide(transfer)  # and the observer knows; the rest is left to a sync

    with job.folder.reading():
        await _run(job, lambda page: page.unproven, decide, unproven, unproven.add)
        if job.mirror:
            await job.mirror.plan()


async def verify(job: Job) -> None:
    """Check the file of every object; one that is out of date fails, or is repaired.

    Nothing is changed unless `job.repairs`. Each file is compared with the listing, and with HEAD
    if `job.checks` asks for it. A deep verification also reads the file and validates its bytes as
    after a download. Files without an object are reported, but do not fail: `sync` leaves them
    alone.

    Raises:
        SourceError: the remote side ended the run.
        DestinationError: the folder could not be read, or not be written to repair files.
    """
    verifier = Verifier(job.store, job.folder, job.pace, job.checks, deep=job.deep)
    downloader = Downloader(job.store, job.folder, job.pace, job.observer, job.checks)
    repairer = Repairer(job.folder, verifier, downloader)
    listed = HashSet()  # of the keys, which themselves would take over ten times the memory

    def pick(page: Compared) -> Sequence[UpToDate | Transfer]:
        found: list[UpToDate | Transfer] = [*page.up_to_date, *page.transfers, *page.unproven]
        listed.update(key_hashes([entry.remote.key for entry in [*found, *page.refused]]))
        return found

    with job.folder.syncing() if job.repairs else job.folder.reading():
        try:
            work = repairer.repair if job.repairs else verifier.verify
            left = await _run(job, pick, work, _unproven(job))
            if job.repairs:
                job.folder.check_place()
        finally:
            if job.repairs:
                await job.folder.settle()
        if left:
            job.observer.held_back(left)
            return  # the keys of other files may be among those that were not listed
        for key in await job.folder.unlisted(job.selection.select, listed):
            if not job.selection.is_beyond(key):  # its object is there
                job.observer.unlisted(key)


def _unproven(job: Job) -> Unproven:
    return Unproven(Adopter(job.store, job.folder, job.pace, job.checks), job.observer)


# List and compare -------------------------------------------------------------------------------


async def _find_objects(
    job: Job, handle: ComparedHandler, unproven: Unproven
) -> SourceError | None:
    """Handle every page of the listing or plan; return the error that ended it early, if any.

    The error is returned, not raised, because raising would cancel the downloads in flight.
    """
    try:
        if job.planned is None:
            await _list_and_compare(job, handle, unproven)
        else:
            await _compare_planned(job, job.planned, handle, unproven)
    except SourceError as error:
        return error
    return None


async def _list_and_compare(job: Job, handle: ComparedHandler, unproven: Unproven) -> None:
    """List the objects, compare each page with the disk, and handle it."""
    incremental, prefixes, keys = job.incremental, job.selection.prefixes, job.selection.keys
    if incremental and job.folder.is_mixed:  # another bucket's files may be at the keys left out
        incremental.list_all()
    asking = (job.store, job.pace, job.selection.needs_folder)
    is_folder_needed: Callable[[str], Awaitable[bool]] = partial(has_object, *asking)
    if keys is not None:
        is_folder_needed = partial(has_named, *asking, keys)
    check = Check(
        job.folder,
        job.selection,
        job.observer,
        handle,
        is_folder_needed=is_folder_needed,
        expected=[
            p for p in job.selection.expected if not (incremental and incremental.lists_part_of(p))
        ],
        compare=job.compare,
        # An incremental listing shows only a part of the keys, and one of named keys has no globs.
        hints=None if incremental or keys is not None else Hints(job.selection),
    )
    shard = job.selection.shard  # its files are as much fewer than the keys
    landmarks = Landmarks(max(MIN_FILES // shard.count, 1)) if shard else Landmarks()

    async def count_files() -> None:
        await check.count_files(landmarks.recording(job.selection.select))
        landmarks.complete()

    async def handle_page(objects: Sequence[RemoteObject], complete_to: str) -> None:
        if job.mirror:
            job.mirror.add(objects)
        await check.handle_page(objects, complete_to)

    async def list_all() -> None:
        listing = (job.store, prefixes, job.pace, handle_page)
        if keys is not None:
            own = keys if check.needs_order else job.selection.to_look_up() or ()
            lookup = (job.store, own, job.pace, check.handle_page, check.add_separated)
            absent = await list_named(*lookup, in_order=check.needs_order)
            await check.refuse(filter(job.selection.is_own, absent))
        elif check.needs_order:
            await list_in_order(*listing, incremental)
        else:
            try:
                await list_objects(
                    *listing, check.add_separated, incremental, landmarks, job.observer.noticed
                )
            except IncompleteListingError:
                await check.decide()  # nothing that was shown is left out
                raise
        await check.decide()
        await unproven.all_decided()
        await check.finish()

    await run_all(count_files, list_all)


async def _compare_planned(
    job: Job, planned: Pages, handle: ComparedHandler, unproven: Unproven
) -> None:
    """Compare the pages of a plan with the disk, and handle each."""
    check = PlanCheck(job.folder, job.selection, job.observer, handle, job.compare)
    pages = in_order(planned) if check.needs_order else planned
    while objects := await in_thread(next, pages, None):
        await check.handle_page(objects)
    await unproven.all_decided()
    job.observer.listed()


# Queue, work, report ----------------------------------------------------------------------------


async def _run(
    job: Job,
    pick: Callable[[Compared], Sequence[Item]],
    work: Callable[[Item], Awaitable[Outcome | None]],
    unproven: Unproven,
    accept: Callable[[Collection[Item]], None] | None = None,
    most: Callable[[], int] | None = None,
) -> str:
    """Find objects and queue them; at the same time, work on what is queued.

    Returns what is left to do because the time was up; empty for nothing.

    Args:
        job: the run.
        pick: selects what to work on from a compared page.
        work: downloads and validates, or verifies, one object; None if the observer knows already.
        unproven: the listing counts as ended only when none of these is left.
        accept: called with what was picked before any of it is queued; may raise to end the run.
        most: returns how many items may be worked on at once; as many as requests by default.
    """
    queue: asyncio.Queue[Item | None] = asyncio.Queue(QUEUE_SIZE)  # None: no more will come
    active: dict[str, Item] = {}  # what is queued or being worked on, by key
    hired = 0  # workers so far: a run that finds nothing to do needs none

    def hire() -> None:
        nonlocal hired
        while hired < (most() if most else job.pace.most) and hired < len(active):
            workers.start_soon(_work_and_report, work, queue, active, job, hire)
            hired += 1

    async def enqueue(page: Compared) -> None:
        # Some servers list a key twice, so leave out what is active already. Nothing is awaited
        # before `active` is updated, so a page that is handled beside this one cannot slip in.
        found = {item.remote.key: item for item in pick(page) if item.remote.key not in active}
        if accept and found:
            accept(found.values())
        active.update(found)
        hire()
        for item in found.values():
            await queue.put(item)

    listing, listing_error = CancelScope(), None
    try:
        async with task_group() as run:
            run.start_soon(job.pace.tune)
            async with task_group() as workers:
                with listing:
                    run.start_soon(job.deadline.keep, listing, workers.cancel_scope)
                    listing_error = await _find_objects(job, enqueue, unproven)
                if not (job.deadline.is_over and queue.full()):  # the next item ends each worker
                    await queue.put(None)
            run.cancel_scope.cancel()
    except DestinationError as error:
        if not listing_error:
            raise
        job.observer.noticed(str(error))  # both sides failed: the exit code is the remote side's
    if listing_error:
        raise listing_error
    return job.deadline.left([i.remote for i in active.values()], is_cut=listing.cancelled_caught)


async def _work_and_report(
    work: Callable[[Item], Awaitable[Outcome | None]],
    queue: asyncio.Queue[Item | None],
    active: dict[str, Item],
    job: Job,
    hire: Callable[[], None],
) -> None:
    """Be a worker, until no more will come. What is queued when the time is up stays active."""
    while (item := await queue.get()) and not job.deadline.is_over:
        hire()  # there may be more of them by now
        try:
            outcome = await work(item)
        except TransferError as error:
            outcome = Failed(item.remote, error)
        if outcome:
            job.observer.ended(outcome)
        del active[item.remote.key]
    queue.put_nowait(None)  # for the next worker
