"""Every object of the bucket, or of some prefixes, listed side by side.

Without a prefix, the top-level ones are discovered with a delimiter, and each is listed as soon as
it is known; the objects in the root come with the discovery. A long prefix is cut into ranges.
"""

from collections.abc import Callable, Iterable, Sequence

from anyio import CapacityLimiter

from asyncsync.concurrently import task_group
from asyncsync.interfaces import Store
from asyncsync.landmarks import Landmarks
from asyncsync.pace import Pace
from asyncsync.paging import Paging
from asyncsync.ranges import Handler, Ranges
from asyncsync.since import Since

LISTS_AT_ONCE = 16


async def list_objects(
    store: Store,
    prefixes: Sequence[str],
    pace: Pace,
    handle: Handler,
    discovered: Callable[[Iterable[str]], object] = iter,
    since: Since | None = None,
    landmarks: Landmarks | None = None,
) -> None:
    """List all objects whose keys start with one of the prefixes; of the bucket if there are none.

    Each page goes to `handle` as it arrives, several side by side, and is followed by the next of
    its prefix when `handle` has returned. `discovered` is told a page's top-level prefixes before
    `handle` gets its objects. What `since` knows to be in step is left out. The `landmarks` tell
    where to cut.

    Raises:
        SourceError: a prefix could not be listed to its end.
    """
    paging = Paging(store, pace)
    slots = CapacityLimiter(LISTS_AT_ONCE)

    async def list_prefix(prefix: str) -> None:
        after = since.begin(prefix) if since else ""
        ranges = Ranges(paging, prefix, slots, handle, after, landmarks)
        try:
            await ranges.run()
            if since:
                since.end(prefix, ranges.last, ranges.requests)
        finally:
            slots.release_on_behalf_of(prefix)

    async with task_group() as group:
        started: set[str] = set()

        async def start(prefix: str) -> None:
            if prefix not in started:  # some servers roll one up on two pages
                started.add(prefix)
                await slots.acquire_on_behalf_of(prefix)
                group.start_soon(list_prefix, prefix)

        for prefix in without_overlap(prefixes):
            await start(prefix)
        if not prefixes:
            async for page in paging.pages("", delimiter="/"):
                if since:
                    since.end("", "", 1)
                discovered(page.prefixes)
                await handle(page.objects, page.known_to)
                for prefix in page.prefixes:
                    await start(prefix)


async def list_in_order(
    store: Store,
    prefixes: Sequence[str],
    pace: Pace,
    handle: Handler,
    since: Since | None = None,
) -> None:
    """List all objects as `list_objects` does, but in the order of their keys, page after page.

    `since` only learns what it costs: what it would leave out is needed to know which key is first.

    Raises:
        SourceError: a page could not be listed.
    """
    paging = Paging(store, pace)
    for prefix in without_overlap(prefixes) or [""]:
        async for page in paging.pages(prefix):
            if since:
                since.end(prefix, "", 1)
            await handle(page.objects, page.known_to)


def without_overlap(prefixes: Sequence[str]) -> list[str]:
    """Return the prefixes that no other one covers, each once and in order."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept
