"""Refusals of one object, and ranges that do not fit (rows 27 to 40)."""

from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal

import pytest

from asyncsync.download.download import STARTS
from asyncsync.errors import (
    AccessDeniedError,
    AsyncSyncError,
    IntegrityError,
    RemoteChangedError,
    RetriesExhaustedError,
    TransferError,
    VanishedError,
)
from tests.faults.remote.scene import (
    BOTH,
    FIRST,
    KEY,
    OTHER,
    PARTS,
    SMALL,
    WHOLE,
    assert_only_key_failed,
)
from tests.rigs.acts import s3_error
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Rule, Verb
from tests.rigs.fault_run import synced
from tests.rigs.scripted import response

pytestmark = pytest.mark.anyio


# Refusals.


@pytest.mark.row(27)
async def test_refusal_for_the_sake_of_one_object_fails_alone(bucket: Bucket, dest: Path) -> None:
    """As for an object that is encrypted with a key of the customer (SSE-C)."""
    sealed = Rule("GET", KEY, s3_error("400 Bad Request", "InvalidRequest"))
    assert_only_key_failed(await synced(bucket, dest, sealed), TransferError)


@pytest.mark.row(30, 40)
@pytest.mark.parametrize("verb", ["*", "GET"])
async def test_forbidden_object_fails_alone(
    bucket: Bucket, dest: Path, verb: Literal["*", "GET"]
) -> None:
    """The object fails without a retry, and all others are downloaded."""
    run = await synced(bucket, dest, Rule(verb, KEY, s3_error("403 Forbidden", "AccessDenied")))
    assert_only_key_failed(run, AccessDeniedError)
    assert run.proxy.count("GET", KEY) == 1


@pytest.mark.row(30, 40)
@pytest.mark.parametrize("data", [SMALL, WHOLE, PARTS], ids=["small", "large", "parts"])
@pytest.mark.parametrize(
    "status",
    [
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "405 Method Not Allowed",
        "501 Not Implemented",
    ],
)
async def test_object_whose_head_is_refused_is_validated_by_its_get(
    bucket: Bucket, dest: Path, status: str, data: bytes
) -> None:
    """Where GET is allowed: one notice says so, and names the option that asks for no HEAD."""
    bucket.put(KEY, data)
    run = await synced(bucket, dest, Rule("HEAD", KEY, s3_error(status)))
    assert run.tree == {KEY: data, OTHER: SMALL}
    assert run.ended_by == (None, 0)
    (notice,) = run.watcher.notices
    assert notice.startswith(f"{KEY}: HEAD is refused, though GET is allowed")
    assert "--validate response" in notice


@pytest.mark.row(30)
@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "400 Bad Request"])
async def test_head_is_not_sent_any_more_where_none_is_answered(
    bucket: Bucket, dest: Path, status: str
) -> None:
    """After the first that is refused, or some 400, which may pass; the content is proven."""
    objects = {f"1hz/{number:02}.parquet": SMALL for number in range(40)}
    bucket.put_many(objects)
    refused = Rule("HEAD", "*", Act(instead=response(status=status)))
    run = await synced(bucket, dest, refused)
    assert run.tree == BOTH | objects
    assert run.ended_by == (None, 0)
    assert run.proxy.count("HEAD") < len(objects)  # those under way at the first refusals
    assert len(run.watcher.notices) == 1
    assert run.report.proven["md5"] == len(run.tree)


@pytest.mark.row(30)
async def test_wrong_bytes_fail_where_head_is_refused(bucket: Bucket, dest: Path) -> None:
    """The MD5 in the ETag does not depend on HEAD."""
    flipped = Act(body=lambda data: bytes(reversed(data)))
    refused = Rule("HEAD", "*", s3_error("403 Forbidden"))
    run = await synced(bucket, dest, refused, Rule("GET", KEY, flipped))
    assert_only_key_failed(run, IntegrityError)


@pytest.mark.row(32)
@pytest.mark.parametrize("verb", ["HEAD", "GET"])
async def test_object_that_is_gone_is_skipped(bucket: Bucket, dest: Path, verb: Verb) -> None:
    """Exit code 3, no second attempt, and the old file stays."""
    (dest / "1hz").mkdir(parents=True)
    (dest / KEY).write_bytes(b"an older one")
    gone = Act(do=lambda: bucket.delete(KEY))
    run = await synced(bucket, dest, Rule(verb, KEY, gone))
    assert run.failures == {KEY: VanishedError}
    assert run.ended_by == (None, 3)
    assert run.tree == {KEY: b"an older one", OTHER: SMALL}
    assert run.waited == 0


@pytest.mark.row(40)
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        ("412 Precondition Failed", RemoteChangedError, 1),
        ("503 Busy", RetriesExhaustedError, 1),
        ("500 Failed", RetriesExhaustedError, 1),
    ],
)
async def test_head_without_a_body_is_classed_by_its_status(
    bucket: Bucket, dest: Path, status: str, kind: type[AsyncSyncError], code: int
) -> None:
    """The answer to HEAD has no XML, so the error follows from the status."""
    run = await synced(bucket, dest, Rule("HEAD", KEY, s3_error(status)), attempts=2)
    assert_only_key_failed(run, kind, code)


# Objects that change.


@pytest.mark.row(34)
@pytest.mark.parametrize("data", [SMALL, WHOLE, PARTS], ids=["small", "large", "parts"])
async def test_object_that_changes_is_started_anew(bucket: Bucket, dest: Path, data: bytes) -> None:
    """The real server refuses the old version, and the new one is downloaded."""
    bucket.put(KEY, data)
    new = bytes(reversed(data))
    replaced = Rule("GET", KEY, Act(do=partial(bucket.put, KEY, new)), nth=FIRST)
    run = await synced(bucket, dest, replaced)
    assert run.tree == {KEY: new, OTHER: SMALL}
    assert run.ended_by == (None, 0)


@pytest.mark.row(34)
@pytest.mark.parametrize("data", [SMALL, WHOLE], ids=["small", "large"])
async def test_object_that_changes_all_the_time_fails_alone(
    bucket: Bucket, dest: Path, data: bytes
) -> None:
    """The object fails after three starts."""
    bucket.put(KEY, data)
    versions = count()
    change = Act(do=lambda: bucket.put(KEY, data[:-4] + b"%04d" % next(versions)))
    run = await synced(bucket, dest, Rule("GET", KEY, change))
    assert_only_key_failed(run, RemoteChangedError)
    assert run.proxy.count("GET", KEY) == STARTS == 3


# Ranges.


@pytest.mark.row(35)
async def test_range_that_is_not_there_starts_anew(bucket: Bucket, dest: Path) -> None:
    """The object must have become shorter, so it is downloaded from its start."""
    bucket.put(KEY, WHOLE)
    behind = s3_error("416 Range Not Satisfiable", "InvalidRange")
    cut = Act(stop=300_000, ending="fin")
    run = await synced(
        bucket, dest, Rule("GET", KEY, cut, nth=FIRST), Rule("GET", KEY, behind, nth={2})
    )
    assert run.tree == {KEY: WHOLE, OTHER: SMALL}
    assert run.ended_by == (None, 0)
    run = await synced(
        bucket,
        dest.with_name("2"),
        Rule("GET", KEY, cut, span=""),
        Rule("GET", KEY, behind, span="bytes=*"),
    )
    assert_only_key_failed(run, RemoteChangedError)


@pytest.mark.row(35)
async def test_empty_object_is_asked_for_without_a_range(bucket: Bucket, dest: Path) -> None:
    """An empty object has no range that a server could send."""
    bucket.put(KEY, b"")
    run = await synced(bucket, dest)
    assert run.tree == {KEY: b"", OTHER: SMALL}
    assert run.proxy.spans(KEY) == [""]


@pytest.mark.row(38)
@pytest.mark.parametrize(
    "headers",
    [
        {"content-range": "bytes 0-400000/700001"},
        {"content-range": "bytes 300001-700000/700001"},
        {"content-range": "bytes 300000-700000/9999999"},
        {"content-range": "bytes 300000-700000/*"},
        {"content-range": f"bytes 300000-700000/{'9' * 5000}"},
        {"content-range": "nonsense"},
        {"content-range": None},
        {"content-range": None, "content-type": "multipart/byteranges; boundary=x"},
    ],
    ids=["start", "next", "total", "no total", "long total", "nonsense", "missing", "multipart"],
)
async def test_wrong_range_is_not_written(
    bucket: Bucket, dest: Path, headers: dict[str, str | None]
) -> None:
    """It is retried; if the next answer is the same, only this object fails."""
    bucket.put(KEY, WHOLE)
    cut = Rule("GET", KEY, Act(stop=300_000, ending="fin"), span="")
    wrong = Act(headers=headers)
    run = await synced(bucket, dest, cut, Rule("GET", KEY, wrong, span="bytes=*"), attempts=2)
    assert run.failures.keys() == {KEY}
    assert run.failures[KEY] in {RetriesExhaustedError, IntegrityError}
    assert run.exit_code == 1
    assert run.tree == {OTHER: SMALL}

    cut = Rule("GET", KEY, Act(stop=300_000, ending="fin"), nth=FIRST)
    run = await synced(bucket, dest.with_name("2"), cut, Rule("GET", KEY, wrong, nth={2}))
    assert run.tree == {KEY: WHOLE, OTHER: SMALL}
    assert run.ended_by == (None, 0)
