"""Removes files that were made here, and the folders that they leave empty. All calls block."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from asyncsync.disk.backup import Backup
from asyncsync.disk.folders.directory import Directory, LocalFile
from asyncsync.disk.state.made import Made
from asyncsync.disk.state.place import Components, Place
from asyncsync.errors import LocalFileError
from asyncsync.paths import Paths


class Removal:
    """Removes files of one destination, which is held by a run that writes.

    Args:
        place: the destination.
        made: which files were made here.
        paths: how keys become paths.
        backup: keeps the files that are removed.
    """

    def __init__(
        self, place: Place, made: Made, paths: Paths, backup: Backup | None = None
    ) -> None:
        self._place = place
        self._made = made
        self._paths = paths
        self._backup = backup

    def may_go(self, files: Iterable[tuple[str, LocalFile]]) -> set[str]:
        """Return those of the keys whose file this user made here, and that is as it was made.

        What lies behind a link is in another folder, also where links are followed.
        """
        behind = self._place.is_behind_link
        return self._made.known(each for each in files if not behind(self._paths.of(each[0])))

    def remove(self, key: str, file: LocalFile) -> bool:
        """Remove the file of a key, unless it has changed; return whether that was done.

        Args:
            key: whose file it is.
            file: as it was when it was looked at.

        Raises:
            LocalFileError: it cannot be removed or kept, or is not reached without a link.
        """
        path = self._paths.of(key)
        try:
            if not self._remove_unchanged(key, path, file):
                return False
        except FileNotFoundError:
            return False
        except OSError as error:
            reason = error.strerror or error
            raise LocalFileError(key, f"its file cannot be deleted: {reason}") from error
        self._remove_empty(path[:-1])
        return True

    def _remove_unchanged(self, key: str, path: Components, file: LocalFile) -> bool:
        with Directory.walk(self._place.root, path[:-1]) as folder:
            with folder.open(path[-1]) as found:
                if not _is_same(os.fstat(found.fileno()), file):
                    return False
            if self._backup:
                self._backup.keep(key, folder, path)
            folder.remove(path[-1])
        self._made.forget(key)
        return True

    def _remove_empty(self, folders: Components) -> None:
        """Remove a folder of the destination and those around it, as far as they are empty."""
        with suppress(OSError):  # it holds something, is mounted, or another program removed it
            for depth in range(len(folders), 0, -1):
                with Directory.walk(self._place.root, folders[: depth - 1]) as around:
                    around.remove_folder(folders[depth - 1])


def _is_same(found: os.stat_result, file: LocalFile) -> bool:
    as_it_was = (file.size, file.modified_ns, file.inode)
    return stat.S_ISREG(found.st_mode) and as_it_was == (
        found.st_size,
        found.st_mtime_ns,
        found.st_ino,
    )
