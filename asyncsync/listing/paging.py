"""The pages of one listing, one after the other, with retries and a guard against endless ones."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from itertools import count

from asyncsync.errors import ConnectionLostError, ListingError, NetworkError, RetriesExhaustedError
from asyncsync.interfaces import Store
from asyncsync.keys import shown
from asyncsync.model import Page, RemoteObject
from asyncsync.pace import Pace

MOST_REPEATED_PAGES = 100
"""Pages in a row whose first key was first on an earlier page; empty pages do not count."""
MOST_EMPTY_PAGES = 1000
"""In a row; more than repeated ones, because filters and deleted keys leave empty pages."""


class Paging:
    """Lists a bucket page by page, and retries each request."""

    def __init__(self, store: Store, pace: Pace) -> None:
        self._store = store
        self._pace = pace

    async def first_page(self, prefix: str, *, delimiter: str = "", after: str = "") -> Page:
        """Return the first page of a prefix, or of the part of it after the key `after`.

        Raises:
            SourceError: it could not be listed.
        """
        return await self._page(prefix, delimiter, after, "")

    async def pages(
        self, prefix: str, *, delimiter: str = "", after: str = "", token: str = "", first: int = 1
    ) -> AsyncGenerator[Page, None]:
        """Yield the pages of a prefix, or of the part of it after the key `after`.

        With a token, begin with the page that it leads to; `first` is its number.

        Raises:
            SourceError: a page could not be listed, or the pages would never end.
        """
        tokens = {token} if token else set()
        firsts: set[str] = set()  # separate, because some servers use keys as tokens
        repeated = empty = 0
        for number in count(first):
            place = f", page {number}" * (number > 1) + f" after {shown(after)}" * bool(after)
            page = await self._page(prefix, delimiter, after, token, place)
            yield page
            token = page.next_token
            if not token:
                return
            begins = page.objects[0].key if page.objects else "".join(page.prefixes[:1])
            if not begins:
                empty += 1
            else:
                empty = 0
                repeated = repeated + 1 if begins in firsts else 0
            if token in tokens or repeated >= MOST_REPEATED_PAGES or empty > MOST_EMPTY_PAGES:
                raise ListingError(f"{describe(prefix)}: the listing repeats itself and never ends")
            tokens.add(token)
            firsts.add(begins)
            del page  # half a megabyte, which is not to be held while the next one is read

    async def _page(
        self, prefix: str, delimiter: str, after: str, token: str, place: str = ""
    ) -> Page:
        fetch = partial(
            self._store.list_page, prefix, delimiter=delimiter, start_after=after, token=token
        )
        try:
            page = await self._pace.tries(prefix).run(fetch)
        except ListingError as error:
            raise ListingError(f"{describe(prefix)}{place}: {error}") from error
        except RetriesExhaustedError as error:
            lost = isinstance(error.__cause__, ConnectionLostError)
            kind = NetworkError if lost else ListingError
            raise kind(f"{describe(prefix)} cannot be listed{place}: {error}") from error
        self._pace.note_progress()
        return page


def describe(prefix: str) -> str:
    """Return how a message names what is listed."""
    return f"prefix {shown(prefix)}" if prefix else "the bucket"


async def has_object(
    store: Store, pace: Pace, matches: Callable[[RemoteObject], bool], prefix: str
) -> bool:
    """Return whether the bucket has a matching object whose key starts with the prefix.

    Raises:
        SourceError: the prefix could not be listed.
    """
    async with aclosing(Paging(store, pace).pages(prefix)) as pages:
        async for page in pages:
            below = [remote for remote in page.objects if remote.key.startswith(prefix)]
            if any(map(matches, below)):
                return True
            if page.objects and not below:
                break  # the server ignores the prefix, and may list other keys for a long time
    return False
