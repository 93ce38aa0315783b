"""List every object of the bucket, or of some prefixes, with several listings at the same time.

Without a prefix, the first page of the bucket is requested, and work starts with its objects; many
buckets have no other page. Then the top-level prefixes are discovered with a delimiter, and each is
listed as soon as it is known. The objects in the root come with the discovery. This lists the
objects of the first page a second time, and they are left out there: so no key is lost, whatever
the order in which the server lists them. A long prefix is split into ranges.
"""

from collections.abc import Callable, Iterable, Sequence

from anyio import CapacityLimiter, Event
from anyio.abc import TaskGroup

from asyncsync.concurrently import task_group
from asyncsync.errors import SourceError
from asyncsync.interfaces import Store
from asyncsync.listing.landmarks import Landmarks
from asyncsync.listing.paging import Paging
from asyncsync.listing.ranges import Handler, Ranges
from asyncsync.listing.since import Since
from asyncsync.model import Page, RemoteObject
from asyncsync.pace import Pace

LISTS_AT_ONCE = 16


async def list_objects(
    store: Store,
    prefixes: Sequence[str],
    pace: Pace,
    handle: Handler,
    on_prefixes: Callable[[Iterable[str]], object] = iter,
    since: Since | None = None,
    landmarks: Landmarks | None = None,
) -> None:
    """List all objects whose keys start with one of the prefixes, or all objects of the bucket.

    Args:
        store: the bucket.
        prefixes: what to list; everything if empty.
        pace: retries each request.
        handle: gets each page as it arrives, several at the same time; the next page of the same
            prefix is requested when it has returned.
        on_prefixes: gets the prefixes that are listed separately, before `handle` gets a page that
            was listed without their keys.
        since: what an earlier run has listed, which is left out.
        landmarks: where to cut a long prefix.

    Raises:
        SourceError: a prefix could not be listed completely.
    """
    listing = _Listing(Paging(store, pace), handle, on_prefixes, since, landmarks)
    if prefixes:
        await listing.list_prefixes(without_overlap(prefixes))
    elif since:  # most of the first page need not be listed
        await listing.list_bucket()
    else:
        await listing.list_bucket_from_first_page()


class _Listing:
    """One call of `list_objects`, with its arguments."""

    def __init__(
        self,
        paging: Paging,
        handle: Handler,
        on_prefixes: Callable[[Iterable[str]], object],
        since: Since | None,
        landmarks: Landmarks | None,
    ) -> None:
        self._paging = paging
        self._handle = handle
        self._on_prefixes = on_prefixes
        self._since = since
        self._landmarks = landmarks
        self._slots = CapacityLimiter(LISTS_AT_ONCE)
        self._started: set[str] = set()
        self._first_keys: set[str] = set()
        """The keys of the bucket's first page, if that is handled beside all others."""
        self._first_handled = Event()

    async def list_bucket_from_first_page(self) -> None:
        """List the bucket: handle its first page, and list the rest at the same time.

        The first page is handled completely, even if listing the rest fails.
        """
        page = await self._paging.first_page("")
        keys = [remote.key for remote in page.objects]
        prefixes = {key[: key.find("/") + 1] for key in keys if "/" in key}
        if not page.next_token:
            self._on_prefixes(prefixes)
            await self._handle(page.objects, page.complete_to)
        elif keys != sorted(keys):
            await self.list_bucket()
        else:
            self._first_keys.update(keys)
            self._on_prefixes(prefixes)
            error: SourceError | None = None
            async with task_group() as group:
                group.start_soon(self._handle_first, page)
                try:
                    await self.list_bucket(sorted(prefixes))
                except SourceError as failed:
                    error = failed
            if error:
                raise error

    async def _handle_first(self, page: Page) -> None:
        await self._handle(page.objects, page.complete_to)
        self._first_handled.set()

    async def list_bucket(self, known: Sequence[str] = ()) -> None:
        """List the root with a delimiter, and every top-level prefix that this discovers.

        Args:
            known: top-level prefixes that are known already; their listings start first.
        """
        async with task_group() as group:
            for prefix in known:
                await self._start(group, prefix)
            async for page in self._paging.pages("", delimiter="/"):
                if self._since:
                    self._since.end("", "", 1)
                self._on_prefixes(page.prefixes)
                await self._handle_others(page.objects, page.complete_to)
                for prefix in page.prefixes:
                    await self._start(group, prefix)

    async def list_prefixes(self, prefixes: Sequence[str]) -> None:
        """List only these prefixes."""
        async with task_group() as group:
            for prefix in prefixes:
                await self._start(group, prefix)

    async def _start(self, group: TaskGroup, prefix: str) -> None:
        """Start to list a prefix once; some servers roll up the same prefix twice."""
        if prefix not in self._started:
            self._started.add(prefix)
            await self._slots.acquire_on_behalf_of(prefix)
            group.start_soon(self._list, prefix)

    async def _list(self, prefix: str) -> None:
        since = self._since
        after = since.start(prefix) if since else ""
        ranges = Ranges(
            self._paging,
            prefix,
            self._slots,
            self._handle_others,
            self._on_prefixes,
            after,
            self._landmarks,
        )
        try:
            await ranges.run()
            if since:
                since.end(prefix, ranges.last, ranges.requests)
        finally:
            self._slots.release_on_behalf_of(prefix)

    async def _handle_others(self, objects: Sequence[RemoteObject], complete_to: str) -> None:
        """Handle what was not on the first page, and not before it: a prefix's pages keep order."""
        if first_keys := self._first_keys:
            await self._first_handled.wait()
            objects = [remote for remote in objects if remote.key not in first_keys]
        await self._handle(objects, complete_to)


async def list_in_order(
    store: Store,
    prefixes: Sequence[str],
    pace: Pace,
    handle: Handler,
    since: Since | None = None,
) -> None:
    """List all objects as `list_objects` does, but in the order of their keys, page after page.

    Nothing is left out, because every key is needed to know which one comes first. `since` only
    counts the requests.

    Raises:
        SourceError: a page could not be listed.
    """
    paging = Paging(store, pace)
    for prefix in without_overlap(prefixes) or [""]:
        async for page in paging.pages(prefix):
            if since:
                since.end(prefix, "", 1)
            await handle(page.objects, page.complete_to)


def without_overlap(prefixes: Sequence[str]) -> list[str]:
    """Return the prefixes in order, without duplicates and those that another one covers."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept
