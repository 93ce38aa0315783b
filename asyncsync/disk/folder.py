"""The destination folder, and the state folder inside it.

    destination/
      1hz/2026/a.parquet          published: complete, validated, with the object's LastModified
      .asyncsync/lock             held by the one run that writes; see `state/lock.py`
      .asyncsync/<uid>/           the state of this user's runs; see `state/` and `runstate.py`

The file at a path changes only when a complete file is renamed to it, or with `--delete` when it is
removed.
"""

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Container, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TypeVar

import anyio

from asyncsync import descriptors
from asyncsync.disk.backup import Backup
from asyncsync.disk.batches import Batches
from asyncsync.disk.durable import SyncedFolders
from asyncsync.disk.folders.directory import LocalFile
from asyncsync.disk.folders.folding import Folding, probe
from asyncsync.disk.folders.looking import Looker, Select, count_by_prefix, find_keys
from asyncsync.disk.folders.translation import destination_error, translated
from asyncsync.disk.parts.leftovers import used_bytes
from asyncsync.disk.parts.partfile import PartFile
from asyncsync.disk.publish import Publisher
from asyncsync.disk.removal import Removal
from asyncsync.disk.runstate import State
from asyncsync.disk.state.made import Made
from asyncsync.disk.state.mounts import PartFolders
from asyncsync.disk.state.notes import read_note, write_note
from asyncsync.disk.state.place import Place
from asyncsync.disk.state.published import Published
from asyncsync.disk.state.sources import Sources
from asyncsync.disk.state.stripped import Stripped
from asyncsync.disk.state.unsynced import Notice, Unsynced
from asyncsync.disk.taking import Taking
from asyncsync.disk.unfinished import Unfinished
from asyncsync.errors import LocalFileError, MachineError
from asyncsync.keys import key_hash
from asyncsync.model import Proof, RemoteObject, Transfer
from asyncsync.paths import PLAIN, Paths
from asyncsync.shards import Shard
from asyncsync.threads import in_thread

LOOKS = 100
"""How often to try to look at files, or to begin, while the limit of open files is reached."""
PAUSE = 0.1
"""Seconds between two tries."""

Found = TypeVar("Found")


class Folder:
    """The destination. Read at any time; to write, enter `syncing()` or `writing()`.

    Args:
        path: the folder; if it is a symbolic link, what that leads to now.
        durable: whether a file counts as published only once it would survive a power cut.
        notice: called with each message for the user.
        paths: how keys become paths.
        source: the bucket of this run, the same however its endpoint is spelled; empty for none.
        follows_links: whether links to folders in it stand for those folders; see `links.py`.
        backup: keeps the files that are replaced.
        shard: the one that the run is for; None for a whole run.
    """

    def __init__(
        self,
        path: Path,
        *,
        durable: bool = False,
        notice: Notice = str,
        paths: Paths = PLAIN,
        source: str = "",
        follows_links: bool = False,
        backup: Backup | None = None,
        shard: Shard | None = None,
    ) -> None:
        self.path = Path(os.path.realpath(path))
        self.paths = paths
        self.backup = backup
        self._run = secrets.token_hex(8)
        place = self._place = Place(self.path, notice, follows_links=follows_links, shard=shard)
        self.walk = place.walk
        self._looker = Looker(self.walk)
        parts = self._part_folders = PartFolders(place)
        self._sources = Sources(place, source, notice)
        files = self._published = Published(place, self._sources)
        made = Made(place)
        self._stripped = Stripped(place, files, paths.stripped)
        self._unsynced = Unsynced(place, parts, notice)
        synced = SyncedFolders(place) if durable else None
        self._state = State(
            place, parts, files, made, self._stripped, self._unsynced, synced, backup
        )
        self._publisher = Publisher(
            place, parts, files, made, self._unsynced, self._run, synced, backup
        )
        self._unfinished = Unfinished(self._state, parts, self._publisher, self._run, notice)
        self.removal = Removal(place, made, paths, backup)
        self._translated = partial(translated, self.path, check=self.check_place)
        self._batches = Batches(self._publisher.publish, self._translated)
        self.taking = Taking(
            place, self._state, parts, self._publisher, self._run, self._translated
        )

    # reading ------------------------------------------------------------------------------------

    async def look_up(self, paths: Sequence[tuple[str, ...]]) -> list[LocalFile | None]:
        """Return what exists at each path, None where there is nothing; raises as `compare`."""
        return await self.compare(["/".join(path) for path in paths], ())

    async def compare(
        self, paths: Sequence[str], known: Sequence[tuple[int, int]]
    ) -> list[LocalFile | None]:
        """Return what exists at each path, None where there is nothing. One thread hop for all.

        Args:
            paths: where to look: the names of each, joined by slashes.
            known: for each path a size in bytes and a time in ns since the epoch; a file that has
                just these is `UNCHANGED`. Empty to have each file described.

        Raises:
            DestinationError: the limit of open files was reached, and stayed so for seconds.
        """
        unsure = self._unsynced.unsure_periods
        return await self._look(lambda: self._looker.look_up(paths, known, unsure()))

    async def were_published(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys whose files were published here, by this run or an earlier."""
        return await self._look(lambda: self._published.known(keys))

    async def made_by_others(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys whose files were not made here, as far as the notes tell."""
        return await self._look(lambda: self._published.made_by_others(keys))

    def kept(self, objects: Sequence[RemoteObject]) -> Coroutine[None, None, dict[str, int]]:
        """Return how many bytes earlier runs' unfinished files have of objects, by key."""
        return self._unfinished.kept(objects)

    @property
    def is_mixed(self) -> bool:
        """Whether files here may be other objects' than those of this run, or another bucket's."""
        return self._sources.is_mixed or self._stripped.is_mixed

    async def are_from_here(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys whose files this user made here from the bucket of this run."""
        if self._stripped.is_mixed:  # another user may have replaced them by other keys' files
            return set()
        return await self._look(lambda: self._published.from_current(keys))

    def open(self, remote: RemoteObject) -> FileIO:
        """Open the file of an object for reading, without following a link. Blocks.

        Raises:
            LocalFileError: it cannot be opened.
            ThrottledError: the limit of open files is reached.
        """
        *parents, name = self.paths.of(remote.key)
        try:
            with self.walk(tuple(parents)) as directory:
                return directory.open(name)
        except OSError as error:
            raise descriptors.too_many_open_files(error) or LocalFileError(
                remote.key, f"its file cannot be read: {error.strerror or error}"
            ) from error

    async def unlisted(self, select: Select, known: Container[int]) -> list[str]:
        """Return the selected keys that have a file here, without those whose hash is in `known`.

        Raises:
            DestinationError: as for `look_up`.
        """
        return await self._look(
            lambda: sorted(
                key for keys in self._find(select) for key in keys if key_hash(key) not in known
            )
        )

    async def count(self, select: Select) -> dict[str, int]:
        """Return how many files with a selected key each top-level prefix has; as `unlisted`."""
        return await self._look(lambda: count_by_prefix(self._find(select)))

    def _find(self, select: Select) -> Iterator[Sequence[str]]:
        return find_keys(self._place.roots(), select, self.paths)

    async def _look(self, look: Callable[[], Found]) -> Found:
        """Call `look` in a thread and return its result; retry if that may pass."""
        for _ in range(LOOKS - 1):
            with suppress(OSError, MachineError):
                return await in_thread(look)
            await anyio.sleep(PAUSE)
        with self._destination_errors():
            return await in_thread(look)

    def folding(self) -> Folding:
        """Return how names are folded here; before the first `writing`, no folding is known."""
        return probe(self._place.state)

    def room(self) -> int | None:
        """Return how many bytes a run may write, also those of unfinished files; None if unknown.

        Raises:
            DestinationError: the disk cannot be queried.
        """
        with self._destination_errors():
            disk = shutil.disk_usage(self.path)
            return disk.free + used_bytes(self._place.state / "parts") if disk.total else None

    def note(self, name: str) -> bytes | None:
        """Return what `keep_note` stored in this or an earlier run; None if nothing.

        Raises:
            OSError: it cannot be read.
        """
        with self._place.reading():
            return read_note(self._place.state / name) if self._place.has_state else None

    def unsure_until(self) -> int:
        """Return when the last unsure period ends, in ns since the epoch; 0 if there is none."""
        return self._unsynced.unsure_until()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the folder, if it exists, so that all that is read in this context is from it.

        Raises:
            ConfigError: its files have other paths than this run would give them.
        """
        with self._place.reading():
            self._stripped.check()
            self._sources.announce()
            yield

    # writing ------------------------------------------------------------------------------------

    @contextmanager
    def syncing(self) -> Iterator[None]:
        """Hold the folder for a run that may write, and find out whether another one does.

        It begins to write now if the state folder waits for that, as in the first run, and
        otherwise with `begin_writing`. If it cannot begin now, `begin_writing` raises the reason.

        Raises:
            ConfigError: as for `reading`.
            LockHeldError: another run holds the lock.
            DestinationError: the folder is missing, and cannot be made.
        """
        with self._state.syncing():
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for a run that writes from its start on; raises as `syncing` does."""
        with self.syncing():
            self._state.begin_writing()
            yield

    @property
    def is_writing(self) -> bool:
        """Whether this run holds the lock."""
        return self._state.is_writing

    async def begin_writing(self) -> bool:
        """Take the lock, unless this run has it or only reads; return whether it has it.

        What was read here before may have changed since: look again.

        Raises:
            LockHeldError: another run holds the lock.
            DestinationError: the folder cannot be made or written.
        """
        for _ in range(LOOKS - 1):
            with suppress(MachineError):  # the limit of open files, which requests may have used up
                return self._state.begin_writing()
            await anyio.sleep(PAUSE)
        return self._state.begin_writing()

    def check_place(self) -> None:
        """Check that the folder that is written to still has its name.

        Raises:
            DestinationError: it was moved, replaced or removed, or another disk covers it.
        """
        self._state.check_place()

    def publish(
        self, transfer: Transfer, content: bytes, prove: Callable[[], Proof]
    ) -> Coroutine[None, None, Proof]:
        """Prove the content of a small file, write it, and rename it to its path.

        Args:
            transfer: which object it is, and its path.
            content: all its bytes.
            prove: called in a thread before anything is written; its result is returned.

        Raises:
            TransferError: this path cannot be written, or `prove` raised it.
            DestinationError: no path can be written.
            ThrottledError: the limit of open files is reached.
        """
        return self._batches.publish(transfer, content, prove)

    @asynccontextmanager
    async def part_file(self, transfer: Transfer) -> AsyncIterator[PartFile]:
        """Open the unfinished file of a large object; `publish_parts` gives it its path.

        If the run stops or the transfer fails for a reason that may pass, what has arrived is kept
        for the next run. After any other error it is removed.

        Raises:
            TransferError, DestinationError, ThrottledError: as for `publish`.
        """
        with self._translated(transfer):
            async with self._unfinished.opened(transfer) as part:
                yield part

    async def publish_parts(self, transfer: Transfer, part: PartFile) -> None:
        """Rename an unfinished file whose parts are all here to its path; call it in `part_file`.

        Raises:
            ThrottledError: the limit of open files is reached.
            OSError: anything else, which `part_file` translates.
        """
        await part.close()
        try:
            await in_thread(self._publisher.publish_parts, transfer, part.path)
        except OSError as error:
            raise descriptors.too_many_open_files(error) or error from error

    async def adopt(self, transfer: Transfer, file: LocalFile) -> bool:
        """Give a file that proved to be the object its time, and note it as published here.

        In a run that has written nothing, nothing is written if it has that time. Returns whether
        it is up to date now; it is not if it cannot be given the time.

        Raises:
            DestinationError: nothing can be written here.
        """
        remote = transfer.remote
        modified_ns = remote.modified_ns or file.modified_ns
        is_dated = file.modified_ns == modified_ns and not file.is_unsure
        if is_dated and (not self.is_writing or await self.are_from_here([remote.key])):
            return True
        if await self.begin_writing():
            try:
                await in_thread(self._publisher.adopt, transfer, modified_ns)
            except OSError:
                return False  # it may be another user's
        return True

    def keep_note(self, name: str, content: bytes) -> None:
        """Store a note for later runs, replacing the one of that name.

        Raises:
            DestinationError: it cannot be written.
        """
        self._state.begin_writing()
        new = self._part_folders.find(()).path / f"{name}.{self._run}"
        with self._destination_errors():
            write_note(self._place.state / name, new, content)

    def clear_stale(self, covers: Callable[[str], bool]) -> None:
        """Remove earlier runs' unfinished files of keys that this run covers."""
        self._unfinished.clear_stale(covers)

    async def settle(self) -> None:
        """Wait until all published files are on the disk; call it at the end of `writing`.

        If that fails, the user is notified; after a restart, this run's files are unsure.
        """
        await self._unsynced.settle()

    @contextmanager
    def _destination_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise destination_error(self.path, error) from error
