"""Keys that want one path: `x` and `x/y` cannot both be files.

The folder wins, and `x` is refused, in whatever order they are listed and whichever would arrive
first. So `x` may not begin before it is known that no key lies below `x/`. Keys come in order,
and the page itself mostly tells: its next keys would be those. Where it ends too early to tell,
`x` waits for the pages to come. Only where keys are out of order, or a prefix `x/` is listed by
others, is the bucket asked, while all others begin.

What lies on the disk stays, though: where `x` is a file already, `x/y` is refused instead, in every
run until somebody moves the file away.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence
from itertools import pairwise

from asyncsync.concurrently import run_all
from asyncsync.errors import KeyCollisionError
from asyncsync.model import Compared, Failed, Reason, RemoteObject, Transfer

QUESTIONS = 16
"""Requests at once about one page."""

IsNeeded = Callable[[str], Awaitable[bool]]
"""Tells whether the bucket has a key below a prefix that needs a folder there."""


class Collisions:
    """The collisions of one listing.

    Args:
        needs_folder: whether the file of a key below a folder is going to be there.
        is_needed: asks the bucket.
        rolled_up: prefixes whose keys are on pages of their own; grows with the listing.
    """

    def __init__(
        self,
        needs_folder: Callable[[str], bool],
        is_needed: IsNeeded,
        rolled_up: Container[str],
    ) -> None:
        self._needs_folder = needs_folder
        self._is_needed = is_needed
        self._rolled_up = rolled_up
        self._waiting: dict[str, Transfer] = {}
        """By the prefix of the keys that would win: one of a page at most, as a rule."""

    def parted(
        self, objects: Sequence[RemoteObject], page: Compared, complete_to: str
    ) -> tuple[Compared, list[Transfer]]:
        """Return all that is certain by now, and the transfers to ask the bucket about.

        Args:
            objects: the page of the listing, with what does not count.
            page: what came of it.
            complete_to: the key up to which all keys behind the page's first are on it; empty where
                the listing keeps no order.
        """
        keys = [remote.key for remote in objects]
        in_order = bool(complete_to) and all(one <= other for one, other in pairwise(keys))

        def wins(below: str) -> bool:
            return any(map(self._needs_folder, _starting_with(below, keys, in_order=in_order)))

        near = [
            below
            for below in self._waiting
            if not in_order or keys[0][: len(below)] <= below < keys[-1]
        ]
        refused = [_refused(self._waiting.pop(below)) for below in near if wins(below)]
        transfers: list[Transfer] = []
        doubtful: list[Transfer] = []
        for transfer in page.transfers:
            below = transfer.remote.key + "/"
            self._waiting.pop(below, None)  # some servers list a key twice
            if transfer.reason is not Reason.MISSING:
                transfers.append(transfer)  # its own file is what lies there
            elif wins(below):
                refused.append(_refused(transfer))
            elif not in_order or below in self._rolled_up:
                doubtful.append(transfer)
            elif complete_to > below and not complete_to.startswith(below):
                transfers.append(transfer)
            else:
                self._waiting[below] = transfer
        return Compared(transfers, page.up_to_date, [*page.refused, *refused]), doubtful

    def passed(self, complete_to: str) -> list[Transfer]:
        """Return what no longer has to wait where all keys up to this one were listed by now."""
        passed = [b for b in self._waiting if complete_to > b and not complete_to.startswith(b)]
        return [self._waiting.pop(below) for below in passed]

    def rest(self) -> list[Transfer]:
        """Return what has waited until no more pages came."""
        return [*self._waiting.values()]

    async def settled(self, doubtful: Sequence[Transfer]) -> Compared:
        """Ask the bucket about the transfers that are in doubt."""
        settled = Compared([], [], [])
        remaining = iter(doubtful)

        async def ask() -> None:
            for transfer in remaining:  # shared by all: each takes the next that nobody has
                if await self._is_needed(transfer.remote.key + "/"):
                    settled.refused.append(_refused(transfer))
                else:
                    settled.transfers.append(transfer)

        await run_all(*[ask] * min(len(doubtful), QUESTIONS))
        return settled


def _starting_with(prefix: str, keys: Sequence[str], *, in_order: bool) -> Iterator[str]:
    if not in_order:
        yield from (key for key in keys if key.startswith(prefix))
        return
    for place in range(bisect_left(keys, prefix), len(keys)):
        if not keys[place].startswith(prefix):
            return
        yield keys[place]


def _refused(transfer: Transfer) -> Failed:
    key = transfer.remote.key
    return Failed(transfer.remote, KeyCollisionError(key, "other keys need a folder of its name"))
