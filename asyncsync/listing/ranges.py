"""One listing, cut into ranges of keys that are listed at the same time.

Everything that starts with a prefix, or all of a bucket, is listed without a delimiter. A range
ends at a key, and the next range starts after this key. So no key is lost and none is listed twice,
as long as the server lists keys in the order of their bytes. S3 does, but not every server that
speaks S3. So every page is checked for its order, and what a page shows behind the end of its range
must be what the next range begins with.

If that is not so, the ranges end with the page that each is at, and the listing goes on alone,
page after page, from where its first range has stopped (`chain.py`). What any page has shown is
handled once, and what only the other ranges have shown is told of as an error. That takes twice as
many requests as there are pages, at most.

The existing files show best where to cut (`landmarks.py`), then the folders (`outline.py`), which
are requested beside the second page; otherwise it is guessed (`cuts.py`). A piece smaller than a
page costs an extra request. So it is guessed only after two pages that lie within one such piece,
and into no more pieces than the range had pages. The first guess in a folder makes one cut for each
character of the last key, to find out how far the keys go. And there are no more cuts than pages.

A cut may lie between the key `x` and the keys below `x/`. Then neither range can know whether `x`
collides with them (`compare/collisions.py`), so the prefix `x/` is reported.
"""

import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from itertools import chain, pairwise

from anyio import CapacityLimiter, Event
from anyio.abc import TaskGroup

from asyncsync.concurrently import task_group
from asyncsync.errors import IncompleteListingError, SourceError
from asyncsync.keys import is_too_long, key_hash, shown
from asyncsync.listing.chain import Chain
from asyncsync.listing.cuts import (
    HIGHEST,
    can_be_asked,
    find_cuts,
    find_survey_cuts,
    separated_prefixes,
)
from asyncsync.listing.hashes import Spill
from asyncsync.listing.keyrange import KeyRange
from asyncsync.listing.landmarks import Landmarks
from asyncsync.listing.outline import Outline
from asyncsync.listing.paging import Paging, describe
from asyncsync.model import LAST, RemoteObject
from asyncsync.units import format_count

MOST_PIECES = 64
"""Into which a range is cut at folders: more than are listed at once, to have all end together."""
CLOCKS_AGREE_NS = 60 * 1_000_000_000
"""How far the server's clock may be behind."""
MOST_LOOKED_FOR = 64
"""Folders and objects that only the outline has shown, and that are looked for."""

Handler = Callable[[Sequence[RemoteObject], str], Coroutine[object, object, None]]
"""Takes the objects of a page, and `complete_to`. Called for several pages at the same time.

No later page adds a key between the page's first key and `complete_to`. That is empty if the server
does not list keys in order.
"""


class Ranges:
    """The ranges of one prefix, or of the whole bucket.

    Args:
        paging: lists pages.
        prefix: what all keys start with.
        slots: limits the listings at the same time, of all prefixes together.
        handle: gets the objects; the listing of a range goes on when it has returned.
        on_separated: gets the prefixes `x/` whose keys are in another range than the key `x`.
        landmarks: where keys probably are.
        gaps: what to list, as the key after which to start and the one where to end; the keys
            between the gaps are known, and are listed only if the order cannot be relied on.
        notice: gets messages for the user.
    """

    def __init__(
        self,
        paging: Paging,
        prefix: str,
        slots: CapacityLimiter,
        handle: Handler,
        on_separated: Callable[[Iterable[str]], object],
        landmarks: Landmarks | None = None,
        gaps: Sequence[tuple[str, str | None]] = (("", None),),
        notice: Callable[[str], object] = str,
    ) -> None:
        self._paging = paging
        self._prefix = prefix
        self._slots = slots
        self._handle_page = handle
        self._on_separated = on_separated
        self._landmarks = landmarks or Landmarks()
        self._notice = notice
        self._spill = Spill()
        self._ranges = [KeyRange(after, until, spill=self._spill) for after, until in gaps]
        for one, other in pairwise(self._ranges):
            one.following = other
            on_separated(separated_prefixes(one.until or ""))
            on_separated(separated_prefixes(other.after))
        self._first = self._ranges[0]
        self._known = [(one.until or "", other.after) for one, other in pairwise(self._ranges)]
        """The keys between the gaps: after the one, and up to the other."""
        self._outline = None if self._first.after or self._known else Outline(prefix)
        self._chain: Chain | None = None
        """Set when the order turns out to be unreliable; then the ranges end."""
        self._first_handled = Event()
        self._began_ns = time.time_ns() - CLOCKS_AGREE_NS
        self._pages = self._guessed = self._queued = 0

    @property
    def requests(self) -> int:
        """Pages requested so far."""
        return self._pages + (self._outline.requests if self._outline else 0)

    @property
    def is_in_order(self) -> bool:
        """Whether the server lists keys in byte order, as far as the pages show."""
        return self._chain is None

    async def run(self) -> None:
        """List everything. The first page is handled completely, even if the rest fails.

        Raises:
            IncompleteListingError: all that was shown was handled, but there may be more.
            SourceError: it could not be listed to its end.
        """
        error: SourceError | None = None
        async with task_group() as handling:
            try:
                async with task_group() as group:
                    group.start_soon(self._list, self._first, group, handling)
                    self._queued = len(self._ranges) - 1
                    for keys in self._ranges[1:]:
                        group.start_soon(self._list_in_slot, keys, group)
                await self._check()
            except SourceError as failed:
                error = failed
        if error:
            raise error

    # Side by side -------------------------------------------------------------------------------

    async def _list(
        self, keys: KeyRange, group: TaskGroup, handling: TaskGroup | None = None
    ) -> None:
        """List a range.

        Args:
            keys: the range.
            group: gets the listings of what is cut off.
            handling: for the first range, whose first page is handled here, beside the next ones.
        """
        async with aclosing(self._paging.pages(self._prefix, after=keys.after)) as pages:
            async for page in pages:
                self._pages += 1
                keys.pages += 1
                if self._outline:
                    self._outline.note(page.objects)
                if self._chain or not keys.continues(page.objects):
                    keys.token = page.next_token
                    if handling:
                        self._first_handled.set()
                    await self._add(page.objects, is_link=keys is self._first)
                    return
                inside = keys.take(page)
                complete_to = min(page.complete_to, keys.until or LAST)
                if not keys.is_listed:
                    if handling and self._outline:
                        group.start_soon(self._ask_outline, self._outline, group)
                    self._cut(keys, group)
                if handling:
                    handling.start_soon(self._handle_first, inside, complete_to)
                    handling = None
                else:
                    await self._handle(inside, complete_to)
                if keys.is_listed or self._chain:
                    break
                del page, inside  # before the next one is read
        if keys.token and keys.agrees(self._expected(keys)):
            keys.beyond = []

    async def _handle_first(self, objects: Sequence[RemoteObject], complete_to: str) -> None:
        await self._handle_page(objects, complete_to)
        self._first_handled.set()

    async def _handle(self, objects: Sequence[RemoteObject], complete_to: str) -> None:
        """Handle what was not on the first page, and not before it: pages keep their order."""
        await self._first_handled.wait()
        await self._handle_page(objects, complete_to)

    async def _ask_outline(self, outline: Outline, group: TaskGroup) -> None:
        await outline.ask(self._paging)
        if outline.left_out:
            self._notice(
                f"{describe(self._prefix)}: the server leaves out folders where it is asked for "
                f"them, such as {shown(outline.left_out[0])}; so every key is listed"
            )
        if not (self._chain or self._first.is_listed):
            self._cut(self._first, group)

    def _cut(self, keys: KeyRange, group: TaskGroup) -> None:
        """Give the far part of a range to new listings if slots are free."""
        waiting = self._slots.statistics().tasks_waiting
        free = 0 if waiting else max(int(self._slots.available_tokens) - self._queued, 0)
        found = [cut for cut in self._find_cuts(keys, free) if not is_too_long(cut)] if free else []
        cut_off: list[KeyRange] = []
        for cut in reversed(found):
            self._on_separated(separated_prefixes(cut))
            keys.following = KeyRange(
                *(cut, keys.until, keys.following), is_surveyed=keys.is_surveyed, spill=self._spill
            )
            keys.until = cut
            cut_off.append(keys.following)
        self._queued += len(cut_off)
        for other in reversed(cut_off):
            group.start_soon(self._list_in_slot, other, group)

    def _find_cuts(self, keys: KeyRange, free: int) -> list[str]:
        last, firsts = keys.last, keys.firsts
        end = keys.until or self._prefix + HIGHEST
        if found := self._landmarks.cuts(last, end, free):
            keys.is_surveyed = True
            return found
        if self._outline and not self._outline.is_known:
            return []  # it is on its way
        if self._outline and firsts:
            found = self._outline.cuts(keys, end, MOST_PIECES)
        most = min(free, self._pages - self._guessed)
        if found or len(firsts) < 2 or most <= 0:
            return found
        if keys.is_surveyed:
            found = find_cuts(firsts[-2], last, end, min(most, len(firsts)))
        else:
            keys.is_surveyed = True
            found = find_survey_cuts(firsts[-2], last, end, free)
        self._guessed += len(found)
        return found

    async def _list_in_slot(self, keys: KeyRange, group: TaskGroup) -> None:
        async with self._slots:
            self._queued -= 1
            if not self._chain:
                await self._list(keys, group)

    # Whether that was all -----------------------------------------------------------------------

    def _all(self) -> Iterator[KeyRange]:
        return chain([self._first], self._first.followers())

    async def _check(self) -> None:
        """Find out whether every key was shown; if the order is unreliable, list on."""
        if not self._chain:
            await self._check_borders()
        if not self._chain:
            await self._look_for_outlined()
        if self._chain:
            await self._list_alone(self._chain)
            await self._look_for_outlined()
            if hidden := self._chain.hidden:
                raise IncompleteListingError(
                    f"{describe(self._prefix)}: the server showed "
                    f"{format_count(hidden, 'key')} in one listing and left "
                    f"{'it' if hidden == 1 else 'them'} out in another, so it may have left out "
                    "others in both; all that it showed was handled"
                )

    def _expected(self, keys: KeyRange) -> list[RemoteObject]:
        """Return what a range has shown behind its end, and the following ones are to show."""
        return [remote for remote in keys.beyond if not self._is_known(remote.key)]

    def _is_known(self, key: str) -> bool:
        return any(after < key <= until for after, until in self._known)

    async def _check_borders(self) -> None:
        """Check that each range begins with what the one before it has shown behind its end.

        Otherwise the server does not start after the cut, and may have left out keys.
        """
        for keys in [*self._all()]:
            if keys.until is None or (keys.token and not keys.beyond):
                continue
            expected = self._expected(keys)
            if not keys.agrees(expected):
                await self._check_border(keys, expected)
            if self._chain:
                return

    async def _check_border(self, keys: KeyRange, expected: Sequence[RemoteObject]) -> None:
        """Request again what is around a border: keys may have come or gone in the meantime.

        What follows the border has to hold what was expected there. And if the range ended without
        another page, there must be nothing between its last key and its end.
        """
        border = keys.until or ""
        late = {key_hash(remote.key): remote for remote in expected}
        for start in [border] * bool(expected) + [keys.last] * (not keys.token):
            if is_too_long(start):
                await self._add([*late.values()], is_link=False)
                return
            page = await self._paging.first_page(self._prefix, after=start)
            self._pages += 1
            reach = page.objects[-1].key if page.next_token and page.objects else LAST
            shown_again = {remote.key for remote in page.objects}
            is_gone = any(r.key <= reach and r.key not in shown_again for r in expected)
            if is_gone or not KeyRange(max(start, border)).continues(page.objects):
                await self._add([*late.values(), *page.objects], is_link=False)
                return
            late |= {key_hash(r.key): r for r in page.objects if not self._is_known(r.key)}
        unhandled = set(late).difference(*[other.hashes for other in self._all()])
        keys.hashes.extend(unhandled)
        keys.beyond = []
        if unhandled:
            await self._handle([late[hashed] for hashed in late if hashed in unhandled], "")

    async def _look_for_outlined(self) -> None:
        """Look for what the outline has shown, and no other page."""
        if not self._outline or not (self._outline.objects or self._outline.unseen):
            return
        objects = {key_hash(remote.key): remote for remote in self._outline.objects}
        if self._chain:
            left = {hashed for hashed in objects if not self._chain.has(objects[hashed].key)}
        else:
            left = set(objects).difference(*[keys.hashes for keys in self._all()])
        unseen = self._outline.unseen
        missing = [objects[hashed].key for hashed in objects if hashed in left]
        found: list[RemoteObject] = []
        for name in [*filter(can_be_asked, [*missing, *sorted(unseen)])][:MOST_LOOKED_FOR]:
            page = await self._paging.first_page(name)
            self._pages += 1
            starts = name if name in unseen else name + LAST
            found += [r for r in page.objects if r.key == name or r.key.startswith(starts)]
        if len(missing) > MOST_LOOKED_FOR:
            found += [objects[hashed] for hashed in left]
        self._outline.objects = []
        self._outline.unseen = set()
        if not self._chain and found and all(r.modified_ns > self._began_ns for r in found):
            await self._handle(found, "")  # uploaded since, behind the pages' backs
        elif found:
            await self._add(found, is_link=False)

    # Alone --------------------------------------------------------------------------------------

    @property
    def _is_chained(self) -> bool:
        """Whether the first range is the start of the chain, which holds every key."""
        return not (self._first.after or self._known)

    async def _add(self, objects: Sequence[RemoteObject], *, is_link: bool) -> None:
        """Handle objects that came out of order, unless they were handled before."""
        if not self._chain:
            ranges = [*self._all()]
            links = ranges[:1] if self._is_chained else []
            self._chain = Chain(
                partial(self._handle, complete_to=""),
                chain.from_iterable(keys.hashes for keys in links),
                chain.from_iterable(keys.hashes for keys in ranges[len(links) :]),
            )
        await self._chain.add(objects, is_link=is_link and self._is_chained)

    async def _list_alone(self, links: Chain) -> None:
        """List on where the first range has stopped, page after page."""
        for keys in [*self._all()]:
            await self._add(keys.beyond, is_link=keys is self._first)
        token, number = "", 1
        if self._is_chained:
            number += self._first.pages
            links.expect(self._first.hashes_beyond)
            if not (token := self._first.token):
                return
        async with aclosing(self._paging.pages(self._prefix, token=token, first=number)) as pages:
            async for page in pages:
                self._pages += 1
                if self._outline:
                    self._outline.note(page.objects)
                await links.add(page.objects, is_link=True)
