"""Asks the bucket whether objects are gone, before their files are deleted.

A listing may lack an object, for a fault of the server or because it was made a moment later. So it
is asked about each, and only its answer that there is none counts as one: not that of a proxy, or
of a gateway that knows nothing of the bucket.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from asyncsync.concurrently import task_group
from asyncsync.errors import TransferError, VanishedError
from asyncsync.interfaces import Store
from asyncsync.pace import Pace


async def find_unconfirmed(keys: Sequence[str], store: Store, pace: Pace) -> dict[str, str]:
    """Return those of the keys of which the bucket does not say that it has no object, and why.

    Raises:
        SourceError: the endpoint or the credentials failed.
    """
    found: dict[str, str] = {}
    waiting = iter(keys)
    async with task_group() as group:
        for _ in range(min(len(keys), pace.most)):
            group.start_soon(_ask_about_each, waiting, found, store, pace)
    return found


async def _ask_about_each(
    keys: Iterator[str], found: dict[str, str], store: Store, pace: Pace
) -> None:
    for key in keys:
        tries = pace.tries(key, pace.slot)
        try:
            async with pace.slot:
                await tries.run(partial(store.head, key))
            found[key] = "the bucket has it"
        except VanishedError as error:
            if not error.is_certain:
                found[key] = "the answer (404) does not say that there is no such object"
        except TransferError as error:
            found[key] = str(error)
        pace.note_object(0)
