"""Which keys' files were published here, to tell an edited file from one of another tool.

A published file has its object's LastModified. A younger file either was edited since, or comes
from another tool, which left the time of the download: the first is out of date, the second is not.
So each key is recorded in `published` in the state folder when its file gets its name. The records
are read only when a run meets a younger file: a run that finds everything up to date reads none.
The records of other users, as far as this one can read them, count as well.

The file is a header, then one record for each key: an 8-byte hash of the key and, where files are
here from several buckets (`sources.py`), of the bucket. Two keys with the same hash could only be
crafted, and would cost one needless download. The hash is written before the file gets its name. A
kill between the two leaves a record of a file that will be fetched anyway. With several buckets, it
would say of another one's file that it is this one's. So the record before says only that the file
may be of any, and another one afterwards of which it is. A kill within a record leaves a torn one,
which the next run cuts off. Nothing here fails an object: where records cannot be written or read,
files are treated like those of another tool.

The header holds the state folder's inode, because a copy of the folder may have lost all file
times; there the records would call every file edited. A key that is published again is recorded
again: of several records of one key, the last says from which bucket its file is. Once a long file
may hold each record twice, it is rewritten with each once.
"""

import errno
import hashlib
import logging
import os
import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

from asyncsync.disk.directory import SAFE_OPEN, Directory
from asyncsync.disk.place import Place
from asyncsync.disk.sources import Sources, noted_in
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
ANY = "\0"
"""Stands for a bucket in a record of a file that may be of any."""
MIN_COUNT = 1 << 19
"""The least count in a header: shorter files are not worth rewriting."""
_INODE = 0xFFFF_FFFF_FFFF_FFFF
_FLAGS = os.O_APPEND | SAFE_OPEN | getattr(os, "O_BINARY", 0)


class Published:
    """The records of one destination. All calls block.

    Args:
        place: the destination.
        sources: the buckets that the files here are from.
    """

    def __init__(self, place: Place, sources: Sources | None = None) -> None:
        self._place = place
        self.sources = sources or Sources(place)
        self._file: int | None = None
        self._hashes: array[int] | None = None
        self._origins: _Origins | None = None

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

    def expect(self, keys: Iterable[str]) -> None:
        """Record that the keys' files are about to be published; see `confirm`."""
        if self.sources.is_mixed:
            self._record(keys, _name_mask(ANY))
        else:
            self.add(keys)

    def confirm(self, keys: Iterable[str]) -> None:
        """Record that they are published."""
        if self.sources.is_mixed:
            self.add(keys)

    def add(self, keys: Iterable[str]) -> None:
        """Record keys whose files are from the bucket of this run."""
        self._record(keys, _mask(self.sources.current, self.sources.own))

    def _record(self, keys: Iterable[str], mask: int) -> None:
        records = array("Q", [_hash(key) ^ mask for key in keys]).tobytes()
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
        """Return whether this user has published nothing here that is known of.

        Where records had to be dropped, as in a copy of the folder, one of no key stands for them.
        """
        try:
            return self._path.stat().st_size <= HEADER.size
        except OSError:
            return True

    def others(self) -> Iterator[Directory]:
        """Yield the state folders of other users who have published files here."""
        for state in self._place.others():
            if (found := state.look_up(NAME)) and found.size > HEADER.size:
                yield state

    def known(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys that were published here, from whatever bucket.

        May be called in any thread.
        """
        if self._hashes is None:
            hashes = array("Q")
            with suppress(OSError):
                hashes = self._read()
            for state in self._place.others():
                hashes += _parse(state.read(NAME, MOST_OTHERS_BYTES) or b"", state.status().st_ino)
            hashes = array("Q", sorted(hashes)) if hashes else hashes
            self._hashes = hashes  # only once it is complete, for calls in other threads
        masks = {0, *map(_name_mask, [ANY, *self.sources.own, *self.sources.others])}
        return {
            key for key in keys if any(_contains(self._hashes, _hash(key) ^ mask) for mask in masks)
        }

    def made_by_others(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys whose files were not published here.

        None where nothing was recorded, or records had to be dropped: they would tell too little.
        """
        known = self.known(keys)
        return set(keys) - known if self._hashes and self._hashes[0] else set()

    def from_current(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys whose files are from the bucket of this run.

        This user has published them last from there, as far as these records tell, and no other
        user from elsewhere. May be called in any thread.
        """
        if self._origins is None:
            records = array("Q")
            with suppress(OSError):
                records = self._read()
            others = [
                (_parse(state.read(NAME, MOST_OTHERS_BYTES) or b"", state.status().st_ino), noted)
                for state in self._place.others()
                if (noted := noted_in(state))
            ]
            self._origins = _Origins(records, self.sources.own, others)
        current = self.sources.current
        return {key for key in keys if self._origins.are_only(_hash(key), current)}

    def _stop_recording(self, error: OSError) -> None:
        """Record no more keys. The file is closed at the end: another thread may be writing it.

        With several buckets, earlier records would speak of files that are replaced from now on.
        """
        if self._file is not None and self.sources.is_mixed:
            with suppress(OSError):
                os.ftruncate(self._file, HEADER.size + RECORD_BYTES)
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
        count = self._parse_header(os.read(file, HEADER.size))
        if count is None or size > MOST_BYTES:
            if size:
                why = "too long" if size > MOST_BYTES else "damaged, or of another folder"
                logger.info("%s: %s; reset", escaped(str(self._path)), why)
            os.ftruncate(file, 0)
            lost = bytes(RECORD_BYTES) if size > HEADER.size else b""  # see `is_empty`
            os.write(file, HEADER.pack(MAGIC, self._inode(), MIN_COUNT) + lost)
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
        records = self._read()
        hashes = array("Q", [records[at] for at in sorted(_last_of_each(records))])
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
        """Return the records in their order; none if the file is of another folder."""
        with open(os.open(self._path, os.O_RDONLY | _FLAGS), "rb") as file:
            return _parse(file.read(MOST_BYTES), self._inode())

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


def _name_mask(source: str) -> int:
    return _hash(f"{source}\0")


def _mask(source: str, noted: Sequence[str]) -> int:
    """Return what tells a source's records from those of others in a user's file.

    The first that was noted has none: records are as they were before sources were noted.
    """
    return 0 if not source or noted[:1] in ([], [source]) else _name_mask(source)


def _masks(noted: Sequence[str]) -> dict[str, int]:
    return {**{source: _mask(source, noted) for source in noted}, ANY: _name_mask(ANY)}


class _Origins:
    """From which bucket each key's file is.

    Args:
        records: of this user, in their order.
        noted: the sources of these records.
        others: the same of other users.
    """

    def __init__(
        self,
        records: "array[int]",
        noted: Sequence[str],
        others: Iterable[tuple["array[int]", Sequence[str]]],
    ) -> None:
        self._records = records
        self._order = array("Q", _ordered(records))
        self._masks = _masks(noted)
        self._others = [(array("Q", sorted(theirs)), _masks(known)) for theirs, known in others]

    def are_only(self, key: int, source: str) -> bool:
        """Return whether the file of the key with this hash is from this source."""
        last = {name: self._find_last(key ^ mask) for name, mask in self._masks.items()}
        mine = last.pop(source, -1)
        if mine < 0 or any(other > mine for other in last.values()):
            return False
        return not any(
            name != source and _contains(records, key ^ mask)
            for records, masks in self._others
            for name, mask in masks.items()
        )

    def _find_last(self, record: int) -> int:
        """Return where a record is for the last time; -1 if it is nowhere."""
        index = bisect_right(self._order, record, key=self._records.__getitem__)
        if index and self._records[self._order[index - 1]] == record:
            return self._order[index - 1]
        return -1


def _ordered(records: "array[int]") -> list[int]:
    """Return the places of all records, by their values; equal ones stay in order."""
    return sorted(range(len(records)), key=records.__getitem__)


def _last_of_each(records: "array[int]") -> Iterator[int]:
    """Yield the place where each record is for the last time."""
    order = _ordered(records)
    yield from (at for at, after in pairwise(order) if records[at] != records[after])
    yield from order[-1:]


def _contains(ascending: "array[int]", value: int) -> bool:
    index = bisect_left(ascending, value)
    return index < len(ascending) and ascending[index] == value
