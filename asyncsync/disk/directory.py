"""A folder that is reached without following a symbolic link.

Every step opens one name relative to the folder above it, so that a link cannot lead a read or a
write out of the destination, not even one that is put there between two steps. Where the system
cannot open relative to a folder (Windows), each step is checked and then named by its path.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from asyncsync import descriptors
from asyncsync.keys import STATE_DIR

_RELATIVE = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP}
"""What a file system answers that syncs no folders; there is nothing better to be had from it."""
_OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_OPEN_FILE = os.O_RDONLY | sum(
    getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
)

HELD = "/proc/self/fd/"
"""What begins the path of a folder that is open, by its number."""
CAREFULLY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Follow no link at the end of the path, and wait for nobody who would open the pipe there."""

Doubts = Sequence[tuple[int, int]]
"""Nanoseconds from and until which a changed file is unsure."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """What lies at a path."""

    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since the epoch."""
    kind: str = "file"
    """`file`; `folder`; `special`: a FIFO, socket or device; `blocked`: below what is no folder."""
    is_unsure: bool = False
    """Whether a power cut may have taken its content."""
    changed_ns: int = field(default=0, compare=False)
    """When the system last saw a change of it, in nanoseconds since the epoch; 0 if unknown."""


class Directory:
    """An open folder; a context manager that closes it. All calls block."""

    __slots__ = ("_base", "_fd")

    def __init__(self, path: str, flags: int = os.O_RDONLY, dir_fd: int | None = None) -> None:
        self._base, self._fd = path, None
        if _RELATIVE:
            self._base, self._fd = "", os.open(path, flags, dir_fd=dir_fd)
        elif not os.path.isdir(path):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)

    @classmethod
    def walk(
        cls, root: str, names: Iterable[str], *, create: bool = False, mode: int = 0o777
    ) -> Self:
        """Open the folder below `root` that the names lead to, making what is missing if asked.

        Raises:
            OSError: ELOOP where a symbolic link is in the way, ENOTDIR where something else is,
                FileNotFoundError where a folder is missing and none is made.
        """
        here = cls(root)
        try:
            for name in names:
                deeper = here._enter(name, mode if create else None)
                here.close()
                here = deeper
        except BaseException:
            here.close()
            raise
        return here

    def _enter(self, name: str, mode: int | None) -> Self:
        try:
            self._refuse_link(name, always=not _RELATIVE)
            return self._open(name)
        except FileNotFoundError:
            if mode is None:
                raise
            with suppress(FileExistsError):  # another worker was faster
                os.mkdir(os.path.join(self._base, name), mode, dir_fd=self._fd)
            return self._open(name)
        except NotADirectoryError:
            self._refuse_link(name)
            raise

    def _open(self, name: str) -> Self:
        return type(self)(os.path.join(self._base, name), _OPEN_FOLDER, self._fd)

    def _refuse_link(self, name: str, *, always: bool = True) -> None:
        """Raise ELOOP where the name is a link: systems differ in what opening one raises."""
        if always and stat.S_ISLNK(self._stat(name).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)

    def _stat(self, name: str) -> os.stat_result:
        path = name if self._fd is not None else os.path.join(self._base, name)
        return os.stat(path, dir_fd=self._fd, follow_symlinks=False)

    def look_up(self, name: str, doubts: Doubts = ()) -> LocalFile | None:
        """Return what lies here under the name; None for nothing, and for a symbolic link.

        A file that changed between the times of one of the doubts is unsure.
        """
        try:
            found = self._stat(name)
        except OSError:
            return None
        if stat.S_ISREG(found.st_mode):
            changed = found.st_ctime_ns
            is_unsure = bool(doubts) and any(since <= changed < until for since, until in doubts)
            return LocalFile(found.st_size, found.st_mtime_ns, "file", is_unsure, changed)
        if stat.S_ISLNK(found.st_mode):
            return None
        return LocalFile(0, 0, "folder" if stat.S_ISDIR(found.st_mode) else "special")

    def open(self, name: str) -> FileIO:
        """Open the file for reading; a link is not followed.

        Raises:
            OSError: it cannot be read.
        """
        return FileIO(os.open(os.path.join(self._base, name), _OPEN_FILE, dir_fd=self._fd))

    def receive(self, path: str, name: str) -> None:
        """Rename the file at `path` to the name in this folder, in place of what has that name."""
        os.replace(path, os.path.join(self._base, name), dst_dir_fd=self._fd)

    @property
    def device(self) -> int:
        """The number of the disk that it is on."""
        return (os.stat(self._base) if self._fd is None else os.fstat(self._fd)).st_dev

    def path(self, otherwise: str) -> Path:
        """Return a path that leads here while it is open, whatever becomes of its name.

        Systems that have no such path get the one that is given.
        """
        own = f"{HELD}{self._fd}"
        return Path(own if os.path.isdir(own) else otherwise)

    def sync(self) -> None:
        """Return when the names in this folder are on the disk."""
        if self._fd is not None:
            try:
                os.fsync(self._fd)
            except OSError as error:
                if error.errno not in _NO_SYNC:
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


def own(path: str, flags: int) -> int:
    """Open one of our own files, which nobody else may read; for `open`."""
    return os.open(path, flags | CAREFULLY, 0o600)


def look_up(root: str, paths: Sequence[tuple[str, ...]], doubts: Doubts) -> list[LocalFile | None]:
    """Return what lies at each path below the folder, None where there is nothing. Blocks.

    Raises:
        OSError: no more files can be opened, so that nobody can tell.
    """
    found: list[LocalFile | None] = []
    parents: tuple[str, ...] | None = None
    directory: Directory | None = None
    instead: LocalFile | None = None
    try:
        for path in paths:
            if path[:-1] != parents:  # neighbours in a listing mostly share their folder
                if directory:
                    directory.close()
                parents = path[:-1]
                directory, instead = _reached(root, parents)
            found.append(directory.look_up(path[-1], doubts) if directory else instead)
    finally:
        if directory:
            directory.close()
    return found


def _reached(root: str, parents: tuple[str, ...]) -> tuple[Directory | None, LocalFile | None]:
    """Return the folder, or what is to be said of every path in it."""
    try:
        return Directory.walk(root, parents), None
    except NotADirectoryError:
        return None, LocalFile(0, 0, "blocked")
    except OSError as error:
        if descriptors.refused(error):
            raise
        return None, None  # nothing can lie there; publishing says if it cannot be made either


def files(root: str, matches: Callable[[str], bool]) -> Iterator[str]:
    """Yield the keys that match and have a file below the folder, in no order. Blocks.

    Raises:
        OSError: no more files can be opened, so that nobody can tell.
    """
    pending = [("", root)]
    while pending:
        base, directory = pending.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    key = base + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name != STATE_DIR:
                            pending.append((key + "/", entry.path))
                    elif matches(key) and entry.is_file(follow_symlinks=False):
                        yield key
        except OSError as error:
            if descriptors.refused(error):
                raise
            # A folder that is missing or cannot be read holds no file that anybody could use.
