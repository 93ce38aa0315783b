"""Keys that need the same path: `x` and `x/y` cannot both be files.

The folder wins and `x` is refused, whatever the order in which they are listed or would arrive. So
`x` must not start before it is certain that no key lies below `x/`. Keys come in order, so the page
itself usually tells: those keys would be next. If the page ends too early to tell, `x` waits for
the next pages. Only if keys are out of order, or `x/` is listed separately, the bucket is asked,
while everything else starts.

A file on the disk stays, though: if `x` is a file already, `x/y` is refused instead, in every run
until somebody moves the file away.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence
from itertools import pairwise

from asyncsync.concurrently import run_all
from asyncsync.errors import KeyCollisionError
from asyncsync.model import Compared, Failed, Reason, RemoteObject, Transfer

REQUESTS_AT_ONCE = 16
"""Requests about one page that are in flight at the same time."""

IsFolderNeeded = Callable[[str], Awaitable[bool]]
"""Returns whether the bucket has a key below a prefix that needs a folder there."""


class Collisions:
    """The collisions of one listing.

    Args:
        needs_folder: whether a key gets a file, so that its folders must exist.
        is_folder_needed: asks the bucket.
        rolled_up: prefixes whose keys come on pages of their own; grows with the listing.
    """

    def __init__(
        self,
        needs_folder: Callable[[str], bool],
        is_folder_needed: IsFolderNeeded,
        rolled_up: Container[str],
    ) -> None:
        self._needs_folder = needs_folder
        self._is_folder_needed = is_folder_needed
        self._rolled_up = rolled_up
        self._waiting: dict[str, Transfer] = {}
        """By the prefix of the keys that would win; usually at most one for each range."""

    def split(
        self, objects: Sequence[RemoteObject], page: Compared, complete_to: str
    ) -> tuple[Compared, list[Transfer]]:
        """Return what is certain by now, and the transfers to ask the bucket about.

        Args:
            objects: the page of the listing, including keys that are not selected.
            page: the same page, compared.
            complete_to: no later page adds a key between the page's first key and this one; empty
                if the server does not list keys in order.
        """
        keys = [remote.key for remote in objects]
        in_order = bool(complete_to) and all(one <= other for one, other in pairwise(keys))

        def has_winner(below: str) -> bool:
            return any(map(self._needs_folder, _starting_with(below, keys, in_order=in_order)))

        near = [
            below
            for below in self._waiting
            if not in_order or keys[0][: len(below)] <= below < keys[-1]
        ]
        refused = [_refuse(self._waiting.pop(below)) for below in near if has_winner(below)]
        transfers: list[Transfer] = []
        doubtful: list[Transfer] = []
        for transfer in page.transfers:
            below = transfer.remote.key + "/"
            self._waiting.pop(below, None)  # some servers list a key twice
            if transfer.reason is not Reason.MISSING:
                transfers.append(transfer)  # a file is there, so no folder can be
            elif has_winner(below):
                refused.append(_refuse(transfer))
            elif not in_order or below in self._rolled_up:
                doubtful.append(transfer)
            elif complete_to > below and not complete_to.startswith(below):
                transfers.append(transfer)
            else:
                self._waiting[below] = transfer
        return Compared(transfers, page.up_to_date, [*page.refused, *refused]), doubtful

    def release_up_to(self, complete_to: str) -> list[Transfer]:
        """Return the transfers that need not wait any more once all keys up to this one came."""
        passed = [b for b in self._waiting if complete_to > b and not complete_to.startswith(b)]
        return [self._waiting.pop(below) for below in passed]

    def release_all(self) -> list[Transfer]:
        """Return the transfers that still wait when the listing has ended."""
        return [*self._waiting.values()]

    async def resolve(self, doubtful: Sequence[Transfer]) -> Compared:
        """Ask the bucket about each transfer, several at the same time.

        Raises:
            SourceError: the bucket could not be listed.
        """
        resolved = Compared([], [], [])
        remaining = iter(doubtful)

        async def ask() -> None:
            for transfer in remaining:  # shared: each takes the next one
                if await self._is_folder_needed(transfer.remote.key + "/"):
                    resolved.refused.append(_refuse(transfer))
                else:
                    resolved.transfers.append(transfer)

        await run_all(*[ask] * min(len(doubtful), REQUESTS_AT_ONCE))
        return resolved


def _starting_with(prefix: str, keys: Sequence[str], *, in_order: bool) -> Iterator[str]:
    if not in_order:
        yield from (key for key in keys if key.startswith(prefix))
        return
    for place in range(bisect_left(keys, prefix), len(keys)):
        if not keys[place].startswith(prefix):
            return
        yield keys[place]


def _refuse(transfer: Transfer) -> Failed:
    key = transfer.remote.key
    return Failed(transfer.remote, KeyCollisionError(key, "other keys need a folder at its path"))
