"""How an arrived file gets its name: written, synced where that is asked for, renamed.

All calls block, and raise the system's errors.
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
from asyncsync.disk.published import Published
from asyncsync.disk.unsynced import Unsynced
from asyncsync.model import Transfer


class Publisher:
    """Publishes files for one run.

    Args:
        root: the destination.
        folders: where unfinished files are.
        published: takes note of the keys.
        unsynced: takes note that files do not wait for the disk.
        run: what this run's files are named by.
        synced: what is known to be on the disk; None where no file waits for that.
    """

    def __init__(
        self,
        root: str,
        folders: PartFolders,
        published: Published,
        unsynced: Unsynced,
        run: str,
        synced: SyncedFolders | None,
    ) -> None:
        self.synced = synced
        self._root = root
        self._folders = folders
        self._published = published
        self._unsynced = unsynced
        self._run = run
        self._numbers = itertools.count()

    def whole(self, transfer: Transfer, content: bytes) -> None:
        """Write a file as a whole and give it its name, without a wait for the disk."""
        self._unsynced.begin()
        try:
            self._give_name(transfer, self._write(transfer, content))
        except OSError as error:
            if not self.is_worth_another_try(transfer, error):
                raise
            self._give_name(transfer, self._write(transfer, content))

    def durably(
        self, files: Sequence[tuple[Transfer, bytes]], synced: SyncedFolders
    ) -> list[OSError | None]:
        """Write files as a whole; return for each what kept it from being on the disk.

        The disk begins with all of them before the first is waited for, and each folder is synced
        once for all its files.
        """
        parts = [self._begun(transfer, content) for transfer, content in files]
        errors = [
            self._finished(transfer, content, part)
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

    def parts(self, transfer: Transfer, part: Path) -> None:
        """Give a file that has come in parts its name."""
        _set_time(transfer, part)
        if self.synced:
            durable.sync_file(part)
            self._rename(transfer, part)
            self.synced.sync(transfer.path[:-1])
        else:
            self._unsynced.begin()
            self._rename(transfer, part)

    def is_worth_another_try(self, transfer: Transfer, error: OSError) -> bool:
        """Return whether a file that got no name may get it when it is written once more.

        That is so when its path is on another disk, and when another run, which no lock held back,
        has taken its unfinished file for one that was left behind.
        """
        if error.errno == errno.EXDEV:
            return self._folders.found_elsewhere(transfer.path)
        return error.errno == errno.ENOENT and self._folders.usual.is_dir()

    def _begun(self, transfer: Transfer, content: bytes) -> Path | OSError:
        try:
            part = self._write(transfer, content)
            try:
                durable.begin(part)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        except OSError as error:
            return error
        return part

    def _finished(self, transfer: Transfer, content: bytes, part: Path | OSError) -> OSError | None:
        if isinstance(part, OSError):
            return part
        try:
            self._sync_and_give_name(transfer, part)
        except OSError as error:
            try:
                if not self.is_worth_another_try(transfer, error):
                    return error
                self._sync_and_give_name(transfer, self._write(transfer, content))
            except OSError as again:
                return again
        return None

    def _write(self, transfer: Transfer, content: bytes) -> Path:
        part = self._folders.of(transfer.path) / f"{next(self._numbers)}.{self._run}"
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

    def _sync_and_give_name(self, transfer: Transfer, part: Path) -> None:
        try:
            durable.sync_file(part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self._give_name(transfer, part)

    def _give_name(self, transfer: Transfer, part: Path) -> None:
        try:
            self._rename(transfer, part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _rename(self, transfer: Transfer, part: Path) -> None:
        if transfer.remote.modified_ns:
            self._published.add(transfer.remote.key)
        *parents, name = transfer.path
        with self._reached(parents) as directory:
            directory.receive(str(part), name)

    def _reached(self, parents: Sequence[str]) -> Directory:
        """Open a folder; it is made where it is missing, unless the destination itself is gone."""
        try:
            return Directory.walk(self._root, parents)
        except FileNotFoundError:
            if not self._folders.usual.is_dir():
                raise
        return Directory.walk(self._root, parents, create=True)


def _set_time(transfer: Transfer, part: Path) -> None:
    """Give a file its object's time; before it is synced, so that the time is as well."""
    if modified_ns := transfer.remote.modified_ns:
        os.utime(part, ns=(modified_ns, modified_ns))
