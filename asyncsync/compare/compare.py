"""A page of the listing against the disk: what to fetch, what is in step, what is refused.

| at the path                             | outcome                          |
|-----------------------------------------|----------------------------------|
| nothing, or a symbolic link             | Transfer, missing                |
| a file of another size                  | Transfer, size differs           |
| a file older than the object            | Transfer, newer                  |
| a file of the size, as old              | UpToDate                          |
| one that a power cut may have emptied   | Transfer, unsure                 |
| one that is younger, made by a sync     | Transfer, edited                 |
| one that is younger, from elsewhere     | UpToDate                          |
| a folder that other keys need           | Failed, KeyCollisionError        |
| another folder, FIFO, socket or device  | Failed, LocalFileError           |
| nothing, since a folder of it is a file | Failed, KeyCollisionError        |
| no safe path for the key                | Failed, UnsafeKeyError           |
| whatever, and no size is listed         | Failed, IntegrityError           |
"""

import time
from collections.abc import Awaitable, Callable, Sequence

from asyncsync.disk import Folder, LocalFile
from asyncsync.errors import (
    IntegrityError,
    KeyCollisionError,
    LocalFileError,
    TransferError,
    UnsafeKeyError,
)
from asyncsync.keys import local_path
from asyncsync.model import UNKNOWN_SIZE, Compared, Failed, Reason, RemoteObject, Transfer, UpToDate

_GRAINS = (10_000_000, 1_000_000_000, 2_000_000_000)
"""Nanoseconds to which exFAT, HFS+ and FAT round a time down."""
_DAY = 86_400_000_000_000
"""Nanoseconds by which clocks may differ."""


async def compare_page(
    objects: Sequence[RemoteObject], folder: Folder, is_needed: Callable[[str], Awaitable[bool]]
) -> Compared:
    """Compare the objects with what lies at their paths.

    Args:
        objects: a page of the listing.
        folder: the destination.
        is_needed: tells whether the bucket has a key below a prefix; asked about a folder that
            lies where a file should.
    """
    compared = Compared([], [], [])
    paths: list[tuple[str, ...]] = []
    safe: list[RemoteObject] = []
    for remote in objects:
        try:
            path = local_path(remote.key)
        except UnsafeKeyError as error:
            compared.refused.append(Failed(remote, error))
            continue
        if remote.size == UNKNOWN_SIZE:
            unsized = IntegrityError(remote.key, "listed without a size that an object can have")
            compared.refused.append(Failed(remote, unsized))
            continue
        paths.append(path)
        safe.append(remote)
    files = await folder.look_up(paths)
    younger: list[Transfer] = []
    for remote, path, file in zip(safe, paths, files, strict=True):
        if file is not None and file.kind != "file":
            compared.refused.append(Failed(remote, await _in_the_way(remote, file, is_needed)))
        elif reason := why(remote, file):
            compared.transfers.append(Transfer(remote, path, reason, file.size if file else 0))
        elif file and _is_younger(remote, file):
            younger.append(Transfer(remote, path, Reason.EDITED, file.size))
        else:
            compared.up_to_date.append(UpToDate(remote))
    if younger:
        edited = await folder.were_published([transfer.remote.key for transfer in younger])
        compared.transfers.extend(t for t in younger if t.remote.key in edited)
        compared.up_to_date.extend(
            UpToDate(t.remote) for t in younger if t.remote.key not in edited
        )
    return compared


def why(remote: RemoteObject, file: LocalFile | None) -> Reason | None:
    """Return why the object is to be fetched, None if the file is in step with it."""
    if file is None:
        return Reason.MISSING
    if file.size != remote.size:
        return Reason.SIZE_DIFFERS
    if file.is_unsure and not _is_younger(remote, file):
        return Reason.UNSURE
    if remote.modified_ns > time.time_ns() + _DAY:
        return None  # a time that has not come yet says nothing, and no file could be given it
    if remote.modified_ns > file.modified_ns and not _same_time(remote, file):
        return Reason.NEWER
    return None


def _is_younger(remote: RemoteObject, file: LocalFile) -> bool:
    """Return whether the file cannot have been given the object's time, however it was rounded."""
    return 0 < remote.modified_ns < file.modified_ns - _GRAINS[-1]


def _same_time(remote: RemoteObject, file: LocalFile) -> bool:
    """Return whether the file has the object's time as a coarse file system keeps it.

    One that keeps the moment of a change to less than 10 ms keeps every time so.
    """
    is_coarse = file.changed_ns % _GRAINS[0] == 0
    kept = (remote.modified_ns // grain * grain for grain in _GRAINS)
    return is_coarse and file.modified_ns in kept


async def _in_the_way(
    remote: RemoteObject, file: LocalFile, is_needed: Callable[[str], Awaitable[bool]]
) -> TransferError:
    if file.kind == "blocked":
        return KeyCollisionError(remote.key, "a file stands where one of its folders is needed")
    if file.kind != "folder":
        return LocalFileError(remote.key, "its path holds something that is no file; move it away")
    if await is_needed(remote.key + "/"):
        return KeyCollisionError(remote.key, "a folder has its path, and other keys need that")
    return LocalFileError(remote.key, "a folder has its path, and no key needs it; move it away")
