"""Content that is not the object's: wrong bytes, or not Parquet (rows 24 to 57)."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from anyio import to_thread, wait_all_tasks_blocked

from asyncsync.disk import PART
from asyncsync.download.download import STARTS
from asyncsync.download.proof import Prover, _Hash
from asyncsync.errors import IntegrityError, NotParquetError
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


@pytest.mark.row(52, 132)
@KINDS
@pytest.mark.parametrize("at", [0, 2500, -1])
async def test_flipped_byte_is_found(bucket: Bucket, dest: Path, data: bytes, at: int) -> None:
    """The object is downloaded once more; if it stays so, only this object fails."""
    bucket.put(KEY, data)
    span = SECOND_PART if data is PARTS else "*"
    run = await synced(bucket, dest, Rule("GET", KEY, Act(body=flipped(at)), span=span))
    assert_only_key_failed(run, IntegrityError)
    assert run.proxy.count("GET", KEY) == 2 * (2 if data is PARTS else 1)
    first = {1, 2} if data is PARTS else {1}
    run = await synced(bucket, dest, Rule("GET", KEY, Act(body=flipped(at)), span=span, nth=first))
    assert_done(run, data)
    assert run.report.without_hash == 0


@pytest.mark.row(52, 132)
@KINDS
@pytest.mark.parametrize("bad", [2, 3])
async def test_bytes_that_are_wrong_in_different_ways_are_fetched_a_third_time(
    bucket: Bucket, dest: Path, data: bytes, bad: int
) -> None:
    """The way to them is bad, so that the next ones may be right; but no fourth time."""
    bucket.put(KEY, data)
    parts = 2 if data is PARTS else 1
    rules = [
        Rule("GET", KEY, Act(body=flipped(start)), nth={1 + start * parts}) for start in range(bad)
    ]
    run = await synced(bucket, dest, *rules)
    if bad == STARTS:
        assert_only_key_failed(run, IntegrityError)
    else:
        assert_done(run, data)
    assert run.proxy.count("GET", KEY) == STARTS * parts


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


@pytest.mark.row(57, 132)
@pytest.mark.parametrize("data", [SMALL, WHOLE], ids=["small", "large"])
@pytest.mark.parametrize("hashed", [True, False])
async def test_object_that_is_not_parquet_fails_alone(
    bucket: Bucket, dest: Path, data: bytes, hashed: bool
) -> None:
    """With a hash, one download proves it; without, the same bytes have to come twice."""
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
    assert run.proxy.count("GET", KEY) == (1 if hashed else 2)
