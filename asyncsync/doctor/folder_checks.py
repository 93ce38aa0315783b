"""The doctor's checks of the local side. They remove the temporary files that they make."""

import os
from pathlib import Path

from asyncsync.descriptors import needed_descriptors, requests_within
from asyncsync.disk import (
    Folder,
    abandoned,
    check_free,
    free_bytes,
    hold_lock,
    lacks_inodes,
    mark,
    probe,
    trial,
)
from asyncsync.errors import DiskFullError, LockHeldError
from asyncsync.keys import escaped
from asyncsync.report import Look, ok, skipped, warning
from asyncsync.settings import Options
from asyncsync.units import format_size

LOW_SPACE = 1_000_000_000
"""Bytes of free space below which there is a warning."""


def folder(options: Options) -> Look:
    """Create, write and rename a file where the destination is, or where it would be created."""
    destination = Folder(options.dest)
    exists = destination.path.exists()
    with trial(destination.path) as place:
        written = Path(place, "written")
        written.write_bytes(b"asyncsync")
        os.replace(written, Path(place, "renamed"))
    path = escaped(str(destination.path))
    return ok(f"{path} is writable" if exists else f"{path} can be created")


def space(options: Options) -> Look:
    """Check that bytes and inodes are free."""
    destination = Folder(options.dest)
    free = free_bytes(destination.path)
    told = "an unknown space" if free is None else format_size(free)
    if free == 0 or lacks_inodes(destination.path):
        what = "space" if free == 0 else "inodes"
        raise DiskFullError(f"{escaped(str(destination.path))}: no {what} left")
    if left := abandoned(destination.path):
        found = [
            escaped(str(path)) + ("" if used is None else f" ({format_size(used)})")
            for path, used in left
        ]
        return warning(
            f"{told} free; unfinished files of users who do not exist here: "
            f"{', '.join(found)}; remove these folders if nobody needs them"
        )
    if free is None:
        return ok("the disk does not tell its free space, so nothing is checked against it")
    return warning(f"only {told} free") if free < LOW_SPACE else ok(f"{told} free")


def names(options: Options) -> Look:
    """Find out which different names the file system treats as the same."""
    with trial(Folder(options.dest).path) as place:
        mark(Path(place))
        found = probe(Path(place))
    if found:
        kinds = [
            *["in upper and lower case"] * found.cases,
            *["in how accents are encoded"] * found.forms,
        ]
        return warning(
            f"this file system treats names that differ only {' or '.join(kinds)} as the same: of "
            "objects with such keys, the first is downloaded, and the others are skipped"
        )
    return ok("keys that differ get files of their own")


def locking(options: Options) -> Look:
    """Find out whether a lock keeps a second run out, and whether another run holds it."""
    destination = Folder(options.dest)
    check_free(destination.path)
    with trial(destination.path) as place:
        path = Path(place, "lock")
        with hold_lock(path):
            try:
                with hold_lock(path):
                    pass
            except LockHeldError:
                return ok("the lock keeps a second run out; no other run is active")
    return warning("this file system has no locks: make sure that no two runs use it at once")


def open_files(options: Options) -> Look:
    """Compare the limit on open files, as far as a run raises it, with what its requests need."""
    try:
        import resource  # not on Windows
    except ImportError:
        return skipped("this system has no such limit")
    requests = options.workers or options.max_workers
    needed = needed_descriptors(requests)
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return ok(f"the limit allows the {needed} that {requests} requests at once may need")
    return warning(
        f"the hard limit is {limit}, but {requests} requests at once may need {needed}: a sync "
        f"makes {requests_within(limit, requests)} at once; raise the limit (ulimit -n {needed}, "
        "LimitNOFILE= in a systemd unit) for more"
    )
