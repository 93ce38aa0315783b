"""Keys that are looked up one by one: each once, for any keys and any server, in few requests."""

from collections.abc import Callable, Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.errors import ListingError
from asyncsync.listing import list_named
from asyncsync.listing.named import FEW
from asyncsync.model import RemoteObject
from tests.listing.test_ranges import KEY, ORDERS, IgnorantStore
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.watch import quick_pace

pytestmark = pytest.mark.anyio


class Lookup:
    """A look-up of keys, and what it has found."""

    def __init__(self, store: MemoryStore, keys: Sequence[str], *, in_order: bool = False) -> None:
        self.store = store
        self.keys = sorted(keys)
        self.in_order = in_order
        self.found: list[str] = []
        self.absent: list[str] = []

    async def handle(self, objects: Sequence[RemoteObject], _: str) -> None:
        """Remember."""
        self.found += [remote.key for remote in objects]
        await anyio.lowlevel.checkpoint()

    async def run(self) -> None:
        """Look up all."""
        given = (self.store, self.keys, quick_pace(), self.handle)
        self.absent = await list_named(*given, in_order=self.in_order)


@given(
    keys=st.sets(st.one_of(KEY, KEY.map("{}\udcff".format)), max_size=60),
    more=st.sets(st.one_of(KEY, st.just("x" * 1100)), max_size=60),
    copies=st.sampled_from([1, 9]),
    page_size=st.integers(1, 9),
    order=st.sampled_from(ORDERS),
    kind=st.sampled_from([MemoryStore, IgnorantStore]),
    in_order=st.booleans(),
    part=st.integers(1, 3),
)
def test_every_named_key_is_found_once_or_absent(
    keys: set[str],
    more: set[str],
    copies: int,
    page_size: int,
    order: Callable[[str], Sequence[object]],
    kind: type[MemoryStore],
    in_order: bool,
    part: int,
) -> None:
    """Also if the server ignores where to start, or has its own order or keys."""
    keys = {f"{key}{copy or ''}" for key in keys for copy in range(copies)}
    store = kind(dict.fromkeys(keys, b""), page_size=page_size, order=order)
    named = {*sorted(keys)[::part], *more}
    lookup = Lookup(store, sorted(named), in_order=in_order)
    anyio.run(lookup.run)
    assert sorted(lookup.found) == sorted(named & keys)
    assert lookup.absent == sorted(named - keys)


@pytest.mark.parametrize(
    ("named", "requests"),
    [
        (range(0, 20_000, 400), 50),
        (range(20_000), 16 + 20),
        (range(5000, 6000), 15 + 1),
        (range(0, 20_000, 100), 3 + 20),
    ],
)
async def test_look_up_takes_few_requests(named: Sequence[int], requests: int) -> None:
    """No more than there are keys, or pages from the first to the last and parts side by side."""
    keys = [f"1hz/{number:05}.parquet" for number in range(20_000)]
    store = MemoryStore(dict.fromkeys(keys, b""))
    lookup = Lookup(store, [keys[number] for number in named])
    await lookup.run()
    assert (sorted(lookup.found), lookup.absent) == (lookup.keys, [])
    assert len(store.requests) <= requests
    assert {request.key.startswith("1hz/") for request in store.requests} == {True}


async def test_pages_come_in_order_if_that_matters() -> None:
    """One after the other, from the first key to the last."""
    keys = [f"{number:03}" for number in range(4 * FEW)]
    lookup = Lookup(MemoryStore(dict.fromkeys(keys, b""), page_size=7), keys, in_order=True)
    await lookup.run()
    assert lookup.found == keys


@pytest.mark.parametrize("number", [1, 4 * FEW])
async def test_page_that_cannot_be_listed_ends_the_look_up(number: int) -> None:
    """A key that was not asked for is not absent."""
    keys = [f"{number:03}" for number in range(number)]
    store = MemoryStore(dict.fromkeys(keys, b""))
    store.always("list", "" if number > 1 else "000", Act(error=ListingError("broken")))
    with pytest.raises(ListingError, match="broken"):
        await Lookup(store, keys).run()
