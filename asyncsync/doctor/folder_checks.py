"""The doctor's checks of the local side. What they make has a name of its own and is removed."""

import os
from pathlib import Path

from asyncsync.disk import Folder, hold_lock, mark, probe
from asyncsync.errors import DiskFullError, LockHeldError
from asyncsync.keys import shown
from asyncsync.report import Look, ok, skipped, warning
from asyncsync.settings import Options, Validate
from asyncsync.units import format_size

LITTLE = 1_000_000_000
"""Bytes of free space that are worth a word."""
OTHER_FILES = 64
"""Files that a run has open beside its connections."""


def folder(options: Options) -> Look:
    """Make, write and rename a file where the destination is, or where it would be made."""
    destination = Folder(options.dest)
    is_there = destination.path.exists()
    with destination.trial() as place:
        written = Path(place, "written")
        written.write_bytes(b"asyncsync")
        os.replace(written, Path(place, "renamed"))
    path = shown(str(destination.path))
    return ok(f"{path} can be written" if is_there else f"{path} can be made")


def space(options: Options) -> Look:
    """Look for bytes and for inodes."""
    destination = Folder(options.dest)
    free = destination.free_bytes()
    if free == 0 or destination.lacks_inodes():
        what = "space" if free == 0 else "inodes"
        raise DiskFullError(f"{shown(str(destination.path))}: no {what} left")
    text = f"{format_size(free)} free; `asyncsync plan` says whether all fits"
    return warning(f"only {text}") if free < LITTLE else ok(text)


def names(options: Options) -> Look:
    """Find out which names the file system takes for one and the same."""
    with Folder(options.dest).trial() as place:
        mark(Path(place))
        found = probe(Path(place))
    if found:
        kinds = [
            *["in upper and lower case"] * found.cases,
            *["in how accents are encoded"] * found.forms,
        ]
        return warning(
            f"names that differ {' or '.join(kinds)} only are one name here: of objects with such "
            "keys, the first is fetched, and the others are skipped"
        )
    return ok("keys that differ have files that differ")


def locking(options: Options) -> Look:
    """Find out whether a lock keeps a second run out, and whether one is at work."""
    destination = Folder(options.dest)
    destination.check_free()
    with destination.trial() as place:
        path = Path(place, "lock")
        with hold_lock(path):
            try:
                with hold_lock(path):
                    pass
            except LockHeldError:
                return ok("a second run at the same time is kept out; none is at work")
    return warning("this file system locks nothing: let no two runs work on it at once")


def open_files(options: Options) -> Look:
    """Compare the limit on open files with what so many requests at once need."""
    try:
        import resource  # not on Windows
    except ImportError:
        return skipped("this system knows no such limit")
    requests = options.workers or options.max_workers
    for_each = 1 if options.validate is Validate.RESPONSE else 2
    wanted = requests * for_each + OTHER_FILES
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= wanted:
        return ok(f"{wanted} are enough for {requests} requests at once, and may be open")
    fewer = max(1, (limit - OTHER_FILES) // for_each)
    return warning(
        f"{limit} may be open, but {requests} requests at once may need {wanted}: "
        f"ulimit -n {wanted}, or --max-workers {fewer}"
    )
