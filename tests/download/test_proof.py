"""Check the bytes of a file: the hash in the ETag, and the two ends of Parquet."""

import os
from collections.abc import Callable
from functools import partial
from io import FileIO
from pathlib import Path

import anyio
import pytest
from anyio import CapacityLimiter

from asyncsync.download.proof import MIB, MOST_SIZES, STEP, Prover, hash_limiter, part_sizes, prove
from asyncsync.errors import IntegrityError, NotParquetError
from asyncsync.model import Checks, Proof, RemoteObject
from tests.rigs.etags import etag_of_parts, md5
from tests.rigs.objects import parquet
from tests.rigs.watch import quick_pace

DATA = os.urandom(100_003)
BASE = Proof.SIZE_AND_VERSION
ALL = Checks()
BYTES_ONLY = Checks(parquet=False)


def remote(data: bytes, etag: str, key: str = "a") -> RemoteObject:
    """Return the object with these bytes."""
    return RemoteObject(key, len(data), etag, 0)


# small ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=len)
@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_plain_etag_is_the_md5(data: bytes, spelled: Callable[[str], str]) -> None:
    """In upper or lower case."""
    etag = spelled(md5(data).hex())
    assert prove(remote(data, etag), ALL, data) == BASE | Proof.MD5


@pytest.mark.row(52)
def test_bytes_that_do_not_match_the_etag_are_refused() -> None:
    """The error has both hashes, and says what to do if ETags are not MD5s."""
    etag = md5(DATA).hex()
    damaged = DATA[:-1] + bytes([DATA[-1] ^ 1])
    with pytest.raises(IntegrityError, match="`--validate head`") as caught:
        prove(remote(DATA, etag), ALL, damaged)
    assert etag in str(caught.value)
    assert md5(damaged).hex() in str(caught.value)


@pytest.mark.row(51)
@pytest.mark.parametrize("data", [b"", DATA], ids=len)
def test_etag_of_one_part_is_the_md5_of_its_md5(data: bytes) -> None:
    """For an object of any size."""
    etag = f"{md5(md5(data)).hex()}-1"
    assert prove(remote(data, etag), ALL, data) == BASE | Proof.MD5_OF_PARTS


@pytest.mark.row(51)
@pytest.mark.parametrize(
    "etag",
    ["0" * 32 + "-1", "0" * 32 + "-2", "0" * 32 + "-99999", "it/is=what it,is", "0" * 31, "0" * 33],
)
def test_etag_that_is_not_a_known_hash_proves_nothing(etag: str) -> None:
    """And refuses nothing: it identifies a version."""
    assert prove(remote(DATA, etag), ALL, DATA) == BASE


@pytest.mark.parametrize("etag", ["", 'W/"{}"'])
def test_missing_or_weak_etag_proves_only_the_size(etag: str) -> None:
    """It does not even identify a version."""
    assert prove(remote(DATA, etag.format(md5(DATA).hex())), ALL, DATA) == Proof.SIZE


def test_nothing_is_hashed_unless_asked() -> None:
    """So a wrong MD5 is not noticed."""
    checks = Checks(content=False)
    assert prove(remote(DATA, "0" * 32), checks, DATA) == BASE


# the size of parts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "number", "sizes"),
    [
        (9 * MIB, 2, [8, 5]),
        (15 * MIB, 2, [8, 10]),
        (1500 * MIB, 188, [8]),
        (1500 * MIB, 300, [5]),
        (100 * MIB, 2, [50, 64]),
        (100 * MIB, 8, [13]),
        (8 * MIB, 1, [8]),
        (0, 3, []),
        (10, 3, []),
        (10 * MIB, 99_999, []),
    ],
)
def test_part_sizes_give_the_right_number_of_parts(
    size: int, number: int, sizes: list[int]
) -> None:
    """The most usual size comes first; sizes are in MiB."""
    found = part_sizes(size, number)
    assert [part // MIB for part in found][: len(sizes)] == sizes
    assert all(-(-size // part) == number for part in found)
    assert len(found) <= MOST_SIZES


# large ------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "file"


@pytest.fixture
def limiter() -> CapacityLimiter:
    """The limit for hashing threads."""
    return hash_limiter()


async def proven(
    path: Path, data: bytes, etag: str, limiter: CapacityLimiter, checks: Checks = BYTES_ONLY
) -> Proof:
    """Prove a file with these bytes, whose first half arrives before the rest."""
    half = len(data) // 2
    spans = [range(half), range(half, len(data))]
    file = FileIO(path, "w")
    file.write(data[:half])
    here = {spans[0]}
    tries = quick_pace().tries("a.parquet")
    open_file = partial(FileIO, path)
    prover = Prover(remote(data, etag, "a.parquet"), checks, open_file, limiter, tries)
    async with anyio.create_task_group() as group:
        group.start_soon(prover.follow, spans, here)
        await anyio.wait_all_tasks_blocked()
        prover.notify()  # without a new span
        await anyio.wait_all_tasks_blocked()
        file.write(data[half:])
        file.close()
        here.add(spans[1])
        prover.notify()
    return await prover.finish()


BIG = os.urandom(MIB) * 11 + b"tail"


@pytest.mark.anyio
async def test_file_is_hashed_while_it_grows(path: Path, limiter: CapacityLimiter) -> None:
    """From its start to its end, in steps that are shorter than the file."""
    assert len(BIG) > STEP
    assert await proven(path, BIG, md5(BIG).hex(), limiter) == BASE | Proof.MD5
    with pytest.raises(IntegrityError):
        await proven(path, BIG, "0" * 32, limiter)


@pytest.mark.anyio
@pytest.mark.row(51)
@pytest.mark.parametrize("part_mib", [8, 5, 10, 4, 1])
async def test_size_of_the_parts_is_found(
    path: Path, limiter: CapacityLimiter, part_mib: int
) -> None:
    """Even if it is not the first one that is tried; three equal parts need 4 MiB."""
    etag = etag_of_parts(BIG, part_mib * MIB)
    assert await proven(path, BIG, etag, limiter) == BASE | Proof.MD5_OF_PARTS


@pytest.mark.anyio
@pytest.mark.row(51)
@pytest.mark.parametrize(
    "etag", [etag_of_parts(BIG, 7_654_321), "0" * 32 + "-3", "opaque"], ids=len
)
async def test_unknown_size_of_the_parts_is_not_a_failure(
    path: Path, limiter: CapacityLimiter, etag: str
) -> None:
    """Then only the version is known."""
    assert await proven(path, BIG, etag, limiter) == BASE


@pytest.mark.anyio
@pytest.mark.row(57)
async def test_ends_of_a_large_file_are_checked(path: Path, limiter: CapacityLimiter) -> None:
    """Only with a hash it is known that downloading again cannot help."""
    good = parquet(BIG)
    checks = Checks(content=False)
    assert await proven(path, good, "opaque", limiter, checks) == BASE | Proof.PARQUET
    for checks in (Checks(), Checks(content=False)):
        with pytest.raises(NotParquetError) as caught:
            await proven(path, BIG, md5(BIG).hex(), limiter, checks)
        assert caught.value.is_original == checks.content


# Parquet ----------------------------------------------------------------------------------------


def footer(length: int, *, first: bytes = b"PAR1", last: bytes = b"PAR1", size: int = 100) -> bytes:
    """Return a file that says so many bytes for the length of its footer."""
    return first + bytes(size - 12) + length.to_bytes(4, "little") + last


@pytest.mark.row(57)
@pytest.mark.parametrize(
    "data",
    [
        parquet(b""),
        parquet(DATA),
        footer(1),
        footer(88),
        footer(1, size=13),
        footer(50, first=b"PARE", last=b"PARE"),
    ],
)
def test_framing_of_parquet_is_accepted(data: bytes) -> None:
    """Magic bytes at both ends, and a footer that fits between; PARE if it is encrypted."""
    found = prove(remote(data, "opaque", "1hz/a.parquet"), ALL, data)
    assert found == BASE | Proof.PARQUET


@pytest.mark.row(24, 57)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1",
        b"PAR1PAR1",
        b"PAR1\0\0\0\0PAR1",
        footer(0),
        footer(89),
        footer(0xFFFFFFFF),
        footer(50, first=b"PAR2"),
        footer(50, last=b"PAR2"),
        footer(50, first=b"PARE"),
        b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>".ljust(100),
    ],
)
def test_what_is_not_parquet_is_refused(data: bytes) -> None:
    """So is an empty object of such a name; other names are not checked."""
    with pytest.raises(NotParquetError, match="`--no-parquet-check`"):
        prove(remote(data, "opaque", "1hz/a.parquet"), ALL, data)
    assert prove(remote(data, "opaque", "1hz/a.json"), ALL, data) == BASE
    assert prove(remote(data, "opaque", "1hz/a.parquet"), BYTES_ONLY, data) == BASE


def test_hash_shows_whether_downloading_again_could_help() -> None:
    """If the hash matches, the object itself is not Parquet."""
    for etag, is_original in ((md5(DATA).hex(), True), ("opaque", False)):
        with pytest.raises(NotParquetError) as caught:
            prove(remote(DATA, etag, "a.parquet"), ALL, DATA)
        assert caught.value.is_original is is_original


# names ------------------------------------------------------------------------------------------


def test_proofs_have_names() -> None:
    """In a fixed order."""
    assert (BASE | Proof.PARQUET | Proof.MD5).names == ["size", "version", "md5", "parquet"]
    assert Proof.MD5_OF_PARTS.names == ["md5-of-parts"]
    assert Proof(0).names == []
