"""Unfinished files: the parts of an object arrive in any order, and survive a run that is killed.

    .asyncsync/parts/<object>.<run>           the bytes, each at its offset
    .asyncsync/parts/<object>.<run>.journal   which pieces of the parts have arrived

`<object>` is a hash of one version of a bucket's object, so parts of two never mix. `<run>` is
different for each run. A later run takes an unfinished file over by renaming it, so two runs never
write under one name, even where the lock does not work. What was written after a run began is left
alone, as another run's; where the lock does not work, so is what was written shortly before.

The journal's first line describes the object. Each other line is one piece of a part, with the
CRC64NVME of the part up to its end: `<start> <stop> <crc>`. A part arrives in order, so a piece
counts only if every byte of the part before it is there. The journal is written after the bytes but
is not synced: it may be cut off, or list bytes that a power cut took. Therefore each piece is read
back and checked before it counts. The CRCs of all parts give that of the object, which some servers
tell.
"""

import hashlib
import json
import logging
import os
import re
import stat
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
from asyncsync.disk.directory import open_private
from asyncsync.keys import shown
from asyncsync.model import RemoteObject
from asyncsync.threads import Threads, in_thread

logger = logging.getLogger(__name__)
_MD5 = re.compile("[0-9a-fA-F]{32}")

PART = 8 * 1024 * 1024
"""Bytes of one ranged request. A journal with another part size is not used."""
PIECE = 256 * 1024
"""Bytes of a part after which a line is added to the journal.

A kill loses what the journal does not list, and one block on its way: 0.3 MB on average for each
part in transfer. That is 4 % of a 128 MiB object in 16 parts at once of which more than half is
there.
"""
READ_SIZE = 1024 * 1024
MAX_AGE = 7 * 24 * 3600 * 10**9
"""Nanoseconds after which an unfinished file that no run has continued is removed."""
JOURNAL = ".journal"
MAX_HEADER_BYTES = 64 * 1024
"""Bytes of a journal's first line, at most: a key has 1,024, and each may take 12 in JSON."""


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
            has_lines = self._journal.stat().st_size > len(_header(self._remote))
            return has_lines and self._remote.is_pinned
        return False

    def create(self) -> None:
        """Make the file and the journal, without any piece. Blocks."""
        try:
            with open(self.path, "xb") as file:
                file.truncate(self._remote.size)
            with open(self._journal, "xb", opener=open_private) as journal:
                journal.write(_header(self._remote))
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
            if line != _header(self._remote) or self.path.stat().st_size != self._remote.size:
                raise ValueError("its journal is damaged, or of another version")
            last = line
            while line := journal.readline(MAX_HEADER_BYTES):
                last = line
                with suppress(ValueError):
                    self._check_piece(line, file)
            if not last.endswith(b"\n"):  # cut off: the next piece needs a line of its own
                journal.write(b"\n")

    def _check_piece(self, line: bytes, file: FileIO) -> None:
        start, stop, crc = map(int, line.split())
        first = start - start % PART
        if not line.endswith(b"\n") or first < 0 or stop > min(first + PART, self._remote.size):
            return
        part = self._part(first)
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
    name = _hash_version(remote, source)
    part = PartFile(folder / f"{name}.{run}", remote)
    pattern = f"{name}.*{JOURNAL}"

    def find_old() -> list[Path]:
        old = [data for data, _ in _find_leftovers(folder, pattern, before_ns)]
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


def clear(folder: Path, before_ns: int) -> None:
    """Remove what no run can continue: without a journal, too old, or leading elsewhere.

    Args:
        folder: the parts folder.
        before_ns: files that changed after this belong to another run, and stay.
    """
    found = dict(_scan(folder))
    for name, status in found.items():
        other = name.removesuffix(JOURNAL) if name.endswith(JOURNAL) else name + JOURNAL
        can_continue = _is_plain(status) and other in found and _is_plain(found[other])
        oldest = before_ns - MAX_AGE if can_continue else before_ns
        if status.st_ctime_ns <= oldest:
            with suppress(OSError):
                os.unlink(folder / name)


def clear_stale(folder: Path, run: str, covers: Callable[[str], bool], before_ns: int) -> None:
    """Remove earlier runs' files for keys that this run covers: it has not used them.

    Files whose journal no longer names a key are removed too.

    Args:
        folder: the parts folder.
        run: the id of this run, whose own files are kept.
        covers: returns whether this run would have listed a key, if it is in the bucket.
        before_ns: files that changed after this belong to another run, and stay.

    Raises:
        OSError: the folder cannot be read.
    """
    for data, journal in _find_leftovers(folder, f"*{JOURNAL}", before_ns):
        with suppress(OSError):
            if data.suffix != f".{run}" and ((key := _read_key(journal)) is None or covers(key)):
                journal.unlink()
                data.unlink()


def _read_key(journal: Path) -> str | None:
    """Return the key that the journal names; None if it is damaged."""
    try:
        with open(journal, "rb", opener=open_private) as file:
            key = json.loads(file.readline(MAX_HEADER_BYTES))["key"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return key if isinstance(key, str) else None


def _find_leftovers(folder: Path, pattern: str, before_ns: int) -> Iterator[tuple[Path, Path]]:
    """Yield the unfinished files, with their journals, that no other run is working on.

    The change time (ctime) tells, which a take-over sets too. The modification time does not: it
    is the object's.
    """
    for journal in folder.glob(pattern):
        data = journal.with_name(journal.name.removesuffix(JOURNAL))
        with suppress(OSError):
            found = (data.lstat(), journal.lstat())
            is_old = max(status.st_ctime_ns for status in found) <= before_ns
            if is_old and all(map(_is_plain, found)):
                yield data, journal


def _is_plain(status: os.stat_result) -> bool:
    """Return whether it is a regular file without another name: writing changes nothing else."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1


def used_bytes(folder: Path) -> int:
    """Return how much disk space the unfinished files take, which have holes; in bytes."""
    found = _scan(folder) if folder.exists() else ()
    return sum(512 * getattr(status, "st_blocks", 0) for _, status in found)


def _scan(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is in the folder, without files that another run removes meanwhile."""
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield entry.name, status


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


def _hash_version(remote: RemoteObject, source: str = "") -> str:
    bucket = "" if _MD5.match(remote.etag) else f"{source}\0"
    identity = f"{bucket}{remote.key}\0{remote.etag}\0{remote.size}"
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _header(remote: RemoteObject) -> bytes:
    """Return the journal's first line; JSON keeps every key in ASCII and on one line."""
    version = {"key": remote.key, "etag": remote.etag, "size": remote.size, "part": PART}
    return json.dumps(version | {"crc": "64nvme of a part"}).encode() + b"\n"
