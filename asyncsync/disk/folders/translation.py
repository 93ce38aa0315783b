"""Errors of the system become errors of ours: about one object, or about the destination."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncsync import descriptors
from asyncsync.disk.folders.directory import FD_PATH
from asyncsync.errors import (
    DestinationError,
    DiskFullError,
    KeyCollisionError,
    LocalFileError,
    MachineError,
    TransferError,
)
from asyncsync.keys import escaped
from asyncsync.model import Transfer

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LOST_DISK = {errno.EROFS, errno.ESTALE, errno.ENODEV}


@contextmanager
def translated(
    destination: Path, transfer: Transfer, check: Callable[[], object] = int
) -> Iterator[None]:
    """Raise what the system raises about an object's file as an error of ours.

    Args:
        destination: where the file is to be.
        transfer: which object it is.
        check: called before an error is taken for the object's; raises if it is the destination's.
    """
    try:
        yield
    except OSError as error:
        if throttled := descriptors.too_many_open_files(error):
            raise throttled from error
        check()
        if ends_the_run(error):
            raise destination_error(destination, error) from error
        raise _object_error(destination, transfer, error) from error


def ends_the_run(error: OSError) -> bool:
    """Return whether every other file would fail like this one."""
    return error.errno in _FULL | _LOST_DISK


def destination_error(destination: Path, error: OSError) -> DestinationError:
    """Return the error that ends a run."""
    kind = DiskFullError if error.errno in _FULL else DestinationError
    if descriptors.too_many_open_files(error):
        kind = MachineError
    name = error.filename if isinstance(error.filename, str) else ""
    path = name if os.path.isabs(name) and not name.startswith(FD_PATH) else destination
    return kind(f"{escaped(str(path))}: {error.strerror or error}")


def _object_error(destination: Path, transfer: Transfer, error: OSError) -> TransferError:
    """Return the error of an object whose file cannot be written."""
    key, path = transfer.remote.key, escaped(str(destination.joinpath(*transfer.path)))
    match error.errno:
        case errno.EISDIR | errno.ENOTEMPTY | errno.EEXIST:
            return KeyCollisionError(key, f"{path}: a folder has this name")
        case errno.ENOTDIR:
            return KeyCollisionError(key, f"{path}: a file exists where a folder is needed")
        case errno.ELOOP:
            return LocalFileError(
                key,
                f"{path}: a symbolic link exists where a folder is needed; replace it, or take "
                "--follow-links",
            )
        case _:
            return LocalFileError(key, f"{path}: {error.strerror or error}")
