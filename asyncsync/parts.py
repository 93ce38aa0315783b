"""Unfinished files: the parts of an object arrive in any order, and outlive a run that is killed.

    .asyncsync/parts/<object>.<run>           the bytes, each at its place
    .asyncsync/parts/<object>.<run>.journal   which parts are whole

`<object>` stands for one version of one object, so parts of two versions never meet. `<run>` is
different in every run, and a later run makes an unfinished file its own by renaming it: two runs
never write under one name, even where the lock does not work. Nor does a run touch what was written
after it began, or shortly before where the lock does not work: that is another run's.

The journal's first line says what the object is, each other line is one whole part with its CRC. It
is written behind the bytes but not synced, so it may be cut, or claim bytes that a power failure
took. Every part is therefore read again and compared before it counts.
"""

import hashlib
import json
import logging
import os
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path

import aiofiles
from anyio import CancelScope, to_thread

from asyncsync import descriptors
from asyncsync.keys import shown
from asyncsync.model import RemoteObject

logger = logging.getLogger(__name__)

PART = 8 * 1024 * 1024
"""Bytes of one ranged request. Journals of another part size are not used."""
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
        self.whole: set[range] = set()
        """The parts that are here: those of an earlier run, and what was finished since."""
        self._journal = path.with_name(path.name + JOURNAL)
        self._remote = remote

    @property
    def has_parts(self) -> bool:
        """Whether another run could go on with it."""
        with suppress(OSError):
            return self._journal.stat().st_size > len(_header(self._remote))
        return False

    def create(self) -> None:
        """Make the file and the journal, without any part. Blocks."""
        try:
            with open(self.path, "xb") as file:
                file.truncate(self._remote.size)
            self._journal.write_bytes(_header(self._remote))
        except OSError:
            self.remove()
            raise

    async def take_over(self, old: Path) -> None:
        """Make an earlier run's file our own, and find out which of its parts are whole.

        Raises:
            OSError: it is gone, or cannot be read.
            ValueError: it is of no use.
        """
        await to_thread.run_sync(os.replace, old, self.path)
        await to_thread.run_sync(os.replace, old.with_name(old.name + JOURNAL), self._journal)
        async with aiofiles.open(self._journal, "rb") as file:
            header, *lines = (await file.read()).splitlines(keepends=True)
        size = (await to_thread.run_sync(self.path.stat)).st_size
        if header != _header(self._remote) or size != self._remote.size:
            raise ValueError("the journal is of another object")
        known = set(spans(self._remote.size))
        async with aiofiles.open(self.path, "rb") as file:
            for line in lines:
                with suppress(ValueError):
                    start, stop, crc = map(int, line.split())
                    span = range(start, stop)
                    if line.endswith(b"\n") and span in known and crc == await _crc(file, span):
                        self.whole.add(span)

    @asynccontextmanager
    async def at(self, offset: int) -> AsyncIterator[Callable[[bytes | memoryview], None]]:
        """Open the file from `offset` on, and yield what writes a block behind the last one.

        A block goes to the system's cache, which takes less time than a hop to a thread would; a
        disk that cannot keep up slows down the reading, as it should.
        """
        with CancelScope(shield=True):  # what is opened is known, or nobody would close it
            try:
                file = await aiofiles.open(self.path, "r+b", buffering=0)
            except OSError as error:
                raise descriptors.refused(error) or error from error
        descriptor = file.fileno()
        os.lseek(descriptor, offset, os.SEEK_SET)

        def write(block: bytes | memoryview) -> None:
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(descriptor, rest) :]

        try:
            yield write
        finally:
            with CancelScope(shield=True):
                await file.close()

    def open(self) -> FileIO:
        """Open the file to read back what has arrived. Blocks."""
        return FileIO(self.path)

    def finished(self, span: range, crc: int) -> None:
        """Note that a part is whole."""
        with open(self._journal, "ab", buffering=0) as file:
            file.write(f"{span.start} {span.stop} {crc}\n".encode())
        self.whole.add(span)

    def remove(self) -> None:
        """Remove what is left of it. Blocks."""
        for path in (self._journal, self.path):
            path.unlink(missing_ok=True)


async def open_part_file(folder: Path, run: str, remote: RemoteObject, before_ns: int) -> PartFile:
    """Open the unfinished file of an object: that of an earlier run, or a new one.

    Args:
        folder: where unfinished files are.
        run: what this run's files are named by.
        remote: the version of the object.
        before_ns: files that were changed later are another run's.

    Raises:
        OSError: no file can be made.
    """
    name = _name(remote)
    part = PartFile(folder / f"{name}.{run}", remote)
    pattern = f"{name}.*{JOURNAL}"
    old = await to_thread.run_sync(lambda: [*_left_over(folder, pattern, before_ns)])
    for data, _ in old if remote.is_pinned else []:
        try:
            await part.take_over(data)
        except (OSError, ValueError) as error:
            logger.info("%s: what an earlier run left is of no use: %s", shown(remote.key), error)
            await to_thread.run_sync(part.remove)
        else:
            return part
    await to_thread.run_sync(part.create)
    return part


def clear(folder: Path, before_ns: int) -> None:
    """Remove what no run can go on with: files without a journal, and those that are too old.

    Args:
        folder: where unfinished files are.
        before_ns: files that were changed later are another run's, and stay.
    """
    with os.scandir(folder) as entries:
        names = {entry.name: entry.stat(follow_symlinks=False).st_ctime_ns for entry in entries}
    for name, changed in names.items():
        other = name.removesuffix(JOURNAL) if name.endswith(JOURNAL) else name + JOURNAL
        oldest = before_ns - MOST_AGE if other in names else before_ns
        if changed <= oldest:
            with suppress(OSError):
                os.unlink(folder / name)


def clear_stale(folder: Path, run: str, covers: Callable[[str], bool], before_ns: int) -> None:
    """Remove what earlier runs left of objects that this run covers: it has had no use for them.

    Args:
        folder: where unfinished files are.
        run: what this run's own files are named by; these are kept.
        covers: tells whether a key was listed by this run, if it is in the bucket.
        before_ns: files that were changed later are another run's, and stay.
    """
    for data, journal in _left_over(folder, f"*{JOURNAL}", before_ns):
        with suppress(OSError, ValueError, KeyError, TypeError):
            header = json.loads(journal.read_bytes().splitlines()[0])
            if data.suffix != f".{run}" and covers(header["key"]):
                journal.unlink()
                data.unlink()


def _left_over(folder: Path, pattern: str, before_ns: int) -> Iterator[tuple[Path, Path]]:
    """Yield the unfinished files, with their journals, that no other run is at work on.

    What counts is when the system saw a change, which a take-over is as well; the time that a file
    says of itself is the object's.
    """
    for journal in folder.glob(pattern):
        data = journal.with_name(journal.name.removesuffix(JOURNAL))
        with suppress(OSError):
            if max(data.stat().st_ctime_ns, journal.stat().st_ctime_ns) <= before_ns:
                yield data, journal


def taken(folder: Path) -> int:
    """Return how many bytes of the disk the unfinished files take; they have holes."""
    with os.scandir(folder) as entries:
        found = [entry.stat(follow_symlinks=False) for entry in entries]
    return sum(512 * file.st_blocks for file in found if hasattr(file, "st_blocks"))


async def _crc(file: "aiofiles.threadpool.binary.AsyncBufferedReader", span: range) -> int:
    crc = 0
    await file.seek(span.start)
    for start in range(span.start, span.stop, READ):
        crc = zlib.crc32(await file.read(min(READ, span.stop - start)), crc)
    return crc


def _name(remote: RemoteObject) -> str:
    identity = f"{remote.key}\0{remote.etag}\0{remote.size}"
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _header(remote: RemoteObject) -> bytes:
    """Return the journal's first line; JSON keeps every key in ASCII and on one line."""
    object_ = {"key": remote.key, "etag": remote.etag, "size": remote.size, "part": PART}
    return json.dumps(object_).encode() + b"\n"
