"""Compare one page of the listing with the disk: what to download, what is up to date or refused.

| at the path                             | outcome                          |
|-----------------------------------------|----------------------------------|
| nothing, or a symbolic link             | Transfer, missing                |
| a file of another size                  | Transfer, size differs           |
| a file older than the object            | Transfer, newer                  |
| a file of the same size and time        | UpToDate                         |
| one that a power cut may have damaged   | Transfer, unsure                 |
| a newer file, made by a sync            | Transfer, edited                 |
| a newer file, from elsewhere            | UpToDate                         |
| any file of its size, compared by size  | UpToDate                         |
| any file of its size, compared by hash  | Transfer, unproven               |
| one that is up to date, but may be of   | Transfer, unproven               |
| another bucket that was synced here     |                                  |
| a folder that other keys need           | Failed, KeyCollisionError        |
| another folder, FIFO, socket or device  | Failed, LocalFileError           |
| nothing: one of its folders is a file   | Failed, KeyCollisionError        |
| no safe path for the key                | Failed, UnsafeKeyError           |
| anything, but the listing has no size   | Failed, IntegrityError           |
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import repeat

from asyncsync.columns import made_of
from asyncsync.compare.here import GRAINS, is_younger, with_what_is_here
from asyncsync.disk import UNCHANGED, Folder, LocalFile
from asyncsync.errors import (
    ArchivedError,
    IntegrityError,
    KeyCollisionError,
    LocalFileError,
    TransferError,
    UnsafeKeyError,
)
from asyncsync.model import (
    UNKNOWN_SIZE,
    Compare,
    Compared,
    Failed,
    Proof,
    Reason,
    RemoteObject,
    Transfer,
    UpToDate,
)

_DAY = 86_400_000_000_000
"""Nanoseconds by which clocks may be wrong."""


async def compare_page(
    objects: Sequence[RemoteObject],
    folder: Folder,
    is_folder_needed: Callable[[str], Awaitable[bool]],
    compare: Compare = Compare.TIME,
) -> Compared:
    """Compare the objects with what is at their paths.

    If there is anything to fetch, the run begins to write. If it did not before, the folder is
    looked at again then: another run may have been at work in between. If it did, the bucket is
    noted as one that files here may be from, now that it has shown something.

    Args:
        objects: a page of the listing.
        folder: the destination.
        is_folder_needed: returns whether the bucket has a key that needs a folder at a prefix;
            called where a folder is in the way of a file.
        compare: what shows that a file is up to date.

    Raises:
        DestinationError: the disk cannot be read, or is to be written and cannot.
        SourceError: raised by `is_folder_needed`.
    """
    was_writing = folder.is_writing
    compared = await _look_and_compare(objects, folder, is_folder_needed, compare)
    has_work = any(transfer.reason is not Reason.UNPROVEN for transfer in compared.transfers)
    if (has_work or was_writing) and await folder.begin_writing() and not was_writing:
        return await _look_and_compare(objects, folder, is_folder_needed, compare)
    return compared


def set_apart(page: Compared) -> Compared:
    """Return the page with the transfers apart that must be proven to be needed."""
    unproven = [transfer for transfer in page.transfers if transfer.reason is Reason.UNPROVEN]
    if not unproven:
        return page
    needed = [transfer for transfer in page.transfers if transfer.reason is not Reason.UNPROVEN]
    return Compared(needed, page.up_to_date, page.refused, unproven)


async def _look_and_compare(
    objects: Sequence[RemoteObject],
    folder: Folder,
    is_folder_needed: Callable[[str], Awaitable[bool]],
    compare: Compare,
) -> Compared:
    compared = Compared([], [], [])
    safe = [remote for remote in objects if remote.size != UNKNOWN_SIZE]
    paths = folder.paths.of_page([remote.key for remote in objects])
    if paths is None or len(safe) < len(objects):
        safe, paths = _usable(objects, folder, compared.refused)
    # A file of exactly the object's time is neither older nor younger, but a hash may differ.
    known = [(remote.size, remote.modified_ns) for remote in safe if compare is not Compare.HASH]
    files = await folder.compare(paths, known)
    here = [remote for remote, file in zip(safe, files, strict=True) if file is UNCHANGED]
    compared.up_to_date.extend(_up_to_date(here, folder))
    newer: list[Transfer] = []
    if any(files):
        others = [each for each in zip(safe, paths, files, strict=True) if each[2] is not UNCHANGED]
    else:  # as on all pages of a first run
        others = []
        compared.transfers.extend(_missing(safe, paths))
    for remote, text, file in others:
        path = tuple(text.split("/"))
        if file is not None and file.kind != "file":
            compared.refused.append(
                Failed(remote, await _explain_obstacle(remote, file, is_folder_needed))
            )
        elif file is None:
            compared.transfers.append(Transfer(remote, path, Reason.MISSING))
        elif reason := reason_to_download(remote, file, compare):
            compared.transfers.append(Transfer(remote, path, reason, file.size))
        elif compare is Compare.TIME and is_younger(file, remote):
            newer.append(Transfer(remote, path, Reason.EDITED, file.size))
        else:
            compared.up_to_date.append(UpToDate(remote, Proof.SIZE, folder.paths))
    if newer:
        edited = await folder.were_published([transfer.remote.key for transfer in newer])
        compared.transfers.extend(t for t in newer if t.remote.key in edited)
        own = [t.remote for t in newer if t.remote.key not in edited]
        compared.up_to_date.extend(_up_to_date(own, folder))
    if folder.is_mixed and compared.up_to_date:
        await _doubt(compared, folder)
    _refuse_archived(compared)
    compared.transfers[:] = await with_what_is_here(compared.transfers, safe, files, folder)
    return compared


def _up_to_date(objects: Sequence[RemoteObject], folder: Folder) -> list[UpToDate]:
    return made_of(UpToDate, objects, repeat(Proof.SIZE), repeat(folder.paths))


def _missing(objects: Sequence[RemoteObject], paths: Iterable[str]) -> list[Transfer]:
    names = [tuple(path.split("/")) for path in paths]
    columns = (repeat(Reason.MISSING), repeat(0), repeat(False), repeat(0))  # nothing is there
    return made_of(Transfer, objects, names, *columns)


def _usable(
    objects: Sequence[RemoteObject], folder: Folder, refused: list[Failed]
) -> tuple[list[RemoteObject], list[str]]:
    """Return the objects that can have a file, and the path of each; add all others to `refused`.

    The names of a path are joined by slashes.
    """
    safe: list[RemoteObject] = []
    paths: list[str] = []
    for remote in objects:
        try:
            path = folder.paths.of(remote.key)
        except UnsafeKeyError as error:
            refused.append(Failed(remote, error))
            continue
        if remote.size == UNKNOWN_SIZE:
            unsized = IntegrityError(remote.key, "the listing shows no valid size for it")
            refused.append(Failed(remote, unsized))
            continue
        paths.append("/".join(path))
        safe.append(remote)
    return safe, paths


def _refuse_archived(compared: Compared) -> None:
    """Take out the objects that cannot be fetched now; a hash may still prove a file of one."""
    archived = [t for t in compared.transfers if t.remote.archive]
    refused = [t.remote for t in archived if t.reason is not Reason.UNPROVEN]
    if refused:
        keys = {remote.key for remote in refused}
        compared.transfers[:] = [t for t in compared.transfers if t.remote.key not in keys]
        compared.refused.extend(Failed(r, ArchivedError(r.key, r.archive)) for r in refused)


async def _doubt(compared: Compared, folder: Folder) -> None:
    """Let files that may be of another bucket be proven; they look up to date by chance."""
    known = compared.up_to_date
    here = await folder.are_from_here([each.remote.key for each in known])
    compared.transfers.extend(
        Transfer(each.remote, folder.paths.of(each.remote.key), Reason.UNPROVEN, each.remote.size)
        for each in known
        if each.remote.key not in here
    )
    known[:] = [each for each in known if each.remote.key in here]


def reason_to_download(
    remote: RemoteObject, file: LocalFile | None, compare: Compare = Compare.TIME
) -> Reason | None:
    """Return why to download the object, None if the file is up to date or newer."""
    if file is None:
        return Reason.MISSING
    if file.size != remote.size:
        return Reason.SIZE_DIFFERS
    if compare is Compare.HASH:
        return Reason.UNPROVEN
    if file.is_unsure and not is_younger(file, remote):
        return Reason.UNSURE
    if compare is Compare.SIZE:
        return None
    if remote.modified_ns <= file.modified_ns:
        return None
    if remote.modified_ns > time.time_ns() + _DAY:
        return None  # a future time means nothing, and no file could be given it
    return None if _is_rounded(remote, file) else Reason.NEWER


def _is_rounded(remote: RemoteObject, file: LocalFile) -> bool:
    """Return whether the file has the object's time, rounded down by a coarse file system.

    A file system that stores change times to less than 10 ms stores all times so precisely.
    """
    is_coarse = file.changed_ns % GRAINS[0] == 0
    rounded = (remote.modified_ns // grain * grain for grain in GRAINS)
    return is_coarse and file.modified_ns in rounded


async def _explain_obstacle(
    remote: RemoteObject, file: LocalFile, is_folder_needed: Callable[[str], Awaitable[bool]]
) -> TransferError:
    """Return the error for an object whose path holds something other than a file."""
    if file.kind == "blocked":
        return KeyCollisionError(remote.key, "a file is where one of its folders is needed")
    if file.kind != "folder":
        return LocalFileError(
            remote.key, "its path holds something other than a file; move it away"
        )
    if await is_folder_needed(remote.key + "/"):
        return KeyCollisionError(remote.key, "a folder is at its path, and other keys need it")
    return LocalFileError(remote.key, "a folder is at its path, and no key needs it; move it away")
