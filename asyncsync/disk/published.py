"""Which keys' files were published here, so that one that was edited since is told from others.

A published file has its object's time. One that is younger was edited, or comes from another tool,
which gave it the time of its download: the second is in step, the first is not. So every key is
noted in `.asyncsync/published` as its file gets its name, and looked up there only when a younger
file is met: a run that finds all in step reads nothing.

The file is a head and then eight bytes for each key, a hash of it; whoever wants to confuse two
keys gains one download. The hash is written before the file gets its name. A kill between the two
leaves a note about a file that is going to be fetched, and one within the hash a rest that is cut
off by the next run. Nothing here lets an object fail: where notes cannot be written or read, files
are trusted as if they came from elsewhere.

The head names the folder by its inode, since a copy of it may have lost all times: there the notes
would say of each file that it was edited. A key that is published again is noted again; once that
may have doubled a long file, it is written anew with each key once.
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

from asyncsync.disk.directory import CAREFULLY
from asyncsync.keys import shown

logger = logging.getLogger(__name__)

MAGIC = b"asyncpub"
HEAD = struct.Struct("=8sQQ")
"""What this is, the folder's inode, and the number of notes whose double is too many."""
NOTE = 8
"""Bytes of a note."""
FEW = 1 << 19
"""Notes whose double is not worth the work."""
_FLAGS = os.O_APPEND | CAREFULLY | getattr(os, "O_BINARY", 0)


class Published:
    """The notes about one destination. All calls block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._hashes: array[int] | None = None

    @contextmanager
    def writing(self, folder: Path | None = None) -> Iterator[None]:
        """Take notes from here on; only one run at a time should.

        Args:
            folder: what leads to the one where they are meanwhile, if that is another path.
        """
        nominal, self._path = self._path, (folder or self._path.parent) / self._path.name
        with ExitStack() as closing:
            try:
                self._file = self._open()
                closing.callback(_close, self._file)
            except OSError as error:
                self._give_up(error)
            try:
                yield
            finally:
                self._file, self._path = None, nominal

    def add(self, key: str) -> None:
        """Note that the key's file is about to be published. Costs some microseconds."""
        if self._file is None:
            return
        try:
            written = os.write(self._file, _hash(key).to_bytes(NOTE, sys.byteorder))
        except OSError as error:
            self._give_up(error)
        else:
            if written < NOTE:  # what follows would be read askew
                self._give_up(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def known(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys that have been published here. May be called in any thread."""
        if self._hashes is None:
            hashes = array("Q")
            with suppress(OSError):
                hashes = self._read()
            self._hashes = hashes  # whole, for whoever asks meanwhile
        return {key for key in keys if _holds(self._hashes, _hash(key))}

    def _give_up(self, error: OSError) -> None:
        """Take no more notes. The file is closed at the end: another thread may be writing it."""
        self._file = None
        logger.info("%s: no notes are taken: %s", shown(str(self._path)), error)

    def _open(self) -> int:
        """Open the file for more notes; it is begun, cut or written anew where that is needed."""
        with suppress(FileNotFoundError):
            if os.lstat(self._path).st_nlink > 1:  # a copy that was made of hard links has it too
                with open(os.open(self._path, os.O_RDONLY | _FLAGS), "rb") as shared:
                    self._replace(shared.read())
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        size = os.fstat(file).st_size
        kept = self._kept(os.read(file, HEAD.size))
        if kept is None:
            if size:
                logger.info("%s: begun anew, it is of no use here", shown(str(self._path)))
            os.ftruncate(file, 0)
            os.write(file, HEAD.pack(MAGIC, self._inode(), FEW))
            return file
        notes, torn = divmod(size - HEAD.size, NOTE)
        if torn:
            os.ftruncate(file, size - torn)
        if notes <= 2 * kept:
            return file
        os.close(file)
        self._write_anew()
        return os.open(self._path, os.O_WRONLY | _FLAGS)

    def _write_anew(self) -> None:
        hashes = array("Q", [value for value, _ in groupby(self._read())])
        head = HEAD.pack(MAGIC, self._inode(), max(len(hashes), FEW))
        self._replace(head + hashes.tobytes())

    def _replace(self, content: bytes) -> None:
        new = self._path.with_name(self._path.name + ".new")
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        with open(file, "wb") as writing:
            writing.write(content)
        os.replace(new, self._path)

    def _read(self) -> "array[int]":
        """Return the notes in ascending order; none if they are about another folder."""
        hashes = array("Q")
        with open(os.open(self._path, os.O_RDONLY | _FLAGS), "rb") as file:
            if self._kept(file.read(HEAD.size)) is not None:
                notes = file.read()
                hashes.frombytes(notes[: len(notes) // NOTE * NOTE])
        return array("Q", sorted(hashes))

    def _kept(self, head: bytes) -> int | None:
        """Return the number in the head; None if it is not a head, or that of another folder."""
        if len(head) < HEAD.size:
            return None
        magic, inode, kept = HEAD.unpack(head)
        return int(kept) if (magic, inode) == (MAGIC, self._inode()) else None

    def _inode(self) -> int:
        return self._path.parent.stat().st_ino & 0xFFFF_FFFF_FFFF_FFFF


def _close(file: int) -> None:
    with suppress(OSError):  # on a network's disk it may be full only now
        os.close(file)


def _hash(key: str) -> int:
    raw = key.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=NOTE).digest(), sys.byteorder)


def _holds(ascending: "array[int]", value: int) -> bool:
    place = bisect_left(ascending, value)
    return place < len(ascending) and ascending[place] == value
