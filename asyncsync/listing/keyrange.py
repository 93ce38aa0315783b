"""One range of keys: where it starts and ends, and what its pages have shown."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from operator import lt

from asyncsync.keys import key_hashes
from asyncsync.listing.cuts import are_utf8
from asyncsync.listing.hashes import Hashes, Spill
from asyncsync.model import Page, RemoteObject


class KeyRange:
    """The keys after `after`, up to and including `until`, if that is given.

    Args:
        after: the key that the first page is requested after; empty for the start.
        until: where it ends; it is moved forward when the range is cut.
        following: the range after it.
        is_surveyed: whether cuts were guessed here before.
        spill: where the hashes of its keys are, beside those of other ranges; empty for a new one.
    """

    def __init__(
        self,
        after: str,
        until: str | None = None,
        following: "KeyRange | None" = None,
        *,
        is_surveyed: bool = False,
        spill: Spill | None = None,
    ) -> None:
        self.after = self.last = after
        """`last` is the last key that was shown inside of the range."""
        self.until = until
        self.following = following
        self.is_surveyed = is_surveyed
        self.firsts: list[str] = []
        """The first key of each page."""
        self.hashes = Hashes(spill or Spill())
        """Of the keys inside."""
        self.hashes_beyond = array("q")
        self.beyond: list[RemoteObject] = []
        """What a page showed behind the end. The following range has to show it as well."""
        self.pages = 0
        self.token = ""
        """Where its listing goes on; empty if it has ended."""
        self.is_listed = False
        """Whether its pages have reached its end."""

    def continues(self, objects: Sequence[RemoteObject]) -> bool:
        """Return whether a page is in order, and after all that this range has shown."""
        keys = [self.last, *(remote.key for remote in objects)]
        return all(map(lt, keys, islice(keys, 1, None))) and are_utf8(keys)

    def take(self, page: Page) -> list[RemoteObject]:
        """Take a page that continues the range; return what of it is inside."""
        self.token = page.next_token
        objects = page.objects
        if not objects:
            self.is_listed = not self.token
            return objects
        self.firsts.append(objects[0].key)
        inside = objects
        if (until := self.until) is not None and objects[-1].key > until:
            inside = [remote for remote in objects if remote.key <= until]
            self.beyond = objects[len(inside) :]
            self.hashes_beyond.extend(key_hashes([remote.key for remote in self.beyond]))
        if inside:
            self.last = inside[-1].key
            self.hashes.extend(key_hashes([remote.key for remote in inside]))
        self.is_listed = bool(self.beyond) or not self.token
        return inside

    def followers(self) -> Iterator["KeyRange"]:
        """Yield the ranges after this one, in order."""
        follower = self.following
        while follower:
            yield follower
            follower = follower.following

    def agrees(self, expected: Sequence[RemoteObject]) -> bool:
        """Return whether the ranges after this one begin with what was expected, and so far only.

        If the listing of this range has ended, nothing else may follow.
        """
        hashes = key_hashes([remote.key for remote in expected])
        shown = chain.from_iterable(follower.hashes for follower in self.followers())
        return list(islice(shown, len(hashes) + (not self.token))) == hashes
