"""Answers that are retried: failures, busy servers, documents in place of data (rows 19 to 26)."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from asyncsync.errors import ListingError, RetriesExhaustedError
from tests.faults.remote.scene import (
    BOTH,
    FIRST,
    KEY,
    OTHER,
    PARTS,
    SMALL,
    WHOLE,
    assert_only_key_failed,
    assert_source_error,
)
from tests.rigs.acts import s3_error
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Rule
from tests.rigs.fault_run import synced
from tests.rigs.scripted import response

pytestmark = pytest.mark.anyio


# Failures.


@pytest.mark.row(19)
@pytest.mark.parametrize("status", ["500 Internal Server Error", "502 Bad Gateway", "504 Late"])
async def test_failures_now_and_then_are_retried(bucket: Bucket, dest: Path, status: str) -> None:
    """Requests that fail with 500, 502 or 504 are retried, whatever they ask for."""
    objects = {f"1hz/{number:02}.parquet": SMALL for number in range(20)}
    bucket.put_many(objects)
    run = await synced(bucket, dest, Rule("*", "*", s3_error(status), chance=0.2), seed=3)
    assert run.tree == objects | BOTH
    assert run.ended_by == (None, 0)
    assert run.report.retried > 0


@pytest.mark.row(23)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("408 Request Timeout", ""),
        ("400 Bad Request", "RequestTimeout"),
        ("400 Bad Request", "ClientDisconnect"),
        ("400 Bad Request", None),
    ],
)
async def test_time_outs_of_the_server_are_retried(
    bucket: Bucket, dest: Path, status: str, code: str | None
) -> None:
    """A timeout of the server is retried, even as a 400 or without a body."""
    late = Act(instead=response(status=status)) if code is None else s3_error(status, code)
    run = await synced(
        bucket, dest, Rule("LIST", "*", late, nth=FIRST), Rule("GET", "*", late, nth=FIRST)
    )
    assert run.tree == BOTH
    assert run.ended_by == (None, 0)
    assert (run.proxy.count("LIST"), run.proxy.count("GET")) == (2, 4)


@pytest.mark.row(23)
@pytest.mark.parametrize("code", ["ClientDisconnect", "RequestTimeout"])
async def test_head_that_times_out_as_a_bad_request_is_retried(
    bucket: Bucket, dest: Path, code: str
) -> None:
    """A 400 to HEAD is retried: it has no body, so its code is unknown."""
    late = Rule("HEAD", "*", s3_error("400 Bad Request", code), nth=FIRST)
    run = await synced(bucket, dest, late)
    assert run.tree == BOTH
    assert run.ended_by == (None, 0)
    assert run.proxy.count("HEAD") == 4


@pytest.mark.row(23)
async def test_head_of_an_empty_object_that_times_out_is_retried(
    bucket: Bucket, dest: Path
) -> None:
    """A GET of the first byte fails with 416, which shows that the object exists and is empty."""
    bucket.put(KEY, b"")
    late = s3_error("400 Bad Request", "RequestTimeout")
    run = await synced(bucket, dest, Rule("HEAD", KEY, late, nth={1, 2, 3}), attempts=8)
    assert run.tree == {KEY: b"", OTHER: SMALL}
    assert run.ended_by == (None, 0)
    assert run.proxy.count("HEAD", KEY) == 4


# Busy servers.


IN_TWO_DAYS = format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)


@pytest.mark.row(20, 21)
@pytest.mark.parametrize(
    ("status", "retry_after", "least", "most"),
    [
        ("429 Too Many Requests", "7", 7, 7),
        ("503 Slow Down", "7", 7, 7),
        ("503 Slow Down", "86400", 60, 60),
        ("503 Slow Down", IN_TWO_DAYS, 60, 60),
        ("503 Slow Down", "Thu, 01 Jan 1970 00:00:00 GMT", 0.1, 0.3),
        ("503 Slow Down", "soon", 0.1, 0.3),
        ("503 Slow Down", "-5", 0.1, 0.3),
    ],
    ids=["429", "seconds", "a day", "date", "past date", "garbage", "negative"],
)
async def test_busy_server_gets_the_pause_that_it_asks_for(
    bucket: Bucket, dest: Path, status: str, retry_after: str, least: float, most: float
) -> None:
    """Retry-After is obeyed up to a minute; a value that cannot be parsed is ignored."""
    busy = s3_error(status, "SlowDown", retry_after=retry_after)
    run = await synced(bucket, dest, Rule("GET", KEY, busy, nth=FIRST))
    assert run.tree == BOTH
    assert run.report.retried == 1
    assert least <= run.waited <= most


@pytest.mark.row(20, 21)
async def test_busy_server_gets_few_requests_more(bucket: Bucket, dest: Path) -> None:
    """When 5 % of the answers are 503, at most 10 % more requests are sent than necessary."""
    objects = {f"1hz/{number:02}.parquet": SMALL for number in range(80)}
    bucket.put_many(objects)
    busy = s3_error("503 Slow Down", "SlowDown", retry_after="2")
    run = await synced(bucket, dest, Rule("*", "*", busy, chance=0.05), seed=2)
    assert run.tree == objects | BOTH
    assert run.ended_by == (None, 0)
    assert 0 < len(run.proxy.requests) - 2 * len(run.tree) - 2 <= 0.1 * (2 * len(run.tree) + 2)


@pytest.mark.row(22)
async def test_object_that_is_never_served_fails_alone(bucket: Bucket, dest: Path) -> None:
    """The object fails after its attempts, and the others are downloaded."""
    busy = Rule("GET", KEY, s3_error("503 Slow Down", "SlowDown"))
    run = await synced(bucket, dest, busy, attempts=4)
    assert_only_key_failed(run, RetriesExhaustedError)
    assert "given up after 4 attempts" in run.message
    assert "SlowDown" in run.message
    assert run.proxy.count("GET", KEY) == 4


@pytest.mark.row(22)
@pytest.mark.parametrize("prefix", ["", "1hz/"])
async def test_listing_that_is_never_served_ends_the_run(
    bucket: Bucket, dest: Path, prefix: str
) -> None:
    """The run ends after the attempts, with or without a prefix."""
    busy = Rule("LIST", prefix, s3_error("503 Slow Down", "SlowDown"))
    run = await synced(bucket, dest, busy, attempts=4, prefixes=[prefix] if prefix else [])
    assert_source_error(run, ListingError, "4 attempts", "SlowDown")
    assert sum(r.key == prefix for r in run.proxy.requests) == 4


# Documents in place of data.


ERROR_BODY = s3_error("200 OK", "InternalError")
PORTAL = Act(
    instead=response(
        b"<html><body>Please log in</body></html>", headers={"Content-Type": "text/html"}
    )
)


@pytest.mark.row(24)
@pytest.mark.parametrize("data", [SMALL, WHOLE, PARTS], ids=["small", "large", "parts"])
@pytest.mark.parametrize("answer", [ERROR_BODY, PORTAL], ids=["error", "portal"])
async def test_document_in_place_of_an_object_is_never_written(
    bucket: Bucket, dest: Path, data: bytes, answer: Act
) -> None:
    """It is retried; if the next answer is the same, only this object fails."""
    bucket.put(KEY, data)
    run = await synced(bucket, dest, Rule("GET", KEY, answer), attempts=2)
    assert run.tree == {OTHER: SMALL}
    assert run.exit_code == 1
    assert run.failures.keys() == {KEY}

    run = await synced(bucket, dest, Rule("GET", KEY, answer, nth=FIRST))
    assert run.tree == {KEY: data, OTHER: SMALL}
    assert run.exit_code == 0


@pytest.mark.row(25, 26)
@pytest.mark.parametrize("answer", [ERROR_BODY, PORTAL], ids=["error", "portal"])
async def test_document_in_place_of_a_listing_ends_the_run(
    bucket: Bucket, dest: Path, answer: Act
) -> None:
    """It is retried, then the run ends; the bucket is never treated as empty."""
    run = await synced(bucket, dest, Rule("LIST", "*", answer), attempts=3)
    assert_source_error(run, ListingError, "not an S3")
    assert len(run.proxy.requests) == 3

    run = await synced(bucket, dest, Rule("LIST", "*", answer, nth=FIRST))
    assert run.tree == BOTH
    assert run.ended_by == (None, 0)
