"""The pages of one listing: each once, with retries, and not endlessly."""

from collections.abc import Callable

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsync.errors import ConnectionLostError, ListingError, NetworkError, ServerError
from asyncsync.listing.paging import MOST_EMPTY_PAGES, MOST_REPEATED_PAGES, Paging
from asyncsync.model import Page, RemoteObject
from tests.rigs.memory_store import Act, MemoryStore, Request
from tests.rigs.watch import quick_pace

pytestmark = pytest.mark.anyio


async def listed(
    store: MemoryStore, prefix: str = "", *, delimiter: str = "", after: str = ""
) -> list[Page]:
    """Return all pages."""
    with anyio.fail_after(25):
        pages = Paging(store, quick_pace()).pages(prefix, delimiter=delimiter, after=after)
        return [page async for page in pages]


def scripted(page_of: Callable[[int], Page]) -> MemoryStore:
    """Return a store whose n-th page is `page_of(n)`."""
    store = MemoryStore()
    store.on("list", "", *(Act(page=page_of(number)) for number in range(3000)))
    return store


def of(*keys: str, token: str = "", prefixes: tuple[str, ...] = ()) -> Page:
    return Page([RemoteObject(key, 1, "", 0) for key in keys], list(prefixes), token)


async def test_every_page_is_requested_with_the_token_of_the_one_before() -> None:
    """Prefix, delimiter and start key are the same for all pages."""
    store = MemoryStore(dict.fromkeys("abcde", b""), page_size=2)
    pages = await listed(store, delimiter="/", after="a")
    assert [remote.key for page in pages for remote in page.objects] == list("bcde")
    assert store.requests == [
        Request("list", "", delimiter="/", start_after="a"),
        Request("list", "", delimiter="/", start_after="a", token="c"),
    ]


@settings(max_examples=30)
@given(
    count=st.integers(1, 130),
    token_of=st.sampled_from(
        [
            lambda number: f"{number - 1:04}z",
            lambda number: f"{number:04}",  # the first key of the next page
            lambda number: f"{number - 1:04}",  # the first key of this page
            lambda number: "x" * number,
        ]
    ),
)
def test_tokens_may_be_anything_that_is_new(count: int, token_of: Callable[[int], str]) -> None:
    """Even keys: tokens are compared with tokens only, and keys with keys."""
    store = scripted(
        lambda number: of(f"{number:04}", token=token_of(number + 1) if number < count - 1 else "")
    )
    assert len(anyio.run(listed, store)) == count


async def test_page_is_yielded_before_its_token_is_checked() -> None:
    """Its objects exist, whatever comes next."""
    pages = Paging(scripted(lambda _: of("a", token="A")), quick_pace()).pages("")
    assert await anext(pages) == await anext(pages) == of("a", token="A")
    with pytest.raises(ListingError, match="the bucket: the listing repeats itself"):
        await anext(pages)


@pytest.mark.row(64)
@pytest.mark.parametrize("more", [0, 1])
async def test_a_thousand_empty_pages_in_a_row_and_no_more(more: int) -> None:
    """Filters and deleted keys leave such pages; the objects come after them."""

    def page(number: int) -> Page:
        empty = number < MOST_EMPTY_PAGES + more
        return of(token=f"token {number}") if empty else of("a")

    if more:
        with pytest.raises(ListingError):
            await listed(scripted(page))
    else:
        assert (await listed(scripted(page)))[-1] == of("a")


@pytest.mark.row(65)
@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("rolled_up", [True, False])
async def test_a_hundred_repeated_pages_and_no_more(more: int, rolled_up: bool) -> None:
    """Empty pages between them do not reset the count."""
    without_news = 0

    def page(number: int) -> Page:
        nonlocal without_news
        if number % 2:
            return of(token=f"token {number}")
        without_news += number > 0
        if without_news == MOST_REPEATED_PAGES + more:
            return of("new")
        token = f"token {number}"
        return of(token=token, prefixes=("same/",)) if rolled_up else of("same", token=token)

    if more:
        with pytest.raises(ListingError):
            await listed(scripted(page))
    else:
        assert (await listed(scripted(page)))[-1] == of("new")


async def test_retry_repeats_the_page_and_no_other() -> None:
    """With the same token."""
    store = MemoryStore(dict.fromkeys("ab", b""), page_size=1)
    store.on("list", "", Act(), Act(error=ServerError("failed")))
    assert len(await listed(store)) == 2
    assert [request.token for request in store.requests] == ["", "a", "a"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ServerError("failed"), ListingError), (ConnectionLostError("cut"), NetworkError)],
)
@pytest.mark.parametrize(("prefix", "named"), [("", "the bucket"), ("a\n/", r"prefix a\n/")])
async def test_page_that_fails_ends_the_listing(
    error: ServerError, kind: type[Exception], prefix: str, named: str
) -> None:
    """The message names the prefix, on one line; a lost connection is a network error."""
    store = MemoryStore()
    store.always("list", prefix, Act(error=error))
    with pytest.raises(kind) as caught:
        await listed(store, prefix)
    assert str(caught.value).startswith(f"{named} cannot be listed: given up after 3 attempts: ")


async def test_error_of_the_page_itself_names_the_prefix() -> None:
    """The message says what is wrong with the page as well."""
    store = MemoryStore()
    store.always("list", "1hz/", Act(error=ListingError("nothing follows")))
    with pytest.raises(ListingError, match="prefix 1hz/: nothing follows"):
        await listed(store, "1hz/")


async def test_page_that_is_not_the_first_is_named_by_its_place() -> None:
    """By its number, and by the key after which the listing started."""
    store = MemoryStore(dict.fromkeys("bcd", b""), page_size=1)
    store.on("list", "", Act(), *[Act(error=ServerError("failed"))] * 3)
    with pytest.raises(ListingError, match=r"the bucket cannot be listed, page 2 after a\\n: "):
        await listed(store, after="a\n")
