"""A file of records in the state folder, to which runs append: a header, then one after the other.

All records of a file have one size, and begin with an 8-byte hash of their key. A kill within a
record leaves a torn one, which the next run cuts off. Nothing here fails an object: where records
cannot be written or read, there are none.

The header holds the state folder's inode, because a copy of the folder has other files, and may
have lost their times. A key may be recorded again: then its last record counts. Once a long file
may hold each record twice, it is rewritten with the last of each key.
"""

import errno
import hashlib
import logging
import os
import struct
import sys
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path

from asyncsync.descriptors import suppress_lasting_errors
from asyncsync.disk.folders.directory import SAFE_OPEN, Directory
from asyncsync.disk.state.place import Place
from asyncsync.keys import escaped

logger = logging.getLogger(__name__)

MOST_RECORDS = 1 << 25
"""Records of a file that are read."""
HEADER = struct.Struct("=8sQQ")
"""What the file is, the state folder's inode, and the record count of the last rewrite.

The file is rewritten when it has more than twice as many records.
"""
HASH_BYTES = 8
MIN_COUNT = 1 << 19
"""The least count in a header: shorter files are not worth rewriting."""
_BLOCK = HASH_BYTES << 17
"""Bytes that are written at once: whole records of any kind."""
INODE_MASK = 0xFFFF_FFFF_FFFF_FFFF
_FLAGS = os.O_APPEND | SAFE_OPEN | getattr(os, "O_BINARY", 0)


class Records:
    """The records of one kind in a destination. All calls block.

    Args:
        place: the destination.
        name: what the file is called.
        magic: the eight bytes that it begins with.
        size: bytes of a record.
        mode: who may read it.
    """

    def __init__(
        self, place: Place, name: str, magic: bytes, size: int = HASH_BYTES, mode: int = 0o644
    ) -> None:
        self._place = place
        self._name = name
        self._magic = magic
        self._size = size
        self._most_bytes = HEADER.size + MOST_RECORDS * size
        self._mode = mode
        self._file: int | None = None

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self._place.state / self._name

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Append inside this context; only one run at a time should."""
        with ExitStack() as stack:
            try:
                self._file = self._open()
                stack.callback(_close, self._file)
            except OSError as error:
                self._stop(error)
            try:
                yield
            finally:
                self._file = None

    def append(self, records: bytes, *, or_forget: bool = False) -> None:
        """Append records.

        Args:
            records: one or more.
            or_forget: whether no earlier record may be believed if these cannot be written.
        """
        if self._file is None or not records:
            return
        try:
            written = os.write(self._file, records)
        except OSError as error:
            self._stop(error, forgets=or_forget)
        else:
            if written < len(records):  # records after this one would be misaligned
                full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self._stop(full, forgets=or_forget)

    def is_empty(self) -> bool:
        """Return whether nothing was ever recorded here, as far as is known.

        Where records had to be dropped, as in a copy of the folder, one of no key stands for them.
        """
        try:
            return self.path.stat().st_size <= HEADER.size
        except OSError:
            return True

    def read(self) -> bytes:
        """Return the records in their order; none if the file is of another folder.

        Raises:
            OSError: the file cannot be read.
        """
        with open(os.open(self.path, os.O_RDONLY | _FLAGS), "rb") as file:
            size = min(os.fstat(file.fileno()).st_size, self._most_bytes)
            return self.parse(file.read(size), self._inode())

    def layers(self) -> tuple[bytes, list[bytes]]:
        """Return the records of whole runs, and those of each shard that may have this run's keys.

        Those of shards are younger; which of two shards of several counts is, nobody knows.
        """
        own = b""
        with suppress_lasting_errors():
            own = self.read()
        shards = [self.read_in(state) for state in self._place.shard_states()]
        if not self._place.shard:
            return own, shards
        whole = [self.read_in(state) for state in self._place.whole_state()]
        return b"".join(whole), [own, *shards]

    def read_in(self, state: Directory) -> bytes:
        """Return the records in another state folder of this user.

        One of no key stands for those of another folder, as in a copy.
        """
        content = state.read(self._name, self._most_bytes) or b""
        lost = bytes(self._size) if len(content) > HEADER.size else b""
        return self.parse(content, state.status().st_ino) or lost

    def take_over(self, more: bytes = b"") -> None:
        """Append the records of shards, and then `more`; call it inside `writing`.

        They are on the disk then.

        Raises:
            OSError: they cannot be written.
        """
        for records in chain(map(self.read_in, self._place.shard_states()), [more]):
            for start in range(0, len(records), _BLOCK):
                self.append(records[start : start + _BLOCK])
            if records and self._file is None:
                raise OSError(errno.EIO, "the records of shards cannot be written", str(self.path))
        if self._file is not None:
            os.fsync(self._file)

    def parse(self, content: bytes, inode: int) -> bytes:
        """Return the records in what a file holds that is in the state folder of this inode."""
        if self._parse_header(content[: HEADER.size], inode) is None:
            return b""
        whole = (len(content) - HEADER.size) // self._size * self._size
        return content[HEADER.size : HEADER.size + whole]

    def _stop(self, error: OSError, *, forgets: bool = False) -> None:
        """Append no more. The file is closed at the end: another thread may be writing it."""
        if self._file is not None and forgets:
            with suppress(OSError):
                os.ftruncate(self._file, HEADER.size + self._size)
        self._file = None
        logger.info("%s: published files are not recorded: %s", escaped(str(self.path)), error)

    def _open(self) -> int:
        """Open the file for appending; start it, cut it or rewrite it first if needed."""
        with suppress(FileNotFoundError):
            if os.lstat(self.path).st_nlink > 1:
                # A copy of the destination made of hard links shares the file; leave it to that.
                with open(os.open(self.path, os.O_RDONLY | _FLAGS), "rb") as shared:
                    size = os.fstat(shared.fileno()).st_size
                    self._replace(shared.read(min(size, self._most_bytes + 1)))
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | _FLAGS, self._mode)
        size = os.fstat(file).st_size
        count = self._parse_header(os.read(file, HEADER.size), self._inode())
        if count is None or size > self._most_bytes:
            if size:
                why = "too long" if size > self._most_bytes else "damaged, or of another folder"
                logger.info("%s: %s; reset", escaped(str(self.path)), why)
            os.ftruncate(file, 0)
            lost = bytes(self._size) if size > HEADER.size else b""  # see `is_empty`
            os.write(file, self._header(MIN_COUNT) + lost)
            return file
        records, torn = divmod(size - HEADER.size, self._size)
        if torn:
            os.ftruncate(file, size - torn)
        if records <= 2 * count:
            return file
        os.close(file)
        self._rewrite()
        return os.open(self.path, os.O_WRONLY | _FLAGS)

    def _rewrite(self) -> None:
        records = self.read()
        hashes = array("Q", records)[:: self._size // HASH_BYTES]
        last = sorted(_last_of_each(hashes))
        kept = b"".join([records[at * self._size : (at + 1) * self._size] for at in last])
        self._replace(self._header(max(len(last), MIN_COUNT)) + kept)

    def _replace(self, content: bytes) -> None:
        new = self.path.with_name(self.path.name + ".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, self._mode)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(new, self.path)

    def _header(self, count: int) -> bytes:
        return HEADER.pack(self._magic, self._inode(), count)

    def _parse_header(self, header: bytes, inode: int) -> int | None:
        """Return the count in the header; None if it is damaged or of another folder."""
        if len(header) < HEADER.size:
            return None
        magic, found, count = HEADER.unpack(header)
        return int(count) if (magic, found) == (self._magic, inode & INODE_MASK) else None

    def _inode(self) -> int:
        return self.path.parent.stat().st_ino & INODE_MASK


@lru_cache(maxsize=1024)  # each file that is made is recorded twice within a moment
def hash_of(key: str) -> int:
    """Return the hash of a key, the same in every run."""
    raw = key.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=HASH_BYTES).digest(), sys.byteorder)


def ordered(records: "array[int]") -> list[int]:
    """Return the places of all records, by their values; equal ones stay in order."""
    return sorted(range(len(records)), key=records.__getitem__)


def _last_of_each(records: "array[int]") -> Iterator[int]:
    """Yield the place where each record is for the last time."""
    order = ordered(records)
    yield from (at for at, after in pairwise(order) if records[at] != records[after])
    yield from order[-1:]


def _close(file: int) -> None:
    with suppress(OSError):  # a network file system may report a full disk only now
        os.close(file)
