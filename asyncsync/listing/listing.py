"""List every object of the bucket, or of some prefixes, with several listings at the same time.

Each prefix is listed from its first page on, and work starts with the objects of that page; many
buckets have no other page. A longer listing is cut into ranges of keys (`ranges.py`). With
`incremental`, only the gaps between the keys that an earlier run has listed are.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from anyio import CapacityLimiter

from asyncsync.concurrently import task_group
from asyncsync.errors import IncompleteListingError
from asyncsync.interfaces import Store
from asyncsync.listing.incremental import Incremental
from asyncsync.listing.landmarks import Landmarks
from asyncsync.listing.paging import Paging
from asyncsync.listing.ranges import Handler, Ranges
from asyncsync.model import RemoteObject
from asyncsync.pace import Pace

LISTS_AT_ONCE = 16


async def list_objects(
    store: Store,
    prefixes: Sequence[str],
    pace: Pace,
    handle: Handler,
    on_separated: Callable[[Iterable[str]], object] = list,
    incremental: Incremental | None = None,
    landmarks: Landmarks | None = None,
    notice: Callable[[str], object] = str,
) -> None:
    """List all objects whose keys start with one of the prefixes, or all objects of the bucket.

    Args:
        store: the bucket.
        prefixes: what to list; everything if empty.
        pace: retries each request.
        handle: gets each page as it arrives, several at the same time; the next page of the same
            range is requested when it has returned.
        on_separated: gets the prefixes `x/` whose keys may come on other pages than those around
            the key `x`, before `handle` gets the page where `x` would be.
        incremental: what an earlier run has listed, which is left out.
        landmarks: where to cut a long listing.
        notice: gets messages for the user.

    Raises:
        IncompleteListingError: the server's listings contradict each other; everything that they
            showed was handled.
        SourceError: a prefix could not be listed to its end.
    """
    paging = Paging(store, pace)
    slots = CapacityLimiter(LISTS_AT_ONCE)
    incomplete: list[IncompleteListingError] = []

    async def list_one(prefix: str) -> None:
        note = partial(incremental.note, prefix) if incremental else len
        gaps = incremental.gaps(prefix) if incremental else [("", None)]

        async def note_and_handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
            note(objects)
            await handle(objects, complete_to)

        ranges = Ranges(
            paging, prefix, slots, note_and_handle, on_separated, landmarks, gaps, notice
        )
        try:
            await ranges.run()
        except IncompleteListingError as error:
            incomplete.append(error)  # the others go on
        finally:
            slots.release_on_behalf_of(prefix)
        if incremental:
            incremental.end(prefix, ranges.requests, is_in_order=ranges.is_in_order)

    async with task_group() as group:
        for prefix in without_overlap(prefixes) or [""]:
            await slots.acquire_on_behalf_of(prefix)
            group.start_soon(list_one, prefix)
    if incomplete:
        raise incomplete[0]


async def list_in_order(
    store: Store,
    prefixes: Sequence[str],
    pace: Pace,
    handle: Handler,
    incremental: Incremental | None = None,
) -> None:
    """List all objects as `list_objects` does, but in the order of their keys, page after page.

    Nothing is left out, because every key is needed to know which one comes first. `incremental`
    only counts the requests.

    Raises:
        SourceError: a page could not be listed.
    """
    paging = Paging(store, pace)
    for prefix in without_overlap(prefixes) or [""]:
        async for page in paging.pages(prefix):
            if incremental:
                incremental.end(prefix, 1, is_in_order=False)
            await handle(page.objects, page.complete_to)


def without_overlap(prefixes: Sequence[str]) -> list[str]:
    """Return the prefixes in order, without duplicates and those that another one covers."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept
