"""Unfinished files: the parts of an object arrive in any order, and survive a run that is killed.

    .asyncsync/parts/<object>.<run>           the bytes, each at its offset
    .asyncsync/parts/<object>.<run>.journal   which pieces of the parts have arrived

`<object>` is a hash of one version of a bucket's object, so parts of two never mix. `<run>` is
different for each run. A later run takes an unfinished file over by renaming it, so two runs never
write under one name, even where the lock does not work. What was written after a run began is left
alone, as another run's; where the lock does not work, so is what was written shortly before.

A part arrives in order, so a piece of it that the journal lists (`journal.py`) counts only if every
byte of the part before it is there. The journal is written after the bytes but is not synced: it
may be cut off, or list bytes that a power cut took. Therefore each piece is read back and checked
before it counts. The CRCs of all parts give that of the object, which some servers tell.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack, nullcontext, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Self

import aiofiles
from anyio import CancelScope

from asyncsync import descriptors
from asyncsync.crc import CRC64NVME
from asyncsync.disk.folders.directory import open_private
from asyncsync.disk.parts.journal import (
    JOURNAL,
    MAX_HEADER_BYTES,
    PART,
    header,
    parse_piece,
    version_hash,
)
from asyncsync.disk.parts.leftovers import find_leftovers
from asyncsync.keys import shown
from asyncsync.model import RemoteObject
from asyncsync.threads import Threads, in_thread

logger = logging.getLogger(__name__)

PIECE = 256 * 1024
"""Bytes of a part after which a line is added to the journal.

A kill loses what the journal does not list, and one block on its way: 0.3 MB on average for each
part in transfer. That is 4 % of a 128 MiB object in 16 parts at once of which more than half is
there.
"""
READ_SIZE = 1024 * 1024


def spans(size: int) -> Iterator[range]:
    """Yield the byte ranges of the parts of an object of `size` bytes."""
    for start in range(0, size, PART):
        yield range(start, min(start + PART, size))


@dataclass(slots=True)
class _Arrived:
    """How far a part is here."""

    stop: int
    """Where its bytes of this run and earlier ones end."""
    listed: int
    """Where those end that the journal lists."""
    crc: int = 0
    """The CRC of its bytes."""


class PartFile:
    """One unfinished file of its final size, and its journal. Made by `open_part_file`.

    As a context manager, it is open for writing.
    """

    def __init__(self, path: Path, remote: RemoteObject) -> None:
        self.path = path
        self._arrived: dict[int, _Arrived] = {}
        """The parts, by their start."""
        self._journal = path.with_name(path.name + JOURNAL)
        self._remote = remote
        self._opened = AsyncExitStack()

    def __contains__(self, span: object) -> bool:
        """Whether the whole part is here."""
        return isinstance(span, range) and not self.missing(span)

    def missing(self, span: range) -> range:
        """Return the end of the part that is not here yet."""
        return range(self._part(span.start).stop, span.stop)

    def forget(self, span: range) -> int:
        """Treat all of the part as missing; return how many bytes of it were here."""
        here = self._arrived.pop(span.start, None)
        return here.stop - span.start if here else 0

    def crc(self, spans: Iterable[range]) -> int:
        """Return the CRC64NVME of parts that are here, in the given order."""
        whole = 0
        for span in spans:
            if span:
                whole = CRC64NVME.combine(whole, self._arrived[span.start].crc, len(span))
        return whole

    def _part(self, start: int) -> _Arrived:
        if start not in self._arrived:
            self._arrived[start] = _Arrived(start, start)
        return self._arrived[start]

    @property
    def has_pieces(self) -> bool:
        """Whether a later run could continue it."""
        with suppress(OSError):
            has_lines = self._journal.stat().st_size > len(header(self._remote))
            return has_lines and self._remote.is_pinned
        return False

    def create(self) -> None:
        """Make the file and the journal, without any piece. Blocks."""
        try:
            with open(self.path, "xb") as file:
                file.truncate(self._remote.size)
            with open(self._journal, "xb", opener=open_private) as journal:
                journal.write(header(self._remote))
        except OSError:
            self.remove()
            raise

    def take_over(self, old: Path) -> None:
        """Rename an earlier run's file to ours, and check which pieces of it are here. Blocks.

        Raises:
            OSError: it is gone, or cannot be read.
            ValueError: it cannot be used.
        """
        os.replace(old, self.path)
        os.replace(old.with_name(old.name + JOURNAL), self._journal)
        with open(self._journal, "r+b") as journal, FileIO(self.path) as file:
            line = journal.readline(MAX_HEADER_BYTES)
            if line != header(self._remote) or self.path.stat().st_size != self._remote.size:
                raise ValueError("its journal is damaged, or of another version")
            last = line
            while line := journal.readline(MAX_HEADER_BYTES):
                last = line
                with suppress(ValueError):
                    self._check_piece(line, file)
            if not last.endswith(b"\n"):  # cut off: the next piece needs a line of its own
                journal.write(b"\n")

    def _check_piece(self, line: bytes, file: FileIO) -> None:
        start, stop, crc = parse_piece(line, self._remote.size)
        part = self._part(start - start % PART)
        if start <= part.stop < stop and crc == _crc(file, range(part.stop, stop), part.crc):
            part.stop = part.listed = stop
            part.crc = crc

    async def __aenter__(self) -> Self:
        try:
            with CancelScope(shield=True):  # otherwise a file might be opened that nobody closes
                self._log = os.open(self._journal, os.O_WRONLY | os.O_APPEND)
                self._opened.callback(os.close, self._log)
                file = await aiofiles.open(self.path, "r+b", buffering=0, executor=Threads())
                self._opened.push_async_callback(file.close)
                self._opened.callback(self._list_rest)
        except BaseException as error:
            await self.close()
            if isinstance(error, OSError) and (scarce := descriptors.too_many_open_files(error)):
                raise scarce from error
            raise
        self._data = file.fileno()
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        with suppress(OSError) if error else nullcontext():  # the first error counts
            await self.close()

    def write(self, span: range, block: bytes | memoryview) -> None:
        """Write the next block of a part; the journal gets a line for each piece, and the end.

        This blocks, but only to copy the block into the system's cache, which is faster than a hop
        to a thread; a disk that cannot keep up slows down reading from the network, as it should.
        """
        part = self._part(span.start)
        rest, stop = block, part.stop
        while rest:
            written = _write_at(self._data, rest, stop)
            stop += written
            rest = rest[written:]
        part.crc = CRC64NVME.calc(block, part.crc)
        part.stop = stop
        if stop - part.listed >= PIECE or stop == span.stop:
            self._list(part)

    def _list(self, part: _Arrived) -> None:
        os.write(self._log, b"%d %d %d\n" % (part.listed, part.stop, part.crc))
        part.listed = part.stop

    def _list_rest(self) -> None:
        for part in self._arrived.values():
            if part.stop > part.listed:
                self._list(part)

    async def close(self) -> None:
        """List what of each part has come, and close; nothing if it is not open."""
        with CancelScope(shield=True):
            await self._opened.aclose()

    def open(self) -> FileIO:
        """Open the file to read back what has arrived. Blocks.

        Raises:
            ThrottledError: the limit of open files is reached.
            OSError: it cannot be opened for another reason.
        """
        try:
            return FileIO(self.path)
        except OSError as error:
            raise descriptors.too_many_open_files(error) or error from error

    def remove(self) -> None:
        """Remove the file and its journal, where they exist. Blocks."""
        self._journal.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


async def open_part_file(
    folder: Path,
    run: str,
    remote: RemoteObject,
    before_ns: int,
    notice: Callable[[str], object] = logger.info,
    source: str = "",
) -> PartFile:
    """Open the unfinished file of an object: that of an earlier run, or a new one.

    Args:
        folder: the parts folder.
        run: the id of this run, which ends the names of its files.
        remote: the version of the object.
        before_ns: files that changed after this belong to another run.
        notice: called with a message about a file that cannot be used.
        source: the bucket; it matters where the ETag is no hash, and may be that of other bytes.

    Raises:
        OSError: no file can be made.
    """
    name = version_hash(remote, source)
    part = PartFile(folder / f"{name}.{run}", remote)
    pattern = f"{name}.*{JOURNAL}"

    def find_old() -> list[Path]:
        old = [data for data, _ in find_leftovers(folder, pattern, before_ns)]
        # An earlier attempt may have taken one over, and then failed to open it for reading.
        if part.path.exists():
            old.append(part.path)
        return old

    old = await in_thread(find_old)
    for data in old if remote.is_pinned else []:
        try:
            await in_thread(part.take_over, data)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and descriptors.too_many_open_files(error):
                raise
            report = logger.info if isinstance(error, FileNotFoundError) else notice
            report(f"{shown(remote.key)}: an earlier run's unfinished file cannot be used: {error}")
            await in_thread(part.remove)
        else:
            return part
    await in_thread(part.create)
    return part


def _write_at(file: int, block: bytes | memoryview, position: int) -> int:
    """Write to a place of a file; return how many bytes were written."""
    if sys.platform != "win32":
        return os.pwrite(file, block, position)
    os.lseek(file, position, os.SEEK_SET)  # nobody else writes between these two
    return os.write(file, block)


def _crc(file: FileIO, span: range, crc: int) -> int:
    """Return the CRC of what is before the span, which is `crc`, and of the span."""
    left = len(span)
    file.seek(span.start)
    while left and (block := file.read(min(READ_SIZE, left))):
        crc = CRC64NVME.calc(block, crc)
        left -= len(block)
    return crc
