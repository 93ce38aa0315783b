"""What lies in the state folder, opened together when a run begins to write.

    parts/        unfinished files; see `parts/`
    mounts        where other disks have theirs; see `state/mounts.py`
    since-*.json  notes of the listing; see `listing/incremental.py`
    sources       which buckets the files are from; see `state/sources.py`
    published     which keys' files were made here; see `state/published.py`
    made          each of these files as it was made; see `state/made.py`
    stripped      the prefix that paths leave out; see `state/stripped.py`
    shards/       the same of each shard; see `state/shardstates.py`
    case, é       show whether two names are the same here; see `folders/folding.py`
    unsynced      the mark of a run that writes; see `state/unsynced.py`
    doubtful      what power cuts may have damaged; see `state/unsynced.py`

A run that finds everything in step needs to write nothing, so a destination that cannot be written
will do for it. But where the state folder itself waits for a run that writes, a run does so from
its start on: it is the first one here, an earlier one has left unfinished files or its mark, shards
have left something, another disk is mounted inside the destination, or the bucket is another one
than before.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from asyncsync.disk.backup import Backup
from asyncsync.disk.durable import SyncedFolders
from asyncsync.disk.folders.folding import is_marked, mark
from asyncsync.disk.folders.translation import destination_error
from asyncsync.disk.parts.leftovers import clear
from asyncsync.disk.state import mounts, unsynced
from asyncsync.disk.state.made import Made
from asyncsync.disk.state.mounts import PartFolders
from asyncsync.disk.state.place import Place
from asyncsync.disk.state.published import Published
from asyncsync.disk.state.stripped import Stripped
from asyncsync.disk.state.unsynced import Unsynced
from asyncsync.errors import DestinationError, LockHeldError, MachineError
from asyncsync.keys import escaped

LEFTOVER_AGE = 600 * 10**9
"""Nanoseconds after which an unfinished file counts as a leftover where the lock does not work."""


class State:
    """The state of one run. All calls block, for milliseconds.

    Args:
        place: the destination, and where the state folder is.
        part_folders: where unfinished files lie.
        published: which keys' files were made here.
        made: each of these files as it was made.
        stripped: the prefix that their paths leave out.
        unsynced: what a power cut may have damaged.
        synced: the folders known to be on the disk; None where files are not synced one by one.
        backup: keeps the files that are replaced.
    """

    def __init__(
        self,
        place: Place,
        part_folders: PartFolders,
        published: Published,
        made: Made,
        stripped: Stripped,
        unsynced: Unsynced,
        synced: SyncedFolders | None,
        backup: Backup | None = None,
    ) -> None:
        self._place = place
        self._part_folders = part_folders
        self._sources = published.sources
        self._published = published
        self._made = made
        self._stripped = stripped
        self._unsynced = unsynced
        self._synced = synced
        self._backup = backup
        self._opened: ExitStack | None = None
        """Closed when the run ends; only a run that may write has one."""
        self._refusal: DestinationError | None = None
        """Why nothing can be written here, although that was due."""
        self.is_writing = False
        """Whether this run holds the lock."""
        self._is_source_noted = False
        self.source = self._sources.current
        """The bucket of the run."""
        self.began_ns = 0
        """When it began to write, by the destination's clock, in ns since the epoch."""

    @contextmanager
    def syncing(self) -> Iterator[None]:
        """Hold the destination for a run that may write; see `Folder.syncing`."""
        with self._place.reading(), ExitStack() as self._opened:
            self._stripped.check()
            try:
                self._sources.announce()
                if self._is_settled():
                    self._place.check_free()
                else:
                    self._begin()
            except LockHeldError:
                raise
            except DestinationError as error:
                if not os.path.isdir(self._place.path):
                    raise
                if not isinstance(error, MachineError):  # that may pass
                    self._refusal = error
            try:
                yield
            finally:
                self._opened, self.is_writing, self._is_source_noted = None, False, False

    def begin_writing(self) -> bool:
        """Take the lock, unless this run has it or only reads; see `Folder.begin_writing`.

        The bucket is noted then, and not before: one that was mistyped has shown nothing.
        """
        if self._begin() and not self._is_source_noted:
            try:
                self._sources.note()
            except OSError as error:
                raise destination_error(self._place.path, error) from error
            self._is_source_noted = True
        return self.is_writing

    def _begin(self) -> bool:
        """Take the lock, unless this run has it or only reads."""
        if self._opened is None or self.is_writing:
            return self.is_writing
        if self._refusal:
            raise self._refusal
        if self._place.is_held:
            self.check_place()
        try:
            self._opened.enter_context(self._writing())
        except OSError as error:
            raise destination_error(self._place.path, error) from error
        self.is_writing = True
        return True

    def check_place(self) -> None:
        """Check that the destination still has its name; see `Folder.check_place`."""
        if not self._place.is_in_place():
            raise DestinationError(
                f"{escaped(str(self._place.path))}: was moved, replaced or removed during the run; "
                "what was downloaded is in the folder that had this name"
            )

    def _is_settled(self) -> bool:
        """Return whether nothing in the state folder waits for a run that writes."""
        state = self._place.state
        if not self._place.has_state or (not self._place.shard and self._place.other_states()):
            return False
        try:
            waiting = {mounts.LIST_NAME, unsynced.MARK_NAME}.intersection(os.listdir(state))
            waiting |= set(os.listdir(state / "parts"))
        except OSError:
            return False
        if self._sources.is_mixed or not self._sources.is_noted:
            return False
        return not waiting and is_marked(state) and self._unsynced.unsure_until() != unsynced.NO_END

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Make the destination, hold its lock, and remove unfinished files of no use."""
        path = self._place.path
        missing = [f for f in (path, *path.parents) if not f.exists()]
        path.mkdir(parents=True, exist_ok=True)
        if self._synced:
            self._synced.sync_new(missing)
        with ExitStack() as stack:
            stack.enter_context(self._place.writing())
            is_exclusive = stack.enter_context(self._place.lock())
            stack.enter_context(self._part_folders.opened())
            lock, shard = self._place.state / "lock", self._place.shard
            takes_over = is_exclusive and bool(self._place.other_states())
            if takes_over and self._part_folders.take_over(shard.has if shard else None):
                os.utime(lock)  # what was moved has changed before this run began, then
            self.began_ns = lock.stat().st_ctime_ns - (0 if is_exclusive else LEFTOVER_AGE)
            for parts in self._part_folders.all():
                clear(parts, self.began_ns)
            if self._backup:
                usual, mode = self._part_folders.find(()).directory, path.stat().st_mode
                stack.enter_context(self._backup.opened(usual, mode, self._place.followed()))
            self._stripped.note()
            stack.enter_context(self._published.writing())
            stack.enter_context(self._made.writing())
            mark(self._place.state)
            if takes_over and not shard:
                self._sources.take_over()
                self._published.take_over()
                self._made.take_over()
            stack.enter_context(self._unsynced.writing(self.began_ns if is_exclusive else None))
            if takes_over and not shard:
                for folder in [(), *self._part_folders.keep_list()]:
                    self._place.remove_shard_states(folder)
            yield
