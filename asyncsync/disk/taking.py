"""Takes the files that movers have written: they get their names here, in the one run that may.

A mover (`handover.py`) writes an object's file where this one tells it to, and has proven it when
it answers. Only the process that holds the lock renames it, records it, and keeps what it replaces.
So a mover that outlives its run gives no file a name.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress

from asyncsync.disk.folders.translation import destination_error
from asyncsync.disk.handover import Terms
from asyncsync.disk.parts.apart import APART
from asyncsync.disk.parts.journal import JOURNAL
from asyncsync.disk.publish import Failure, Publisher, Written
from asyncsync.disk.runstate import State
from asyncsync.disk.state.mounts import PartFolders
from asyncsync.disk.state.place import Place
from asyncsync.disk.state.sign import SIGN, Sign
from asyncsync.disk.unfinished import is_kept
from asyncsync.errors import AsyncSyncError, MachineError, ThrottledError
from asyncsync.model import Transfer
from asyncsync.threads import in_thread

CHECKED = 256 * 1024
"""Bytes from which a file is worth a look at the disk of its folder, before it is fetched."""


class Taking:
    """Takes files from movers for one run.

    Args:
        place: the destination.
        state: of the run.
        folders: where unfinished files lie.
        publisher: gives them their paths.
        run: the id of this run.
        translate_errors: a context that turns an OSError about a transfer into one of ours.
    """

    def __init__(
        self,
        place: Place,
        state: State,
        folders: PartFolders,
        publisher: Publisher,
        run: str,
        translate_errors: Callable[[Transfer], AbstractContextManager[None]],
    ) -> None:
        self._place = place
        self._state = state
        self._folders = folders
        self._publisher = publisher
        self._run = run
        self._translate_errors = translate_errors

    @property
    def terms(self) -> Terms:
        """What a mover has to know of this run, which must be one that writes."""
        usual = self._folders.find(())
        return Terms(
            dest=str(self._place.path),
            run=self._run,
            source=self._state.source,
            began_ns=self._state.began_ns,
            is_durable=self._publisher.synced is not None,
            parts=usual.real,
            inode=usual.inode,
        )

    @property
    def locks(self) -> Sequence[int]:
        """The descriptors of the locks that this run holds.

        A mover inherits them: no other run begins before the last mover of this one has ended.
        """
        return self._place.locks

    async def parts_for(self, transfer: Transfer) -> tuple[str, int]:
        """Return the parts folder, and its inode, that a mover is to write the object's file in.

        Raises:
            TransferError, DestinationError, ThrottledError: as for `Folder.publish`; a small
                object's folder is not looked for on the disk.
        """
        if transfer.remote.size <= CHECKED:
            found = self._folders.find(transfer.path)
        else:
            with self._translate_errors(transfer):
                found = await in_thread(self._folders.find_on_disk, transfer.path)
        return found.real, found.inode

    async def put_sign(self) -> Sign:
        """Make the file by which another machine knows the usual parts folder again.

        Raises:
            DestinationError: it cannot be made.
        """
        usual = self._folders.find(())
        try:
            return await in_thread(Sign.put, usual.directory, usual.real, usual.inode, self._run)
        except OSError as error:
            raise destination_error(self._place.path, error) from error

    async def clear_apart(self) -> None:
        """Remove the sign, and what movers without the lock wrote that nobody takes any more.

        What a later run may go on with stays.
        """
        for pattern in (f"{SIGN}.{self._run}", f"{APART}*.{self._run}-*", f"*-*.{self._run}-*"):
            await in_thread(self._remove, pattern)

    async def take(self, files: Sequence[Written]) -> list[AsyncSyncError | None]:
        """Give files their names. One thread hop for all.

        Returns:
            For each file the error that kept it from being published, or None. An IntegrityError
            says that the file is lost, and that it helps to fetch the object again. After a
            ThrottledError it can be taken once more.
        """
        return await in_thread(self._take, files)

    def _take(self, files: Sequence[Written]) -> list[AsyncSyncError | None]:
        failures = self._publisher.publish_written(files)
        return [self._clear(file, failure) for file, failure in zip(files, failures, strict=True)]

    def _clear(self, file: Written, failure: Failure | None) -> AsyncSyncError | None:
        """Remove what a file that was taken leaves behind, or the file itself if it is of no use.

        Returns our error for a failure.
        """
        error = self._translate(file.transfer, failure) if failure else None
        if isinstance(error, ThrottledError):
            return error
        has_journal = file.transfer.remote.size > CHECKED
        if (error is None and not has_journal) or (error and has_journal and is_kept(error)):
            return error
        with suppress(OSError):  # the next run removes it
            folder = self._folders.at(file.parts)
            folder.remove(f"{file.name}{JOURNAL}")
            if error:
                folder.remove(file.name)
        return error

    async def clear(self, number: int) -> None:
        """Remove the small files of a mover that has ended, which nobody takes any more."""
        with suppress(MachineError):  # no thread can be started; the next run removes them
            await in_thread(self._remove, f"{number}-*.{self._run}")

    def _remove(self, pattern: str) -> None:
        with suppress(OSError):
            for folder in self._folders.all():
                for file in folder.glob(pattern):
                    file.unlink(missing_ok=True)

    def _translate(self, transfer: Transfer, failure: Failure) -> AsyncSyncError:
        try:
            with self._translate_errors(transfer):
                raise failure
        except AsyncSyncError as error:
            return error
