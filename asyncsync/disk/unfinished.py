"""The unfinished files of a run: opened for large objects; kept when it is stopped, or removed."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

from anyio import CancelScope

from asyncsync.disk.parts.leftovers import Leftovers, clear_stale
from asyncsync.disk.parts.partfile import PartFile, open_part_file
from asyncsync.disk.publish import Publisher, lost
from asyncsync.disk.runstate import State
from asyncsync.disk.state.mounts import PartFolders
from asyncsync.disk.state.unsynced import Notice
from asyncsync.errors import (
    AsyncSyncError,
    LocalFileError,
    MachineError,
    RetriesExhaustedError,
    SourceError,
    ThrottledError,
)
from asyncsync.model import RemoteObject, Transfer
from asyncsync.threads import in_thread

_PASSING = LocalFileError, RetriesExhaustedError, SourceError, ThrottledError
"""What may pass; of a local file, that `--backup-dir` cannot keep the one that is replaced."""


class Unfinished:
    """The unfinished files of one run, and those that earlier runs have left.

    Args:
        state: of the run.
        folders: where unfinished files lie.
        publisher: gives them their paths.
        run: the id of this run, which ends their names.
        notice: called with each message for the user.
    """

    def __init__(
        self,
        state: State,
        folders: PartFolders,
        publisher: Publisher,
        run: str,
        notice: Notice,
    ) -> None:
        self._state = state
        self._folders = folders
        self._publisher = publisher
        self._run = run
        self._notice = notice
        self._leftovers: Leftovers | None = None

    async def kept(self, objects: Iterable[RemoteObject]) -> dict[str, int]:
        """Return how many bytes earlier runs have left of these versions, by key."""
        if self._leftovers is None:
            self._leftovers = await in_thread(self._find_leftovers)
        return await in_thread(self._leftovers.kept, objects) if self._leftovers else {}

    def _find_leftovers(self) -> Leftovers:
        is_writing = self._state.is_writing
        before_ns = self._state.began_ns if is_writing else time.time_ns()
        try:
            folders = self._folders.all() if is_writing else self._folders.to_read()
            return Leftovers(folders, before_ns, self._state.source)
        except (OSError, MachineError):
            # Whoever needs them finds out why; until then none are counted.
            return Leftovers((), before_ns, self._state.source)

    @asynccontextmanager
    async def opened(self, transfer: Transfer) -> AsyncIterator[PartFile]:
        """Open the unfinished file of a large object; see `Folder.part_file`.

        Raises:
            IntegrityError: it is lost.
            OSError: it cannot be made, read or written.
        """
        began_ns, source = self._state.began_ns, self._state.source
        with CancelScope(shield=True):
            parts = await in_thread(self._folders.find_on_disk, transfer.path)
            part = await open_part_file(
                parts.path, self._run, transfer.remote, began_ns, self._notice, source
            )
        with kept_for_later(part):
            try:
                async with part:
                    yield part
            except OSError as error:
                if not self._publisher.prepare_retry(transfer, error):
                    raise
                raise lost(transfer.remote.key, error) from error
        part.remove()

    def clear_stale(self, covers: Callable[[str], bool]) -> None:
        """Remove earlier runs' unfinished files of keys that this run covers.

        A run that writes nothing has found none. If that fails, the user is notified, and a later
        run tries again.
        """
        try:
            for parts in self._folders.all() if self._state.is_writing else ():
                clear_stale(parts, self._run, covers, self._state.began_ns)
        except OSError as error:
            self._notice(f"unfinished files of earlier runs are kept for now: {error.strerror}")


@contextmanager
def kept_for_later(part: PartFile) -> Iterator[None]:
    """Keep an unfinished file after what may pass, if it holds something; remove it otherwise."""
    try:
        yield
    except BaseException as error:
        may_pass = isinstance(error, _PASSING)
        if not (part.has_pieces and (may_pass or not isinstance(error, Exception))):
            part.remove()
        raise


def is_kept(error: AsyncSyncError) -> bool:
    """Return whether an unfinished file stays after an error, since a later run may need it."""
    return isinstance(error, _PASSING)
