"""What survives a power cut: a file whose data is synced, under a name that is synced too.

A file is synced before it gets its name. After that its folder is synced, and each folder above
that this run has not synced yet. A failed sync is never repeated: by then the system has dropped
the data, and the next call would report success.
"""

import errno
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state.place import Place


def start_writeback(file: int) -> None:
    """Tell the system to start writing an open file to the disk, where it offers that."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


class SyncedFolders:
    """The folders below the destination, and which of them are known to be on the disk."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._synced: set[tuple[str, ...]] = {()}
        self._failed: set[tuple[str, ...]] = set()
        """Folders whose own names are not on the disk, and never will be."""
        self._syncing_names = threading.Lock()

    def sync_new(self, folders: Iterable[Path]) -> None:
        """Wait until the names of folders that were just made are on the disk.

        Raises:
            OSError: they are not.
        """
        for folder in folders:
            with Directory(str(folder.parent)) as parent:
                parent.sync()

    def sync(self, folder: tuple[str, ...]) -> None:
        """Wait until the names in a folder, and of the folders above it, are on the disk.

        Raises:
            OSError: they are not.
        """
        self._sync(folder)
        if folder in self._synced:
            return
        with self._syncing_names:  # no thread may rely on a sync that another has not finished
            above = [folder[:end] for end in range(len(folder), 0, -1)]
            new = [each for each in above if each not in self._synced]
            if not self._failed.isdisjoint(new):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            try:
                for each in new:
                    self._sync(each[:-1])
            except OSError:
                self._failed.update(new)
                raise
            self._synced.update(new)

    def _sync(self, folder: tuple[str, ...]) -> None:
        with self._place.walk(folder) as directory:
            directory.sync()
