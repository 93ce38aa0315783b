"""The pages of one listing, one after the other: retried, and guarded against going on for ever."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from itertools import count

from asyncsync.errors import ConnectionLostError, ListingError, NetworkError, RetriesExhaustedError
from asyncsync.interfaces import Store
from asyncsync.keys import shown
from asyncsync.model import Page
from asyncsync.pace import Pace

MOST_PAGES_WITHOUT_NEWS = 100
MOST_EMPTY_PAGES = 1000
"""More than the others, since filters and deleted keys leave empty pages."""


class Paging:
    """Lists a bucket page by page."""

    def __init__(self, store: Store, pace: Pace) -> None:
        self._store = store
        self._pace = pace

    async def first(self, prefix: str) -> Page:
        """Return the first page of a prefix.

        Raises:
            SourceError: it could not be had.
        """
        return await self._page(prefix, "", "", "")

    async def pages(
        self, prefix: str, *, delimiter: str = "", after: str = ""
    ) -> AsyncGenerator[Page, None]:
        """Yield the pages of a prefix, or of the part of it behind the key `after`.

        Raises:
            SourceError: a page could not be had, or the pages would never end.
        """
        token = ""
        tokens: set[str] = set()
        firsts: set[str] = set()  # apart from the tokens: those of some servers are keys
        without_news = empty = 0
        for number in count(1):
            place = f", page {number}" * (number > 1) + f" behind {shown(after)}" * bool(after)
            page = await self._page(prefix, delimiter, after, token, place)
            yield page
            token = page.next_token
            if not token:
                return
            first = page.objects[0].key if page.objects else "".join(page.prefixes[:1])
            if not first:
                empty += 1
            else:
                empty = 0
                without_news = without_news + 1 if first in firsts else 0
            if (
                token in tokens
                or without_news >= MOST_PAGES_WITHOUT_NEWS
                or empty > MOST_EMPTY_PAGES
            ):
                raise ListingError(f"{_named(prefix)}: the listing repeats itself, without an end")
            tokens.add(token)
            firsts.add(first)

    async def _page(
        self, prefix: str, delimiter: str, after: str, token: str, place: str = ""
    ) -> Page:
        fetch = partial(
            self._store.list_page, prefix, delimiter=delimiter, start_after=after, token=token
        )
        try:
            return await self._pace.tries(prefix).run(fetch)
        except ListingError as error:
            raise ListingError(f"{_named(prefix)}{place}: {error}") from error
        except RetriesExhaustedError as error:
            lost = isinstance(error.__cause__, ConnectionLostError)
            kind = NetworkError if lost else ListingError
            raise kind(f"{_named(prefix)} cannot be listed{place}: {error}") from error


def _named(prefix: str) -> str:
    return f"prefix {shown(prefix)}" if prefix else "the bucket"


async def has_key(store: Store, pace: Pace, matches: Callable[[str], bool], prefix: str) -> bool:
    """Return whether the bucket has a key below the prefix that matches.

    Raises:
        SourceError: the prefix cannot be listed.
    """
    async with aclosing(Paging(store, pace).pages(prefix)) as pages:
        async for page in pages:
            below = [remote.key for remote in page.objects if remote.key.startswith(prefix)]
            if any(map(matches, below)):
                return True
            if page.objects and not below:
                break  # the server lists what it likes, and perhaps for ever
    return False
