"""The sync check of a run: pages of its listing in, compared pages out.

Everything is compared with the disk as it was when the run began.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence

from anyio import Event

from asyncsync.compare.collisions import Collisions, IsNeeded
from asyncsync.compare.compare import compare_page
from asyncsync.compare.names import Names
from asyncsync.compare.selection import Selection
from asyncsync.disk import Folder
from asyncsync.interfaces import Observer
from asyncsync.model import Compared, Reason, RemoteObject

Then = Callable[[Compared], Awaitable[None]]
"""Takes a compared page, and may wait until there is room for it."""


class Check:
    """The sync check of one listing.

    Args:
        folder: the destination.
        selection: which keys count.
        observer: is told of each compared page before `then` is.
        then: gets each compared page.
        is_needed: asks the bucket whether a key below a prefix needs a folder there.
        expected: prefixes below which something should count.
    """

    def __init__(
        self,
        folder: Folder,
        selection: Selection,
        observer: Observer,
        then: Then,
        is_needed: IsNeeded,
        expected: Iterable[str],
    ) -> None:
        self._folder = folder
        self._selection = selection
        self._observer = observer
        self._then = then
        self._is_needed = is_needed
        self._unmatched = set(expected)
        self._counted = Event()
        self._rolled_up: set[str] = set()
        self._collisions = Collisions(selection.needs_folder, is_needed, self._rolled_up)
        folding = folder.folding()
        self._names = Names(folding) if folding else None

    @property
    def needs_order(self) -> bool:
        """Whether the pages must come in the order of their keys, one after the other."""
        return self._names is not None

    async def count(self, matches: Callable[[str], bool]) -> None:
        """Count the files that match; until then no page is passed on, so none of them is new."""
        self._observer.counted(await self._folder.count(matches))
        self._counted.set()

    def rolled_up(self, prefixes: Iterable[str]) -> None:
        """Take note of prefixes whose keys are listed on pages of their own."""
        self._rolled_up.update(prefixes)

    async def page(self, objects: Sequence[RemoteObject], complete_to: str) -> None:
        """Compare a page with the disk, and pass on what is certain about it.

        Args:
            objects: the page.
            complete_to: the key up to which no later page has keys behind the page's first; empty
                where the server keeps no order.
        """
        selected = [remote for remote in objects if self._selection.takes(remote)]
        if not selected:
            return
        self._unmatched.difference_update(
            [p for p in self._unmatched if any(remote.key.startswith(p) for remote in selected)]
        )
        compared = await compare_page(selected, self._folder, self._is_needed)
        certain, doubtful = self._collisions.parted(objects, compared, complete_to)
        if self._names:  # a transfer that waits may be the first to claim a name
            certain.transfers.extend(self._collisions.passed(complete_to))
        await self._pass_on(certain)
        if doubtful:
            await self._pass_on(await self._collisions.settled(doubtful))

    async def end(self) -> None:
        """Pass on what had to wait for the end of the listing, and tell that it has ended.

        After a listing that failed it is not called, and what waits has to wait for the next run.
        """
        if waiting := self._collisions.rest():
            await self._pass_on(Compared(waiting, [], []))
        await self._counted.wait()
        for prefix in sorted(self._unmatched):
            self._observer.unmatched(prefix)
        self._observer.listed()

    async def _pass_on(self, page: Compared) -> None:
        await self._counted.wait()
        page = self._names.kept(page) if self._names else page
        self._observer.compared(page)
        await self._then(page)


class PlanCheck:
    """The check of a plan's objects, which were listed before.

    Of the files, only those of planned objects are counted.

    Args:
        folder: the destination.
        observer: is told of each compared page before `then` is.
        then: gets each compared page.
    """

    def __init__(self, folder: Folder, observer: Observer, then: Then) -> None:
        self._folder = folder
        self._observer = observer
        self._then = then
        self._local = Counter[str]()
        folding = folder.folding()
        self._names = Names(folding) if folding else None

    @property
    def needs_order(self) -> bool:
        """Whether the pages must come in the order of their keys."""
        return self._names is not None

    async def page(self, objects: Sequence[RemoteObject]) -> None:
        """Compare a page with the disk, and pass it on."""
        page = await compare_page(objects, self._folder, _never)
        page = self._names.kept(page) if self._names else page
        self._local.update(known.remote.prefix for known in page.up_to_date)
        self._local.update(
            transfer.remote.prefix
            for transfer in page.transfers
            if transfer.reason is not Reason.MISSING
        )
        self._observer.counted(self._local)
        self._observer.compared(page)
        await self._then(page)


async def _never(prefix: str) -> bool:  # noqa: ARG001 - an `IsNeeded`
    return False  # only a listing would tell, and no planned object needs the answer
