"""Check the bytes of a file: that they are the object's, and that they are Parquet.

In many stores the answer to HEAD tells a checksum. In others the ETag does:

| ETag               | what it means                                                             |
|--------------------|---------------------------------------------------------------------------|
| 32 hex digits      | the MD5 of the bytes                                                      |
| 32 hex digits `-N` | in most stores, the MD5 of the MD5s of N parts of equal size: usual sizes |
|                    | are tried, then the one that the bucket tells; no match proves nothing    |
| anything else      | identifies a version, and says nothing about its bytes                    |

Of an object that is encrypted with a key of KMS, no ETag says anything; HEAD tells that it is one.

The cheapest counts: MD5 takes 1.4 s per GB, a CRC a twentieth of that. A large file is hashed in
threads, because hashing releases the interpreter lock, except for its CRC64NVME, which is made of
those of the pieces that were written.
"""

import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial, reduce
from io import FileIO
from operator import or_
from typing import Protocol

from anyio import CapacityLimiter, Event

from asyncsync.crc import CRC64NVME, Crc
from asyncsync.errors import IntegrityError, NotParquetError
from asyncsync.model import Checks, Head, Proof, RemoteObject
from asyncsync.pace import Tries
from asyncsync.threads import in_thread

MIB = 1024 * 1024
STEP = 8 * MIB
"""Bytes hashed in one call in a thread: a cancelled run waits for at most one such call."""
BLOCK = 512 * 1024
"""Bytes read at a time: they are still in the processor's cache when they are hashed."""
PART_SIZES = [n * MIB for n in (8, 5, 16, 10, 50, 64, 100, 32, 25, 15, 20, 128, 256, 512, 1024)]
"""The part sizes that upload tools use, the most usual first."""
MOST_SIZES = 5
"""Part sizes to try: if a large object has few parts, many sizes are possible."""

_ETAG = re.compile(r"([0-9a-f]{32})(?:-([1-9][0-9]{0,4}))?", re.IGNORECASE)
_MAGICS = (b"PAR1", b"PARE")
"""At both ends of a Parquet file; the second one if its footer is encrypted."""
_NOT_MD5 = "they are damaged, or the store's ETags are no MD5s; `--validate head` takes them so"


def hash_limiter() -> CapacityLimiter:
    """Return a limit for the hashing threads of a run: one for each processor.

    With more threads, the last bytes of a file would wait longer for theirs.
    """
    return CapacityLimiter(os.cpu_count() or 1)


def prove(remote: RemoteObject, checks: Checks, content: bytes, head: Head | None = None) -> Proof:
    """Return what the whole content of an object proves. Blocks: 0.1 ms for 70 kB with MD5.

    Args:
        remote: the object.
        checks: what to check.
        content: all its bytes.
        head: the answer to HEAD, if one was sent.

    Raises:
        IntegrityError: the checksum is another one; or there is none, the ETag is an MD5, and it is
            not the MD5 of the content.
        NotParquetError: it should be Parquet, but is not.
    """
    candidates = _candidates(remote, head) if checks.content else []
    for one in candidates:
        one.hash.update(content)
    hashed, digest = _match(remote, candidates), partial(_digest, content)
    return _conclude(remote, checks, hashed, content[:4], content[-8:], digest)


class Prover:
    """Checks a file; it is hashed from its start to its end while it is still being written.

    Args:
        remote: the object.
        checks: what to check.
        open_file: opens the file; called in a thread.
        hash_limiter: limits the hashing threads of the run.
        tries: retries to open the file.
        crc: returns the CRC64NVME of the complete file, where it is known without reading it.
        ask_part: asks the bucket for the size of the first part that the object was uploaded in,
            which is 0 if it does not tell.
    """

    def __init__(
        self,
        remote: RemoteObject,
        checks: Checks,
        open_file: Callable[[], FileIO],
        hash_limiter: CapacityLimiter,
        tries: Tries,
        crc: Callable[[], int] | None = None,
        ask_part: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._remote = remote
        self._checks = checks
        self._open_file = open_file
        self._hash_limiter = hash_limiter
        self._tries = tries
        self._crc = crc
        self._ask_part = ask_part
        self._more = Event()
        self.expect(None)

    def expect(self, head: Head | None) -> None:
        """Take what the answer to HEAD says; call it before `follow`."""
        self._head = head
        found = _candidates(self._remote, head, self._crc) if self._checks.content else []
        self._candidates = found

    async def follow(self, spans: Iterable[range], arrived: Container[range]) -> None:
        """Hash the spans in order, each as soon as it and all spans before it have arrived.

        Args:
            spans: byte ranges that make up the file.
            arrived: the spans that are in the file; call `notify` after adding one.
        """
        likely = _unread(self._candidates[:1])
        for span in spans if likely else ():
            while span not in arrived:
                self._more = Event()
                await self._more.wait()
            await self._feed(likely, span)

    def notify(self) -> None:
        """Wake up `follow`: more spans have arrived."""
        self._more.set()

    async def prove_file(self) -> Proof:
        """Hash a complete file, and return what it proves.

        Raises:
            IntegrityError, NotParquetError: as for `prove`.
        """
        whole = range(self._remote.size)
        await self.follow([whole], [whole])
        return await self.finish()

    async def finish(self) -> Proof:
        """Return what the file proves. Call it when `follow` has hashed all bytes.

        Raises:
            IntegrityError, NotParquetError: as for `prove`.
        """
        likely, others = self._candidates[:1], self._candidates[1:]
        found = _match(self._remote, likely)
        if others and not found:  # all of them at once, so that the file is read only twice
            await self._feed(_unread(others), range(self._remote.size))
            found = _match(self._remote, others)
        if self._ask_part and not found:
            found = await self._match_told(self._ask_part)
        first, last = await self._tries.run_locally(partial(in_thread, self._ends))
        return _conclude(self._remote, self._checks, found, first, last, self._digest)

    async def _match_told(self, ask_part: Callable[[], Awaitable[int]]) -> Proof:
        """Try the part size that the bucket tells: no usual one fits."""
        number = _number_of_parts(self._remote, self._head)
        if number < 2 or not (self._checks.content and self._checks.head):
            return Proof(0)
        part, size = await ask_part(), self._remote.size
        if not part or -(-size // part) != number or part in part_sizes(size, number):
            return Proof(0)
        told = [_by_parts(self._remote, part)]
        await self._feed(_unread(told), range(size))
        return _match(self._remote, told)

    def _digest(self) -> str:
        return f"{self._crc():016x}" if self._crc else ""

    async def _feed(self, hashes: Sequence["_Hash"], span: range) -> None:
        for start in range(span.start, span.stop, STEP):
            step = range(start, min(start + STEP, span.stop))
            hash_step = partial(self._hash, hashes, step)
            hash_in_thread = partial(in_thread, hash_step, limiter=self._hash_limiter)
            await self._tries.run_locally(hash_in_thread)

    def _hash(self, hashes: Sequence["_Hash"], span: range) -> None:
        buffer = memoryview(bytearray(BLOCK))
        with self._open_file() as file:
            file.seek(span.start)
            left = len(span)
            while left and (count := file.readinto(buffer[:left])):
                left -= count
                for one in hashes:
                    one.update(buffer[:count])

    def _ends(self) -> tuple[bytes, bytes]:
        with self._open_file() as file:
            first = file.read(4)
            file.seek(max(self._remote.size - 8, 0))
            return first, file.read(8)


def part_sizes(size: int, number: int) -> list[int]:
    """Return the part sizes to try for an object that was uploaded in `number` parts."""
    if number == 1:
        return [max(size, 1)]
    even = -(-size // (number * MIB)) * MIB  # for tools that aim at a number of parts
    fitting = [part for part in (*PART_SIZES, even) if part and -(-size // part) == number]
    return list(dict.fromkeys(fitting))[:MOST_SIZES]


class _Hash(Protocol):
    """A hash of all bytes that `update` was called with."""

    def update(self, block: bytes | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


class _HashOfParts:
    """The MD5 of the MD5s of parts, as in the ETag of a multipart upload."""

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


class _Known:
    """The CRC64NVME of a file whose pieces' CRCs are known: nothing need be read."""

    def __init__(self, crc: Callable[[], int]) -> None:
        self._crc = crc

    def update(self, block: bytes | memoryview, /) -> None:
        """Do nothing."""

    def hexdigest(self) -> str:
        return f"{self._crc():016x}"


def _md5(data: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(data, usedforsecurity=False)


_CHECKSUMS: dict[str, tuple[Proof, Callable[[], _Hash]]] = {
    "crc64nvme": (Proof.CRC64NVME, partial(Crc, "crc64nvme")),
    "crc32": (Proof.CRC32, partial(Crc, "crc32")),
    "crc32c": (Proof.CRC32C, partial(Crc, "crc32c")),
    "sha256": (Proof.SHA256, hashlib.sha256),
}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A hash that the bytes may have."""

    hash: _Hash
    expected: str
    """In hex."""
    proof: Proof
    """What it proves, if they have it."""
    mismatch: str = ""
    """What it means if they don't; empty if that means nothing."""


def _candidates(
    remote: RemoteObject, head: Head | None, crc: Callable[[], int] | None = None
) -> list[_Candidate]:
    """Return the hashes that the bytes may have, the likeliest first; none if nothing tells any."""
    if head and head.checksum:
        checksum = head.checksum
        proof, make = _CHECKSUMS[checksum.algorithm]
        known = crc if proof is Proof.CRC64NVME else None
        expected = checksum.value.hex()
        what = f"but the server says {expected}: they are damaged"
        return [_Candidate(_Known(known) if known else make(), expected, proof, what)]
    tag = _ETAG.fullmatch(remote.etag)
    if not tag or (head and not head.has_hash):
        return []
    if tag[2]:
        return [_by_parts(remote, size) for size in part_sizes(remote.size, int(tag[2]))]
    expected = tag[1].lower()
    what = f"but its ETag is {expected}: {_NOT_MD5}"
    return [_Candidate(_md5(), expected, Proof.MD5, what)]


def _number_of_parts(remote: RemoteObject, head: Head | None) -> int:
    """Return of how many parts the hash in the ETag is; 0 if it is none of parts."""
    tag = _ETAG.fullmatch(remote.etag)
    if not tag or (head and not head.has_hash):
        return 0
    return int(tag[2] or 0)


def _by_parts(remote: RemoteObject, part_size: int) -> _Candidate:
    expected = remote.etag.partition("-")[0].lower()
    return _Candidate(_HashOfParts(part_size), expected, Proof.MD5_OF_PARTS)


def _unread(candidates: Sequence[_Candidate]) -> list[_Hash]:
    """Return the hashes for which the bytes have to be read."""
    return [one.hash for one in candidates if not isinstance(one.hash, _Known)]


def _match(remote: RemoteObject, candidates: Sequence[_Candidate]) -> Proof:
    """Return what the first hash proves that is as expected; `Proof(0)` if none is.

    Raises:
        IntegrityError: one differs, and that means that the bytes are others.
    """
    for one in candidates:
        if (found := one.hash.hexdigest()) == one.expected:
            return one.proof
        if one.mismatch:
            name = one.proof.names[0].upper()
            message = f"the {name} of its bytes is {found}, {one.mismatch}"
            raise IntegrityError(remote.key, message, found=found)
    return Proof(0)


def _digest(content: bytes) -> str:
    return f"{CRC64NVME.calc(content, 0):016x}"


def _conclude(
    remote: RemoteObject,
    checks: Checks,
    hashed: Proof,
    first: bytes,
    last: bytes,
    digest: Callable[[], str],
) -> Proof:
    sure = Proof.SIZE_AND_VERSION if remote.is_pinned else Proof.SIZE
    if not (checks.parquet and remote.key.endswith(".parquet")):
        return _all_of(hashed, sure)
    if not _is_parquet(remote.size, first, last):
        raise NotParquetError(remote.key, is_original=bool(hashed), found=digest())
    return _all_of(hashed, sure, Proof.PARQUET)


@cache
def _all_of(*proofs: Proof) -> Proof:
    """Return what they prove together, as most objects of a run have it alike."""
    return reduce(or_, proofs)


def _is_parquet(size: int, first: bytes, last: bytes) -> bool:
    """Return whether both ends have the same magic bytes, and the footer fits between them."""
    footer = int.from_bytes(last[:4], "little")
    return first in _MAGICS and last[4:] == first and 0 < footer <= size - 12
