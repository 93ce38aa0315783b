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
    IncompleteListingError,
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

    with anyio.fail_after(25):
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
async def test_whole_bucket_is_listed_without_a_delimiter(page_size: int) -> None:
    """Objects in the root, nested keys and folder markers; the folders only say where to cut."""
    store = MemoryStore(NESTED, page_size=page_size)
    assert sorted(await listed(store)) == sorted(NESTED)
    assert {(r.key, r.delimiter) for r in store.requests} == {("", ""), ("", "/")}


@pytest.mark.parametrize("objects", [{}, NESTED], ids=["empty", "nested"])
async def test_bucket_of_one_page_takes_one_request(objects: Mapping[str, bytes]) -> None:
    """Nothing is asked that only a longer listing needs."""
    store = MemoryStore(objects)
    assert await listed(store) == sorted(objects)
    assert store.count("list") == 1


async def test_next_page_is_requested_before_the_first_one_is_handled() -> None:
    """The first page may wait for a disk or a queue, while the rest is listed."""
    store = MemoryStore(NESTED, page_size=2)
    requested = anyio.Event()
    store.on("list", "", Act(), Act(before=requested.set))

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        await requested.wait()

    with anyio.fail_after(25):
        await list_objects(store, [], quick_pace(), handle)


@pytest.mark.row(130)
async def test_keys_out_of_order_take_no_more_requests_than_pages() -> None:
    """If the first page shows it, the listing is not cut, and no folders are asked for."""
    store = MemoryStore(NESTED, page_size=2, order=lambda key: [-byte for byte in key.encode()])
    assert sorted(await listed(store)) == sorted(NESTED)
    assert store.count("list") == 3


@pytest.mark.row(159)
async def test_page_of_ten_thousand_falling_keys_takes_one_request() -> None:
    """They are listed as they come."""
    keys = [f"{number:05}" for number in range(10_000)]
    store = MemoryStore(
        dict.fromkeys(keys, b"x"), page_size=10_000, order=lambda key: [-int(key or 0)]
    )
    assert await listed(store) == keys[::-1]
    assert store.count("list") == 1


@pytest.mark.row(136)
@pytest.mark.parametrize("name", ["{:04}/x", "{0:04}-{0:04}/a/b"])
async def test_folders_of_one_object_take_at_most_two_requests_a_page(name: str) -> None:
    """A folder is no reason for a request."""
    keys = [name.format(number) for number in range(2000)]
    store = MemoryStore(dict.fromkeys(keys, b"x"), page_size=100)
    assert sorted(await listed(store)) == keys
    assert store.count("list") <= 40


async def test_folders_show_where_to_cut() -> None:
    """All are listed at the same time from the third round trip on."""
    keys = [f"p{prefix}/{number:03}" for prefix in range(8) for number in range(100)]
    store = MemoryStore(dict.fromkeys(keys, b"x"), page_size=10)
    assert sorted(await listed(store)) == keys
    begun = {r.start_after[:2] for r in store.requests[:12]}
    assert begun >= {f"p{number}" for number in range(7)}
    assert store.count("list") <= 120


async def test_server_that_lists_no_folders_is_listed_without() -> None:
    """Only listings without a delimiter have to work."""
    store = MemoryStore(dict.fromkeys("abcdef", b"x"), page_size=2)
    store.on("list", "", Act(), Act(), Act(error=ListingError("no delimiters")), *[Act()] * 9)
    assert sorted(await listed(store)) == list("abcdef")


async def test_given_prefixes_are_listed_and_nothing_else() -> None:
    """A prefix need not end in a slash."""
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
    with anyio.fail_after(25):
        await list_objects(store, prefixes, quick_pace(workers=64), handle)
    assert most == LISTS_AT_ONCE


async def test_page_waits_until_the_one_before_is_handled() -> None:
    """A slow handler is not flooded with pages: of the rest, one is requested ahead."""
    store = MemoryStore(dict.fromkeys("dcba", b"x"), page_size=1, order=lambda key: [-ord(key)])
    asked: list[int] = []

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        await anyio.wait_all_tasks_blocked()
        asked.append(sum(not request.delimiter for request in store.requests))

    await list_objects(store, ["d", "c", "b", "a"], quick_pace(), handle)
    assert asked == [4, 4, 4, 4]


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
    store.on("list", "", Act(), Act(error=error), *[Act()] * 9)
    assert await listed(store) == ["a", "b", "c"]
    asked = [(r.delimiter, r.token) for r in store.requests]
    assert sorted(asked) == [("", ""), ("", "b"), ("", "b"), ("/", ""), ("/", "b")]


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
        await listed(store, prefix)
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__cause__ is last
    assert store.count("list", prefix) == 3


async def test_error_about_the_source_is_not_retried() -> None:
    """Wrong credentials stay wrong."""
    store = MemoryStore(NESTED, page_size=2)
    store.always("list", "fft_hub1/", Act(error=AuthError("no")))
    with pytest.raises(AuthError, match=r"^no$"):
        await listed(store, "1hz/", "fft_hub1/")
    assert store.count("list", "fft_hub1/") == 1


async def test_failed_prefix_ends_the_others() -> None:
    """The run is over, so nothing waits for them."""
    store = MemoryStore(NESTED, page_size=2)
    store.always("list", "1hz/", Act(until=anyio.Event()))
    store.always("list", "fft_hub1/", Act(error=AuthError("no")))
    with pytest.raises(AuthError):
        await listed(store, "1hz/", "fft_hub1/")


async def test_first_page_is_handled_even_if_the_rest_fails() -> None:
    """What it showed is not lost."""
    store = MemoryStore(NESTED, page_size=2)
    failed = anyio.Event()
    store.on("list", "", Act(), *[Act(before=failed.set, error=AuthError("no"))] * 3)
    keys: list[str] = []

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        await failed.wait()
        await anyio.wait_all_tasks_blocked()
        keys.extend(remote.key for remote in objects)

    with pytest.raises(AuthError):
        await list_objects(store, [], quick_pace(), handle)
    assert keys == sorted(NESTED)[:2]


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


@pytest.mark.row(130)
async def test_folder_that_only_the_list_of_folders_shows_is_looked_for() -> None:
    """Its keys are handled, and the run fails, because the pages of all keys left them out."""
    store = MemoryStore(NESTED, page_size=2)
    store.on("list", "", page("A", "a"), page("", "b"), page("", prefixes=["1hz/", "none/"]))
    store.on("list", "1hz/", page("", "1hz/x"))
    keys: list[str] = []

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        keys.extend(remote.key for remote in objects)

    with pytest.raises(IncompleteListingError, match=r"the bucket: .*1 key in one listing"):
        await list_objects(store, [], quick_pace(), handle)
    assert sorted(keys) == ["1hz/x", "a", "b"]


@pytest.mark.row(130)
async def test_folder_that_the_list_of_folders_leaves_out_is_told_of() -> None:
    """Once, and it is listed like any other."""
    store = MemoryStore(NESTED, page_size=2)
    store.on("list", "", Act(), Act(), page("", prefixes=["fft_hub1/", "fft_hub2/"]), *[Act()] * 9)
    notices: list[str] = []
    keys: list[str] = []

    async def handle(objects: Sequence[RemoteObject], complete_to: str) -> None:
        keys.extend(remote.key for remote in objects)

    await list_objects(store, [], quick_pace(), handle, notice=notices.append)
    assert sorted(keys) == sorted(NESTED)
    assert [notice.partition(", such as ")[2] for notice in notices] == [
        "1hz/; so every key is listed"
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
