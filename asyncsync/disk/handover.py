"""Where a mover writes: complete, proven files without a name, for the brain of its run to take.

It opens only parts folders that the brain has named, and checks that each is the one that is meant:
this user's, closed to others, and with the inode that the brain sees. Everything else of the state
folder, and all names in the destination, are the brain's (`taking.py`).
"""

import errno
import itertools
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVarTuple

from anyio import CancelScope

from asyncsync import descriptors
from asyncsync.disk.batches import Batches
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.folders.translation import translated
from asyncsync.disk.parts.apart import left_to_others, make_apart
from asyncsync.disk.parts.partfile import PartFile, open_part_file
from asyncsync.disk.publish import Failure, write_unfinished
from asyncsync.disk.state.shared import checked
from asyncsync.disk.state.unsynced import Notice
from asyncsync.disk.unfinished import kept_for_later
from asyncsync.model import Proof, RemoteObject, Transfer
from asyncsync.paths import PLAIN
from asyncsync.threads import in_thread

Arguments = TypeVarTuple("Arguments")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a mover has to know of the run that it works for."""

    dest: str
    """The destination, for messages."""
    run: str
    """The id of the run, which ends the names of unfinished files."""
    source: str
    """The bucket, as for `open_part_file`."""
    began_ns: int
    """When the run began to write, by the destination's clock, in ns since the epoch."""
    is_durable: bool
    """Whether files are to be on the disk when the mover answers."""
    parts: str
    """The usual parts folder: its absolute path without links."""
    inode: int
    """Of that folder."""
    holds_lock: bool = True
    """Whether the mover holds the lock of the run, so that no other one begins before it ends."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """A parts folder, open."""

    directory: Directory
    path: Path


class Handover:
    """Writes files for the brain to take; a sink for a `Downloader`.

    Args:
        terms: of the run.
        number: of this mover, different for each of a run.
        notice: called with each message for the user.
    """

    paths = PLAIN

    def __init__(self, terms: Terms, number: int, notice: Notice = str) -> None:
        self._terms = terms
        self._number = number
        self._notice = notice
        self._translated = partial(translated, Path(terms.dest))
        self._numbers = itertools.count()
        self._opened = ExitStack()
        self._folders: dict[str, _Parts] = {}
        self._places: dict[str, _Parts] = {}
        self._written: dict[str, tuple[str, int]] = {}
        self._batches = Batches(self._write, self._translated)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the usual parts folder, and keep open what is opened until the end. Blocks.

        Raises:
            OSError: it cannot be opened, or is another one than the brain's.
        """
        with self._opened:
            self._open(self._terms.parts, self._terms.inode)
            yield

    def _open(self, real: str, inode: int) -> _Parts:
        directory = checked(Directory.walk(os.path.dirname(real), [os.path.basename(real)]))
        self._opened.callback(directory.close)
        if directory.status().st_ino != inode:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), real)
        found = self._folders[real] = _Parts(directory, directory.path(Path(real)))
        return found

    def place(self, key: str, real: str, inode: int) -> None:
        """Note in which parts folder the file of an object goes, unless it is the usual one.

        Raises:
            OSError: it cannot be opened, or is another one than the brain's.
        """
        self._places[key] = self._folders.get(real) or self._open(real, inode)

    def _parts(self, key: str) -> _Parts:
        return self._places.get(key) or self._folders[self._terms.parts]

    def written(self, key: str) -> tuple[str, int]:
        """Return what the file of an object that was downloaded is called, and its inode; once."""
        return self._written.pop(key)

    def forget(self, key: str) -> None:
        """Forget what was noted for an object that this mover is done with."""
        self._places.pop(key, None)
        self._written.pop(key, None)

    # as a sink ----------------------------------------------------------------------------------

    def publish(
        self, transfer: Transfer, content: bytes, prove: Callable[[], Proof]
    ) -> Coroutine[None, None, Proof]:
        """Prove the content of a small object and write it; see `Sink`."""
        return self._batches.publish(transfer, content, prove)

    @asynccontextmanager
    async def part_file(self, transfer: Transfer) -> AsyncIterator[PartFile]:
        """Open the unfinished file of a large object; see `Sink`. At the end it stays."""
        shared = nullcontext if self._terms.holds_lock else left_to_others
        with self._translated(transfer):
            with CancelScope(shield=True):
                part = await self._open_part_file(transfer.remote)
            with shared(part), kept_for_later(part):
                async with part:
                    yield part

    async def _open_part_file(self, remote: RemoteObject) -> PartFile:
        terms = self._terms
        parts = await in_thread(self._parts, remote.key)
        if terms.holds_lock:
            return await open_part_file(
                parts.path, terms.run, remote, terms.began_ns, self._notice, terms.source
            )
        run = f"{terms.run}-{next(self._numbers)}"
        return await in_thread(make_apart, parts.path, run, remote, terms.source)

    async def publish_parts(self, transfer: Transfer, part: PartFile) -> None:
        """Make an unfinished file whose parts are all here ready for the brain; see `Sink`."""
        await part.close()
        try:
            await in_thread(self._finish, transfer, part.path.name)
        except OSError as error:
            raise descriptors.too_many_open_files(error) or error from error

    def _finish(self, transfer: Transfer, name: str) -> None:
        remote = transfer.remote
        folder = self._parts(remote.key).directory
        if remote.modified_ns:
            folder.set_time(name, remote.modified_ns)
        if self._terms.is_durable:
            folder.sync_file(name)
        self._written[remote.key] = name, folder.inode(name)

    def _write(self, files: Sequence[tuple[Transfer, bytes]]) -> list[Failure | None]:
        """Write small files; return for each the error that it met, or None."""
        errors: list[Failure | None] = [self._try(self._write_one, *file) for file in files]
        if self._terms.is_durable:  # behind the last, so that the disk has begun with all of them
            for at, (transfer, _) in enumerate(files):
                errors[at] = errors[at] or self._try(self._sync, transfer.remote.key)
        return errors

    def _try(self, call: Callable[[*Arguments], None], *arguments: *Arguments) -> OSError | None:
        try:
            call(*arguments)
        except OSError as error:
            return error
        return None

    def _write_one(self, transfer: Transfer, content: bytes) -> None:
        key, name = transfer.remote.key, f"{self._number}-{next(self._numbers)}.{self._terms.run}"
        folder, flushes = self._parts(key).directory, self._terms.is_durable
        inode = write_unfinished(folder, name, transfer, content, flushes=flushes)
        self._written[key] = name, inode

    def _sync(self, key: str) -> None:
        self._parts(key).directory.sync_file(self._written[key][0])
