"""Runs against a server that tells checksums, does not, or lies."""

import hashlib
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest

from asyncsync.disk import PART
from asyncsync.disk.parts.partfile import PIECE
from asyncsync.errors import IntegrityError
from asyncsync.model import Downloaded, Proof
from tests.faults.remote.scene import KEY, OTHER, PARTS, SMALL, WHOLE
from tests.rigs.child import asyncsync, until
from tests.rigs.hashing import record_hashing
from tests.rigs.process import stopped_half_way
from tests.rigs.scripted_s3 import Answer, Ran, Request, ScriptedS3, checksum_of, sync
from tests.rigs.watch import noted, tree

pytestmark = pytest.mark.anyio

OBJECTS = {KEY: SMALL, OTHER: WHOLE, "1hz/c.parquet": PARTS, "empty.parquet": b""}
KINDS = pytest.mark.parametrize("data", [SMALL, WHOLE, PARTS], ids=["small", "large", "parts"])
VERSION = Proof.SIZE_AND_VERSION


@lru_cache
def odd_etag(data: bytes) -> str:
    """Return the ETag of an upload whose first part was the shortest, which no tool does."""
    parts = [data[:777], data[777:]]
    digests = [hashlib.md5(part, usedforsecurity=False).digest() for part in parts]
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-2"


def damage(path: Path) -> None:
    """Change the first byte of a file, and leave its time."""
    status, data = path.stat(), path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def proven(ran: Ran) -> dict[str, Proof]:
    """Return what was proven of each object that was downloaded."""
    outcomes = [one for one in ran.seen.outcomes if isinstance(one, Downloaded)]
    return {one.transfer.remote.key: one.proven for one in outcomes}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the bytes of each step that is read back and hashed."""
    return record_hashing(monkeypatch)


# told -------------------------------------------------------------------------------------------


async def test_all_objects_are_proven_by_what_head_tells(dest: Path, read: list[int]) -> None:
    """Small and large, in one part and in several; no file is read back."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.tells = checksum_of
        ran = await sync(s3, dest)
        assert (ran.code, ran.error, tree(dest)) == (0, None, OBJECTS)
        assert s3.count("HEAD") == len(OBJECTS)
    assert proven(ran) == dict.fromkeys(OBJECTS, VERSION | Proof.CRC64NVME)
    assert ran.report.proven["crc64nvme"] == len(OBJECTS)
    assert (ran.report.proven["md5"], ran.report.without_hash, read) == (0, 0, [])


async def test_json_and_verification_tell_of_the_checksum(dest: Path) -> None:
    """As the command line prints them; a deep verification proves the same of the files."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.tells = checksum_of
        s3.tag = odd_etag
        arguments = ("--json", "--dest", str(dest))
        done = await asyncsync(s3.environment, *arguments)
        again = await asyncsync(s3.environment, "verify", "--deep", *arguments)
        damage(dest / KEY)
        bad = await asyncsync(s3.environment, "verify", "--deep", *arguments)
    for run, event in ((done, "downloaded"), (again, "up-to-date")):
        assert (run.code, run.err) == (0, "")
        ended = [one["proven"] for one in run.events if one["event"] == event]
        assert ended == [["size", "version", "crc64nvme"]] * len(OBJECTS)
        assert run.summary["proven"]["crc64nvme"] == len(OBJECTS)
        assert run.summary["proven"]["md5"] == run.summary["proven"]["md5-of-parts"] == 0
    assert bad.code == 1
    (failed,) = [one for one in bad.events if one["event"] == "failed"]
    assert failed["key"] == KEY
    assert "CRC64NVME" in failed["message"]


@KINDS
async def test_odd_sizes_of_parts_do_not_matter(dest: Path, data: bytes) -> None:
    """The ETag fits no guess, and is not tried."""
    async with ScriptedS3({KEY: data}) as s3:
        s3.tag = odd_etag
        ran = await sync(s3, dest)
        assert (proven(ran), ran.report.without_hash) == ({KEY: VERSION}, 1)
        (dest / KEY).unlink()
        s3.tells = checksum_of
        ran = await sync(s3, dest)
        assert proven(ran) == {KEY: VERSION | Proof.CRC64NVME}
    assert (ran.code, ran.report.without_hash) == (0, 0)


# not told ---------------------------------------------------------------------------------------


@pytest.mark.row(148)
async def test_composite_checksum_is_not_used(dest: Path) -> None:
    """It is not that of the bytes, so the MD5 counts."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.tells = lambda data: checksum_of(data + b"x", "COMPOSITE")
        ran = await sync(s3, dest)
    assert (ran.code, tree(dest)) == (0, OBJECTS)
    assert proven(ran) == dict.fromkeys(OBJECTS, VERSION | Proof.MD5)


@pytest.mark.row(148)
@pytest.mark.parametrize("status", [400, 501])
async def test_server_that_does_not_know_the_header_is_left_alone_with_it(
    dest: Path, status: int
) -> None:
    """The MD5 counts; only two HEADs, and those that were on their way together, had asked."""

    def refuse(request: Request) -> Answer | None:
        return Answer(status=status) if "x-amz-checksum-mode" in request.headers else None

    objects = {f"1hz/{number:02}.parquet": bytes([number]) for number in range(20)}
    async with ScriptedS3(objects | OBJECTS) as s3:
        s3.on_object = refuse
        ran = await sync(s3, dest, workers=2)
        asked = sum("x-amz-checksum-mode" in request.headers for request in s3.requests)
        assert 2 <= asked <= 3
        assert s3.count("HEAD") == len(objects | OBJECTS) + asked
    assert (ran.code, tree(dest)) == (0, objects | OBJECTS)
    assert proven(ran) == dict.fromkeys(objects | OBJECTS, VERSION | Proof.MD5)


# lies -------------------------------------------------------------------------------------------


@pytest.mark.row(52, 132)
@KINDS
async def test_wrong_checksum_fails_the_object(dest: Path, data: bytes) -> None:
    """The same bytes come twice, are never published, and nothing is left of them."""

    def lie(told: bytes) -> Mapping[str, str]:
        return checksum_of(told + b"x" * (told == data))

    others = {"1hz/z.parquet": b"others"}
    async with ScriptedS3({KEY: data, **others}) as s3:
        s3.tells = lie
        ran = await sync(s3, dest)
        assert s3.count("HEAD", KEY) == 2
        assert s3.count("GET", KEY) == 2 * -(-len(data) // PART)
    assert (ran.code, ran.error, tree(dest)) == (1, None, others)
    assert ran.seen.failures == {KEY: IntegrityError}
    assert proven(ran) == {"1hz/z.parquet": VERSION | Proof.CRC64NVME}


@pytest.mark.row(52)
@KINDS
async def test_wrong_bytes_are_found_without_an_md5(dest: Path, data: bytes) -> None:
    """The object is downloaded again; the second time its bytes are right."""

    def flip(request: Request) -> Answer | None:
        if request.verb == "HEAD" or request.number:
            return None
        usual = s3.usual(request)
        return replace(usual, body=bytes([usual.body[0] ^ 1]) + usual.body[1:])

    async with ScriptedS3({KEY: data}) as s3:
        s3.tells, s3.tag, s3.on_object = checksum_of, odd_etag, flip
        ran = await sync(s3, dest)
        assert s3.count("HEAD", KEY) == 2
    assert (ran.code, tree(dest)) == (0, {KEY: data})
    assert proven(ran) == {KEY: VERSION | Proof.CRC64NVME}


# continued --------------------------------------------------------------------------------------


@pytest.mark.row(107)
async def test_continued_object_is_proven_by_the_checksum(dest: Path, read: list[int]) -> None:
    """A run that failed left a part of it, and the CRCs of its pieces are in the journal."""

    def cut(request: Request) -> Answer | None:
        if request.verb == "HEAD":
            return None
        return replace(s3.usual(request), cut=1_000_000)

    async with ScriptedS3({KEY: PARTS}) as s3:
        s3.tells, s3.tag, s3.on_object = checksum_of, odd_etag, cut
        ran = await sync(s3, dest, alone=False)
        assert (ran.code, tree(dest)) == (1, {})
        kept = noted(dest)
        assert 0 < kept < len(PARTS)
        s3.on_object = lambda _: None
        ran = await sync(s3, dest)
    (outcome,) = ran.seen.outcomes
    assert isinstance(outcome, Downloaded)
    assert (outcome.kept, ran.seen.kept_bytes) == (kept, {KEY: kept})
    assert sum(ran.seen.bytes[KEY]) == len(PARTS)
    assert (ran.code, tree(dest)) == (0, {KEY: PARTS})
    assert (proven(ran), read) == ({KEY: VERSION | Proof.CRC64NVME}, [])


@pytest.mark.row(107)
@pytest.mark.parametrize("lies", [False, True])
async def test_object_of_a_killed_run_is_proven_by_the_checksum(dest: Path, lies: bool) -> None:
    """One with other bytes is not published, and is downloaded from its start."""
    data = PARTS * 3  # four parts
    async with ScriptedS3({KEY: data}) as s3:
        s3.tells, s3.tag = checksum_of, odd_etag
        came = len(data) // 2
        async with stopped_half_way(s3, dest, came, "--quiet") as child:
            await until(lambda: noted(dest) > came - 4 * 2 * PIECE)
            child.send_signal(signal.SIGKILL)
            await child.wait()
        kept = noted(dest)
        assert kept > 0
        if lies:
            s3.tells = lambda told: checksum_of(told + b"x")
        ran = await sync(s3, dest)
        assert s3.count("HEAD", KEY) == (1 + 2 if lies else 2)
    if lies:
        assert (ran.seen.failures, tree(dest)) == ({KEY: IntegrityError}, {})
        return
    (outcome,) = ran.seen.outcomes
    assert isinstance(outcome, Downloaded)
    assert (outcome.kept, outcome.proven) == (kept, VERSION | Proof.CRC64NVME)
    assert tree(dest) == {KEY: data}
