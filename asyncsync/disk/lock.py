"""One run at a time: a file lock, which the system releases however its holder ends."""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from asyncsync.errors import LockHeldError


@contextmanager
def hold_lock(path: Path, folder: Path | None = None) -> Iterator[bool]:
    """Hold the lock file at `path`, and write into it which process holds it.

    Yields whether the lock keeps other runs out: some network file systems support no locks.

    Args:
        path: the lock file.
        folder: the destination, for error messages; by default two levels above the lock file.

    Raises:
        LockHeldError: another process holds it.
        OSError: the file cannot be opened.
    """
    folder = folder or path.parent.parent
    with ExitStack() as stack:
        file = stack.enter_context(_open(path))
        _acquire(file, folder)
        if os.name == "posix" and os.fstat(file.fileno()).st_nlink > 1:
            # A copy of the destination made of hard links shares the file; leave it to the copy.
            path.unlink()
            file = stack.enter_context(_open(path))
            _acquire(file, folder)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        with open(path, "r+b", buffering=0) as second:
            is_exclusive = not _lock(second)
        yield is_exclusive


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    file = os.fdopen(descriptor, "r+b", buffering=0)
    try:
        yield file
    finally:
        # A network file system may report a full disk only on close; the lock is released anyway.
        with suppress(OSError):
            file.close()


def check_free(path: Path) -> None:
    """Check that the lock file at `path` could be held; does not change or create it.

    Raises:
        LockHeldError: another process holds it.
        OSError: the file cannot be opened.
    """
    if path.exists():
        with open(path, "r+b", buffering=0) as file:
            _acquire(file, path.parent.parent)


def _acquire(file: BinaryIO, folder: Path) -> None:
    if not _lock(file):
        holder = file.read(200).decode(errors="replace").strip()
        raise LockHeldError(
            f"{folder}: another run works on this folder"
            + (f" ({holder})" if holder.isprintable() and holder else "")
        )


if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 1 << 30  # nobody can read a locked byte, so it lies behind the text

    def _lock(file: BinaryIO) -> bool:
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(0)
        return True

else:
    import fcntl

    def _lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}:
                raise
            # This file system supports no locks, so the run goes on without one.
        return True
