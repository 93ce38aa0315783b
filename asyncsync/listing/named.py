"""Look up keys that are given one by one, with as few requests as that takes.

A few keys are listed each by itself. Of many, some parts are gone through side by side: a page is
listed from a key on, which shows all that are within its reach, and the next page is listed from
the first key behind that. So there are neither more pages than keys, nor more than the bucket has
between the first and the last one.

That needs a server that lists keys in the order of their bytes. So a key that no page has shown is
listed by itself as well, before it counts as absent: from a server with another order that takes a
request for each key, and loses none.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import pairwise
from os.path import commonprefix

from asyncsync.concurrently import run_all
from asyncsync.interfaces import Store
from asyncsync.keys import is_too_long
from asyncsync.listing.cuts import HIGHEST, can_be_asked, separated_prefixes
from asyncsync.listing.listing import LISTS_AT_ONCE
from asyncsync.listing.paging import Paging
from asyncsync.listing.ranges import Handler
from asyncsync.model import LAST, RemoteObject
from asyncsync.pace import Pace

FEW = 64
"""Keys that are listed each by itself, and that each of the parts has at least."""


class _Lookup:
    """The keys to look up, and which of them a page has shown.

    Args:
        keys: sorted, without repeats.
        handle: gets the objects that have one of these keys, each once.
    """

    def __init__(self, keys: Sequence[str], handle: Handler) -> None:
        self._keys = keys
        self._handle = handle
        self._shown = bytearray(len(keys))

    async def take(self, objects: Iterable[RemoteObject], complete_to: str) -> None:
        """Handle those that have one of the keys, if they were not handled before."""
        found: list[RemoteObject] = []
        for remote in objects:
            place = bisect_left(self._keys, remote.key)
            is_one = place < len(self._keys) and self._keys[place] == remote.key
            if is_one and not self._shown[place]:
                self._shown[place] = True
                found.append(remote)
        if found:
            await self._handle(found, complete_to)

    def absent(self) -> list[str]:
        """Return the keys that no page has shown."""
        return [key for key, shown in zip(self._keys, self._shown, strict=True) if not shown]


async def list_named(
    store: Store,
    keys: Sequence[str],
    pace: Pace,
    handle: Handler,
    on_separated: Callable[[Iterable[str]], object] = list,
    *,
    in_order: bool = False,
) -> list[str]:
    """Look up the keys, and return those that the bucket does not have.

    Args:
        store: the bucket.
        keys: sorted, without repeats.
        pace: retries each request.
        handle: gets the objects of the keys, page by page, several at the same time.
        on_separated: gets the prefixes `x/` whose keys may come on other pages than the key `x`.
        in_order: whether the pages must come one after the other, in the order of the keys.

    Raises:
        SourceError: a page could not be listed.
    """
    paging, lookup = Paging(store, pace), _Lookup(keys, handle)
    most = 1 if in_order else LISTS_AT_ONCE
    parts = min(most, len(keys) // FEW)
    borders = [len(keys) * part // parts for part in range(parts + 1)] if len(keys) > FEW else []
    for border in borders[1:-1]:
        on_separated(separated_prefixes(keys[border]))

    async def go_through(start: int, end: int) -> None:
        last = keys[end - 1]
        prefix = commonprefix([keys[start], last])  # noqa: RUF071 - keys are no paths
        while start < end:
            if can_be_asked(keys[start]):
                page = await paging.first_page(prefix, after=_marker(keys[start], prefix))
                inside = (remote for remote in page.objects if remote.key <= last)
                await lookup.take(inside, min(page.complete_to, last))
                start = bisect_right(keys, page.complete_to, start + 1, end)
            else:
                start += 1

    await run_all(*[partial(go_through, start, end) for start, end in pairwise(borders)])
    left = iter(lookup.absent())

    async def ask() -> None:
        for key in left:  # shared: each takes the next one
            await _ask(paging, key, lookup)

    await run_all(*[ask] * most)
    return lookup.absent()


async def has_named(
    store: Store,
    pace: Pace,
    matches: Callable[[RemoteObject], bool],
    keys: Sequence[str],
    prefix: str,
) -> bool:
    """Return whether the bucket has a matching object with one of the keys, below the prefix.

    Raises:
        SourceError: a page could not be listed.
    """
    has_one = False

    async def look(objects: Sequence[RemoteObject], _: str) -> None:
        nonlocal has_one
        has_one = has_one or any(map(matches, objects))

    below = keys[bisect_left(keys, prefix) : bisect_left(keys, prefix + LAST)]
    await list_named(store, below, pace, look)
    return has_one


def _marker(key: str, prefix: str) -> str:
    """Return what a listing of the prefix starts behind to begin with the key, or just before."""
    before = chr(max(ord(key[-1]) - 1, 0))
    near = key[:-1] + before + HIGHEST
    marker = near if before > " " and can_be_asked(near) else key[:-1]
    return marker if marker.startswith(prefix) else ""


async def _ask(paging: Paging, key: str, lookup: _Lookup) -> None:
    """List a key by itself: until it is shown, or a page whose keys are in order lacks it."""
    if is_too_long(key):
        return  # no bucket has it, and no request can
    async with aclosing(paging.pages(key)) as pages:
        async for page in pages:
            found = [remote.key for remote in page.objects]
            await lookup.take(page.objects, "")
            if key in found or (len(found) > 1 and found == sorted(found)):
                return
