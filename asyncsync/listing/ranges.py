"""One long prefix, cut into ranges of keys that are listed side by side.

A range knows the key up to which it goes, and its neighbour begins behind that, so no key is lost
and none is listed twice, as long as the server lists keys in the order of their bytes. S3 does, but
not everything that speaks S3. So every page is checked; where one is out of order, the prefix is
not cut. If it was cut before, its ranges end, each when it has handled its page to the end, and the
prefix is listed once more from its beginning.

A cut may lie between the key `x` and the keys below `x/`. Then neither of the ranges can tell what
becomes of `x` (`collisions.py`), so whoever has to know is told of `x/`.

The files that are here tell best where to cut (`landmarks.py`). Where there are none, nothing is
known of the keys to come, except that they lie behind the last one seen and are likely to be made
like it. So the cuts are put where a key can first differ from that one: behind `1hz/0`,
`1hz/1`, ... `1hz/9` if there is a digit, behind the letters if there is one, and ever further apart
behind anything else. A bad guess costs an empty page, never a key. A piece smaller than a page
costs a request too many, so a range is cut only after two pages that lie within one such piece, and
into no more pieces than it had pages. The first such cut of a prefix is one for every place of the
last key, to find out how far the keys go.
"""

from array import array
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import pairwise

from anyio import CapacityLimiter
from anyio.abc import TaskGroup

from asyncsync.concurrently import task_group
from asyncsync.listing.landmarks import Landmarks
from asyncsync.listing.paging import Paging
from asyncsync.model import RemoteObject

HIGHEST = "\U0010fffd"
"""Sorts behind all that is likely in a key."""

_CLASSES = (("0", "9"), ("A", "Z"), ("a", "z"))
_GALLOP = [2**power for power in range(20)]

Handler = Callable[[Sequence[RemoteObject], str], Coroutine[object, object, None]]
"""Takes a page's objects, and the key up to which no later page has keys behind its first.

That is empty where the server keeps no order. Called for several pages side by side.
"""


class Ranges:
    """The ranges of one prefix.

    Args:
        paging: lists pages.
        prefix: what all the keys start with.
        slots: bounds the listings at once, of all prefixes together.
        handle: takes the objects; the listing of a range goes on when it has returned.
        torn: told of the prefixes `x/` whose keys are in another range than the key `x`.
        after: the key behind which to begin; a server that keeps no order is listed in full.
        landmarks: where keys are likely to lie.
    """

    def __init__(
        self,
        paging: Paging,
        prefix: str,
        slots: CapacityLimiter,
        handle: Handler,
        torn: Callable[[Iterable[str]], object],
        after: str = "",
        landmarks: Landmarks | None = None,
    ) -> None:
        self._paging = paging
        self._prefix = prefix
        self._slots = slots
        self._handle = handle
        self._after = self._last = after
        self._landmarks = landmarks or Landmarks()
        self._torn = torn
        self.requests = 0
        """Pages so far."""
        self._is_cut = self._is_surveyed = False
        self._may_be_cut = True
        self._is_sorted = True
        self._is_void = False
        """Whether the ranges are not what they were thought to be, and so end."""
        self._handled = array("q")
        """Hashes of the keys that were handled: eight bytes a key, where a set needs a hundred."""
        self._seen_behind: dict[str, str] = {}
        """The first key behind each cut, as the range that saw it first says; empty for none."""

    async def run(self) -> None:
        """List the whole prefix.

        Raises:
            SourceError: it could not be listed to its end.
        """
        async with task_group() as group:
            await self._list(group, self._after, None)
        if self._is_void:
            await self._list_again()

    @property
    def last(self) -> str:
        """The last key so far; none where the keys do not come in the order of their bytes."""
        return self._last if self._may_be_cut else ""

    async def _list(self, group: TaskGroup, after: str, until: str | None) -> None:
        """List the keys behind `after`, up to `until` where that is given."""
        last = after
        firsts: list[str] = []  # of the pages so far
        async with aclosing(self._paging.pages(self._prefix, after=after)) as pages:
            async for page in pages:
                self.requests += 1
                if not page.objects:
                    continue
                self._check_page(page.objects, last, "" if firsts else after)
                if self._is_void:
                    return
                firsts.append(page.objects[0].key)
                last = page.objects[-1].key
                inside = page.objects
                if until is not None and last > until:
                    inside = [remote for remote in inside if remote.key <= until]
                if inside:
                    self._last = max(self._last, inside[-1].key)
                self._handled.extend([hash(remote.key) for remote in inside])
                await self._handle(inside, page.complete_to if self._is_sorted else "")
                if until is not None and last > until:
                    self._check_cut(until, page.objects[len(inside)].key)
                    return
                if page.next_token and self._may_be_cut:
                    until = self._cut(group, firsts, last, until)
        if after and not firsts:
            self._check_cut(after, "")
        if until is not None:
            self._check_cut(until, "")

    def _cut(self, group: TaskGroup, firsts: list[str], last: str, until: str | None) -> str | None:
        """Give the far part of a range to others, if slots are free; return where the rest ends."""
        slots = self._slots
        free = 0 if slots.statistics().tasks_waiting else int(slots.available_tokens)
        end = until or self._prefix + HIGHEST
        found = self._landmarks.cuts(last, end, free)
        if not found and len(firsts) > 1:
            if self._is_surveyed or until is not None:
                found = cuts(firsts[-2], last, end, min(free, len(firsts)))
            else:
                found = survey(firsts[-2], last, end, free)
                self._is_surveyed = True
        if not found:
            return until
        self._is_cut = True
        for cut in found:
            self._torn(torn_prefixes(cut))
        for start, stop in zip(found, [*found[1:], until], strict=True):
            borrower = object()
            slots.acquire_on_behalf_of_nowait(borrower)
            group.start_soon(self._list_in_slot, borrower, group, start, stop)
        return found[0]

    async def _list_in_slot(
        self, borrower: object, group: TaskGroup, after: str, until: str | None
    ) -> None:
        try:
            await self._list(group, after, until)
        finally:
            self._slots.release_on_behalf_of(borrower)

    def _check_page(self, objects: Sequence[RemoteObject], last: str, cut: str) -> None:
        """Check that a page is in order behind the key `last`, and the first one behind a cut."""
        if cut:
            self._check_cut(cut, objects[0].key)
        keys = [last, *(remote.key for remote in objects)]
        if all(one < other for one, other in pairwise(keys)) and _is_text(keys):
            return
        self._is_sorted &= all(one <= other for one, other in pairwise(keys))
        self._is_void |= self._is_cut
        self._may_be_cut = False

    def _check_cut(self, cut: str, first_behind: str) -> None:
        """Check that the ranges on both sides of a cut see the same key behind it.

        What one of them leaves to the other is listed only if the server goes on there as well.
        """
        if self._seen_behind.setdefault(cut, first_behind) != first_behind:
            self._is_void = True
            self._may_be_cut = False

    async def _list_again(self) -> None:
        """List the prefix page after page, passing on what was not handled yet."""
        handled = set(self._handled)
        async for page in self._paging.pages(self._prefix):
            self.requests += 1
            await self._handle([r for r in page.objects if hash(r.key) not in handled], "")


def _is_text(keys: Sequence[str]) -> bool:
    """Return whether the order of the keys is that of their bytes, and a cut can be asked for."""
    try:
        "".join(keys).encode()
    except UnicodeEncodeError:
        return False
    return True


def torn_prefixes(cut: str) -> Iterator[str]:
    """Yield each prefix `x/` whose keys lie behind the cut, where the key `x` does not."""
    for end in range(1, len(cut) + 1):
        if cut[end : end + 1] < "/":
            yield cut[:end] + "/"


def cuts(first: str, last: str, until: str, most: int) -> list[str]:
    """Return up to `most` keys that cut the range behind `last` up to `until` in like pieces.

    They are ascending, at least `last` and less than `until`, and need not exist. Keys are compared
    by their code points, which is the order of their UTF-8 bytes.

    Args:
        first: a key some pages ahead of `last`; a piece is to hold as many keys as lie between.
        last: the last key that is known.
        until: where the range ends.
        most: may be none.
    """
    found = next(_levels(first, last, until), [])
    if len(found) <= most:
        return found
    return [found[index * len(found) // most] for index in range(most)]


def survey(first: str, last: str, until: str, most: int) -> list[str]:
    """Return up to `most` cuts, as `cuts` does, but one for each place of the last key."""
    return [found[0] for found in _levels(first, last, until)][:most][::-1]


def _levels(first: str, last: str, until: str) -> Iterator[list[str]]:
    """Yield for each place of `last` the cuts there, outer places first."""
    for place, here in enumerate(last):
        top = until[place : place + 1]
        if here == top:
            continue
        chars = _chars_behind(here, first[place : place + 1])
        if first[:place] != last[:place] or not chars:
            return  # there are fewer keys behind one cut here than lie between `first` and `last`
        candidates = [last[:place] + char + HIGHEST for char in chars]
        if found := [cut for cut in candidates if last <= cut < until]:
            yield found
        until = last[:place] + here + HIGHEST


def _chars_behind(here: str, before: str) -> list[str]:
    """Return characters from `here` on behind which as many keys lie as between `before` and it."""
    for start, end in _CLASSES:
        if start <= here <= end:
            return [chr(code) for code in range(ord(here), ord(end) + 1)] if before == here else []
    stride = max(2 * (ord(here) - ord(before or here)), 1)
    codes = (ord(here) + stride * step for step in (0, *_GALLOP))
    return [chr(code) for code in codes if code < ord(HIGHEST) and not 0xD800 <= code < 0xE000]
