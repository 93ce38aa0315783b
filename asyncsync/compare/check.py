"""The sync check of a run: pages of objects in, compared pages out.

Each page is compared with the disk before any of its objects is downloaded.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence

from anyio import Event

from asyncsync.compare.collisions import Collisions, IsFolderNeeded
from asyncsync.compare.compare import compare_page, set_apart
from asyncsync.compare.hints import Hints
from asyncsync.compare.names import Names
from asyncsync.compare.selection import Selection
from asyncsync.disk import Folder
from asyncsync.errors import AbsentError
from asyncsync.interfaces import Observer
from asyncsync.model import UNKNOWN_SIZE, Compare, Compared, Failed, Reason, RemoteObject
from asyncsync.notices import Hint
from asyncsync.shards import Shard
from asyncsync.units import format_count

ComparedHandler = Callable[[Compared], Awaitable[None]]
"""Takes a compared page; may wait until there is room for it."""


class Check:
    """The sync check of one listing.

    `count_files` runs beside the listing, and pages are handled side by side, all in one event
    loop. Three things make that safe:

    - No compared page leaves the check until the files are counted. So nothing is downloaded before
      that, and no file of this run is counted.
    - State that pages share (collisions, names, unmatched prefixes) is read and changed without an
      `await` in between, so no page sees a half-made change. The thread that counts only calls
      `select`, and touches nothing of the check.
    - If the order of pages matters (`needs_order`), the caller handles one page after the other.

    A shard decides as a whole run would which of two keys gets a path that both need: so it looks
    at keys of other shards as well, and passes on what concerns its own.

    Args:
        folder: the destination.
        selection: the keys to sync.
        observer: gets each compared page before `handle` does.
        handle: gets each compared page.
        is_folder_needed: asks the bucket whether it has a key that needs a folder at a prefix.
        expected: the prefixes to report as unmatched if no selected object is below them.
        compare: what shows that a file is up to date.
        hints: what to say of globs that match nothing, if the listing shows all keys.
    """

    def __init__(
        self,
        folder: Folder,
        selection: Selection,
        observer: Observer,
        handle: ComparedHandler,
        is_folder_needed: IsFolderNeeded,
        expected: Iterable[str],
        compare: Compare = Compare.TIME,
        hints: Hints | None = None,
    ) -> None:
        self._folder = folder
        self._selection = selection
        self._observer = observer
        self._handle = handle
        self._is_folder_needed = is_folder_needed
        self._compare = compare
        self._hints = hints
        self._selects = False
        """Whether any object is selected."""
        self._unmatched = set(expected)
        self._absent = set(filter(None, self._unmatched))
        """Those of the unmatched prefixes with which no key begins, selected or not."""
        self._left_out = Counter[str]()
        """Objects that are not selected, by top-level prefix."""
        self._keys = 0
        """How many keys were listed."""
        self._counted = Event()
        self._separated: set[str] = set()
        self._collisions = Collisions(selection.needs_folder, is_folder_needed, self._separated)
        folding = folder.folding()
        self._names = Names(folding, folder.paths) if folding else None

    @property
    def needs_order(self) -> bool:
        """Whether pages must come in the order of their keys, one after the other."""
        return self._names is not None

    async def count_files(self, select: Callable[[Sequence[str]], Sequence[str]]) -> None:
        """Count the selected files for the observer, and then let compared pages through.

        Args:
            select: returns those of some keys whose files count; called in a thread.
        """
        self._observer.counted(await self._folder.count(select))
        self._counted.set()

    def add_separated(self, prefixes: Iterable[str]) -> None:
        """Remember prefixes `x/` whose keys may come on other pages than those around `x`.

        Must be called before a page is handled that needs to know them.
        """
        self._separated.update(prefixes)

    async def handle_page(self, objects: Sequence[RemoteObject], complete_to: str) -> None:
        """Compare a page with the disk, and pass on what is certain about it.

        Args:
            objects: the page.
            complete_to: no later page adds a key between the page's first key and this one; empty
                if the server does not list keys in order.
        """
        selected = self._selection.taken_in_any_shard(objects)
        self._keys += len(objects)
        if self._hints:
            self._hints.note(objects)
        matched = _matched(self._unmatched, selected)
        self._unmatched -= matched
        self._absent -= matched
        if len(selected) < len(objects):
            self._left_out.update(self._selection.note_left_out(objects))
            self._absent -= _matched(self._absent, objects)
        if not selected:
            return
        self._selects = True
        if not self._names:
            selected = self._selection.own(selected)
        compared = await compare_page(selected, self._folder, self._is_folder_needed, self._compare)
        certain, doubtful = self._collisions.split(objects, compared, complete_to)
        if self._names:  # a waiting transfer may be the first key of its name
            certain.transfers.extend(self._collisions.release_up_to(complete_to))
        await self._pass_on(certain)
        if doubtful:
            await self._pass_on(await self._collisions.resolve(doubtful))

    async def decide(self) -> None:
        """Pass on what had to wait for the end of the listing."""
        decided = self._collisions.decide_all()
        if decided.transfers or decided.refused:
            await self._pass_on(decided)

    async def refuse(self, keys: Iterable[str]) -> None:
        """Tell of keys that were named, and are not in the bucket."""
        for key in keys:
            absent = Failed(RemoteObject(key, UNKNOWN_SIZE, "", 0), AbsentError(key))
            await self._pass_on(Compared([], [], [absent]))

    async def finish(self) -> None:
        """Decide what had to wait, and report that the listing has ended.

        Do not call it after a listing that failed: what waits is then left to the next run.
        """
        await self.decide()
        await self._counted.wait()
        if self._left_out:
            self._observer.filtered(self._left_out)
        if self._hints and self._selects:
            for hint in self._hints.idle():
                self._observer.noticed(hint)
        elif self._hints and self._left_out:
            self._observer.noticed(Hint(self._hints.why_nothing()))
        for prefix in sorted(self._unmatched):
            if prefix in self._absent:
                self._observer.absent(prefix)
            self._observer.unmatched(prefix)
        if shard := self._selection.shard:
            self._observer.noticed(self._explain_shard(shard))
        self._observer.listed()

    def _explain_shard(self, shard: Shard) -> str:
        """Return what each shard does that all of them do."""
        if self._selection.keys is not None:
            return f"shard {shard}: {format_count(self._keys, 'key')} of the list looked up"
        return (
            f"shard {shard}: each of the {shard.count:,} lists all "
            f"{format_count(self._keys, 'key')}; one plan for all lists once (docs/shards.md)"
        )

    async def _pass_on(self, page: Compared) -> None:
        await self._counted.wait()
        page = set_apart(_own(self._names.kept(page), self._selection) if self._names else page)
        self._observer.compared(page)
        await self._handle(page)


class PlanCheck:
    """The sync check of a plan, whose objects were listed and selected when it was made.

    Only the files of planned objects are counted.

    Args:
        folder: the destination.
        selection: whose shard it is.
        observer: gets each compared page before `handle` does.
        handle: gets each compared page.
        compare: what shows that a file is up to date.
    """

    def __init__(
        self,
        folder: Folder,
        selection: Selection,
        observer: Observer,
        handle: ComparedHandler,
        compare: Compare = Compare.TIME,
    ) -> None:
        self._folder = folder
        self._selection = selection
        self._compare = compare
        self._observer = observer
        self._handle = handle
        self._files = Counter[str]()
        """Files of planned objects so far, by top-level prefix."""
        folding = folder.folding()
        self._names = Names(folding, folder.paths) if folding else None

    @property
    def needs_order(self) -> bool:
        """Whether the pages must come in the order of their keys."""
        return self._names is not None

    async def handle_page(self, objects: Sequence[RemoteObject]) -> None:
        """Compare a page with the disk, and pass it on. Call it for one page after the other."""
        if not self._names:
            objects = [remote for remote in objects if self._selection.is_own(remote.key)]
        page = await compare_page(objects, self._folder, _never, self._compare)
        page = _own(self._names.kept(page), self._selection) if self._names else page
        self._files.update(known.remote.prefix for known in page.up_to_date)
        self._files.update(
            transfer.remote.prefix
            for transfer in page.transfers
            if transfer.reason is not Reason.MISSING
        )
        self._observer.counted(self._files)
        page = set_apart(page)
        self._observer.compared(page)
        await self._handle(page)


def _own(page: Compared, selection: Selection) -> Compared:
    """Return of a page what is of this run's shard."""
    is_own = selection.is_own
    return Compared(
        [transfer for transfer in page.transfers if is_own(transfer.remote.key)],
        [known for known in page.up_to_date if is_own(known.remote.key)],
        [refused for refused in page.refused if is_own(refused.remote.key)],
    )


def _matched(prefixes: Iterable[str], objects: Sequence[RemoteObject]) -> set[str]:
    """Return the prefixes with which the key of an object begins."""
    return {p for p in prefixes if any(remote.key.startswith(p) for remote in objects)}


async def _never(prefix: str) -> bool:  # noqa: ARG001 - an `IsFolderNeeded`
    return False  # a plan lists nothing to find out, and the object is refused either way
