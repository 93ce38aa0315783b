"""The top-level folders of what is listed, as a listing with a delimiter names them.

They say where to cut, and nothing else. Some servers leave folders out of such a listing, such as
those that hold only folders, so it never says that there is nothing else. What it does show is not
forgotten: a folder or an object that the other pages never showed is looked for in the end.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from contextlib import aclosing

from asyncsync.errors import ListingError
from asyncsync.keys import count_folders
from asyncsync.listing.cuts import HIGHEST, can_be_asked
from asyncsync.listing.keyrange import KeyRange
from asyncsync.listing.paging import Paging
from asyncsync.model import RemoteObject

MOST_PAGES = 2
"""Pages of the listing with a delimiter that are requested: more of them would save nothing."""


class Outline:
    """The folders directly below a prefix, as far as they are known.

    Args:
        prefix: what is listed.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._seen: set[str] = set()
        """The folders on pages of the other listing that came before the outline."""
        self.is_known = False
        """Whether it has been asked for, and has come."""
        self._folders: list[str] = []
        self.objects: list[RemoteObject] = []
        """What the outline showed beside the folders."""
        self.unseen: set[str] = set()
        """The folders of which no page of the other listing has shown a key."""
        self.left_out: list[str] = []
        """The folders that it should have named, and did not."""
        self.requests = 0

    async def ask(self, paging: Paging) -> None:
        """Request it.

        A server that refuses such a listing can be listed without.

        Raises:
            SourceError: about the endpoint or the credentials.
        """
        folders: set[str] = set()
        is_complete = False
        try:
            async with aclosing(paging.pages(self._prefix, delimiter="/")) as pages:
                async for page in pages:
                    self.requests += 1
                    folders.update(page.prefixes)
                    self.objects += page.objects
                    is_complete = not page.next_token
                    if self.requests == MOST_PAGES:
                        break
        except ListingError:
            self.requests += 1
        self._folders = sorted(filter(can_be_asked, folders))
        self.unseen = folders - self._seen
        if is_complete:
            self.left_out = sorted(self._seen - folders)
        self.is_known = True
        self._seen.clear()

    def note(self, objects: Sequence[RemoteObject]) -> None:
        """Remember of which folders a page of the other listing has shown a key."""
        if self.is_known and not self.unseen:
            return
        shown = set(count_folders([remote.key for remote in objects], len(self._prefix)))
        shown.discard("")
        if self.is_known:
            self.unseen -= shown
        else:
            self._seen |= shown

    def cuts(self, keys: KeyRange, until: str, most: int) -> list[str]:
        """Return at most `most` cuts of what is left of a range, each behind a folder, ascending.

        A folder is taken to be as large as those that the range has passed, and a piece is to have
        two pages.

        Args:
            keys: the range; it has had a page.
            until: where it ends.
            most: how many.
        """
        start, end = bisect_right(self._folders, keys.last), bisect_left(self._folders, until)
        left = end - start
        passed = start - bisect_right(self._folders, keys.firsts[0])
        pages = len(keys.firsts)
        worth = left * pages // (2 * (passed + 1)) if passed or pages > 1 else left
        number = min(most, worth, left)
        found: list[str] = []
        for place in (start + left * index // number for index in range(number)):
            before = self._folders[place - 1] + HIGHEST if place else ""
            found.append(before if before > keys.last else self._folders[place])
        return found
