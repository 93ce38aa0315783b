"""What lies below a prefix, in the order of the bucket: objects, and folders at the deepest level.

Each page is shown as it comes, so a listing of any length takes the memory of a page.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import groupby

from asyncsync.browse.entries import Entry, ListedFolder, ListedObject, Seen, never, states
from asyncsync.compare import compare_page
from asyncsync.listing import Paging, without_overlap
from asyncsync.model import RemoteObject
from asyncsync.pipeline import Job

MOST_LEVELS = 100
"""Levels of folders to go into at most, one by one; without a limit all keys are listed at once."""

Show = Callable[[Sequence[Entry]], Awaitable[None]]
"""Takes the entries of a page; may wait."""

Found = RemoteObject | str
"""An object; or a prefix, whose keys are rolled up."""


async def ls(job: Job, *, depth: int | None, show: Show) -> None:
    """Show what lies below the prefixes of a job, and what of it is here. Writes nothing.

    The observer is told of prefixes below which there is nothing, and how much is not selected.

    Args:
        job: where to look, and which objects to show. A folder is shown whatever is in it.
        depth: so many levels below a prefix, folders are rolled up; None shows all objects.
        show: gets each page.

    Raises:
        SourceError: the bucket could not be listed to its end.
        DestinationError: the destination could not be read.
    """
    paging, seen = Paging(job.store, job.pace), Seen(job.selection, job.observer)
    with job.folder.reading():
        for prefix in without_overlap(job.selection.prefixes) or [""]:
            async for page in _walk(paging, prefix, depth):
                objects = [each for each in page if not isinstance(each, str)]
                folders = [each for each in page if isinstance(each, str)]
                selected = seen.select(objects, folders)
                found = await compare_page(selected, job.folder, never, job.compare)
                here = states(found)
                keys = {remote.key for remote in selected}
                entries: list[Entry] = [
                    ListedFolder(each)
                    if isinstance(each, str)
                    else ListedObject(each, here[each.key])
                    for each in page
                    if isinstance(each, str) or each.key in keys
                ]
                if entries:
                    await show(entries)
    seen.end()


async def _walk(paging: Paging, prefix: str, depth: int | None) -> AsyncIterator[Sequence[Found]]:
    """Yield what lies below a prefix, page by page, down to a depth."""
    if depth is None:
        async for page in paging.pages(prefix):
            yield page.objects
        return
    async for page in paging.pages(prefix, delimiter="/"):
        found: list[Found] = [*page.objects, *page.prefixes]
        found.sort(key=_in_bytes)
        if depth == 1:
            yield found
            continue
        for is_folder, group in groupby(found, lambda each: isinstance(each, str)):
            if not is_folder:
                yield [*group]
                continue
            for folder in group:
                async for deeper in _walk(paging, str(folder), depth - 1):
                    yield deeper


def _in_bytes(found: Found) -> bytes:
    key = found if isinstance(found, str) else found.key
    return key.encode("utf-8", "surrogatepass")
