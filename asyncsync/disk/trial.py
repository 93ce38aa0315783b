"""What can be found out about a destination before a run works on it, for the doctor."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncsync.disk.folders.translation import destination_error
from asyncsync.disk.state.place import Place
from asyncsync.keys import STATE_DIR


def nearest(path: Path) -> Path:
    """Return the destination; if it is missing, the nearest folder above it that exists."""
    while not os.path.exists(path):  # also False without permission to look
        path = path.parent
    return path


@contextmanager
def trial(path: Path) -> Iterator[str]:
    """Make a temporary folder for tests where a run would write, and remove it at the end.

    Raises:
        DestinationError: the folder cannot be made, or a test in it raises OSError.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f"{STATE_DIR}-trial-", dir=nearest(path)) as folder:
            yield folder
    except OSError as error:
        raise destination_error(path, error) from error


def abandoned(path: Path) -> list[tuple[Path, int | None]]:
    """Return the state folders here of users who do not exist.

    And how many bytes their unfinished files take, None where this user may not look.
    """
    return list(Place(path).abandoned())


def check_free(path: Path) -> None:
    """Check that no other run works on the destination; changes nothing.

    Raises:
        LockHeldError: one does.
    """
    Place(path).check_free()


def free_bytes(path: Path) -> int | None:
    """Return how many bytes are free on the destination's disk; None if it does not tell."""
    disk = shutil.disk_usage(nearest(path))
    return disk.free if disk.total else None


def disk_of(path: Path) -> int:
    """Return the number of the disk that a path is on, or will be, through links as well."""
    return os.stat(nearest(path)).st_dev


def lacks_inodes(path: Path) -> bool:
    """Return whether the destination's disk has no inode left; some disks do not count them."""
    if not hasattr(os, "statvfs"):
        return False
    found = os.statvfs(nearest(path))
    return found.f_files > 0 and found.f_favail == 0
