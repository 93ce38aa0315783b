"""How complete files get their names: written, synced if `--durable` asks for it, renamed.

All calls block, and raise or return OSError untranslated.
"""

import errno
import itertools
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from asyncsync.disk import durable
from asyncsync.disk.backup import Backup
from asyncsync.disk.durable import SyncedFolders
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state.made import Made
from asyncsync.disk.state.mounts import PartFolders
from asyncsync.disk.state.place import Components, Place
from asyncsync.disk.state.published import Published
from asyncsync.disk.state.unsynced import Unsynced
from asyncsync.errors import AsyncSyncError, IntegrityError
from asyncsync.model import Transfer

Unfinished = tuple[Directory, str, int]
"""The parts folder of a file that has no name yet, what it is called there, and its inode."""
Failure = OSError | AsyncSyncError
"""What keeps one file of a batch from being published, and none of the others."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that a mover has written, complete and proven, and that has no name yet."""

    transfer: Transfer
    parts: str
    """The parts folder it is in, as `PartFolder.real` names it."""
    name: str
    inode: int


class Publisher:
    """Publishes files for one run.

    Args:
        place: the destination.
        folders: where unfinished files lie.
        published: records the keys.
        made: records the files.
        unsynced: records that files are not synced one by one.
        run: the id of this run, which ends the names of its unfinished files.
        synced: the folders known to be on the disk; None where files are not synced one by one.
        backup: keeps the files that are replaced.
    """

    def __init__(
        self,
        place: Place,
        folders: PartFolders,
        published: Published,
        made: Made,
        unsynced: Unsynced,
        run: str,
        synced: SyncedFolders | None,
        backup: Backup | None = None,
    ) -> None:
        self.synced = synced
        self._backup = backup
        self._place = place
        self._folders = folders
        self._published = published
        self._made = made
        self._unsynced = unsynced
        self._run = run
        self._numbers = itertools.count()

    def publish(self, files: Sequence[tuple[Transfer, bytes]]) -> list[Failure | None]:
        """Write files, and rename them to their paths.

        All are written before the first is renamed, so that a disk that is asked to sync them has
        begun with all of them before the first is waited for. Each folder is synced once.

        Returns:
            For each file the error that kept it from being published, or None.
        """
        try:
            if files and not self.synced:
                self._unsynced.ensure_mark()
        except OSError as error:
            return [error] * len(files)
        self._published.expect([each.remote.key for each, _ in files if each.remote.modified_ns])
        unfinished = [self._try_to_write(transfer, content) for transfer, content in files]
        written = zip(files, unfinished, strict=True)
        self._record([(each, part[2]) for (each, _), part in written if isinstance(part, tuple)])
        with _Parents(self._place) as parents:
            errors = [
                self._finish(transfer, content, part, parents)
                for (transfer, content), part in zip(files, unfinished, strict=True)
            ]
        return self._confirm([transfer for transfer, _ in files], errors)

    def publish_written(self, files: Sequence[Written]) -> list[Failure | None]:
        """Rename files that movers have written to their paths.

        Returns:
            For each file the error that kept it from being published, or None. An IntegrityError
            says that the file is lost, and that it helps to fetch the object again.
        """
        try:
            if not self.synced:
                self._unsynced.ensure_mark()
        except OSError as error:
            return [error] * len(files)
        transfers = [each.transfer for each in files]
        self._published.expect([each.remote.key for each in transfers if each.remote.modified_ns])
        self._record([(each.transfer, each.inode) for each in files])
        with _Parents(self._place) as parents:
            errors = [self._finish_written(each, parents) for each in files]
        return self._confirm(transfers, errors)

    def _confirm(
        self, transfers: Sequence[Transfer], errors: Sequence[Failure | None]
    ) -> list[Failure | None]:
        """Record which files have their names; return all errors, also those of their folders."""
        done = [each for each, error in zip(transfers, errors, strict=True) if not error]
        self._published.confirm([each.remote.key for each in done if each.remote.modified_ns])
        failed = self._sync_folders({transfer.path[:-1] for transfer in transfers})
        return [
            error or failed.get(transfer.path[:-1])
            for error, transfer in zip(errors, transfers, strict=True)
        ]

    def publish_parts(self, transfer: Transfer, part: Path) -> None:
        """Rename an unfinished file whose parts have all arrived to its path."""
        if modified_ns := transfer.remote.modified_ns:
            os.utime(part, ns=(modified_ns, modified_ns))
            self._published.expect([transfer.remote.key])
            self._record([(transfer, part.stat().st_ino)])
        if not self.synced:
            self._unsynced.ensure_mark()
        with Directory(str(part.parent)) as folder, _Parents(self._place) as parents:
            if self.synced:
                folder.sync_file(part.name)
            self._rename(folder, part.name, transfer, parents)
        if modified_ns:
            self._published.confirm([transfer.remote.key])
        if self.synced:
            self.synced.sync(transfer.path[:-1])

    def adopt(self, transfer: Transfer, modified_ns: int) -> None:
        """Give a file that is here already a time, as if it had been published by this run."""
        if not self.synced:
            self._unsynced.ensure_mark()
        if transfer.remote.modified_ns:
            self._published.add([transfer.remote.key])
        with self._place.walk(transfer.path[:-1]) as folder:
            folder.set_time(transfer.path[-1], modified_ns)
            if self.synced:
                folder.sync_file(transfer.path[-1])

    def prepare_retry(self, transfer: Transfer, error: OSError) -> bool:
        """Return whether a file that could not be published may be, if it is written once more.

        That is so when its path is on another disk, for which this adds a parts folder; and when
        its unfinished file is gone, because another run that no lock kept out took it for a
        leftover.
        """
        if error.errno == errno.EXDEV:
            return self._folders.add_for(transfer.path)
        return error.errno == errno.ENOENT and self._place.is_in_place()

    def _record(self, files: Sequence[tuple[Transfer, int]]) -> None:
        """Record files that are about to get their names, with their inodes."""
        self._made.add(
            [
                (each.remote.key, each.remote.size, each.remote.modified_ns, inode)
                for each, inode in files
                if each.remote.modified_ns
            ]
        )

    def _try_to_write(self, transfer: Transfer, content: bytes) -> Unfinished | OSError:
        try:
            return self._write(transfer, content)
        except OSError as error:
            return error

    def _finish(
        self, transfer: Transfer, content: bytes, part: Unfinished | OSError, parents: "_Parents"
    ) -> Failure | None:
        try:
            if isinstance(part, OSError):
                raise part
            self._sync_and_rename(transfer, part, parents)
        except AsyncSyncError as error:
            return error
        except OSError as error:
            try:
                if not self.prepare_retry(transfer, error):
                    return error
                parents.forget(transfer.path[:-1])  # it may have been removed since it was opened
                part = self._write(transfer, content)
                self._record([(transfer, part[2])])
                self._sync_and_rename(transfer, part, parents)
            except (OSError, AsyncSyncError) as second_error:
                return second_error
        return None

    def _finish_written(self, written: Written, parents: "_Parents") -> Failure | None:
        transfer = written.transfer
        try:
            folder = self._folders.at(written.parts)
            self._rename(folder, written.name, transfer, parents)
        except AsyncSyncError as error:
            return error
        except OSError as error:
            try:
                if not self.prepare_retry(transfer, error):
                    return error
            except OSError as second_error:
                return second_error
            return lost(transfer.remote.key, error)
        return None

    def _write(self, transfer: Transfer, content: bytes) -> Unfinished:
        folder = self._folders.find(transfer.path).directory
        name = f"{next(self._numbers)}.{self._run}"
        inode = write_unfinished(folder, name, transfer, content, flushes=self.synced is not None)
        return folder, name, inode

    def _sync_and_rename(self, transfer: Transfer, part: Unfinished, parents: "_Parents") -> None:
        folder, name, _ = part
        try:
            if self.synced:
                folder.sync_file(name)
            self._rename(folder, name, transfer, parents)
        except BaseException:
            folder.remove(name)
            raise

    def _rename(
        self, folder: Directory, name: str, transfer: Transfer, parents: "_Parents"
    ) -> None:
        there = parents.open(transfer.path[:-1])
        if self._backup:
            self._backup.keep(transfer.remote.key, there, transfer.path)
        folder.move(name, there, transfer.path[-1])

    def _sync_folders(self, folders: set[Components]) -> dict[Components, OSError]:
        """Wait until the names in the folders are on the disk; return what kept them from that."""
        failed: dict[Components, OSError] = {}
        if synced := self.synced:
            for folder in folders:
                try:
                    synced.sync(folder)
                except OSError as error:
                    failed[folder] = error
        return failed


class _Parents:
    """The folders that some files get their names in, each opened once; a context manager."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._open: dict[Components, Directory] = {}

    def open(self, names: Components) -> Directory:
        """Return a folder; make it if it is missing, unless the destination itself is gone."""
        if names not in self._open:
            self._open[names] = self._walk(names)
        return self._open[names]

    def forget(self, names: Components) -> None:
        """Open a folder anew next time."""
        if folder := self._open.pop(names, None):
            _close(folder)

    def _walk(self, names: Components) -> Directory:
        try:
            return self._place.walk(names)
        except FileNotFoundError:
            if not self._place.is_in_place():
                raise
        return self._place.walk(names, create=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._open.values():
            _close(folder)


def _close(folder: Directory) -> None:
    with suppress(OSError):  # nothing was written through it, so no file fails
        folder.close()


def write_unfinished(
    folder: Directory, name: str, transfer: Transfer, content: bytes, *, flushes: bool
) -> int:
    """Write a small file that has no name yet, with its time; return its inode.

    Args:
        folder: the parts folder.
        name: what it is called there.
        transfer: which object it is.
        content: all its bytes.
        flushes: whether the disk is to begin with it at once, because it will be synced.
    """
    try:
        file = folder.create(name)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(file, rest) :]
            if flushes:
                durable.start_writeback(file)
            inode = os.fstat(file).st_ino
        finally:
            os.close(file)
        if modified_ns := transfer.remote.modified_ns:
            folder.set_time(name, modified_ns)
    except BaseException:
        folder.remove(name)
        raise
    return inode


def lost(key: str, error: OSError) -> IntegrityError:
    """Return the error of an object whose unfinished file is gone, or on the wrong disk."""
    return IntegrityError(key, f"its unfinished file is lost: {error.strerror}")
