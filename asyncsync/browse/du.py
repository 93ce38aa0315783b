"""How much lies below each prefix, and how much of it is here."""

from collections.abc import Sequence

from asyncsync.browse.entries import Seen, Usage, never, states
from asyncsync.compare import compare_page
from asyncsync.listing import list_objects, without_overlap
from asyncsync.model import RemoteObject
from asyncsync.pipeline import Job


async def du(job: Job, *, depth: int, usages: dict[str, Usage]) -> None:
    """Add up what lies below the prefixes of a job, and what of it is here. Writes nothing.

    The observer is told of prefixes below which there is nothing, and how much is not selected.

    Args:
        job: where to look, and which objects count.
        depth: so many levels below a prefix, folders are counted as one.
        usages: gets the figures by folder; those of objects right below a prefix under its own.

    Raises:
        SourceError: the bucket could not be listed to its end.
        DestinationError: the destination could not be read.
    """
    seen = Seen(job.selection, job.observer)
    prefixes = without_overlap(job.selection.prefixes) or [""]

    async def add(objects: Sequence[RemoteObject], _: str) -> None:
        selected = seen.select(objects)
        here = states(await compare_page(selected, job.folder, never, job.compare))
        for remote in selected:
            prefix = next(each for each in prefixes if remote.key.startswith(each))
            folder = _folder_of(remote.key, prefix, depth)
            usages.setdefault(folder, Usage()).add(remote, here[remote.key])

    with job.folder.reading():
        await list_objects(job.store, prefixes, job.pace, add, notice=job.observer.noticed)
    seen.end()


def _folder_of(key: str, prefix: str, depth: int) -> str:
    """Return the folder of a key, so many levels below the prefix at most."""
    end = len(prefix)
    for _ in range(depth):
        if not (slash := key.find("/", end) + 1):
            return key[: key.rfind("/") + 1]
        end = slash
    return key[:end]
