"""Every object of the bucket, or of some prefixes, listed side by side.

Without a prefix, the first page of the bucket is asked for, and work begins with what is on it;
many buckets have no other. Then the top-level prefixes are discovered with a delimiter, and each is
listed as soon as it is known; the objects in the root come with the discovery. That lists what was
on the first page once more, where it is left out: no key can be lost, whatever the server thinks of
their order. A long prefix is cut into ranges.
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
    listing = _Listing(Paging(store, pace), handle, discovered, since, landmarks)
    if prefixes:
        await listing.of_prefixes(without_overlap(prefixes))
    elif since:  # what it knows is not listed again, and that is most of the first page
        await listing.of_bucket()
    else:
        await listing.from_first_page()


class _Listing:
    """One call of `list_objects`, whose arguments it takes."""

    def __init__(
        self,
        paging: Paging,
        handle: Handler,
        discovered: Callable[[Iterable[str]], object],
        since: Since | None,
        landmarks: Landmarks | None,
    ) -> None:
        self._paging = paging
        self._handle = handle
        self._discovered = discovered
        self._since = since
        self._landmarks = landmarks
        self._slots = CapacityLimiter(LISTS_AT_ONCE)
        self._started: set[str] = set()
        self._early: set[str] = set()
        """The keys of the bucket's first page, where that is handled beside all others."""
        self._begun = Event()
        """Set when that page was handled."""

    async def from_first_page(self) -> None:
        """List the bucket: its first page, and beside what that brings about, all others.

        What is on it is handled to its end, whatever becomes of the others.
        """
        page = await self._paging.first("")
        keys = [remote.key for remote in page.objects]
        prefixes = {key[: key.find("/") + 1] for key in keys if "/" in key}
        if not page.next_token:
            self._discovered(prefixes)
            await self._handle(page.objects, page.complete_to)
        elif keys != sorted(keys):
            await self.of_bucket()
        else:
            self._early.update(keys)
            self._discovered(prefixes)
            error: SourceError | None = None
            async with task_group() as group:
                group.start_soon(self._begin, page)
                try:
                    await self.of_bucket(sorted(prefixes))
                except SourceError as failed:
                    error = failed
            if error:
                raise error

    async def _begin(self, page: Page) -> None:
        await self._handle(page.objects, page.complete_to)
        self._begun.set()

    async def of_bucket(self, known: Sequence[str] = ()) -> None:
        """Find the top-level prefixes, and list each; handle the objects in the root."""
        async with task_group() as group:
            for prefix in known:
                await self._start(group, prefix)
            async for page in self._paging.pages("", delimiter="/"):
                if self._since:
                    self._since.end("", "", 1)
                self._discovered(page.prefixes)
                await self._handle_others(page.objects, page.complete_to)
                for prefix in page.prefixes:
                    await self._start(group, prefix)

    async def of_prefixes(self, prefixes: Sequence[str]) -> None:
        """List just these."""
        async with task_group() as group:
            for prefix in prefixes:
                await self._start(group, prefix)

    async def _start(self, group: TaskGroup, prefix: str) -> None:
        """Begin to list a prefix, unless that was done before: some servers roll one up twice."""
        if prefix not in self._started:
            self._started.add(prefix)
            await self._slots.acquire_on_behalf_of(prefix)
            group.start_soon(self._list, prefix)

    async def _list(self, prefix: str) -> None:
        since = self._since
        after = since.begin(prefix) if since else ""
        ranges = Ranges(
            self._paging,
            prefix,
            self._slots,
            self._handle_others,
            self._discovered,
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
        """Handle what was not on the first page, behind it: pages of one prefix come in order."""
        if early := self._early:
            await self._begun.wait()
            objects = [remote for remote in objects if remote.key not in early]
        await self._handle(objects, complete_to)


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
            await handle(page.objects, page.complete_to)


def without_overlap(prefixes: Sequence[str]) -> list[str]:
    """Return the prefixes that no other one covers, each once and in order."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept
