"""The local wall: the destination folder and the unfinished files in it.

    destination/
      1hz/2026/a.parquet          published: complete, validated, with the object's time
      .asyncsync/lock             held by the one run that writes
      .asyncsync/parts/           unfinished, see `parts.py`
      .asyncsync/since-*.json     notes, see `since.py`
      .asyncsync/published        which keys' files were made here, see `published.py`
      .asyncsync/case, é          tell whether two names are one here, see `folding.py`
      .asyncsync/unsynced         what a power cut may take, see `unsynced.py`

A path changes only by the rename of a finished part file.
"""

import errno
import os
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Container, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TypeVar

import anyio
from anyio import CancelScope

from asyncsync import descriptors
from asyncsync.disk import lock
from asyncsync.disk.batches import Batches
from asyncsync.disk.directory import HELD, Directory, LocalFile, files, look_up, own
from asyncsync.disk.durable import SyncedFolders
from asyncsync.disk.folding import Folding, mark, probe
from asyncsync.disk.mounts import PartFolders
from asyncsync.disk.parts import PartFile, clear, clear_stale, open_part_file, taken
from asyncsync.disk.publish import Publisher
from asyncsync.disk.published import Published
from asyncsync.disk.unsynced import Notice, Unsynced
from asyncsync.errors import (
    DestinationError,
    DiskFullError,
    IntegrityError,
    KeyCollisionError,
    LocalFileError,
    MachineError,
    RetriesExhaustedError,
    SourceError,
)
from asyncsync.keys import STATE_DIR, local_path, shown
from asyncsync.model import Proof, RemoteObject, Transfer
from asyncsync.threads import in_thread

MOST_NOTE_BYTES = 64 * 1024 * 1024
UNLOCKED = 600 * 10**9
"""Nanoseconds after which an unfinished file is left over where no lock tells."""
LOOKS = 100
"""How often it is tried to look at files while no more can be opened."""
PAUSE = 0.1
"""Seconds between two of these."""

Looked = TypeVar("Looked")

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_GONE = {errno.EROFS, errno.ESTALE, errno.ENODEV}


class Folder:
    """The destination. Reading needs nothing; writing needs `writing()`, which takes the lock.

    Args:
        path: the folder.
        durable: whether a file counts only when it would survive a power cut.
        notice: told what a person should know.
    """

    def __init__(self, path: Path, *, durable: bool = False, notice: Notice = str) -> None:
        self.path = Path(os.path.realpath(path))
        self._root = str(self.path)
        self._parts = self.path / STATE_DIR / "parts"
        self._part_folders = PartFolders(self.path)
        self._published = Published(self._parts.parent / "published")
        self._unsynced = Unsynced(self._part_folders, notice)
        self._notice = notice
        self._run = secrets.token_hex(8)
        self._run_began_ns = 0
        synced = SyncedFolders(self._root) if durable else None
        self._publisher = Publisher(
            self._root, self._part_folders, self._published, self._unsynced, self._run, synced
        )
        self._batches = Batches(self._publisher, self._translated)

    # reading ------------------------------------------------------------------------------------

    async def look_up(self, paths: Sequence[tuple[str, ...]]) -> list[LocalFile | None]:
        """Return what lies at each path, None where there is nothing. One thread hop for all.

        Raises:
            DestinationError: no more files can be opened, for seconds on end.
        """
        return await self._seen(lambda: look_up(self._root, paths, self._unsynced.doubts()))

    async def were_published(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys whose files this or an earlier run has made."""
        return await in_thread(self._published.known, keys)

    def open(self, remote: RemoteObject) -> FileIO:
        """Open the file of an object for reading, following no link. Blocks.

        Raises:
            LocalFileError: it cannot be read.
            ThrottledError: no more files can be opened, for the moment.
        """
        *parents, name = local_path(remote.key)
        try:
            with Directory.walk(self._root, parents) as directory:
                return directory.open(name)
        except OSError as error:
            raise descriptors.refused(error) or LocalFileError(
                remote.key, f"its file cannot be read: {error.strerror or error}"
            ) from error

    async def unlisted(self, matches: Callable[[str], bool], known: Container[int]) -> list[str]:
        """Return the keys that match and have a file here, less those whose hashes are known.

        Raises:
            DestinationError: as for `look_up`.
        """
        return await self._seen(
            lambda: sorted(key for key in files(self._root, matches) if hash(key) not in known)
        )

    async def count(self, matches: Callable[[str], bool]) -> dict[str, int]:
        """Return how many files with a matching key each top-level prefix has here.

        Raises:
            DestinationError: as for `look_up`.
        """
        return await self._seen(
            lambda: Counter(key[: key.find("/") + 1] for key in files(self._root, matches))
        )

    async def _seen(self, look: Callable[[], Looked]) -> Looked:
        """Return what a call finds, in a thread; it is repeated while no files can be opened."""
        for _ in range(LOOKS - 1):
            with suppress(OSError):
                return await in_thread(look)
            await anyio.sleep(PAUSE)
        with self._ends_the_run():
            return await in_thread(look)

    def folding(self) -> Folding:
        """Return which names are one here; before the first `writing`, none are known to be."""
        return probe(self._parts.parent)

    def free_bytes(self) -> int:
        """Return how many bytes the destination's disk has left."""
        return shutil.disk_usage(self._nearest()).free

    def lacks_inodes(self) -> bool:
        """Return whether the destination's disk takes no more files; some disks count none."""
        if not hasattr(os, "statvfs"):
            return False
        found = os.statvfs(self._nearest())
        return found.f_files > 0 and found.f_favail == 0

    def _nearest(self) -> Path:
        """Return the destination or, where it is missing, the folder in which it would be made."""
        nearest = self.path
        while not os.path.exists(nearest):  # also false where nobody may look
            nearest = nearest.parent
        return nearest

    # trying out ---------------------------------------------------------------------------------

    @contextmanager
    def trial(self) -> Iterator[str]:
        """Make a folder to try things out in, where `writing` would write; afterwards it is gone.

        Raises:
            DestinationError: it cannot be made, or what is tried out fails.
        """
        state = self._parts.parent
        with self._ends_the_run():
            if state.exists() and not os.access(state, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, f"{STATE_DIR} cannot be written", state)
            with tempfile.TemporaryDirectory(
                prefix=f"{STATE_DIR}-trial-", dir=self._nearest()
            ) as place:
                yield place

    def check_free(self) -> None:
        """Look whether another run is at work; changes nothing.

        Raises:
            LockHeldError: there is one.
            DestinationError: the lock cannot be opened.
        """
        with self._ends_the_run():
            lock.check_free(self._parts.parent / "lock")

    def room(self) -> int | None:
        """Return how many bytes files may grow by, those of unfinished files included.

        None where the disk does not say how large it is, so that nobody knows.

        Raises:
            DestinationError: the disk cannot be asked.
        """
        with self._ends_the_run():
            disk = shutil.disk_usage(self.path)
            return disk.free + taken(self._parts) if disk.total else None

    def note(self, name: str) -> bytes | None:
        """Return what `keep_note` has kept in some run, None if nothing.

        Raises:
            OSError: it cannot be read.
        """
        try:
            with open(self._parts.parent / name, "rb", opener=own) as file:
                return file.read(MOST_NOTE_BYTES)  # what is longer is cut, and makes no sense then
        except FileNotFoundError:
            return None

    def unsure_until(self) -> int:
        """Return, in nanoseconds, the end of the time whose files a power cut may have taken."""
        return self._unsynced.last()

    # writing ------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make the folder, hold its lock, and clear away what a killed run left unfinished.

        Raises:
            LockHeldError: another run holds it.
            DestinationError: it cannot be made or written.
        """
        with ExitStack() as holding:
            with self._ends_the_run():
                missing = [f for f in (self.path, *self.path.parents) if not f.exists()]
                self.path.mkdir(parents=True, exist_ok=True)
                if self._publisher.synced:
                    self._publisher.synced.made(missing)
                for state in (self._parts.parent, self._parts):
                    if state.is_symlink():
                        raise DestinationError(f"{state}: is a symbolic link; remove it")
                holding.enter_context(self._part_folders.opened())
                state = self._part_folders.state
                path = state / "lock"
                works = holding.enter_context(lock.hold_lock(path, self.path))
                self._run_began_ns = path.stat().st_ctime_ns - (0 if works else UNLOCKED)
                for parts in self._part_folders.each():
                    clear(parts, self._run_began_ns)
                holding.enter_context(self._published.writing(state))
                mark(state)
                began_ns = self._run_began_ns if works else None
                holding.enter_context(self._unsynced.writing(began_ns))
            yield

    async def publish(
        self, transfer: Transfer, content: bytes, prove: Callable[[], Proof]
    ) -> Proof:
        """Prove the content of a small file, write it as a whole and give it its name.

        Args:
            transfer: where it goes.
            content: its bytes.
            prove: called in the thread before anything is written; what it returns is returned.

        Raises:
            TransferError: this path cannot be written, or `prove` raised it.
            DestinationError: no path can.
            ThrottledError: no more files can be opened, for the moment.
        """
        return await self._batches.publish(transfer, content, prove)

    @asynccontextmanager
    async def part_file(self, transfer: Transfer) -> AsyncIterator[PartFile]:
        """Open the unfinished file of a large object, to which `publish_parts` gives its name.

        When the transfer fails for a reason that may pass, what has come is kept for
        the next run; otherwise nothing is.

        Raises:
            TransferError, DestinationError, ThrottledError: as for `publish`.
        """
        with self._translated(transfer):
            with CancelScope(shield=True):
                parts = await in_thread(self._part_folders.look, transfer.path)
                part = await open_part_file(
                    parts, self._run, transfer.remote, self._run_began_ns, self._notice
                )
            try:
                try:
                    yield part
                except OSError as error:
                    if not self._publisher.is_worth_another_try(transfer, error):
                        raise
                    raise IntegrityError(
                        transfer.remote.key, f"its unfinished file is lost: {error.strerror}"
                    ) from error
            except BaseException as error:
                passing = isinstance(error, RetriesExhaustedError | SourceError)
                if not (part.has_pieces and (passing or not isinstance(error, Exception))):
                    part.remove()
                raise
            part.remove()

    async def publish_parts(self, transfer: Transfer, part: PartFile) -> None:
        """Give a file that has come in parts its name; to be called while it is open.

        Raises:
            ThrottledError: no more files can be opened, for the moment.
            OSError: anything else; `part_file` says what it means.
        """
        try:
            await in_thread(self._publisher.parts, transfer, part.path)
        except OSError as error:
            raise descriptors.refused(error) or error from error

    def keep_note(self, name: str, content: bytes) -> None:
        """Keep something for a later run, in place of what was kept under the name.

        Raises:
            DestinationError: it cannot be written.
        """
        state = self._part_folders.state
        new = self._part_folders.of(()) / f"{name}.{self._run}"
        with self._ends_the_run():
            with open(new, "xb", opener=own) as file:
                file.write(content)
            new.replace(state / name)

    def clear_stale(self, covers: Callable[[str], bool]) -> None:
        """Remove what earlier runs left unfinished of keys that this run covers.

        Where that fails, a person is told; a later run does it.
        """
        try:
            for parts in self._part_folders.each():
                clear_stale(parts, self._run, covers, self._run_began_ns)
        except OSError as error:
            self._notice(f"what earlier runs left unfinished stays for now: {error.strerror}")

    async def settle(self) -> None:
        """Wait until all that was published is on the disk; to be called at the end of `writing`.

        Where that fails, a person is told, and a restart makes what this run has made unsure.
        """
        await self._unsynced.settle()

    @contextmanager
    def _ends_the_run(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._destination_error(error) from error

    @contextmanager
    def _translated(self, transfer: Transfer) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if throttled := descriptors.refused(error):
                raise throttled from error
            if error.errno in _FULL | _GONE or not self._parts.is_dir():
                raise self._destination_error(error) from error
            key, path = transfer.remote.key, shown(str(self.path.joinpath(*transfer.path)))
            match error.errno:
                case errno.EISDIR | errno.ENOTEMPTY | errno.EEXIST:
                    raise KeyCollisionError(key, f"{path}: a folder has that name") from error
                case errno.ENOTDIR:
                    raise KeyCollisionError(
                        key, f"{path}: a file stands where one of its folders is needed"
                    ) from error
                case errno.ELOOP:
                    raise LocalFileError(
                        key, f"{path}: a symbolic link stands where one of its folders is needed"
                    ) from error
                case _:
                    raise LocalFileError(key, f"{path}: {error.strerror or error}") from error

    def _destination_error(self, error: OSError) -> DestinationError:
        kind = DiskFullError if error.errno in _FULL else DestinationError
        if descriptors.refused(error):
            kind = MachineError
        name = error.filename if isinstance(error.filename, str) else ""
        path = name if os.path.isabs(name) and not name.startswith(HELD) else self.path
        return kind(f"{shown(str(path))}: {error.strerror or error}")
