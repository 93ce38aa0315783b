"""Many prefixes at the same time, page after page, from servers that may never end."""

import os
from collections.abc import Mapping, Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.errors import (
    AuthError,
    ConnectionLostError,
    ListingError,
    NetworkError,
    ProtocolError,
    ServerError,
    SourceError,
    ThrottledError,
    TransientError,
)
from asyncsync.listing.listing import LISTS_AT_ONCE, list_in_order, list_objects, without_overlap
from asyncsync.listing.paging import MOST_REPEATED_PAGES
from asyncsync.model import Page, RemoteObject
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.watch import quick_pace

pytestmark = pytest.mark.anyio

NESTED = dict.fromkeys(
    ["1hz/2026/01/a.parquet", "1hz/b.parquet", "fft_hub1/c.parquet", "fft_hub2/", "root.parquet"],
    b"x",
)


async def listed(store: MemoryStore, *prefixes: str) -> list[str]:
    """Return the keys of all listed objects, in the order of arrival."""
    keys: list[str] = []

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        keys.extend(remote.key for remote in objects)

    with anyio.fail_after(5):
        await list_objects(store, prefixes, quick_pace(), handle)
    return keys


def page(token: str, *keys: str, prefixes: Sequence[str] = ()) -> Act:
    """Return a page as a faulty server might send it."""
    return Act(page=Page([RemoteObject(key, 1, "", 0) for key in keys], list(prefixes), token))


# what is listed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page_size", [1, 2, 1000])
@pytest.mark.parametrize("prefixes", [[], ["fft_hub", "1hz/", "fft_hub1/"]])
async def test_list_in_order_lists_keys_in_order(page_size: int, prefixes: list[str]) -> None:
    """If asked for: one page after the other, whatever the order of the prefixes."""
    keys: list[str] = []

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        keys.extend(remote.key for remote in objects)

    store = MemoryStore(NESTED, page_size=page_size)
    await list_in_order(store, prefixes, quick_pace(), handle)
    assert keys == sorted(key for key in NESTED if not prefixes or key != "root.parquet")


@pytest.mark.parametrize("page_size", [1, 2, 3])
async def test_whole_bucket_is_listed_by_discovered_prefixes(page_size: int) -> None:
    """Objects in the root, nested keys and folder markers are all listed."""
    store = MemoryStore(NESTED, page_size=page_size)
    assert sorted(await listed(store)) == sorted(NESTED)
    assert {(r.key, r.delimiter) for r in store.requests} == {
        ("", ""),
        ("", "/"),
        ("1hz/", ""),
        ("fft_hub1/", ""),
        ("fft_hub2/", ""),
    }


@pytest.mark.parametrize("objects", [{}, NESTED], ids=["empty", "nested"])
async def test_bucket_of_one_page_takes_one_request(objects: Mapping[str, bytes]) -> None:
    """Its top-level prefixes are reported anyway, before its objects."""
    store = MemoryStore(objects)
    events: list[str] = []

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        events.extend(remote.key for remote in objects)

    await list_objects(
        store, [], quick_pace(), handle, on_prefixes=lambda found: events.extend(sorted(found))
    )
    assert events == [*(["1hz/", "fft_hub1/", "fft_hub2/"] if objects else []), *sorted(objects)]
    assert store.count("list") == 1


async def test_first_page_is_handled_before_others_are_listed() -> None:
    """Here all other requests wait until the first page has been handled."""
    store = MemoryStore(NESTED, page_size=2)
    handled = anyio.Event()
    for prefix in ("", "1hz/"):
        store.on("list", prefix, *[Act()] * (not prefix), Act(until=handled))

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        handled.set()

    with anyio.fail_after(5):
        await list_objects(store, [], quick_pace(), handle)


async def test_first_page_that_is_not_in_order_is_not_used() -> None:
    """Everything is listed by discovery instead."""
    store = MemoryStore(NESTED, page_size=2, order=lambda key: [-byte for byte in key.encode()])
    assert sorted(await listed(store)) == sorted(NESTED)


async def test_more_prefixes_than_a_page_holds_are_all_found() -> None:
    """The discovery has pages as well."""
    keys = [f"{number:04}/a.parquet" for number in range(50)]
    store = MemoryStore(dict.fromkeys(keys, b"x"), page_size=7)
    assert sorted(await listed(store)) == keys


async def test_given_prefixes_are_listed_and_nothing_else() -> None:
    """Nothing is discovered then; a prefix need not end in a slash."""
    store = MemoryStore(NESTED)
    keys = await listed(store, "fft", "1hz/2026/", "none/")
    assert sorted(keys) == ["1hz/2026/01/a.parquet", "fft_hub1/c.parquet", "fft_hub2/"]
    assert sorted(r.key for r in store.requests) == ["1hz/2026/", "fft", "none/"]


async def test_empty_prefix_is_the_whole_bucket() -> None:
    """It covers all other prefixes."""
    store = MemoryStore(NESTED)
    assert sorted(await listed(store, "", "1hz/")) == sorted(NESTED)
    assert store.count("list") == 1


@pytest.mark.parametrize(
    ("prefixes", "kept"),
    [
        ([], []),
        (["b/", "a/"], ["a/", "b/"]),
        (["a/", "a/"], ["a/"]),
        (["a/b/", "a/", "a/b/c"], ["a/"]),
        (["a", "a/"], ["a"]),
        (["a/", "ab/"], ["a/", "ab/"]),
        (["", "a/"], [""]),
        (["a!", "a", "a/", "b"], ["a", "b"]),
    ],
)
def test_covered_prefixes_are_left_out(prefixes: list[str], kept: list[str]) -> None:
    """Each object is listed by one prefix only."""
    assert without_overlap(prefixes) == kept


def folder_by_folder(key: str) -> Sequence[str]:
    """Order keys as a server with folders does: `a/b` before `a-b`."""
    return key.split("/")


@given(
    keys=st.sets(st.text("abz019/-é", min_size=1, max_size=6), max_size=40),
    page_size=st.integers(1, 7),
    by_folder=st.booleans(),
)
def test_every_key_is_listed_once(keys: set[str], page_size: int, by_folder: bool) -> None:
    """For any keys, page sizes, and orders of the server."""
    order = folder_by_folder if by_folder else os.fsencode
    store = MemoryStore(dict.fromkeys(keys, b"x"), page_size=page_size, order=order)
    assert sorted(anyio.run(listed, store)) == sorted(keys)
    assert sorted(anyio.run(listed, store, "")) == sorted(keys)


# at the same time -------------------------------------------------------------------------------


async def test_prefix_is_listed_while_the_discovery_goes_on() -> None:
    """Here the second page of the discovery waits for an object of the first prefix."""
    store = MemoryStore(NESTED, page_size=1)
    handled = anyio.Event()
    store.on("list", "", Act(), Act(until=handled))

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        if any(remote.key.startswith("1hz/") for remote in objects):
            handled.set()

    with anyio.fail_after(5):
        await list_objects(store, [], quick_pace(), handle)


async def test_number_of_concurrent_listings_is_limited() -> None:
    """As many as are allowed, and no more."""
    prefixes = [f"{number:02}/" for number in range(LISTS_AT_ONCE + 5)]
    store = MemoryStore(dict.fromkeys((prefix + "a.parquet" for prefix in prefixes), b"x"))
    go_on = anyio.Event()
    inflight = most = 0

    def enter() -> None:
        nonlocal inflight, most
        inflight += 1
        most = max(most, inflight)
        if inflight == LISTS_AT_ONCE:
            go_on.set()

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        nonlocal inflight
        inflight -= 1

    for prefix in prefixes:
        store.on("list", prefix, Act(before=enter, until=go_on))
    with anyio.fail_after(5):
        await list_objects(store, prefixes, quick_pace(workers=64), handle)
    assert most == LISTS_AT_ONCE


async def test_page_waits_until_the_one_before_is_handled() -> None:
    """A slow handler is not flooded with pages."""
    store = MemoryStore(dict.fromkeys("abcd", b"x"), page_size=1)
    asked: list[int] = []

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        await anyio.wait_all_tasks_blocked()
        if any(remote.key != "a" for remote in objects):
            asked.append(store.count("list"))

    await list_objects(store, [], quick_pace(), handle)
    assert asked == [3, 4, 5]  # the discovery requests the first page again


# failures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ConnectionLostError("cut"),
        ProtocolError("not an S3 answer"),
        ServerError("500"),
        ThrottledError("503", retry_after=30.0),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_page_is_retried_after_a_transient_error(error: TransientError) -> None:
    """The page is requested again, with its own token."""
    store = MemoryStore(dict.fromkeys("abc", b"x"), page_size=2)
    store.on("list", "", Act(), Act(), Act(error=error), Act(error=error), Act())
    assert await listed(store) == ["a", "b", "c"]
    assert [r.token for r in store.requests] == ["", "", "b", "b", "b"]


@pytest.mark.parametrize(
    ("last", "kind"),
    [(ConnectionLostError("refused"), NetworkError), (ServerError("500"), ListingError)],
)
@pytest.mark.parametrize("prefix", ["", "1hz/"])
async def test_permanent_error_ends_the_listing(
    prefix: str, last: TransientError, kind: type[SourceError]
) -> None:
    """The error says what could not be listed and why, and keeps its cause."""
    store = MemoryStore(NESTED, page_size=2)
    store.always("list", prefix, Act(error=last))
    named = "prefix 1hz/" if prefix else "the bucket"
    with pytest.raises(kind, match=f"{named} cannot be listed: .*3 attempts: {last}") as caught:
        await listed(store)
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__cause__ is last
    assert store.count("list", prefix) == 3


async def test_error_about_the_source_is_not_retried() -> None:
    """Wrong credentials stay wrong."""
    store = MemoryStore(NESTED, page_size=2)
    store.always("list", "fft_hub1/", Act(error=AuthError("no")))
    with pytest.raises(AuthError, match=r"^no$"):
        await listed(store)
    assert store.count("list", "fft_hub1/") == 1


async def test_failed_prefix_ends_the_others() -> None:
    """The run is over, so nothing waits for them."""
    store = MemoryStore(NESTED, page_size=2)
    store.always("list", "1hz/", Act(until=anyio.Event()))
    store.always("list", "fft_hub1/", Act(error=AuthError("no")))
    with pytest.raises(AuthError):
        await listed(store)


async def test_error_of_the_handler_is_raised_unchanged() -> None:
    """It is not wrapped in an exception group."""

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await list_objects(MemoryStore(NESTED), [], quick_pace(), handle)


# listings that never end ------------------------------------------------------------------------


class Looping(MemoryStore):
    """A server whose tokens form a loop.

    Args:
        following: the token that comes after each; the first is empty.
        looping: the prefix that is listed like this.
    """

    def __init__(self, following: Mapping[str, str], looping: str) -> None:
        super().__init__(NESTED, page_size=2)
        self._following = following
        self._looping = looping

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return the page that belongs to the token."""
        page = await super().list_page(prefix, delimiter=delimiter)
        if prefix != self._looping:
            return page
        return Page([RemoteObject(f"1hz/{token}", 1, "", 0)], [], self._following[token])


@pytest.mark.parametrize(
    "following",
    [{"": "A", "A": "A"}, {"": "A", "A": "B", "B": "A"}, {"": "A", "A": "B", "B": "C", "C": "B"}],
    ids=["A,A", "A,B,A,B", "A,B,C,B,C"],
)
@pytest.mark.parametrize("prefix", ["", "1hz/"])
async def test_repeated_token_is_an_error(prefix: str, following: Mapping[str, str]) -> None:
    """It is noticed at once, also if several tokens alternate."""
    store = Looping(following, prefix)
    with pytest.raises(ListingError, match="repeats itself"):
        await listed(store)
    assert store.count("list", prefix) < 100


async def test_repeated_page_of_the_discovery_is_an_error() -> None:
    """Its prefixes come a second time while they are still being listed."""
    store = MemoryStore(NESTED)
    store.always("list", "1hz/", Act(until=anyio.Event()))
    store.always("list", "", page("A", prefixes=["1hz/"]))
    with pytest.raises(ListingError, match="repeats itself"):
        await listed(store)


async def test_prefix_that_is_discovered_twice_is_listed_once() -> None:
    """Some servers roll up the same prefix on two pages."""
    store = MemoryStore(NESTED)
    first_listed = anyio.Event()
    store.on(
        "list",
        "",
        page("A", "a.parquet", prefixes=["1hz/"]),
        Act(before=first_listed.set, page=Page([], ["1hz/", "fft_hub1/"], "")),
    )
    store.on("list", "1hz/", Act(until=first_listed))
    assert sorted(await listed(store)) == [
        "1hz/2026/01/a.parquet",
        "1hz/b.parquet",
        "a.parquet",
        "fft_hub1/c.parquet",
    ]


async def test_some_empty_pages_are_no_error() -> None:
    """Filters and deleted keys leave such pages; the objects come after them."""
    store = MemoryStore()
    empty = [page(f"token {number}") for number in range(MOST_REPEATED_PAGES - 1)]
    store.on("list", "1hz/", *empty, page("", "1hz/a.parquet"))
    assert await listed(store, "1hz/") == ["1hz/a.parquet"]


@pytest.mark.parametrize("keys", [(), ("1hz/a.parquet", "1hz/b.parquet")], ids=["empty", "same"])
async def test_new_tokens_with_nothing_new_are_an_error(keys: tuple[str, ...]) -> None:
    """A server that always has another page, but never another key."""
    store = MemoryStore()
    store.on("list", "1hz/", *(page(f"token {number}", *keys) for number in range(5000)))
    with pytest.raises(ListingError, match="repeats itself"):
        await listed(store, "1hz/")
    assert store.count("list") < 5000


async def test_pages_may_contain_only_prefixes() -> None:
    """A bucket may contain only folders."""
    store = MemoryStore()
    names = [f"{number:03}/" for number in range(MOST_REPEATED_PAGES + 5)]
    pages = [page(name, prefixes=[name]) for name in names]
    store.on("list", "", page("more"), *pages, page(""))
    await listed(store)
    assert {r.key for r in store.requests} == {"", *names}
