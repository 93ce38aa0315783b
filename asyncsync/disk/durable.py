"""What survives a power cut: data that was synced, under a name that was synced as well.

A file is synced before it gets its name, its folder after that, and the folders above it that are
new to this run. A failed sync is never repeated: the system has dropped the data by then, and the
next call would say that all is well.
"""

import errno
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from asyncsync.disk.directory import Directory

_TO_SYNC = "rb" if os.name == "posix" else "r+b"
"""How a file is opened to be synced; its mode may not allow more, and Windows asks for more."""


def begin(path: Path) -> None:
    """Let the system begin to write a file to the disk, where it can be told to."""
    if hasattr(os, "posix_fadvise"):
        with open(path, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def sync_file(path: Path) -> None:
    """Return when the file's data is on the disk.

    Raises:
        OSError: it is not, and never will be.
    """
    with open(path, _TO_SYNC, buffering=0) as file:
        os.fsync(file.fileno())


class SyncedFolders:
    """The folders below the destination, and which of them are known to be on the disk."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: set[tuple[str, ...]] = {()}
        self._lost: set[tuple[str, ...]] = set()
        """Folders whose own names are not on the disk, and never will be."""
        self._climbing = threading.Lock()

    def made(self, folders: Iterable[Path]) -> None:
        """Return when the names of folders that were missing are on the disk.

        Raises:
            OSError: they are not.
        """
        for folder in folders:
            with Directory(str(folder.parent)) as parent:
                parent.sync()

    def sync(self, folder: tuple[str, ...]) -> None:
        """Return when the names in a folder are on the disk, and those of the folders above it.

        Raises:
            OSError: they are not.
        """
        self._sync(folder)
        if folder in self._known:
            return
        with self._climbing:  # nobody takes for done what somebody else is at
            above = [folder[:end] for end in range(len(folder), 0, -1)]
            new = [each for each in above if each not in self._known]
            if not self._lost.isdisjoint(new):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            try:
                for each in new:
                    self._sync(each[:-1])
            except OSError:
                self._lost.update(new)
                raise
            self._known.update(new)

    def _sync(self, folder: tuple[str, ...]) -> None:
        with Directory.walk(self._root, folder) as directory:
            directory.sync()
