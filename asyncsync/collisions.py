"""Keys that want one path: `x` and `x/y` cannot both be files.

The folder wins, and `x` is refused, in whatever order they are listed and whichever would arrive
first. So `x` may not begin before it is known that no key lies below `x/`. Keys come in order,
and the page itself mostly tells: its next keys would be those. Where it ends too early to tell, or
is out of order, the bucket is asked, while all others begin. That is one request for a thousand
objects to fetch, and none where nothing is to be fetched.

What lies on the disk stays, though: where `x` is a file already, `x/y` is refused instead, in every
run until somebody moves the file away.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence
from itertools import pairwise

from asyncsync.concurrently import together
from asyncsync.errors import KeyCollisionError, TransferError
from asyncsync.model import Compared, Failed, Reason, RemoteObject, Transfer

QUESTIONS = 16
"""Requests at once about one page."""

IsNeeded = Callable[[str], Awaitable[bool]]
"""Tells whether the bucket has a key below a prefix that needs a folder there."""


def parted(
    objects: Sequence[RemoteObject],
    page: Compared,
    needs_folder: Callable[[str], bool],
    rolled_up: Container[str],
) -> tuple[Compared, list[Transfer]]:
    """Return the page with all that it tells by itself, and the transfers that it leaves in doubt.

    Args:
        objects: the page of the listing, with what does not count.
        page: what came of it.
        needs_folder: whether the file of a key below a folder is going to be there.
        rolled_up: prefixes whose keys are on other pages.
    """
    keys = [remote.key for remote in objects]
    in_order = all(one < other for one, other in pairwise(keys))
    transfers: list[Transfer] = []
    refused: list[Failed] = []
    doubtful: list[Transfer] = []
    for transfer in page.transfers:
        below = transfer.remote.key + "/"
        if transfer.reason is not Reason.MISSING:
            transfers.append(transfer)  # its own file is what lies there
        elif any(map(needs_folder, _starting_with(below, keys, in_order=in_order))):
            refused.append(_refused(transfer))
        elif (
            in_order
            and below not in rolled_up
            and keys[-1] > below
            and not keys[-1].startswith(below)
        ):
            transfers.append(transfer)
        else:
            doubtful.append(transfer)
    return Compared(transfers, page.up_to_date, [*page.refused, *refused]), doubtful


def _starting_with(prefix: str, keys: Sequence[str], *, in_order: bool) -> Iterator[str]:
    if not in_order:
        yield from (key for key in keys if key.startswith(prefix))
        return
    for place in range(bisect_left(keys, prefix), len(keys)):
        if not keys[place].startswith(prefix):
            return
        yield keys[place]


async def settled(doubtful: Sequence[Transfer], is_needed: IsNeeded) -> Compared:
    """Ask the bucket about the transfers that are in doubt."""
    settled = Compared([], [], [])
    waiting = iter(doubtful)

    async def ask() -> None:
        for transfer in waiting:  # shared by all: each takes the next that nobody has
            try:
                if await is_needed(transfer.remote.key + "/"):
                    settled.refused.append(_refused(transfer))
                else:
                    settled.transfers.append(transfer)
            except TransferError as error:
                settled.refused.append(Failed(transfer.remote, error))

    await together(*[ask] * min(len(doubtful), QUESTIONS))
    return settled


def _refused(transfer: Transfer) -> Failed:
    key = transfer.remote.key
    return Failed(transfer.remote, KeyCollisionError(key, "other keys need a folder of its name"))
