"""Content that is not the object's: wrong bytes, not Parquet, or encoded (rows 24 to 57)."""

import asyncio
import gzip
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from anyio import to_thread, wait_all_tasks_blocked

from asyncsync.disk import PART
from asyncsync.download.download import STARTS
from asyncsync.download.proof import Prover, _Hash
from asyncsync.errors import AsyncSyncError, EncodedObjectError, IntegrityError, NotParquetError
from tests.faults.remote.scene import (
    FIRST,
    KEY,
    KINDS,
    OTHER,
    PARTS,
    SECOND_PART,
    SMALL,
    WHOLE,
    assert_done,
    assert_only_key_failed,
)
from tests.rigs.acts import in_listing
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Rule, flipped, padded
from tests.rigs.fault_run import Run, synced
from tests.rigs.objects import parquet

pytestmark = pytest.mark.anyio


# Wrong bytes.


@pytest.mark.row(24, 52)
@KINDS
async def test_error_document_of_the_right_length_is_not_written(
    bucket: Bucket, dest: Path, data: bytes
) -> None:
    """Status, size and ETag are right, and only the MD5 shows it."""
    bucket.put(KEY, data)
    act = Act(body=padded(b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"))
    run = await synced(bucket, dest, Rule("GET", KEY, act), attempts=2)
    assert_only_key_failed(run, IntegrityError)


@pytest.mark.row(24)
async def test_error_document_is_not_taken_for_parquet(bucket: Bucket, dest: Path) -> None:
    """If the ETag is not a hash, the missing magic shows it, and the object is downloaded again."""
    data = parquet(SMALL)
    bucket.put(KEY, data)
    tagged = Act(headers={"etag": '"opaque"'}, request={"if-match": None})
    run = await synced(
        bucket,
        dest,
        Rule("LIST", "*", in_listing("<ETag>[^<]*<", "<ETag>opaque<")),
        Rule("GET", KEY, replace(tagged, body=padded(b"<Error/>")), nth=FIRST),
        Rule("*", "*", tagged),
        prefixes=[KEY],
        parquet_check=True,
    )
    assert run.tree == {KEY: data}
    assert (run.exit_code, run.report.without_hash) == (0, 1)
    assert run.proxy.count("GET", KEY) == 2


@pytest.mark.row(52)
@KINDS
@pytest.mark.parametrize("at", [0, 2500, -1])
async def test_flipped_byte_is_found(bucket: Bucket, dest: Path, data: bytes, at: int) -> None:
    """The object is downloaded twice more; if it stays wrong, only this object fails."""
    bucket.put(KEY, data)
    span = SECOND_PART if data is PARTS else "*"
    run = await synced(bucket, dest, Rule("GET", KEY, Act(body=flipped(at)), span=span))
    assert_only_key_failed(run, IntegrityError)
    assert run.proxy.count("GET", KEY) == STARTS * (2 if data is PARTS else 1)
    run = await synced(bucket, dest, Rule("GET", KEY, Act(body=flipped(at)), span=span, nth={1, 2}))
    assert_done(run, data)
    assert run.report.without_hash == 0


@pytest.mark.row(52)
async def test_part_that_comes_again_is_hashed_again(
    bucket: Bucket, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that was hashed arrives again with a wrong byte, and the object is downloaded anew."""
    bucket.put(KEY, PARTS)
    broken, hashed = asyncio.Event(), threading.Event()
    really = Prover._hash

    def hash_(prover: Prover, hashes: Sequence[_Hash], span: range) -> None:
        really(prover, hashes, span)
        hashed.set()

    async def until_the_first_part_is_hashed(_: Run) -> None:
        broken.set()
        assert await to_thread.run_sync(hashed.wait, 10)
        await wait_all_tasks_blocked()

    monkeypatch.setattr(Prover, "_hash", hash_)
    whole = Act(stop=len(PARTS) - PART, chunked=True, ending="fin")
    run = await synced(
        bucket,
        dest,
        Rule("GET", KEY, whole, span=SECOND_PART, nth={1, 2}),
        Rule("GET", KEY, Act(until=broken), span="bytes=0-*", nth={1, 2}),
        Rule("GET", KEY, Act(body=flipped(7)), span=SECOND_PART, nth={3}),
        paused=until_the_first_part_is_hashed,
    )
    assert_done(run, PARTS)
    assert run.proxy.count("GET", KEY) == 5


@pytest.mark.row(57)
@pytest.mark.parametrize("data", [SMALL, WHOLE], ids=["small", "large"])
@pytest.mark.parametrize("hashed", [True, False])
async def test_object_that_is_not_parquet_fails_alone(
    bucket: Bucket, dest: Path, data: bytes, hashed: bool
) -> None:
    """With a hash, one download proves it; without, the bytes may be damaged and are retried."""
    bucket.put(KEY, data)
    bucket.put(OTHER, parquet(SMALL))
    tag = {"etag": f'"{"0" * 32}-2"'}
    rules = [
        Rule("LIST", "*", in_listing("<ETag>[^<]*<", f"<ETag>{'0' * 32}-2<")),
        Rule("*", "1hz/*", Act(headers=tag, request={"if-match": None})),
    ]
    run = await synced(bucket, dest, *([] if hashed else rules), parquet_check=True)
    assert run.failures == {KEY: NotParquetError}
    assert run.ended_by == (None, 1)
    assert run.tree == {OTHER: parquet(SMALL)}
    assert run.proxy.count("GET", KEY) == (1 if hashed else STARTS)


# Encodings.


@pytest.mark.row(48)
@pytest.mark.parametrize(
    ("data", "encoding"),
    [(SMALL, "gzip"), (SMALL, "br"), (WHOLE, "gzip"), (PARTS, "gzip")],
    ids=["small", "br", "large", "parts"],
)
async def test_encoded_object_fails_alone(
    bucket: Bucket, dest: Path, data: bytes, encoding: str
) -> None:
    """The object is not decompressed, and the hint says how to upload it."""
    bucket.put(KEY, data, encoding=encoding)
    run = await synced(bucket, dest)
    assert_only_key_failed(run, EncodedObjectError)
    assert f"Content-Encoding {encoding}" in run.message
    assert "`Cache-Control: no-transform`" in run.message


@pytest.mark.row(48)
async def test_encoded_part_does_not_hang(bucket: Bucket, dest: Path) -> None:
    """The body of a 206 is not decoded, whatever its Content-Encoding."""
    bucket.put(KEY, PARTS)
    gzipped = Rule("GET", KEY, Act(headers={"content-encoding": "gzip"}), span=SECOND_PART)
    assert_only_key_failed(await synced(bucket, dest, gzipped), EncodedObjectError)


@pytest.mark.row(48)
@pytest.mark.parametrize(("chunked", "kind"), [(True, EncodedObjectError), (False, IntegrityError)])
async def test_object_that_is_decompressed_on_the_way_gets_the_hint(
    bucket: Bucket, dest: Path, chunked: bool, kind: type[AsyncSyncError]
) -> None:
    """R2 decompresses: the answer has no Content-Encoding, and another length or none."""
    bucket.put(KEY, gzip.compress(SMALL * 3))
    length = {} if chunked else {"content-length": str(len(SMALL) * 3)}
    plain = Act(body=gzip.decompress, headers=length, chunked=chunked)
    run = await synced(bucket, dest, Rule("GET", KEY, plain), attempts=2)
    assert_only_key_failed(run, kind)
    assert "`Cache-Control: no-transform`" in run.message


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


@pytest.mark.row(48)
async def test_identity_is_no_encoding(bucket: Bucket, dest: Path) -> None:
    """`Content-Encoding: identity` is allowed."""
    plain = Rule("*", KEY, Act(headers={"content-encoding": "identity"}))
    assert_done(await synced(bucket, dest, plain), SMALL)
