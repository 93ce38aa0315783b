"""What may have been meant by a key that the bucket does not have."""

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches

from asyncsync.errors import SourceError
from asyncsync.keys import shown
from asyncsync.listing import Paging
from asyncsync.model import RemoteObject
from asyncsync.pipeline import Job


async def nearest(job: Job, key: str, longer: Sequence[RemoteObject]) -> str:
    """Return a hint that follows "no such key"; empty if nothing is like it, or cannot be listed.

    Args:
        job: where to look, with a request for each folder of the key at most.
        key: what was asked for.
        longer: what the bucket lists below it.
    """
    for remote in longer:
        if remote.key.startswith(key):  # some servers take a / at the start for nothing
            return f"; keys begin with it, such as {shown(remote.key)}: `asyncsync ls` lists them"
    wanted = key.lstrip("/")
    with suppress(SourceError):
        folder, names = await _beside(Paging(job.store, job.pace), wanted)
        end = wanted.find("/", len(folder)) + 1
        for close in get_close_matches(wanted[:end] if end else wanted, names, n=1):
            return f"; did you mean {shown(close)}?"
    return ""


async def _beside(paging: Paging, key: str) -> tuple[str, list[str]]:
    """Return the deepest folder of a key that the bucket has, and what is in it."""
    folder, names = key, list[str]()
    while folder and not names:
        folder = folder[: folder.rstrip("/").rfind("/") + 1]
        page = await paging.first_page(folder, delimiter="/")
        names = [*(remote.key for remote in page.objects), *page.prefixes]
    return folder, names
