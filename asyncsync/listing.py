"""Every object of the bucket, or of some prefixes: many prefixes listed side by side.

Without a prefix, the top-level ones are discovered with a delimiter, and each is listed as soon as
it is known; the objects in the root come with the discovery.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

from anyio import CapacityLimiter

from asyncsync.concurrently import task_group
from asyncsync.errors import ConnectionLostError, ListingError, NetworkError, RetriesExhaustedError
from asyncsync.interfaces import Store
from asyncsync.keys import shown
from asyncsync.model import Page, RemoteObject
from asyncsync.pace import Pace

LISTS_AT_ONCE = 16
MOST_PAGES_WITHOUT_NEWS = 100

Handler = Callable[[Sequence[RemoteObject]], Awaitable[None]]


async def list_objects(store: Store, prefixes: Sequence[str], pace: Pace, handle: Handler) -> None:
    """List all objects whose keys start with one of the prefixes; of the bucket if there are none.

    Each page goes to `handle` as it arrives, pages of different prefixes side by side; the listing
    of a prefix goes on when `handle` has returned.

    Raises:
        SourceError: a prefix could not be listed to its end.
    """
    at_once = CapacityLimiter(LISTS_AT_ONCE)

    async def list_prefix(prefix: str) -> None:
        try:
            async for page in _pages(store, prefix, pace):
                await handle(page.objects)
        finally:
            at_once.release_on_behalf_of(prefix)

    async with task_group() as group:

        async def start(prefix: str) -> None:
            await at_once.acquire_on_behalf_of(prefix)
            group.start_soon(list_prefix, prefix)

        for prefix in without_overlap(prefixes):
            await start(prefix)
        if not prefixes:
            async for page in _pages(store, "", pace, delimiter="/"):
                await handle(page.objects)
                for prefix in page.prefixes:
                    await start(prefix)


def without_overlap(prefixes: Sequence[str]) -> list[str]:
    """Return the prefixes that no other one covers, each once and in order."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept


async def _pages(store: Store, prefix: str, pace: Pace, delimiter: str = "") -> AsyncIterator[Page]:
    """Yield the pages of one prefix, one after the other.

    Raises:
        SourceError: a page could not be had, or the pages would never end.
    """
    token = ""
    tokens: set[str] = set()
    firsts: set[str] = set()
    without_news = 0
    while True:
        fetch = partial(store.list_page, prefix, delimiter=delimiter, token=token)
        try:
            page = await pace.tries(prefix).run(fetch)
        except RetriesExhaustedError as error:
            lost = isinstance(error.__cause__, ConnectionLostError)
            kind = NetworkError if lost else ListingError
            raise kind(f"{_named(prefix)} cannot be listed: {error}") from error
        yield page
        token = page.next_token
        if not token:
            return
        first = page.objects[0].key if page.objects else "".join(page.prefixes[:1])
        without_news = without_news + 1 if not first or first in firsts else 0
        if token in tokens or without_news >= MOST_PAGES_WITHOUT_NEWS:
            raise ListingError(f"{_named(prefix)}: the listing repeats itself and would never end")
        tokens.add(token)
        firsts.add(first)


def _named(prefix: str) -> str:
    return f"prefix {shown(prefix)}" if prefix else "the bucket"
