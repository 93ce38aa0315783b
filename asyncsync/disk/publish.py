"""How a complete file gets its name: written, synced if `--durable` asks for it, renamed.

All calls block, and raise OSError untranslated.
"""

import errno
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from asyncsync.disk import durable
from asyncsync.disk.directory import Directory
from asyncsync.disk.durable import SyncedFolders
from asyncsync.disk.mounts import PartFolders
from asyncsync.disk.place import Place
from asyncsync.disk.published import Published
from asyncsync.disk.unsynced import Unsynced
from asyncsync.model import Transfer


class Publisher:
    """Publishes files for one run.

    Args:
        place: the destination.
        folders: where unfinished files lie.
        published: records the keys.
        unsynced: records that files are not synced one by one.
        run: the id of this run, which ends the names of its unfinished files.
        synced: the folders known to be on the disk; None where files are not synced one by one.
    """

    def __init__(
        self,
        place: Place,
        folders: PartFolders,
        published: Published,
        unsynced: Unsynced,
        run: str,
        synced: SyncedFolders | None,
    ) -> None:
        self.synced = synced
        self._place = place
        self._folders = folders
        self._published = published
        self._unsynced = unsynced
        self._run = run
        self._numbers = itertools.count()

    def publish(self, transfer: Transfer, content: bytes) -> None:
        """Write a file and rename it to its path, without waiting for the disk."""
        self._unsynced.ensure_mark()
        try:
            self._rename_or_remove(transfer, self._write(transfer, content))
        except OSError as error:
            if not self.prepare_retry(transfer, error):
                raise
            self._rename_or_remove(transfer, self._write(transfer, content))

    def publish_durably(
        self, files: Sequence[tuple[Transfer, bytes]], synced: SyncedFolders
    ) -> list[OSError | None]:
        """Write files, sync them and rename them to their paths.

        The system starts writing all of them to the disk before the first is waited for, and each
        folder is synced once for all its files.

        Returns:
            For each file the error that kept it from being on the disk, or None.
        """
        parts = [self._start_writing(transfer, content) for transfer, content in files]
        errors = [
            self._finish_writing(transfer, content, part)
            for (transfer, content), part in zip(files, parts, strict=True)
        ]
        folders = [transfer.path[:-1] for transfer, _ in files]
        failed: dict[tuple[str, ...], OSError | None] = {}
        for folder in dict.fromkeys(folders):
            try:
                synced.sync(folder)
            except OSError as error:
                failed[folder] = error
        return [error or failed.get(folder) for error, folder in zip(errors, folders, strict=True)]

    def publish_parts(self, transfer: Transfer, part: Path) -> None:
        """Rename an unfinished file whose parts have all arrived to its path."""
        _set_time(transfer, part)
        if self.synced:
            durable.sync_file(part)
            self._rename(transfer, part)
            self.synced.sync(transfer.path[:-1])
        else:
            self._unsynced.ensure_mark()
            self._rename(transfer, part)

    def prepare_retry(self, transfer: Transfer, error: OSError) -> bool:
        """Return whether a file that could not be published may be, if it is written once more.

        That is so when its path is on another disk, for which this adds a parts folder; and when
        its unfinished file is gone, because another run that no lock kept out took it for a
        leftover.
        """
        if error.errno == errno.EXDEV:
            return self._folders.add_for(transfer.path)
        return error.errno == errno.ENOENT and self._place.is_in_place()

    def _start_writing(self, transfer: Transfer, content: bytes) -> Path | OSError:
        try:
            part = self._write(transfer, content)
            try:
                durable.start_writeback(part)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        except OSError as error:
            return error
        return part

    def _finish_writing(
        self, transfer: Transfer, content: bytes, part: Path | OSError
    ) -> OSError | None:
        if isinstance(part, OSError):
            return part
        try:
            self._sync_and_rename(transfer, part)
        except OSError as error:
            try:
                if not self.prepare_retry(transfer, error):
                    return error
                self._sync_and_rename(transfer, self._write(transfer, content))
            except OSError as second_error:
                return second_error
        return None

    def _write(self, transfer: Transfer, content: bytes) -> Path:
        part = self._folders.find(transfer.path) / f"{next(self._numbers)}.{self._run}"
        try:
            with open(part, "xb", buffering=0) as file:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
            _set_time(transfer, part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return part

    def _sync_and_rename(self, transfer: Transfer, part: Path) -> None:
        try:
            durable.sync_file(part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self._rename_or_remove(transfer, part)

    def _rename_or_remove(self, transfer: Transfer, part: Path) -> None:
        try:
            self._rename(transfer, part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _rename(self, transfer: Transfer, part: Path) -> None:
        if transfer.remote.modified_ns:
            self._published.add(transfer.remote.key)
        *parents, name = transfer.path
        with self._open_parents(parents) as directory:
            directory.move_in(str(part), name)

    def _open_parents(self, parents: Sequence[str]) -> Directory:
        """Open a folder; make it if it is missing, unless the destination itself is gone."""
        try:
            return Directory.walk(self._place.root, parents)
        except FileNotFoundError:
            if not self._place.is_in_place():
                raise
        return Directory.walk(self._place.root, parents, create=True)


def _set_time(transfer: Transfer, part: Path) -> None:
    """Give a file its object's LastModified; before the sync, so that the time is synced too."""
    if modified_ns := transfer.remote.modified_ns:
        os.utime(part, ns=(modified_ns, modified_ns))
