"""One long prefix, cut into ranges of keys that are listed at the same time.

A range ends at a key, and the next range starts after this key. So no key is lost and none is
listed twice, as long as the server lists keys in the order of their bytes. S3 does, but not every
server that speaks S3. So every page is checked, and if one is out of order, the prefix is not cut.
If it was cut before, each of its ranges handles its current page and ends, and the prefix is listed
again from the start.

A cut may lie between the key `x` and the keys below `x/`. Then neither range can know whether `x`
collides with them (`compare/collisions.py`), so the prefix `x/` is reported.

The existing files show best where to cut (`landmarks.py`). Without files, nothing is known of the
keys to come, except that they are after the last one so far and probably look like it. So the cuts
are put where a key can first differ from that one: after `1hz/0`, `1hz/1`, ... `1hz/9` at a digit,
after each letter at a letter, and at growing distances at anything else. A bad guess costs an empty
page, never a key. A piece smaller than a page costs an extra request, so a range is cut only after
two pages that lie within one such piece, and into no more pieces than it had pages. The first such
cut of a prefix makes one cut for each character of the last key, to find out how far the keys go.
"""

from array import array
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import pairwise

from anyio import CapacityLimiter
from anyio.abc import TaskGroup

from asyncsync.concurrently import task_group
from asyncsync.keys import is_too_long
from asyncsync.listing.landmarks import Landmarks
from asyncsync.listing.paging import Paging
from asyncsync.model import RemoteObject

HIGHEST = "\U0010fffd"
"""Sorts after every character that is likely in a key."""

_CLASSES = (("0", "9"), ("A", "Z"), ("a", "z"))
_GALLOP = [2**power for power in range(20)]

Handler = Callable[[Sequence[RemoteObject], str], Coroutine[object, object, None]]
"""Takes the objects of a page, and `complete_to`. Called for several pages at the same time.

No later page adds a key between the page's first key and `complete_to`. That is empty if the server
does not list keys in order.
"""


class Ranges:
    """The ranges of one prefix.

    Args:
        paging: lists pages.
        prefix: what all keys start with.
        slots: limits the listings at the same time, of all prefixes together.
        handle: gets the objects; the listing of a range goes on when it has returned.
        on_separated: gets the prefixes `x/` whose keys are in another range than the key `x`.
        after: the key after which to start; not used if the prefix has to be listed again.
        landmarks: where keys probably are.
    """

    def __init__(
        self,
        paging: Paging,
        prefix: str,
        slots: CapacityLimiter,
        handle: Handler,
        on_separated: Callable[[Iterable[str]], object],
        after: str = "",
        landmarks: Landmarks | None = None,
    ) -> None:
        self._paging = paging
        self._prefix = prefix
        self._slots = slots
        self._handle = handle
        self._after = self._last = after
        self._landmarks = landmarks or Landmarks()
        self._on_separated = on_separated
        self.requests = 0
        """Pages requested so far."""
        self._is_cut = self._is_surveyed = False
        self._may_be_cut = True
        self._is_sorted = True
        self._must_relist = False
        """Whether the server turned out to keep no order after a cut, so that the ranges end."""
        self._handled = array("q")
        """Hashes of the handled keys: eight bytes for each key, where a set takes a hundred."""
        self._first_after: dict[str, str] = {}
        """The first key after each cut, as the first of its two ranges saw it; empty for none."""

    async def run(self) -> None:
        """List the whole prefix.

        Raises:
            SourceError: it could not be listed completely.
        """
        async with task_group() as group:
            await self._list(group, self._after, None)
        if self._must_relist:
            await self._list_again()

    @property
    def last(self) -> str:
        """The last key so far; empty if the server does not list keys in byte order.

        Empty as well if no request can hold it.
        """
        return self._last if self._may_be_cut and not is_too_long(self._last) else ""

    async def _list(self, group: TaskGroup, after: str, until: str | None) -> None:
        """List the keys after `after`, up to and including `until` if that is given."""
        last = after
        firsts: list[str] = []  # the first key of each page so far
        async with aclosing(self._paging.pages(self._prefix, after=after)) as pages:
            async for page in pages:
                self.requests += 1
                if not page.objects:
                    continue
                self._check_page(page.objects, last, "" if firsts else after)
                if self._must_relist:
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
        """Give the far part of a range to new listings if slots are free; return the new end."""
        slots = self._slots
        free = 0 if slots.statistics().tasks_waiting else int(slots.available_tokens)
        end = until or self._prefix + HIGHEST
        found = self._landmarks.cuts(last, end, free)
        if not found and len(firsts) > 1:
            if self._is_surveyed or until is not None:
                found = find_cuts(firsts[-2], last, end, min(free, len(firsts)))
            else:
                found = find_survey_cuts(firsts[-2], last, end, free)
                self._is_surveyed = True
        found = [cut for cut in found if not is_too_long(cut)]
        if not found:
            return until
        self._is_cut = True
        for cut in found:
            self._on_separated(separated_prefixes(cut))
        # The slots are free: nothing has been awaited since they were counted.
        for start, stop in zip(found, [*found[1:], until], strict=True):
            owner = object()
            slots.acquire_on_behalf_of_nowait(owner)
            group.start_soon(self._list_in_slot, owner, group, start, stop)
        return found[0]

    async def _list_in_slot(
        self, owner: object, group: TaskGroup, after: str, until: str | None
    ) -> None:
        try:
            await self._list(group, after, until)
        finally:
            self._slots.release_on_behalf_of(owner)

    def _check_page(self, objects: Sequence[RemoteObject], last: str, cut: str) -> None:
        """Check that a page is in order and after `last`; `cut` is set for a first page only."""
        if cut:
            self._check_cut(cut, objects[0].key)
        keys = [last, *(remote.key for remote in objects)]
        if all(one < other for one, other in pairwise(keys)) and _is_utf8(keys):
            return
        self._is_sorted &= all(one <= other for one, other in pairwise(keys))
        self._must_relist |= self._is_cut
        self._may_be_cut = False

    def _check_cut(self, cut: str, first_after: str) -> None:
        """Check that the ranges on both sides of a cut see the same first key after it.

        Otherwise the server does not start after the cut, and may have left out keys.
        """
        if self._first_after.setdefault(cut, first_after) != first_after:
            self._must_relist = True
            self._may_be_cut = False

    async def _list_again(self) -> None:
        """List the prefix page after page, and handle what has not been handled yet."""
        handled = set(self._handled)
        async for page in self._paging.pages(self._prefix):
            self.requests += 1
            await self._handle([r for r in page.objects if hash(r.key) not in handled], "")


def _is_utf8(keys: Sequence[str]) -> bool:
    """Return whether the keys are valid UTF-8: then they sort by bytes and fit into a request."""
    try:
        "".join(keys).encode()
    except UnicodeEncodeError:
        return False
    return True


def separated_prefixes(cut: str) -> Iterator[str]:
    """Yield each prefix `x/` whose keys are after the cut, while the key `x` is not."""
    for end in range(1, len(cut) + 1):
        if cut[end : end + 1] < "/":
            yield cut[:end] + "/"


def find_cuts(first: str, last: str, until: str, most: int) -> list[str]:
    """Return at most `most` keys that cut the range after `last` into pieces of similar size.

    They are in ascending order, at least `last` and less than `until`, and need not exist. Keys are
    compared by code points, which gives the same order as their UTF-8 bytes.

    Args:
        first: a key one or more pages before `last`; a piece should hold as many keys as there are
            between the two.
        last: the last known key.
        until: where the range ends.
        most: how many; may be 0.
    """
    found = next(_levels(first, last, until), [])
    if len(found) <= most:
        return found
    return [found[index * len(found) // most] for index in range(most)]


def find_survey_cuts(first: str, last: str, until: str, most: int) -> list[str]:
    """Return at most `most` cuts as `find_cuts` does, but one for each character of `last`."""
    return [found[0] for found in _levels(first, last, until)][:most][::-1]


def _levels(first: str, last: str, until: str) -> Iterator[list[str]]:
    """Yield the cuts at each character of `last`, from its start to its end."""
    for place, here in enumerate(last):
        top = until[place : place + 1]
        if here == top:
            continue
        chars = _chars_from(here, first[place : place + 1])
        if first[:place] != last[:place] or not chars:
            return  # a piece here would hold fewer keys than there are between `first` and `last`
        candidates = [last[:place] + char + HIGHEST for char in chars]
        if found := [cut for cut in candidates if last <= cut < until]:
            yield found
        until = last[:place] + here + HIGHEST


def _chars_from(here: str, before: str) -> list[str]:
    """Return characters from `here` on, about as far apart as `before` and `here` are."""
    for start, end in _CLASSES:
        if start <= here <= end:
            return [chr(code) for code in range(ord(here), ord(end) + 1)] if before == here else []
    stride = max(2 * (ord(here) - ord(before or here)), 1)
    codes = (ord(here) + stride * step for step in (0, *_GALLOP))
    return [chr(code) for code in codes if code < ord(HIGHEST) and not 0xD800 <= code < 0xE000]
