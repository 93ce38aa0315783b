"""What is here already of the objects to fetch: files that would be lost, and unfinished ones.

A file that is replaced counts as edited here if it is younger than its object, so that somebody has
changed it since, or if the notes of what was made here (`disk/state/published.py`) go back to the
folder's beginning and do not name it, so that another program has made it. One that was edited
before its object was replaced in the bucket is older than that, as if nobody had touched it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from asyncsync.disk import Folder, LocalFile
from asyncsync.model import Reason, RemoteObject, Transfer

GRAINS = (10_000_000, 1_000_000_000, 2_000_000_000)
"""Nanoseconds: exFAT, HFS+ and FAT round times down to a multiple of this."""


def is_younger(file: LocalFile, remote: RemoteObject) -> bool:
    """Return whether the file is younger than the object, beyond what rounding can explain."""
    return 0 < remote.modified_ns < file.modified_ns - GRAINS[-1]


async def with_what_is_here(
    transfers: Sequence[Transfer],
    objects: Sequence[RemoteObject],
    files: Sequence[LocalFile | None],
    folder: Folder,
) -> Sequence[Transfer]:
    """Return the transfers with what is known of the files that they replace or continue.

    Args:
        transfers: those of a page of the listing.
        objects: the page.
        files: what is at the path of each object.
        folder: the destination.
    """
    if not transfers:
        return transfers
    found = {remote.key: file for remote, file in zip(objects, files, strict=True) if file}
    edited = await _edited(transfers, found, folder) if found else set[str]()
    kept = await folder.kept([transfer.remote for transfer in transfers])
    if edited or kept:
        transfers = [
            replace(transfer, is_edited=key in edited, kept=kept.get(key, 0))
            if (key := transfer.remote.key) in edited or key in kept
            else transfer
            for transfer in transfers
        ]
    if folder.backup:  # nothing that is replaced becomes free
        transfers = [replace(transfer, replaces=0) for transfer in transfers]
    return transfers


async def _edited(
    transfers: Sequence[Transfer], files: Mapping[str, LocalFile], folder: Folder
) -> set[str]:
    """Return the keys of the transfers that replace a file which was edited here."""
    edited: set[str] = set()
    doubtful: list[str] = []
    for transfer in transfers:
        if transfer.reason is Reason.MISSING:
            continue
        remote, file = transfer.remote, files[transfer.remote.key]
        if file.is_unsure:
            continue  # what a power cut has left tells nothing
        if is_younger(file, remote):
            edited.add(remote.key)
        else:
            doubtful.append(remote.key)
    return edited | await folder.made_by_others(doubtful) if doubtful else edited
