"""One run at a time: a file lock, which the system releases however its holder ends.

Shards of one run share the lock that a whole run has for itself, and each has one of its own.
"""

import errno
import os
import re
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from asyncsync.descriptors import suppress_lasting_errors
from asyncsync.disk.folders.directory import SAFE_OPEN
from asyncsync.errors import LockHeldError
from asyncsync.keys import escaped

CHECK = 0.02
"""Seconds, in which a check whether the lock is free has long ended."""
ANOTHER = "another run works on this folder"
ORPHANED = 3.0
"""Seconds in which the movers of a run that was killed have long ended."""
_HOLDER = re.compile(r"(?:shard \d+/\d+, )?process (\d{1,10})(?: of user \d+)? on (.*)\n")


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that is held. It is true if it keeps other runs out: some file systems have none."""

    is_exclusive: bool
    descriptor: int
    """Of the lock file; a process that inherits it holds the lock as well."""

    def __bool__(self) -> bool:
        return self.is_exclusive


@contextmanager
def hold_lock(
    path: Path,
    folder: Path | None = None,
    shared_with: os.stat_result | None = None,
    *,
    is_shared: bool = False,
    holder: str = "",
) -> Iterator[Held]:
    """Hold the lock file at `path`, and write into it which process holds it.

    Args:
        path: the lock file.
        folder: the destination, for error messages; by default two levels above the lock file.
        shared_with: the folder whose mode and group a new lock file gets; private without one.
        is_shared: whether others may hold it as well who share it; then the last of them is named.
        holder: what holds it, besides the process.

    Raises:
        LockHeldError: another process holds it.
        OSError: the file cannot be opened, or is no regular file.
    """
    folder = folder or path.parent.parent
    with ExitStack() as stack:
        file = stack.enter_context(_open(path, shared_with))
        _acquire(file, folder, is_shared=is_shared)
        # One that is shared stays as it is: the copy's whole runs then wait for shards here, too.
        if not is_shared and os.name == "posix" and os.fstat(file.fileno()).st_nlink > 1:
            # A copy of the destination made of hard links shares the file; leave it to the copy.
            with suppress(PermissionError):  # of another user: the copy has to wait for this run
                path.unlink()
                file = stack.enter_context(_open(path, shared_with))
                _acquire(file, folder)
        if file.writable():
            file.seek(0)  # the last holder may have been read
            file.truncate(0)
            file.write(f"{holder}{_process()}".encode())
        with _open(path) as second:
            is_exclusive = not _lock(second)
        yield Held(is_exclusive, file.fileno())


@contextmanager
def _open(path: Path, shared_with: os.stat_result | None = None) -> Iterator[BinaryIO]:
    file = os.fdopen(_descriptor(path, shared_with), "r+b", buffering=0)
    try:
        yield file
    finally:
        # A network file system may report a full disk only on close; the lock is released anyway.
        with suppress(OSError):
            file.close()


def _descriptor(path: Path, shared_with: os.stat_result | None) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | SAFE_OPEN)
    except FileNotFoundError:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE_OPEN
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:  # another run made it first
            descriptor = os.open(path, os.O_RDWR | SAFE_OPEN)
        else:
            if shared_with and hasattr(os, "fchown"):
                with suppress(OSError):
                    owner = shared_with.st_uid if os.geteuid() == 0 else -1
                    os.fchown(descriptor, owner, shared_with.st_gid)
                    os.fchmod(descriptor, shared_with.st_mode & 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EPERM, "it is not a regular file", str(path))
    return descriptor


def _process() -> str:
    user = f" of user {os.geteuid()}" if hasattr(os, "geteuid") else ""
    return f"process {os.getpid()}{user} on {socket.gethostname()}\n"


def check_free(path: Path, folder: Path, why: str = ANOTHER) -> None:
    """Check that no other process holds the lock file at `path`; does not change or create it.

    A file that cannot be opened, or is no regular file, is no lock. This one is locked for a moment
    only, and shared with others who check.

    Args:
        path: the lock file.
        folder: the destination, for error messages.
        why: what the message says.

    Raises:
        LockHeldError: another process holds it.
        MachineError: no more files can be opened.
    """
    with suppress_lasting_errors(), open(_readable(path), "rb", buffering=0) as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            _acquire(file, folder, is_shared=True, why=why)


def is_free(file: BinaryIO | FileIO) -> bool:
    """Return whether no other process holds this lock file; locks it, until it is closed."""
    return _lock(file, is_shared=True)


def _readable(path: Path) -> int:
    """Open a lock file, for writing as well where this user may: NFS locks no other."""
    try:
        return os.open(path, os.O_RDWR | SAFE_OPEN)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EROFS}:
            raise
        return os.open(path, os.O_RDONLY | SAFE_OPEN)


def _acquire(file: BinaryIO, folder: Path, *, is_shared: bool = False, why: str = ANOTHER) -> None:
    if not (_lock(file, is_shared=is_shared) or _lock_after_a_check(file, is_shared=is_shared)):
        holder = file.read(200).decode(errors="replace")
        is_gone = _is_gone(holder)
        if is_gone and _lock_after_the_movers(file, is_shared=is_shared):
            return
        # Of those who share a lock, the file names the last that began.
        left = "other shards" if holder.startswith("shard ") else "what it had started"
        holder = holder.strip() + f", which has ended, but not {left}" * is_gone
        raise LockHeldError(
            f"{escaped(str(folder))}: {why}"
            + (f" ({holder})" if holder.isprintable() and holder else "")
        )


def _lock_after_a_check(file: BinaryIO, *, is_shared: bool) -> bool:
    """Try again: the process that has the lock may only be checking whether it is free."""
    time.sleep(CHECK)
    return _lock(file, is_shared=is_shared)


def _lock_after_the_movers(file: BinaryIO, *, is_shared: bool) -> bool:
    """Try again until the movers of a run that was killed have ended: they have its lock, too."""
    until = time.monotonic() + ORPHANED
    while not _lock(file, is_shared=is_shared):
        if time.monotonic() > until:
            return False
        time.sleep(CHECK)
    return True


def _is_gone(holder: str) -> bool:
    """Return whether the process that a lock file names was one of this machine, and is no more."""
    found = _HOLDER.fullmatch(holder)
    if found is None or found[2] != socket.gethostname() or os.name != "posix":
        return False
    process = int(found[1])
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Return whether a process has ended, and its parent has not asked how; Linux tells."""
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b") ")[2][:1] == b"Z"


if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 1 << 30  # nobody can read a locked byte, so it lies behind the text

    def _lock(file: BinaryIO | FileIO, *, is_shared: bool = False) -> bool:  # noqa: ARG001 - none is here
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

    def _lock(file: BinaryIO | FileIO, *, is_shared: bool = False) -> bool:
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}:
                raise
            # This file system supports no locks, so the run goes on without one.
        return True
