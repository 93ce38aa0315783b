"""A folder that is opened without following a symbolic link.

Each step opens one name relative to the folder above it. So no link can lead a read or a write out
of the destination, not even one that is put there between two steps. Where the system cannot open a
name relative to a folder (Windows), each step is checked for a link and then opened by its path.
"""

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from asyncsync.descriptors import suppress_lasting_errors

_HAS_DIR_FD = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_SYNC_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP}
"""How a file system that cannot sync a folder refuses to; it offers nothing better."""
_OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_OPEN_FILE = os.O_RDONLY | sum(
    getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
)

_NEW_FILE = (os.O_WRONLY | os.O_CREAT | os.O_EXCL) | sum(
    getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")
)

FD_PATH = "/proc/self/fd/"
"""Followed by its descriptor, this is a path of an open folder (Linux)."""
SAFE_OPEN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Flags to open a path without following a link at its end or waiting for a FIFO's other end."""

UnsurePeriods = Sequence[tuple[int, int]]
"""Start (included) and end (excluded) of periods in which files changed that are unsure.

In nanoseconds since the epoch.
"""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """What exists at a path."""

    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since the epoch."""
    kind: str = "file"
    """`file`, `folder`, `special` (a FIFO, socket or device), or `blocked` (below a non-folder).

    Of `UNCHANGED` it is `unchanged`.
    """
    is_unsure: bool = False
    """Whether a power cut may have damaged its content."""
    changed_ns: int = field(default=0, compare=False)
    """Its change time (ctime), which only the system sets, in ns since the epoch; 0 if unknown."""
    inode: int = field(default=0, compare=False)
    """The number that its disk knows it by, which a file that replaces it does not have."""


UNCHANGED = LocalFile(0, 0, "unchanged")
"""Stands for each file that has just the size and the time that it was looked up with.

Nearly all files are so, and an object for each would take longer than all else but its look-up.
"""


class Directory:
    """An open folder; a context manager that closes it. All calls block."""

    __slots__ = ("_base", "_fd")

    def __init__(self, path: str, flags: int = os.O_RDONLY, dir_fd: int | None = None) -> None:
        self._base, self._fd = os.path.join(path, ""), None  # what names are put behind
        if _HAS_DIR_FD:
            self._base, self._fd = "", os.open(path, flags, dir_fd=dir_fd)
        elif not os.path.isdir(path):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)

    @classmethod
    def walk(
        cls, root: "Root", names: Iterable[str], *, create: bool = False, mode: int = 0o777
    ) -> "Directory":
        """Open the folder that the names lead to from `root`.

        Args:
            root: where to start: a path, or a folder that stays open.
            names: one folder name for each step.
            create: whether to make missing folders.
            mode: the mode of folders that are made, less the umask.

        Raises:
            OSError: ELOOP at a symbolic link, ENOTDIR at anything else that is not a folder,
                FileNotFoundError at a missing folder unless `create` is set.
        """
        here: Directory = cls(root) if isinstance(root, str) else root
        try:
            for name in names:
                deeper = here.enter(name, mode if create else None)
                if here is not root:
                    here.close()
                here = deeper
        except BaseException:
            if here is not root:
                here.close()
            raise
        return here.again() if here is root else here

    def enter_unread(self, name: str) -> Self:
        """Open a folder in this one whose names this user may not read, to open files by name.

        Raises:
            OSError: as for `walk`.
        """
        flags = getattr(os, "O_PATH", os.O_RDONLY) | (_OPEN_FOLDER & ~os.O_RDONLY)
        return type(self)(self._base + name, flags, self._fd)

    def again(self) -> Self:
        """Open the same folder once more."""
        return self._open(os.curdir)

    def enter(self, name: str, mode: int | None = None) -> Self:
        """Open a folder in this one; make it if it is missing and a mode for it is given.

        Raises:
            OSError: as for `walk`.
        """
        try:
            self._refuse_link(name, always=not _HAS_DIR_FD)
            return self._open(name)
        except FileNotFoundError:
            if mode is None:
                raise
            with suppress(FileExistsError):  # another worker made it first
                os.mkdir(self._base + name, mode, dir_fd=self._fd)
            return self._open(name)
        except NotADirectoryError:
            self._refuse_link(name)
            raise

    def _open(self, name: str) -> Self:
        return type(self)(self._base + name, _OPEN_FOLDER, self._fd)

    def _refuse_link(self, name: str, *, always: bool = True) -> None:
        """Raise ELOOP if the name is a link: systems raise different errors when opening one."""
        if always and stat.S_ISLNK(self._stat(name).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)

    def _stat(self, name: str) -> os.stat_result:
        return os.stat(self._base + name, dir_fd=self._fd, follow_symlinks=False)

    def look_up(self, name: str) -> LocalFile | None:
        """Return what has this name here; None for nothing, and for a symbolic link."""
        return self.look_up_all([name])[0]

    def look_up_all(
        self,
        names: Sequence[str],
        known: Sequence[tuple[int, int]] = (),
        unsure: UnsurePeriods = (),
    ) -> list[LocalFile | None]:
        """Return what has each of these names here, as `look_up` does.

        Args:
            names: where to look.
            known: for each name a size and a time; a file that has both is `UNCHANGED`.
            unsure: a file that changed in one of these periods is unsure.
        """
        files: list[LocalFile | None] = []
        fd, base = self._fd, self._base
        for place, name in enumerate(names):
            try:
                found = os.stat(base + name, dir_fd=fd, follow_symlinks=False)
            except OSError:
                files.append(None)
                continue
            is_file = stat.S_ISREG(found.st_mode)
            known_as = known[place] if is_file and known and not unsure else None
            if known_as == (found.st_size, found.st_mtime_ns):
                files.append(UNCHANGED)
            else:
                files.append(_described(found, unsure))
        return files

    def open(self, name: str) -> FileIO:
        """Open a file for reading, without following a link.

        Raises:
            OSError: it cannot be opened.
        """
        return FileIO(os.open(self._base + name, _OPEN_FILE, dir_fd=self._fd))

    def create(self, name: str) -> int:
        """Make a file for writing, which must not exist, and return its descriptor."""
        return os.open(self._base + name, _NEW_FILE, 0o666, dir_fd=self._fd)

    def set_time(self, name: str, modified_ns: int) -> None:
        """Set the modification time of a file, in ns since the epoch."""
        path = self._base + name
        if self._fd is None:
            os.utime(path, ns=(modified_ns, modified_ns))
        else:
            times = (modified_ns, modified_ns)
            os.utime(path, ns=times, dir_fd=self._fd, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """Remove a file, if there is one of this name."""
        with suppress(FileNotFoundError):
            os.unlink(self._base + name, dir_fd=self._fd)

    def remove_folder(self, name: str) -> None:
        """Remove a folder in this one.

        Raises:
            OSError: it holds something, or cannot be removed.
        """
        os.rmdir(self._base + name, dir_fd=self._fd)

    def sync_file(self, name: str) -> None:
        """Wait until a file's data is on the disk.

        Raises:
            OSError: it is not, and never will be.
        """
        mode = _OPEN_FILE if os.name == "posix" else _OPEN_FILE | os.O_RDWR  # Windows wants that
        with FileIO(os.open(self._base + name, mode, dir_fd=self._fd)) as file:
            os.fsync(file.fileno())

    def read(self, name: str, limit: int) -> bytes | None:
        """Return what a regular file here holds; None if it is none, or longer than `limit`.

        Raises:
            MachineError: no more files can be opened.
        """
        with suppress_lasting_errors(), self.open(name) as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and found.st_size <= limit:
                return file.read(found.st_size)  # a buffer of the limit could be refused
        return None

    def names(self) -> list[str]:
        """Return the names of everything in this folder."""
        return os.listdir(self._base if self._fd is None else self._fd)

    def used_bytes(self) -> int:
        """Return how much disk space the files in this folder take, which may have holes."""
        found = (self._stat(name) for name in self.names())
        return sum(512 * getattr(status, "st_blocks", 0) for status in found)

    def exists(self, name: str) -> bool:
        """Return whether there is anything of this name here, even a link that leads nowhere."""
        try:
            self._stat(name)
        except FileNotFoundError:
            return False
        return True

    def inode(self, name: str) -> int:
        """Return the inode of what has this name."""
        return self._stat(name).st_ino

    def move(self, name: str, folder: Self, new: str) -> None:
        """Rename what has this name to `new` in another folder, replacing a file of that name."""
        source, target = self._base + name, folder._base + new
        os.replace(source, target, src_dir_fd=self._fd, dst_dir_fd=folder._fd)

    def link(self, name: str, folder: Self, new: str) -> None:
        """Give a file a second name, `new` in another folder, which must not be there yet."""
        source, target = self._base + name, folder._base + new
        os.link(source, target, src_dir_fd=self._fd, dst_dir_fd=folder._fd, follow_symlinks=False)

    def is_same(self, name: str, folder: Self, other: str) -> bool:
        """Return whether a name here and another name in a folder are of one file."""
        return os.path.samestat(self._stat(name), folder._stat(other))

    def status(self) -> os.stat_result:
        """Return what the system says of this folder."""
        return os.stat(self._base) if self._fd is None else os.fstat(self._fd)

    def set_mode(self, mode: int) -> None:
        """Give this folder a mode, where the system allows it."""
        with suppress(OSError):
            os.chmod(self._base if self._fd is None else self._fd, mode)

    def set_owner(self, owner: os.stat_result) -> None:
        """Give this folder the group and, for root, the owner of another one."""
        if self._fd is not None:
            with suppress(OSError):
                os.fchown(self._fd, owner.st_uid if os.geteuid() == 0 else -1, owner.st_gid)

    def path(self, fallback: Path) -> Path:
        """Return a path that leads here while it is open, even if the folder is renamed.

        Systems without such paths get the fallback.
        """
        path = f"{FD_PATH}{self._fd}"
        return Path(path) if os.path.isdir(path) else fallback

    def sync(self) -> None:
        """Wait until the names in this folder are on the disk."""
        if self._fd is not None:
            try:
                os.fsync(self._fd)
            except OSError as error:
                if error.errno not in _SYNC_UNSUPPORTED:
                    raise

    def close(self) -> None:
        """Close the folder."""
        if self._fd is not None:
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _described(found: os.stat_result, unsure: UnsurePeriods) -> LocalFile | None:
    if stat.S_ISREG(found.st_mode):
        changed = found.st_ctime_ns
        is_unsure = bool(unsure) and any(start <= changed < end for start, end in unsure)
        size, modified = found.st_size, found.st_mtime_ns
        return LocalFile(size, modified, "file", is_unsure, changed, found.st_ino)
    if stat.S_ISLNK(found.st_mode):
        return None
    return LocalFile(0, 0, "folder" if stat.S_ISDIR(found.st_mode) else "special")


Root = str | Directory
"""Where a walk starts."""


def open_readable(path: str, flags: int) -> int:
    """Open a file of the state folder that other users may read; an opener for `open`."""
    return os.open(path, flags | SAFE_OPEN, 0o644)


def open_private(path: str, flags: int) -> int:
    """Open a file of the state folder, readable only by its owner; an opener for `open`."""
    return os.open(path, flags | SAFE_OPEN, 0o600)
