"""Which keys' files were published here, to tell an edited file from one of another tool.

A published file has its object's LastModified. A younger file either was edited since, or comes
from another tool, which left the time of the download: the first is out of date, the second is not.
So each key is recorded in `published` in the state folder when its file gets its name. The records
are read only when a run meets a younger file: a run that finds everything up to date reads none.
The records of other users, as far as this one can read them, count as well.

The file is a header, then one record for each key: an 8-byte hash of the key. Two keys with the
same hash could only be crafted, and would cost one needless download. The hash is written before
the file gets its name. A kill between the two leaves a record of a file that will be fetched
anyway; a kill within a record leaves a torn one, which the next run cuts off. Nothing here fails an
object: where records cannot be written or read, files are treated like those of another tool.

The header holds the state folder's inode, because a copy of the folder may have lost all file
times; there the records would call every file edited. A key that is published again is recorded
again. Once a long file may hold each key twice, it is rewritten with each key once.
"""

import errno
import hashlib
import logging
import os
import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path

from asyncsync.disk.directory import SAFE_OPEN
from asyncsync.disk.place import Place
from asyncsync.keys import escaped

logger = logging.getLogger(__name__)

NAME = "published"
MOST_BYTES = 1 << 28
"""Bytes of records that are read: 33 million keys."""
MOST_OTHERS_BYTES = 1 << 26
"""Bytes that are read of another user's."""
MAGIC = b"asyncpub"
HEADER = struct.Struct("=8sQQ")
"""MAGIC, the state folder's inode, and the record count of the last rewrite.

The file is rewritten when it has more than twice as many records.
"""
RECORD_BYTES = 8
MIN_COUNT = 1 << 19
"""The least count in a header: shorter files are not worth rewriting."""
_INODE = 0xFFFF_FFFF_FFFF_FFFF
_FLAGS = os.O_APPEND | SAFE_OPEN | getattr(os, "O_BINARY", 0)


class Published:
    """The records of one destination. All calls block."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._file: int | None = None
        self._hashes: array[int] | None = None

    @property
    def _path(self) -> Path:
        return self._place.state / NAME

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Record keys inside this context; only one run at a time should."""
        with ExitStack() as stack:
            try:
                self._file = self._open()
                stack.callback(_close, self._file)
            except OSError as error:
                self._stop_recording(error)
            try:
                yield
            finally:
                self._file = None

    def add(self, keys: Iterable[str]) -> None:
        """Record that the keys' files are about to be published."""
        records = array("Q", map(_hash, keys)).tobytes()
        if self._file is None or not records:
            return
        try:
            written = os.write(self._file, records)
        except OSError as error:
            self._stop_recording(error)
        else:
            if written < len(records):  # records after this one would be misaligned
                self._stop_recording(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def is_empty(self) -> bool:
        """Return whether this user has published nothing here that is known of."""
        try:
            return self._path.stat().st_size <= HEADER.size
        except OSError:
            return True

    def known(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys that were published here. May be called in any thread."""
        if self._hashes is None:
            hashes = array("Q")
            with suppress(OSError):
                hashes = self._read()
            for state in self._place.others():
                hashes += _parse(state.read(NAME, MOST_OTHERS_BYTES) or b"", state.status().st_ino)
            hashes = array("Q", sorted(hashes)) if hashes else hashes
            self._hashes = hashes  # only once it is complete, for calls in other threads
        return {key for key in keys if _contains(self._hashes, _hash(key))}

    def _stop_recording(self, error: OSError) -> None:
        """Record no more keys. The file is closed at the end: another thread may be writing it."""
        self._file = None
        logger.info("%s: published keys are not recorded: %s", escaped(str(self._path)), error)

    def _open(self) -> int:
        """Open the file for appending; start it, cut it or rewrite it first if needed."""
        with suppress(FileNotFoundError):
            if os.lstat(self._path).st_nlink > 1:
                # A copy of the destination made of hard links shares the file; leave it to that.
                with open(os.open(self._path, os.O_RDONLY | _FLAGS), "rb") as shared:
                    self._replace(shared.read())
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o644)
        size = os.fstat(file).st_size
        if size > MOST_BYTES:
            logger.info("%s: too long; reset", escaped(str(self._path)))
            os.ftruncate(file, 0)
            size = 0
        count = self._parse_header(os.read(file, HEADER.size))
        if count is None:
            if size:
                logger.info("%s: damaged, or of another folder; reset", escaped(str(self._path)))
            os.ftruncate(file, 0)
            os.write(file, HEADER.pack(MAGIC, self._inode(), MIN_COUNT))
            return file
        records, torn = divmod(size - HEADER.size, RECORD_BYTES)
        if torn:
            os.ftruncate(file, size - torn)
        if records <= 2 * count:
            return file
        os.close(file)
        self._rewrite()
        return os.open(self._path, os.O_WRONLY | _FLAGS)

    def _rewrite(self) -> None:
        hashes = array("Q", [value for value, _ in groupby(self._read())])
        header = HEADER.pack(MAGIC, self._inode(), max(len(hashes), MIN_COUNT))
        self._replace(header + hashes.tobytes())

    def _replace(self, content: bytes) -> None:
        new = self._path.with_name(self._path.name + ".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o644)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(new, self._path)

    def _read(self) -> "array[int]":
        """Return the hashes in ascending order; none if the file is of another folder."""
        with open(os.open(self._path, os.O_RDONLY | _FLAGS), "rb") as file:
            return array("Q", sorted(_parse(file.read(MOST_BYTES), self._inode())))

    def _parse_header(self, header: bytes) -> int | None:
        return _parse_header(header, self._inode())

    def _inode(self) -> int:
        return self._path.parent.stat().st_ino & _INODE


def _parse(content: bytes, inode: int) -> "array[int]":
    """Return the hashes in a file; none if it is damaged or of another folder."""
    hashes = array("Q")
    if _parse_header(content[: HEADER.size], inode & _INODE) is not None:
        records = memoryview(content)[HEADER.size :]
        hashes.frombytes(records[: len(records) // RECORD_BYTES * RECORD_BYTES])
    return hashes


def _parse_header(header: bytes, inode: int) -> int | None:
    """Return the count in the header; None if it is damaged or of another folder."""
    if len(header) < HEADER.size:
        return None
    magic, found, count = HEADER.unpack(header)
    return int(count) if (magic, found) == (MAGIC, inode) else None


def _close(file: int) -> None:
    with suppress(OSError):  # a network file system may report a full disk only now
        os.close(file)


def _hash(key: str) -> int:
    raw = key.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=RECORD_BYTES).digest(), sys.byteorder)


def _contains(ascending: "array[int]", value: int) -> bool:
    index = bisect_left(ascending, value)
    return index < len(ascending) and ascending[index] == value
