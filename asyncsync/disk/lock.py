"""One run at a time: a file lock, which the system gives back however its holder ends."""

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
    """Hold the lock file at `path`, which also says who does.

    An error names the folder, which is two above the file unless given.

    Yields whether that keeps others out: some network file systems lock nothing.

    Raises:
        LockHeldError: another process holds it.
        OSError: the file cannot be opened.
    """
    folder = folder or path.parent.parent
    with ExitStack() as holding:
        file = holding.enter_context(_opened(path))
        _take(file, folder)
        if os.name == "posix" and os.fstat(file.fileno()).st_nlink > 1:
            # A copy that was made of hard links has it as well, and is to keep it as it is.
            path.unlink()
            file = holding.enter_context(_opened(path))
            _take(file, folder)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        with open(path, "r+b", buffering=0) as another:
            works = not _lock(another)
        yield works


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    file = os.fdopen(descriptor, "r+b", buffering=0)
    try:
        yield file
    finally:
        with suppress(OSError):  # on a network's disk it may be full only now; the lock is gone
            file.close()


def check_free(path: Path) -> None:
    """Look whether the lock file at `path` could be held; it stays as it is, or missing.

    Raises:
        LockHeldError: another process holds it.
        OSError: the file cannot be opened.
    """
    if path.exists():
        with open(path, "r+b", buffering=0) as file:
            _take(file, path.parent.parent)


def _take(file: BinaryIO, folder: Path) -> None:
    if not _lock(file):
        holder = file.read(200).decode(errors="replace").strip()
        raise LockHeldError(
            f"{folder}: another run works on this folder"
            + (f" ({holder})" if holder.isprintable() and holder else "")
        )


if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # a locked byte cannot be read, so it lies behind what the file says

    def _lock(file: BinaryIO) -> bool:
        file.seek(_FAR)
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
                raise  # else it locks nothing here, and whoever asks is let in
        return True
