"""Ranges of keys listed at the same time: every key once, for any keys and any server."""

import os
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import anyio
import pytest
from anyio import CapacityLimiter
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.errors import ListingError, ServerError
from asyncsync.listing.cuts import HIGHEST, find_cuts, find_survey_cuts, separated_prefixes
from asyncsync.listing.landmarks import Landmarks
from asyncsync.listing.paging import Paging
from asyncsync.listing.ranges import Ranges
from asyncsync.model import Page, RemoteObject
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.watch import quick_pace

pytestmark = pytest.mark.anyio

NARROW = st.sampled_from(["0", "5", "9", "A", "Z", "a", "m", "z", "/", "-", "~", "é", HIGHEST])
KEY = st.one_of(
    st.text(NARROW, min_size=1, max_size=6),
    st.text(min_size=1, max_size=4),
    st.builds("{:02}/{}.parquet".format, st.integers(0, 99), st.integers(0, 9)),
)
KEYS = st.sets(KEY, max_size=60)


# cuts -------------------------------------------------------------------------------------------


@given(st.lists(KEY, min_size=3, max_size=3, unique=True).map(sorted), st.integers(0, 40))
@pytest.mark.parametrize("way", [find_cuts, find_survey_cuts])
def test_cuts_lie_inside_the_range_and_ascend(
    way: Callable[[str, str, str, int], list[str]], keys: list[str], most: int
) -> None:
    """At most as many as asked for, without duplicates, for any characters."""
    first, last, until = keys
    found = way(first, last, until, most)
    assert len(found) <= most
    assert all(last <= cut < until for cut in found)
    assert all(one < other for one, other in pairwise(found))
    "".join(found).encode()  # a query can hold them


@given(last=KEY, until=KEY)
def test_order_of_code_points_is_the_order_of_bytes(last: str, until: str) -> None:
    """The server compares bytes, this program text."""
    assert (last < until) == (last.encode() < until.encode())


@given(KEY, KEY)
def test_cut_separates_prefixes_from_the_key_of_their_name(cut: str, key: str) -> None:
    """All prefixes are reported whose keys may be after the cut when the key is not."""
    is_separated = key <= cut < key + "/" or cut.startswith(key + "/")
    assert is_separated == (key + "/" in separated_prefixes(cut))
    assert all(prefix[:-1] <= cut for prefix in separated_prefixes(cut))


# every key once ---------------------------------------------------------------------------------


class Listing:
    """A listing of one prefix by ranges."""

    def __init__(
        self, store: MemoryStore, slots: int, prefix: str = "", files: Iterable[str] = ()
    ) -> None:
        self.keys: list[str] = []
        self.slots = CapacityLimiter(slots)
        self.under_way = 0
        self.most_under_way = 0
        landmarks = Landmarks(min_files=1)
        landmarks.recording(list)([*files])
        landmarks.complete()
        paging = Paging(store, quick_pace())
        separated: set[str] = set()
        self._ranges = Ranges(
            paging, prefix, self.slots, self._handle, separated.update, landmarks=landmarks
        )

    async def _handle(self, objects: Sequence[RemoteObject], complete_to: str) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        for _ in range(len(objects) % 3):  # as for reading the disk
            await anyio.lowlevel.checkpoint()
        self.keys += [remote.key for remote in objects]
        await anyio.lowlevel.checkpoint()
        self.under_way -= 1

    async def run(self) -> None:
        """List everything, in a slot of its own, as `list_objects` does."""
        with anyio.fail_after(25):
            async with self.slots:
                await self._ranges.run()
        assert self.slots.borrowed_tokens == 0


@given(
    keys=KEYS,
    page_size=st.integers(1, 9),
    slots=st.integers(1, 20),
    prefix=st.sampled_from(["", "0", "a/"]),
    files=KEYS,
)
def test_every_key_is_listed_once(
    keys: set[str], page_size: int, slots: int, prefix: str, files: set[str]
) -> None:
    """For any keys, files and pages, with as many listings at once as there are slots."""
    keys = {prefix + key for key in keys}
    store = MemoryStore(dict.fromkeys(keys, b""), page_size=page_size)
    listing = Listing(store, slots, prefix, {prefix + key for key in files})
    anyio.run(listing.run)
    assert sorted(listing.keys) == sorted(keys)
    assert listing.most_under_way <= slots


@given(keys=st.sets(KEY, max_size=200), page_size=st.integers(1, 50), slots=st.integers(1, 20))
def test_guesses_cost_at_most_as_many_requests_as_the_pages(
    keys: set[str], page_size: int, slots: int
) -> None:
    """A prefix is cut once for each of its pages, so at most half of the requests are wasted."""
    store = MemoryStore(dict.fromkeys(keys, b""), page_size=page_size)
    anyio.run(Listing(store, slots).run)
    pages = -(-len(keys) // page_size)
    assert len(store.requests) <= 2 * pages + slots


class IgnorantStore(MemoryStore):
    """A server that ignores `start-after`."""

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return a page from the beginning, or behind the token."""
        return await super().list_page(prefix, delimiter=delimiter, token=token)


ORDERS: Sequence[Callable[[str], Sequence[object]]] = [
    os.fsencode,
    lambda key: key.split("/"),
    lambda key: (key.casefold(), key),
    lambda key: (len(key), key),
    lambda key: [-ord(char) for char in key] + [1],
    lambda key: key.encode("utf-16-be", "surrogatepass"),
]


@given(
    keys=st.sets(st.one_of(KEY, KEY.map("{}\udcff".format)), max_size=60),
    page_size=st.integers(1, 9),
    slots=st.integers(1, 20),
    order=st.sampled_from(ORDERS),
    kind=st.sampled_from([MemoryStore, IgnorantStore]),
    files=KEYS,
)
def test_every_key_of_a_nonconforming_server_is_listed_once(
    keys: set[str],
    page_size: int,
    slots: int,
    order: Callable[[str], Sequence[object]],
    kind: type[MemoryStore],
    files: set[str],
) -> None:
    """It ignores where to start, or has its own order or keys: then all is listed again."""
    store = kind(dict.fromkeys(keys, b""), page_size=page_size, order=order)
    listing = Listing(store, slots, files=files)
    anyio.run(listing.run)
    assert sorted(listing.keys) == sorted(keys)


@given(keys=KEYS, page_size=st.integers(1, 9), fails=st.integers(0, 9))
def test_transient_error_of_any_page_changes_nothing(
    keys: set[str], page_size: int, fails: int
) -> None:
    """Its range goes on where it was."""
    store = MemoryStore(dict.fromkeys(keys, b""), page_size=page_size)
    store.on("list", "", *[Act()] * fails, Act(error=ServerError("failed")))
    listing = Listing(store, 8)
    anyio.run(listing.run)
    assert sorted(listing.keys) == sorted(keys)


async def test_permanent_error_of_one_range_ends_all() -> None:
    """All slots are free again."""
    keys = [f"{number:03}" for number in range(100)]
    store = MemoryStore(dict.fromkeys(keys, b""), page_size=5)
    store.on("list", "", *[Act()] * 6, *[Act(error=ServerError("failed"))] * 1000)
    listing = Listing(store, 8)
    with pytest.raises(ListingError):
        await listing.run()
    assert listing.slots.borrowed_tokens == 0


async def test_long_prefix_is_listed_in_ranges_at_the_same_time() -> None:
    """Even ascending numbers, from the first pages on."""
    keys = [f"1hz/{number:04}.parquet" for number in range(1000)]
    store = MemoryStore(dict.fromkeys(keys, b""), page_size=20)
    listing = Listing(store, 16, "1hz/")
    await listing.run()
    assert sorted(listing.keys) == keys
    assert listing.most_under_way > 4


async def test_existing_files_show_where_to_cut() -> None:
    """All slots are in use from the second page on, and no request is wasted."""
    keys = [f"1hz/{random.Random(number).getrandbits(64):016x}" for number in range(1600)]
    store = MemoryStore(dict.fromkeys(keys, b""), page_size=10)
    listing = Listing(store, 16, "1hz/", keys)
    await listing.run()
    assert sorted(listing.keys) == sorted(keys)
    assert listing.most_under_way == 16
    assert len(store.requests) <= 160 + 16
