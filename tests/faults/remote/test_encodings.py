"""Objects with a Content-Encoding, also from servers that decompress them (rows 48, 128, 129)."""

import gzip
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from asyncsync.errors import EncodedObjectError, IntegrityError
from asyncsync.model import Downloaded, Proof
from tests.faults.remote.scene import (
    KEY,
    KINDS,
    OTHER,
    PARTS,
    SECOND_PART,
    SMALL,
    assert_done,
    assert_only_key_failed,
)
from tests.rigs.bucket import Bucket
from tests.rigs.decompressing import Decompressing
from tests.rigs.fault_proxy import Act, Rule
from tests.rigs.fault_run import synced
from tests.rigs.scripted_s3 import ScriptedS3, checksum_of, etag_of, sync
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio


def asked(headers: Mapping[str, str]) -> str:
    """Return the encodings that a request accepts."""
    return headers["accept-encoding"]


def accepted(s3: ScriptedS3, verb: str) -> list[str]:
    """Return what the requests of a verb for the object accept."""
    return [asked(r.headers) for r in s3.requests if (r.verb, r.key) == (verb, KEY)]


def gzipped(data: bytes) -> bytes:
    """Return them compressed, in about as many bytes as they are."""
    return gzip.compress(data, compresslevel=1)


# What is stored arrives, whatever it is called.


@pytest.mark.row(48, 128)
@KINDS
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "aws-chunked", "utf-8", "identity"])
async def test_object_with_a_content_encoding_arrives(
    bucket: Bucket, dest: Path, data: bytes, encoding: str
) -> None:
    """Its length and its hash are the listed ones, so nothing is asked twice."""
    bucket.put(KEY, data, encoding=encoding)
    run = await synced(bucket, dest, attempts=1)
    assert_done(run, data)
    assert run.report.without_hash == 0
    assert run.proxy.count("GET", KEY) == (2 if data is PARTS else 1)
    assert run.proxy.count("HEAD", KEY) == 1


@pytest.mark.row(48, 128)
async def test_gzipped_object_is_not_decompressed(bucket: Bucket, dest: Path) -> None:
    """The file has the stored bytes."""
    data = gzip.compress(SMALL)
    bucket.put(KEY, data, encoding="gzip")
    assert_done(await synced(bucket, dest, attempts=1), data)


@pytest.mark.row(48, 128)
async def test_encoded_part_does_not_hang(bucket: Bucket, dest: Path) -> None:
    """The body of a 206 is not decoded, whatever its Content-Encoding."""
    bucket.put(KEY, PARTS)
    gzipped = Rule("GET", KEY, Act(headers={"content-encoding": "gzip"}), span=SECOND_PART)
    assert_done(await synced(bucket, dest, gzipped, attempts=1), PARTS)


@pytest.mark.row(128)
@KINDS
async def test_weak_etag_of_the_listed_version_is_no_other_version(
    bucket: Bucket, dest: Path, data: bytes
) -> None:
    """A proxy makes every ETag a weak one; lengths and hashes are right all the same."""
    tag = bucket.put(KEY, data)
    weak = Rule("*", KEY, Act(headers={"etag": f'W/"{tag}"'}))
    run = await synced(bucket, dest, weak, attempts=1)
    assert_done(run, data)
    assert run.report.without_hash == 0


# What is changed on the way does not.


@pytest.mark.row(48)
@pytest.mark.parametrize("sign", [{"vary": "Origin, Accept-Encoding"}, {"warning": "214 - Gone"}])
@pytest.mark.parametrize("chunked", [True, False])
async def test_object_that_never_comes_as_it_is_stored_fails_alone(
    bucket: Bucket, dest: Path, chunked: bool, sign: Mapping[str, str]
) -> None:
    """It is asked for in both ways, once each; the hint says how to upload it."""
    bucket.put(KEY, gzip.compress(SMALL * 3))
    length = {} if chunked else {"content-length": str(len(SMALL) * 3)}
    plain = Act(body=gzip.decompress, headers={**length, **sign}, chunked=chunked)
    run = await synced(bucket, dest, Rule("GET", KEY, plain), attempts=2)
    assert_only_key_failed(run, EncodedObjectError)
    assert "the server seems to decompress it" in run.message
    assert "`Cache-Control: no-transform`" in run.report.failures[0].error.advice
    gets = [r for r in run.proxy.requests if (r.verb, r.key) == ("GET", KEY)]
    assert [asked(request.headers) for request in gets] == ["identity", "gzip, br"]


@pytest.mark.row(48)
async def test_other_length_without_a_sign_is_not_taken_for_decompressed(
    bucket: Bucket, dest: Path
) -> None:
    """The listing may be wrong as well, so it is asked again."""
    bucket.put(KEY, gzip.compress(SMALL * 3))
    plain = Act(body=gzip.decompress, headers={"content-length": str(len(SMALL) * 3)})
    run = await synced(bucket, dest, Rule("GET", KEY, plain))
    assert_only_key_failed(run, IntegrityError)


@pytest.mark.row(48)
@KINDS
@pytest.mark.parametrize("chunked", [True, False])
async def test_object_without_a_length_arrives(
    bucket: Bucket, dest: Path, data: bytes, chunked: bool
) -> None:
    """An answer without Content-Length is complete when the listed number of bytes has arrived."""
    bucket.put(KEY, data)
    until_closed = Act(headers={"content-length": None}, ending="fin")
    unsaid = Rule("GET", KEY, Act(chunked=True) if chunked else until_closed)
    assert_done(await synced(bucket, dest, unsaid, attempts=1), data)


@pytest.mark.row(48)
async def test_short_body_without_a_length_is_fetched_again(bucket: Bucket, dest: Path) -> None:
    """A body that ends with its connection may have been cut off."""
    bucket.put(KEY, SMALL)
    cut = Act(headers={"content-length": None}, stop=99, ending="fin")
    run = await synced(bucket, dest, Rule("GET", KEY, cut, nth={1}))
    assert_done(run, SMALL)
    assert run.report.retried == 1


# Servers that decompress for a client that does not accept an encoding.


SERVERS = pytest.mark.parametrize(
    "server",
    [{"ranges": True}, {"ranges": False}, {"ranges": False, "warns": True}, {"lengths": True}],
    ids=["ranges", "no ranges", "warnings", "lengths"],
)


@pytest.mark.row(48, 129)
@KINDS
@SERVERS
async def test_stored_bytes_are_asked_for_where_they_come_decompressed(
    dest: Path, data: bytes, server: dict[str, bool]
) -> None:
    """They are proven by their MD5; HEAD never accepts an encoding, or it would have no length."""
    stored = gzipped(data)
    async with ScriptedS3({KEY: stored, OTHER: SMALL}) as s3:
        s3.on_object = Decompressing(s3, **server)
        ran = await sync(s3, dest)
        assert (ran.code, ran.report.without_hash, ran.seen.failures) == (0, 0, {})
        assert tree(dest) == {KEY: stored, OTHER: SMALL}
        assert set(accepted(s3, "HEAD")) == {"identity"}
        assert "gzip, br" in accepted(s3, "GET")
        assert {asked(r.headers) for r in s3.requests if r.key == OTHER} == {"identity"}


@pytest.mark.row(48, 129)
@pytest.mark.parametrize("warns", [False, True])
@pytest.mark.parametrize("ranges", [False, True])
async def test_decompressed_bytes_that_are_as_many_as_the_stored_ones_are_not_taken(
    dest: Path, ranges: bool, warns: bool
) -> None:
    """Only the sign that they were changed tells: there is no length and no hash."""
    stored = gzip.compress(bytes(9000) + os.urandom(700_000))
    stored = stored.ljust(709_000, b"\0")  # what is behind its end may be zeros
    assert len(gzip.decompress(stored)) == len(stored)
    async with ScriptedS3({KEY: stored}) as s3:
        s3.tag = lambda data: "opaque"
        s3.on_object = Decompressing(s3, ranges=ranges, warns=warns)
        ran = await sync(s3, dest)
    assert (ran.code, ran.report.without_hash) == (0, 1)
    assert tree(dest) == {KEY: stored}


@pytest.mark.row(129)
async def test_checksum_of_a_decompressed_object_is_that_of_its_stored_bytes(dest: Path) -> None:
    """HEAD tells it, whatever it says of the length."""
    stored = gzipped(SMALL)
    async with ScriptedS3({KEY: stored}) as s3:
        s3.tells = checksum_of
        s3.on_object = Decompressing(s3)
        ran = await sync(s3, dest)
    assert (ran.code, tree(dest)) == (0, {KEY: stored})
    (done,) = ran.seen.outcomes
    assert isinstance(done, Downloaded)
    assert Proof.CRC64NVME in done.proven


@pytest.mark.row(129)
@KINDS
async def test_damaged_bytes_of_a_decompressed_object_are_found(dest: Path, data: bytes) -> None:
    """What comes as it is stored is checked like anything else."""
    stored = gzipped(data)
    damaged = stored[:4] + bytes([stored[4] ^ 1]) + stored[5:]  # the time in its header
    async with ScriptedS3({KEY: damaged, OTHER: SMALL}) as s3:
        s3.tag = lambda found: etag_of(stored if found == damaged else found)
        s3.on_object = Decompressing(s3)
        ran = await sync(s3, dest)
    assert (ran.code, ran.seen.failures) == (1, {KEY: IntegrityError})
    assert tree(dest) == {OTHER: SMALL}
