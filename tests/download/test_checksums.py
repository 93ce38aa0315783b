"""Checksums that HEAD tells: they are checked in place of the hash in the ETag."""

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from io import FileIO
from pathlib import Path

import anyio
import pytest

from asyncsync.crc import Crc
from asyncsync.disk import PART, Folder
from asyncsync.download import Downloader, Verifier, proof
from asyncsync.download.download import SMALL
from asyncsync.download.proof import Prover, hash_limiter, prove
from asyncsync.errors import IntegrityError, NotParquetError, RangeIgnoredError
from asyncsync.model import (
    Checks,
    Checksum,
    Downloaded,
    Head,
    Page,
    Proof,
    Reason,
    RemoteObject,
    Transfer,
    UpToDate,
)
from asyncsync.paths import Paths
from tests.rigs.hashing import record_hashing
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.objects import parquet
from tests.rigs.watch import Watcher, quick_pace, tree, unfinished

KEY = "1hz/a.parquet"
DATA = os.urandom(70_001)
WHOLE = os.urandom(SMALL + 1)
PARTS = os.urandom(2 * PART + 17)
BASE = Proof.SIZE_AND_VERSION
BYTES_ONLY = Checks(parquet=False)
PROOFS = {
    "crc64nvme": Proof.CRC64NVME,
    "crc32": Proof.CRC32,
    "crc32c": Proof.CRC32C,
    "sha256": Proof.SHA256,
}
ALGORITHMS = pytest.mark.parametrize("algorithm", PROOFS)
KINDS = pytest.mark.parametrize("data", [b"", DATA, WHOLE, PARTS], ids=len)


def checksum(algorithm: str, data: bytes) -> Checksum:
    """Return the checksum of these bytes."""
    made = hashlib.sha256() if algorithm == "sha256" else Crc(algorithm)
    made.update(data)
    return Checksum(algorithm, bytes.fromhex(made.hexdigest()))


def head(told: Checksum | None, *, has_hash: bool = True) -> Head:
    """Return an answer to HEAD that tells this, of an object that agreed with its listing."""
    return Head(0, "", checksum=told, has_hash=has_hash)


def remote(data: bytes, etag: str = "0" * 32, key: str = KEY) -> RemoteObject:
    """Return the object with these bytes, whose ETag is not their MD5."""
    return RemoteObject(key, len(data), etag, 0)


def damaged(data: bytes) -> bytes:
    """Return as many bytes, of which one is another."""
    return data[:-1] + bytes([data[-1] ^ 1])


def never(*_: object) -> None:
    """Fail."""
    raise AssertionError


class Unwanted:
    """An MD5 that nobody is to use."""

    update = hexdigest = digest = never


@pytest.fixture
def no_md5(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it fail to make any MD5."""
    monkeypatch.setattr(proof, "_md5", Unwanted)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the bytes of each step that is read from a file and hashed."""
    return record_hashing(monkeypatch)


# small ------------------------------------------------------------------------------------------


@ALGORITHMS
@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=len)
def test_checksum_of_content_is_checked_and_no_md5(
    algorithm: str, data: bytes, no_md5: None
) -> None:
    """The ETag may be anything, also the MD5 of other bytes."""
    for etag in ("0" * 32, "0" * 32 + "-3", "opaque"):
        found = prove(remote(data, etag), BYTES_ONLY, data, head(checksum(algorithm, data)))
        assert found == BASE | PROOFS[algorithm]
    found = prove(remote(data, ""), BYTES_ONLY, data, head(checksum(algorithm, data)))
    assert found == Proof.SIZE | PROOFS[algorithm]


@pytest.mark.row(52)
@ALGORITHMS
def test_content_with_another_checksum_is_refused(algorithm: str) -> None:
    """The error names the checksum and both values; an MD5 that fits does not help."""
    etag = hashlib.md5(damaged(DATA), usedforsecurity=False).hexdigest()
    told = checksum(algorithm, DATA)
    found = checksum(algorithm, damaged(DATA)).value.hex()
    message = (
        f"the {algorithm.upper()} of its bytes is {found}, but the server says {told.value.hex()}"
    )
    with pytest.raises(IntegrityError, match=message) as caught:
        prove(remote(DATA, etag), BYTES_ONLY, damaged(DATA), head(told))
    assert caught.value.key == KEY


def test_checksum_is_not_checked_unless_asked() -> None:
    """As with the MD5."""
    checks = Checks(content=False, parquet=False)
    assert prove(remote(DATA), checks, DATA, head(checksum("crc32", b""))) == BASE


def test_checksum_shows_that_the_object_itself_is_not_parquet() -> None:
    """Downloading it again could not help."""
    with pytest.raises(NotParquetError) as caught:
        prove(remote(DATA), Checks(), DATA, head(checksum("crc64nvme", DATA)))
    assert caught.value.is_original
    good = parquet(DATA)
    found = prove(remote(good), Checks(), good, head(checksum("crc64nvme", good)))
    assert found == BASE | Proof.CRC64NVME | Proof.PARQUET


# large ------------------------------------------------------------------------------------------


def prover_of(
    path: Path,
    data: bytes,
    told: Checksum | None,
    crc: Callable[[], int] | None = None,
    checks: Checks = BYTES_ONLY,
) -> Prover:
    """Return a prover of a file with these bytes, and what HEAD told of it."""
    path.write_bytes(data)
    tries = quick_pace().tries(KEY)
    prover = Prover(remote(data), checks, partial(FileIO, path), hash_limiter(), tries, crc)
    prover.expect(head(told))
    return prover


@pytest.mark.anyio
async def test_known_crc_is_compared_without_reading_the_file(
    tmp_path: Path, no_md5: None, hashed: list[int]
) -> None:
    """And without waiting for its parts: the CRC is asked for at the end."""
    told = checksum("crc64nvme", PARTS)
    asked = 0

    def crc() -> int:
        nonlocal asked
        asked += 1
        return int.from_bytes(told.value)

    prover = prover_of(tmp_path / "file", PARTS, told, crc)
    with anyio.fail_after(25):
        await prover.follow([range(len(PARTS))], [])
    assert asked == 0
    assert await prover.finish() == BASE | Proof.CRC64NVME
    assert (asked, hashed) == (1, [])


@pytest.mark.anyio
@pytest.mark.row(52)
async def test_known_crc_that_differs_is_refused(tmp_path: Path) -> None:
    """It is shown with its leading zeros."""
    told = checksum("crc64nvme", PARTS)
    prover = prover_of(tmp_path / "file", PARTS, told, lambda: 0xABC)
    with pytest.raises(
        IntegrityError, match=f"CRC64NVME .* is 0000000000000abc, .*{told.value.hex()}"
    ):
        await prover.prove_file()


@pytest.mark.anyio
@ALGORITHMS
async def test_file_is_read_for_a_checksum_that_is_not_known(
    tmp_path: Path, algorithm: str, no_md5: None, hashed: list[int]
) -> None:
    """Once, from its start to its end."""
    crc = None if algorithm == "crc64nvme" else never
    told = checksum(algorithm, PARTS)
    prover = prover_of(tmp_path / "file", PARTS, told, crc)  # type: ignore[arg-type]
    assert await prover.prove_file() == BASE | PROOFS[algorithm]
    assert sum(hashed) == len(PARTS)
    other = checksum(algorithm, damaged(PARTS))
    prover = prover_of(tmp_path / "file", PARTS, other, crc)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match=algorithm.upper()):
        await prover.prove_file()


@pytest.mark.anyio
async def test_known_crc_is_not_asked_for_where_nothing_tells_one(tmp_path: Path) -> None:
    """Nor where the bytes are not to be checked."""
    prover = prover_of(tmp_path / "file", DATA, None, never)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match="MD5"):
        await prover.prove_file()
    checks = Checks(content=False, parquet=False)
    told = checksum("crc64nvme", b"")
    prover = prover_of(tmp_path / "file", DATA, told, never, checks)  # type: ignore[arg-type]
    assert await prover.prove_file() == BASE


# downloads --------------------------------------------------------------------------------------


class Rig:
    """A downloader between a bucket in memory, whose HEAD tells checksums, and a folder."""

    def __init__(self, folder: Folder, dest: Path, data: bytes) -> None:
        self.folder, self.dest, self.data = folder, dest, data
        self.store = MemoryStore({KEY: data})
        self.watcher = Watcher()

    def told(self, told: Checksum | None, etag: str | None = None) -> Act:
        """Return what lets HEAD tell a checksum."""
        etag = self.store.remote(KEY).etag if etag is None else etag
        return Act(head=Head(len(self.data), etag, checksum=told))

    async def download(self, *, head: bool = True, etag: str | None = None) -> Downloaded:
        """Download the object."""
        listed = self.store.remote(KEY)
        etag = listed.etag if etag is None else etag
        listed = RemoteObject(KEY, listed.size, etag, listed.modified_ns)
        checks = Checks(head=head, parquet=False)
        downloader = Downloader(self.store, self.folder, quick_pace(), self.watcher, checks)
        with anyio.fail_after(25):
            return await downloader.download(Transfer(listed, Paths().of(KEY), Reason.MISSING))


@pytest.fixture
def new_rig(tmp_path: Path) -> Iterator[Callable[[bytes], Rig]]:
    """Make a downloader of an object with these bytes."""
    dest = tmp_path / "dest"
    folder = Folder(dest)
    with folder.writing():
        yield partial(Rig, folder, dest)


@pytest.mark.anyio
@ALGORITHMS
@KINDS
async def test_download_is_proven_by_the_checksum(
    new_rig: Callable[[bytes], Rig], data: bytes, algorithm: str, no_md5: None, hashed: list[int]
) -> None:
    """A large file is not read for its CRC64NVME, and once for another."""
    rig = new_rig(data)
    rig.store.always("head", KEY, rig.told(checksum(algorithm, data)))
    done = await rig.download()
    assert done.proven == BASE | PROOFS[algorithm]
    assert tree(rig.dest) == {KEY: data}
    read = algorithm != "crc64nvme" and len(data) > SMALL
    assert sum(hashed) == (len(data) if read else 0)


@pytest.mark.anyio
@pytest.mark.row(52)
@ALGORITHMS
@KINDS
async def test_other_checksum_never_publishes(
    new_rig: Callable[[bytes], Rig], data: bytes, algorithm: str
) -> None:
    """The object fails when the same bytes have come twice, and nothing is left of it."""
    rig = new_rig(data)
    rig.store.always("head", KEY, rig.told(checksum(algorithm, data + b"more")))
    with pytest.raises(IntegrityError, match=algorithm.upper()):
        await rig.download()
    assert (tree(rig.dest), unfinished(rig.dest)) == ({}, [])
    assert rig.store.count("head") == 2
    assert rig.store.count("get") == 2 * max(1, -(-len(data) // PART))
    assert sum(rig.watcher.bytes.get(KEY, [])) == 0


@pytest.mark.anyio
@pytest.mark.row(52)
@pytest.mark.parametrize("data", [DATA, WHOLE, PARTS], ids=len)
async def test_bytes_that_were_damaged_once_are_fetched_again(
    new_rig: Callable[[bytes], Rig], data: bytes
) -> None:
    """All of them, since nothing tells which part it was."""
    rig = new_rig(data)
    rig.store.always("head", KEY, rig.told(checksum("crc64nvme", data)))
    rig.store.on("get", KEY, Act(body=damaged(data[:PART])))
    done = await rig.download()
    assert done.proven == BASE | Proof.CRC64NVME
    assert tree(rig.dest) == {KEY: data}
    assert rig.store.count("get") == 2 * -(-len(data) // PART)


@pytest.mark.anyio
async def test_part_that_breaks_off_is_counted_once(new_rig: Callable[[bytes], Rig]) -> None:
    """Its CRC is that of all its bytes, whichever request brought them."""
    rig = new_rig(PARTS)
    rig.store.always("head", KEY, rig.told(checksum("crc64nvme", PARTS)))
    rig.store.on("get", KEY, *[Act(cut=cut) for cut in (300_000, 1, PART - 1, 0, 777_777)])
    done = await rig.download()
    assert done.proven == BASE | Proof.CRC64NVME
    assert tree(rig.dest) == {KEY: PARTS}


@pytest.mark.anyio
@pytest.mark.parametrize("data", [DATA, WHOLE, PARTS], ids=len)
async def test_checksum_proves_an_object_without_a_strong_etag(
    new_rig: Callable[[bytes], Rig], data: bytes, no_md5: None, hashed: list[int]
) -> None:
    """Though not its version."""
    rig = new_rig(data)
    rig.store.always("head", KEY, rig.told(checksum("crc64nvme", data), ""))
    done = await rig.download(etag="")
    assert done.proven == Proof.SIZE | Proof.CRC64NVME
    assert (tree(rig.dest), hashed) == ({KEY: data}, [])


@pytest.mark.anyio
@pytest.mark.row(52)
@pytest.mark.parametrize("data", [DATA, WHOLE, PARTS], ids=len)
async def test_damaged_bytes_without_a_strong_etag_are_fetched_again(
    new_rig: Callable[[bytes], Rig], data: bytes
) -> None:
    """Only the checksum shows that they are damaged."""
    rig = new_rig(data)
    rig.store.always("list", KEY, Act(page=Page([remote(data, "")], [], "")))
    rig.store.always("head", KEY, rig.told(checksum("crc64nvme", data), ""))
    rig.store.on("get", KEY, Act(body=damaged(data)))
    done = await rig.download(etag="")
    assert done.proven == Proof.SIZE | Proof.CRC64NVME
    assert tree(rig.dest) == {KEY: data}
    assert rig.store.spans(KEY) in ([None] * 2, [range(len(data))] * 2)


@pytest.mark.anyio
async def test_checksum_proves_an_object_that_came_in_one_piece(
    new_rig: Callable[[bytes], Rig], no_md5: None, hashed: list[int]
) -> None:
    """From a server that sends no more ranges, after some parts; and after it broke off."""
    rig = new_rig(PARTS)
    rig.store.always("head", KEY, rig.told(checksum("crc64nvme", PARTS)))
    ignored = Act(error=RangeIgnoredError(KEY, "whole objects only"))
    rig.store.on(
        "get", KEY, Act(cut=700_000), Act(), Act(cut=5), ignored, ignored, Act(cut=9_000_000)
    )
    done = await rig.download()
    assert done.proven == BASE | Proof.CRC64NVME
    assert (tree(rig.dest), hashed) == ({KEY: PARTS}, [])
    assert len(rig.store.spans(KEY)[-1] or ()) < len(PARTS)


@pytest.mark.anyio
@pytest.mark.parametrize("data", [DATA, PARTS], ids=len)
async def test_without_head_the_md5_counts(new_rig: Callable[[bytes], Rig], data: bytes) -> None:
    """Nobody tells a checksum."""
    rig = new_rig(data)
    rig.store.always("head", KEY, rig.told(checksum("crc64nvme", b"")))
    assert (await rig.download(head=False)).proven == BASE | Proof.MD5
    assert rig.store.count("head") == 0


@pytest.mark.anyio
@pytest.mark.parametrize("data", [DATA, PARTS], ids=len)
async def test_checksum_of_another_version_is_not_used(
    new_rig: Callable[[bytes], Rig], data: bytes
) -> None:
    """The object was replaced and is listed again; the new version's checksum counts."""
    rig = new_rig(data)
    rig.store.on(
        "head",
        KEY,
        rig.told(checksum("crc64nvme", b"other"), "other"),
        rig.told(checksum("crc64nvme", data)),
    )
    done = await rig.download()
    assert done.proven == BASE | Proof.CRC64NVME
    assert rig.store.count("list", KEY) == 1


# verification -----------------------------------------------------------------------------------


@pytest.mark.anyio
@ALGORITHMS
@pytest.mark.parametrize("data", [b"", DATA, PARTS], ids=len)
async def test_deep_verification_reads_the_file_for_the_checksum(
    tmp_path: Path, data: bytes, algorithm: str, no_md5: None, hashed: list[int]
) -> None:
    """In place of the hash in the ETag; other bytes fail, and the error says what to do."""
    store = MemoryStore({KEY: data})
    listed = store.remote(KEY)
    head = Head(len(data), listed.etag, checksum=checksum(algorithm, data))
    store.always("head", KEY, Act(head=head))
    path = tmp_path / KEY
    path.parent.mkdir()
    path.write_bytes(data)
    checks = Checks(content=False, parquet=False)
    verifier = Verifier(store, Folder(tmp_path), quick_pace(), checks, deep=True)
    found = await verifier.verify(UpToDate(listed))
    assert found.proven == BASE | PROOFS[algorithm]
    assert sum(hashed) == len(data)
    if data:
        path.write_bytes(damaged(data))
        match = f"{algorithm.upper()} .*--repair` fetches it again"
        with pytest.raises(IntegrityError, match=match):
            await verifier.verify(UpToDate(listed))


@pytest.mark.anyio
async def test_verification_without_reading_does_not_use_the_checksum(
    tmp_path: Path, hashed: list[int]
) -> None:
    """It proves what the answer to HEAD says: size and version."""
    store = MemoryStore({KEY: DATA})
    listed = store.remote(KEY)
    wrong = checksum("crc64nvme", b"")
    store.always("head", KEY, Act(head=Head(len(DATA), listed.etag, checksum=wrong)))
    verifier = Verifier(store, Folder(tmp_path), quick_pace(), BYTES_ONLY, deep=False)
    assert (await verifier.verify(UpToDate(listed))).proven == BASE
    assert hashed == []
