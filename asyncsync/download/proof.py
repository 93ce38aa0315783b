"""What the bytes of a file prove: that they are the object's, and that they are Parquet.

| ETag               | what it says                                                              |
|--------------------|---------------------------------------------------------------------------|
| 32 hex digits      | the MD5 of the bytes                                                      |
| 32 hex digits `-N` | the MD5 of the MD5s of N parts of equal size, in most stores; the size is |
|                    | not told, so those that tools use are tried, and no fit says nothing      |
| anything else      | names a version, and nothing about its bytes                              |

MD5 takes 1.4 s a GB, in threads: it releases the interpreter.
"""

import hashlib
import os
import re
from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from io import FileIO
from typing import Protocol

from anyio import CapacityLimiter, Event

from asyncsync.errors import IntegrityError, NotParquetError
from asyncsync.model import Checks, Proof, RemoteObject
from asyncsync.pace import Tries
from asyncsync.threads import in_thread

MIB = 1024 * 1024
STEP = 8 * MIB
"""Bytes hashed in one thread hop: a cancelled run waits for one of them at most."""
BLOCK = 256 * 1024
"""Bytes read at a time: they stay in the processor's cache until they are hashed."""
PART_SIZES = [n * MIB for n in (8, 5, 16, 10, 50, 64, 100, 32, 25, 15, 20, 128, 256, 512, 1024)]
"""What tools upload parts of, the most usual first."""
MOST_SIZES = 5
"""Part sizes that are tried: few parts of a large object leave room for many."""

_ETAG = re.compile(r"([0-9a-f]{32})(?:-([1-9][0-9]{0,4}))?", re.IGNORECASE)
_MAGICS = (b"PAR1", b"PARE")
"""At both ends of a Parquet file; the second where its footer is encrypted."""


def hashers() -> CapacityLimiter:
    """Return what bounds the hashing of a run: one thread a processor, or the last bytes wait."""
    return CapacityLimiter(os.cpu_count() or 1)


def prove(remote: RemoteObject, checks: Checks, content: bytes) -> Proof:
    """Return what the whole content of an object proves. Blocks for 0.1 ms per 70 kB.

    Raises:
        IntegrityError: its ETag is an MD5, and not that of the content.
        NotParquetError: it should be Parquet.
    """
    hashes = _hashes(remote) if checks.content else []
    for one in hashes:
        one.update(content)
    return _verdict(remote, checks, _matches(remote, hashes), content[:4], content[-8:])


class Prover:
    """Proves a file that is read, and hashed, in its order, while it is still being made.

    Args:
        remote: the object.
        checks: what is to be proven.
        opened: opens the file.
        hashers: of the run.
        tries: at opening the file.
    """

    def __init__(
        self,
        remote: RemoteObject,
        checks: Checks,
        opened: Callable[[], FileIO],
        hashers: CapacityLimiter,
        tries: Tries,
    ) -> None:
        self._remote = remote
        self._checks = checks
        self._opened = opened
        self._hashers = hashers
        self._tries = tries
        self._hashes = _hashes(remote) if checks.content else []
        self._news = Event()

    @property
    def hashes(self) -> bool:
        """Whether there is a hash to follow the bytes with."""
        return bool(self._hashes)

    async def follow(self, spans: Iterable[range], here: Container[range]) -> None:
        """Hash the spans in their order, each as soon as it and all before it are in the file."""
        for span in spans:
            while span not in here:
                self._news = Event()
                await self._news.wait()
            await self._feed(self._hashes[:1], span)

    def arrived(self) -> None:
        """Say that there are more bytes in the file."""
        self._news.set()

    async def of_whole_file(self) -> Proof:
        """Hash a file that is all there, and return what it proves.

        Raises:
            IntegrityError, NotParquetError: as for `prove`.
        """
        if self.hashes:
            whole = range(self._remote.size)
            await self.follow([whole], [whole])
        return await self.verdict()

    async def verdict(self) -> Proof:
        """Return what the file proves, once all of its bytes were hashed.

        Raises:
            IntegrityError, NotParquetError: as for `prove`.
        """
        likely, others = self._hashes[:1], self._hashes[1:]
        found = _matches(self._remote, likely)
        if others and not found:  # all of them at once, so that the file is read but twice
            await self._feed(others, range(self._remote.size))
            found = _matches(self._remote, others)
        first, last = await self._tries.locally(partial(in_thread, self._ends))
        return _verdict(self._remote, self._checks, found, first, last)

    async def _feed(self, hashes: Sequence["_Hash"], span: range) -> None:
        for start in range(span.start, span.stop, STEP):
            step = range(start, min(start + STEP, span.stop))
            hash_step = partial(self._hash, hashes, step)
            hash_in_thread = partial(in_thread, hash_step, limiter=self._hashers)
            await self._tries.locally(hash_in_thread)

    def _hash(self, hashes: Sequence["_Hash"], span: range) -> None:
        buffer = memoryview(bytearray(BLOCK))
        with self._opened() as file:
            file.seek(span.start)
            left = len(span)
            while left and (count := file.readinto(buffer[:left])):
                left -= count
                for one in hashes:
                    one.update(buffer[:count])

    def _ends(self) -> tuple[bytes, bytes]:
        with self._opened() as file:
            first = file.read(4)
            file.seek(max(self._remote.size - 8, 0))
            return first, file.read(8)


def part_sizes(size: int, number: int) -> list[int]:
    """Return the sizes to try of the parts of an object that was uploaded in `number` of them."""
    if number == 1:
        return [max(size, 1)]
    even = -(-size // (number * MIB)) * MIB  # what a tool takes that wants so many parts
    fitting = [part for part in (*PART_SIZES, even) if part and -(-size // part) == number]
    return list(dict.fromkeys(fitting))[:MOST_SIZES]


class _Hash(Protocol):
    """A hash of all bytes it was updated with."""

    def update(self, block: bytes | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


class _HashOfParts:
    """The MD5 of the MD5s of parts."""

    def __init__(self, part_size: int) -> None:
        self._part_size = part_size
        self._room = part_size
        self._part = _md5()
        self._digests = b""

    def update(self, block: bytes | memoryview, /) -> None:
        rest = memoryview(block)
        while rest:
            taken, rest = rest[: self._room], rest[self._room :]
            self._part.update(taken)
            self._room -= len(taken)
            if not self._room:
                self._digests += self._part.digest()
                self._part, self._room = _md5(), self._part_size

    def hexdigest(self) -> str:
        is_open = self._room < self._part_size or not self._digests
        digests = self._digests + (self._part.digest() if is_open else b"")
        return _md5(digests).hexdigest()


def _md5(data: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(data, usedforsecurity=False)


def _hashes(remote: RemoteObject) -> Sequence[_Hash]:
    """Return the hashes of which one should be in the ETag."""
    tag = _ETAG.fullmatch(remote.etag)
    if not tag:
        return []
    if tag[2] is None:
        return [_md5()]
    return [_HashOfParts(size) for size in part_sizes(remote.size, int(tag[2]))]


def _matches(remote: RemoteObject, hashes: Sequence[_Hash]) -> Proof:
    """Return what hash of the content the ETag holds, if any of these.

    Raises:
        IntegrityError: it must be this one, and is not.
    """
    digest, parts, _ = remote.etag.lower().partition("-")
    for one in hashes:
        if (found := one.hexdigest()) == digest:
            return Proof.MD5_OF_PARTS if parts else Proof.MD5
        if not parts:
            raise IntegrityError(
                remote.key,
                f"its bytes have the MD5 {found}, but its ETag says {digest}: they are damaged, "
                "or the store's ETags are no MD5s (encrypted with SSE-KMS or SSE-C); "
                "`--validate head` takes them without this proof",
            )
    return Proof(0)


def _verdict(
    remote: RemoteObject, checks: Checks, hashed: Proof, first: bytes, last: bytes
) -> Proof:
    proof = hashed | (Proof.SIZE_AND_VERSION if remote.is_pinned else Proof.SIZE)
    if checks.parquet and remote.key.endswith(".parquet"):
        if not _is_parquet(remote.size, first, last):
            raise NotParquetError(remote.key, is_original=bool(hashed))
        proof |= Proof.PARQUET
    return proof


def _is_parquet(size: int, first: bytes, last: bytes) -> bool:
    """Return whether the magic is at both ends, and between them a footer of the length it says."""
    footer = int.from_bytes(last[:4], "little")
    return first in _MAGICS and last[4:] == first and 0 < footer <= size - 12
