"""One object to a file anywhere, or held for who reads it once: in the place of a folder.

No later run goes on with what has arrived, so no state is kept. Until an object is proven, its
bytes lie in a new folder that only this user can enter, and that is removed at the end: beside the
file, so that a rename gives them its name, or where the system has its temporary files. Both
folders stay open meanwhile, so that nobody can put others in their place.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Self

from asyncsync import descriptors
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.folders.translation import destination_error
from asyncsync.disk.parts.partfile import PartFile
from asyncsync.disk.state.shared import checked
from asyncsync.errors import DiskFullError
from asyncsync.keys import STATE_DIR, escaped
from asyncsync.model import Proof, Transfer
from asyncsync.paths import PLAIN, Paths
from asyncsync.threads import in_thread
from asyncsync.units import format_size

_FOLDER = f"{STATE_DIR}-get-"
"""Begins the name of the new folder; no key leads into one, should it lie in a destination."""
_NAME = "object"


class SingleFile:
    """A file that one object goes to; it changes only when that is complete and proven.

    Args:
        path: the file. Links to its folder are followed, and one at its own name is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path.parent), path.name)
        self.paths = Paths(root=str(self.path.parent))
        self._place: _Place

    async def publish(
        self, transfer: Transfer, content: bytes, prove: Callable[[], Proof]
    ) -> Proof:
        """Prove the content of a small object, write it, and give it its name.

        Raises:
            TransferError: `prove` raised it.
            DestinationError: the file cannot be written.
            ThrottledError: the limit of open files is reached.
        """
        proven = await in_thread(prove)
        await in_thread(self._write, transfer, content)
        return proven

    @asynccontextmanager
    async def part_file(self, transfer: Transfer) -> AsyncIterator[PartFile]:
        """Open the unfinished file of a large object, which is removed unless it gets its name.

        Raises:
            DestinationError, ThrottledError: as for `publish`.
        """
        with _translated(self.path), self._opened():
            async with _unfinished(self._place, transfer, self.path) as part:
                yield part

    async def publish_parts(self, transfer: Transfer, part: PartFile) -> None:
        """Give an unfinished file whose parts are all here its name; call it in `part_file`."""
        await part.close()
        await in_thread(self._give_name, transfer)

    def _write(self, transfer: Transfer, content: bytes) -> None:
        with _translated(self.path), self._opened():
            with os.fdopen(self._place.folder.create(_NAME), "wb") as file:
                file.write(content)
            self._give_name(transfer)

    def _give_name(self, transfer: Transfer) -> None:
        place = self._place
        if modified_ns := transfer.remote.modified_ns:
            place.folder.set_time(_NAME, modified_ns)
        place.folder.move(_NAME, place.parent, self.path.name)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _new_folder(self.path.parent) as self._place:
            yield


class Held:
    """The proven bytes of one object: a small one in memory, a large one in a file without a name.

    Nothing that was not proven can be read from it. As a context manager, it ends with the bytes.
    """

    def __init__(self) -> None:
        self.paths = PLAIN
        self._file: BinaryIO = BytesIO()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    async def publish(
        self,
        transfer: Transfer,  # noqa: ARG002 - as a folder's
        content: bytes,
        prove: Callable[[], Proof],
    ) -> Proof:
        """Prove the content of a small object, and hold it.

        Raises:
            TransferError: `prove` raised it.
        """
        proven = await in_thread(prove)
        self._file = BytesIO(content)
        return proven

    @asynccontextmanager
    async def part_file(self, transfer: Transfer) -> AsyncIterator[PartFile]:
        """Open the unfinished file of a large object, which loses its name at the end.

        Raises:
            DestinationError: it cannot be written.
            ThrottledError: the limit of open files is reached.
        """
        parent = Path(tempfile.gettempdir())
        try:
            with _translated(parent), _new_folder(parent) as place:
                async with _unfinished(place, transfer, parent) as part:
                    yield part
        except DiskFullError as error:
            raise DiskFullError(f"{error}; set TMPDIR to a folder with more space") from error

    async def publish_parts(self, transfer: Transfer, part: PartFile) -> None:  # noqa: ARG002
        """Hold an unfinished file whose parts are all here; call it in `part_file`."""
        await part.close()
        self._file = await in_thread(part.open)

    def copy_to(self, stream: BinaryIO) -> None:
        """Write the bytes to a stream. Blocks.

        Raises:
            OSError: the stream cannot be written.
        """
        shutil.copyfileobj(self._file, stream)
        stream.flush()


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder that is open, and a new one in it."""

    parent: Directory
    folder: Directory
    path: Path
    """Leads to the new folder while it is open."""


@contextmanager
def _new_folder(parent_path: Path) -> Iterator[_Place]:
    """Make a folder that only this user can enter, and remove it at the end. Blocks."""
    name = f"{_FOLDER}{secrets.token_hex(8)}"
    with Directory(str(parent_path)) as parent:
        try:
            with checked(parent.enter(name, 0o700)) as folder:
                try:
                    yield _Place(parent, folder, folder.path(parent_path / name))
                finally:
                    for left in folder.names():
                        with suppress(OSError):  # Windows removes no open file
                            folder.remove(left)
        finally:
            with suppress(OSError):
                parent.remove_folder(name)


@asynccontextmanager
async def _unfinished(place: _Place, transfer: Transfer, path: Path) -> AsyncIterator[PartFile]:
    """Open a new unfinished file in a folder, which is removed with it; `path` is for messages."""
    size, disk = transfer.remote.size, shutil.disk_usage(place.path)
    if disk.total and disk.free < size:
        raise DiskFullError(
            f"{escaped(str(path))}: not enough space: {format_size(size)} needed, "
            f"{format_size(disk.free)} free"
        )
    part = PartFile(place.path / _NAME, transfer.remote)
    await in_thread(part.create)
    async with part:
        yield part


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Raise an error of the system as one about the path, and not about the name of a moment."""
    try:
        yield
    except OSError as error:
        if throttled := descriptors.too_many_open_files(error):
            raise throttled from error
        raise destination_error(path, OSError(error.errno, error.strerror)) from error
