"""Unfinished files: the parts of an object arrive in any order, and outlive a run that is killed.

    .asyncsync/parts/<object>.<run>           the bytes, each at its place
    .asyncsync/parts/<object>.<run>.journal   which pieces of its parts are here

`<object>` stands for one version of one object, so parts of two versions never meet. `<run>` is
different in every run, and a later run makes an unfinished file its own by renaming it: two runs
never write under one name, even where the lock does not work. Nor does a run touch what was written
after it began, or shortly before where the lock does not work: that is another run's.

The journal's first line says what the object is, each other line is one piece of a part with its
CRC: `<start> <stop> <crc>`. A part comes in its order, so a piece counts only if nothing is missing
between the part's start and its own. The journal is written behind the bytes but not
synced, so it may be cut, or claim bytes that a power failure took. Every piece is therefore read
again and compared before it counts.
"""

import hashlib
import json
import logging
import os
import stat
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from io import FileIO
from pathlib import Path

import aiofiles
from anyio import CancelScope

from asyncsync import descriptors
from asyncsync.disk.directory import own
from asyncsync.keys import shown
from asyncsync.model import RemoteObject
from asyncsync.threads import Threads, in_thread

logger = logging.getLogger(__name__)

PART = 8 * 1024 * 1024
"""Bytes of one ranged request. Journals of another part size are not used."""
PIECE = 256 * 1024
"""Bytes of a part after which a line is added to the journal.

A kill takes what is not noted, and one block that is on its way: of each part under way 0.3 MB in
the mean, so of an object of 128 MiB in 16 parts at once, more than half of which has come, 4 %.
"""
READ = 1024 * 1024
MOST_AGE = 7 * 24 * 3600 * 10**9
"""Nanoseconds after which an unfinished file that nobody has gone on with is removed."""
JOURNAL = ".journal"


def spans(size: int) -> Iterator[range]:
    """Yield the parts of an object of so many bytes."""
    for start in range(0, size, PART):
        yield range(start, min(start + PART, size))


class PartFile:
    """One unfinished file of its final size, and its journal. Made by `open_part_file`."""

    def __init__(self, path: Path, remote: RemoteObject) -> None:
        self.path = path
        self._reached: dict[int, int] = {}
        """Up to where each part is here, of an earlier run and of this one, by its start."""
        self._journal = path.with_name(path.name + JOURNAL)
        self._remote = remote

    def __contains__(self, span: object) -> bool:
        """Whether all of a part is here."""
        return isinstance(span, range) and not self.missing(span)

    def missing(self, span: range) -> range:
        """Return what of a part is not here yet: its end."""
        return range(self._reached.get(span.start, span.start), span.stop)

    def forget(self, span: range) -> int:
        """Take nothing of a part for granted, and return how many bytes of it were here."""
        return self._reached.pop(span.start, span.start) - span.start

    @property
    def has_pieces(self) -> bool:
        """Whether another run could go on with it."""
        with suppress(OSError):
            noted = self._journal.stat().st_size > len(_header(self._remote))
            return noted and self._remote.is_pinned
        return False

    def create(self) -> None:
        """Make the file and the journal, without any piece. Blocks."""
        try:
            with open(self.path, "xb") as file:
                file.truncate(self._remote.size)
            with open(self._journal, "xb", opener=own) as journal:
                journal.write(_header(self._remote))
        except OSError:
            self.remove()
            raise

    def take_over(self, old: Path) -> None:
        """Make an earlier run's file our own, and find out which of its pieces are here. Blocks.

        Raises:
            OSError: it is gone, or cannot be read.
            ValueError: it is of no use.
        """
        os.replace(old, self.path)
        os.replace(old.with_name(old.name + JOURNAL), self._journal)
        with open(self._journal, "r+b") as journal, FileIO(self.path) as file:
            line = journal.readline()
            if line != _header(self._remote) or self.path.stat().st_size != self._remote.size:
                raise ValueError("its journal is damaged, or of another version")
            for line in journal:
                with suppress(ValueError):
                    self._take(line, file)
            if not line.endswith(b"\n"):  # it was cut: what is noted from now on gets its own line
                journal.write(b"\n")

    def _take(self, line: bytes, file: FileIO) -> None:
        start, stop, crc = map(int, line.split())
        first = start - start % PART
        goes_on = start <= self._reached.get(first, first) < stop
        fits = start >= 0 and stop <= min(first + PART, self._remote.size)
        if line.endswith(b"\n") and goes_on and fits and crc == _crc(file, range(start, stop)):
            self._reached[first] = stop

    @asynccontextmanager
    async def at(self, span: range) -> AsyncIterator[Callable[[bytes | memoryview], None]]:
        """Open the file at what is missing of a part; yield what writes a block behind the last.

        A block goes to the system's cache, which takes less time than a hop to a thread would; a
        disk that cannot keep up slows down the reading, as it should. Each piece is noted when it
        is written, and the rest at the end, also when that is an error.
        """
        with CancelScope(shield=True):  # what is opened is known, or nobody would close it
            try:
                file = await aiofiles.open(self.path, "r+b", buffering=0, executor=Threads())
            except OSError as error:
                raise descriptors.refused(error) or error from error
        try:
            with self._noting(span, file.fileno()) as write:
                yield write
        finally:
            with CancelScope(shield=True):
                await file.close()

    @contextmanager
    def _noting(self, span: range, file: int) -> Iterator[Callable[[bytes | memoryview], None]]:
        try:
            journal = os.open(self._journal, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise descriptors.refused(error) or error from error
        noted = position = self.missing(span).start
        crc = 0

        def write(block: bytes | memoryview) -> None:
            nonlocal position, crc
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(file, rest) :]
            crc = zlib.crc32(block, crc)
            position += len(block)
            if position - noted >= PIECE:
                note()

        def note() -> None:
            nonlocal noted, crc
            os.write(journal, b"%d %d %d\n" % (noted, position, crc))
            self._reached[span.start] = noted = position
            crc = 0

        try:
            os.lseek(file, position, os.SEEK_SET)
            yield write
        finally:
            try:
                if position > noted:
                    note()
            finally:
                os.close(journal)

    def open(self) -> FileIO:
        """Open the file to read back what has arrived. Blocks.

        Raises:
            ThrottledError: no more files can be opened, for the moment.
        """
        try:
            return FileIO(self.path)
        except OSError as error:
            raise descriptors.refused(error) or error from error

    def remove(self) -> None:
        """Remove what is left of it. Blocks."""
        for path in (self._journal, self.path):
            path.unlink(missing_ok=True)


async def open_part_file(
    folder: Path,
    run: str,
    remote: RemoteObject,
    before_ns: int,
    notice: Callable[[str], object] = logger.info,
) -> PartFile:
    """Open the unfinished file of an object: that of an earlier run, or a new one.

    Args:
        folder: where unfinished files are.
        run: what this run's files are named by.
        remote: the version of the object.
        before_ns: files that were changed later are another run's.
        notice: told of a file that is of no use.

    Raises:
        OSError: no file can be made.
    """
    name = _name(remote)
    part = PartFile(folder / f"{name}.{run}", remote)
    pattern = f"{name}.*{JOURNAL}"

    def found() -> list[Path]:
        old = [data for data, _ in _left_over(folder, pattern, before_ns)]
        if part.path.exists():  # taken over, but then no more files could be opened to read it
            old.append(part.path)
        return old

    old = await in_thread(found)
    for data in old if remote.is_pinned else []:
        try:
            await in_thread(part.take_over, data)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and descriptors.refused(error):
                raise
            told = logger.info if isinstance(error, FileNotFoundError) else notice
            told(f"{shown(remote.key)}: what an earlier run left of it is of no use: {error}")
            await in_thread(part.remove)
        else:
            return part
    await in_thread(part.create)
    return part


def clear(folder: Path, before_ns: int) -> None:
    """Remove what no run can go on with: without a journal, too old, or leading elsewhere.

    Args:
        folder: where unfinished files are.
        before_ns: files that were changed later are another run's, and stay.
    """
    found = dict(_found(folder))
    for name, status in found.items():
        other = name.removesuffix(JOURNAL) if name.endswith(JOURNAL) else name + JOURNAL
        is_of_use = _is_plain(status) and other in found and _is_plain(found[other])
        oldest = before_ns - MOST_AGE if is_of_use else before_ns
        if status.st_ctime_ns <= oldest:
            with suppress(OSError):
                os.unlink(folder / name)


def clear_stale(folder: Path, run: str, covers: Callable[[str], bool], before_ns: int) -> None:
    """Remove what earlier runs left of objects that this run covers: it has had no use for them.

    That of which nobody can tell any more whose it is goes as well.

    Args:
        folder: where unfinished files are.
        run: what this run's own files are named by; these are kept.
        covers: tells whether a key was listed by this run, if it is in the bucket.
        before_ns: files that were changed later are another run's, and stay.
    """
    for data, journal in _left_over(folder, f"*{JOURNAL}", before_ns):
        with suppress(OSError):
            if data.suffix != f".{run}" and ((key := _key(journal)) is None or covers(key)):
                journal.unlink()
                data.unlink()


def _key(journal: Path) -> str | None:
    """Return whose unfinished file it is, as its journal says; None if that is damaged."""
    try:
        key = json.loads(journal.read_bytes().splitlines()[0])["key"]
    except (ValueError, LookupError, TypeError):
        return None
    return key if isinstance(key, str) else None


def _left_over(folder: Path, pattern: str, before_ns: int) -> Iterator[tuple[Path, Path]]:
    """Yield the unfinished files, with their journals, that no other run is at work on.

    What counts is when the system saw a change, which a take-over is as well; the time that a file
    says of itself is the object's.
    """
    for journal in folder.glob(pattern):
        data = journal.with_name(journal.name.removesuffix(JOURNAL))
        with suppress(OSError):
            found = (data.lstat(), journal.lstat())
            is_old = max(status.st_ctime_ns for status in found) <= before_ns
            if is_old and all(map(_is_plain, found)):
                yield data, journal


def _is_plain(status: os.stat_result) -> bool:
    """Return whether to write it changes nothing elsewhere, and to read it waits for nobody."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1


def taken(folder: Path) -> int:
    """Return how many bytes of the disk the unfinished files take; they have holes."""
    return sum(512 * getattr(status, "st_blocks", 0) for _, status in _found(folder))


def _found(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is in the folder; what another run takes away meanwhile is not there."""
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield entry.name, status


def _crc(file: FileIO, span: range) -> int:
    crc, left = 0, len(span)
    file.seek(span.start)
    while left and (block := file.read(min(READ, left))):
        crc = zlib.crc32(block, crc)
        left -= len(block)
    return crc


def _name(remote: RemoteObject) -> str:
    identity = f"{remote.key}\0{remote.etag}\0{remote.size}"
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _header(remote: RemoteObject) -> bytes:
    """Return the journal's first line; JSON keeps every key in ASCII and on one line."""
    object_ = {"key": remote.key, "etag": remote.etag, "size": remote.size, "part": PART}
    return json.dumps(object_).encode() + b"\n"
