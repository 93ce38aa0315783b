"""Requests that are refused because this machine's clock is off (rows 31 and 161)."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, formatdate
from pathlib import Path

import pytest

from asyncsync.errors import ClockError, RefusedError
from asyncsync.s3.clock import STAMP
from tests.faults.remote.scene import (
    BOTH,
    FIRST,
    KEY,
    SMALL,
    assert_only_key_failed,
    assert_source_error,
)
from tests.rigs.acts import s3_error
from tests.rigs.bucket import Bucket
from tests.rigs.child import asyncsync
from tests.rigs.fault_proxy import Act, Rule, Verb
from tests.rigs.fault_run import synced
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, sync
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio


def skewed(minutes: int) -> Act:
    """Return the refusal of a server, if this machine's clock is so many minutes ahead."""
    now = datetime.now(UTC) - timedelta(minutes=minutes)
    return s3_error("403 Forbidden", "RequestTimeTooSkewed", date=format_datetime(now, usegmt=True))


@pytest.mark.row(31)
@pytest.mark.parametrize("minutes", [20, -20])
async def test_clock_that_stays_refused_ends_the_run(
    bucket: Bucket, dest: Path, minutes: int
) -> None:
    """After one more request the run ends, and the error says by how much the clock is off."""
    run = await synced(bucket, dest, Rule("LIST", "*", skewed(minutes)))
    assert_source_error(run, ClockError, "clock is off by ")
    seconds = int(run.message.partition("clock is off by ")[2].partition(" s")[0])
    assert abs(seconds - minutes * 60) < 30
    assert len(run.proxy.requests) == 2


@pytest.mark.row(31)
async def test_date_that_fits_the_clock_does_not_explain_the_refusal(
    bucket: Bucket, dest: Path
) -> None:
    """If the server's time agrees with the clock, the time is not changed, and the run ends."""
    run = await synced(bucket, dest, Rule("LIST", "*", skewed(0)))
    assert_source_error(run, ClockError, "though the clocks agree")
    assert len(run.proxy.requests) == 4
    assert run.watcher.notices == []


@pytest.mark.row(31)
@pytest.mark.parametrize("verb", ["LIST", "GET"])
async def test_refusal_that_no_clock_explains_is_tried_again(
    bucket: Bucket, dest: Path, verb: Verb
) -> None:
    """A single machine of the server's may be wrong: the next answer counts."""
    run = await synced(bucket, dest, Rule(verb, "*", skewed(0), nth=FIRST))
    assert run.ended_by == (None, 0)
    assert run.tree == BOTH


@pytest.mark.row(31)
async def test_object_whose_time_is_always_refused_fails_alone(bucket: Bucket, dest: Path) -> None:
    """Where no clock explains it, and others are served."""
    run = await synced(bucket, dest, Rule("GET", KEY, skewed(0)))
    assert_only_key_failed(run, RefusedError)


@pytest.mark.row(31)
@pytest.mark.parametrize("minutes", [3, -3])
async def test_real_server_takes_what_is_signed_with_its_time(
    bucket: Bucket, dest: Path, minutes: int
) -> None:
    """Listing and objects are signed with the server's time; 3 minutes are in what it tolerates."""
    run = await synced(
        bucket, dest, Rule("LIST", "*", skewed(minutes), nth=FIRST), prefixes=["1hz/"]
    )
    assert run.ended_by == (None, 0)
    assert run.tree == BOTH
    (notice,) = run.watcher.notices
    assert "clock is off by " in notice
    assert run.report.retried == 0


def an_hour_ahead(request: Request) -> Answer | None:
    """Check times as S3 does, with a clock that is an hour ahead of this machine's."""
    now = datetime.now(UTC) + timedelta(hours=1)
    signed = datetime.strptime(request.headers["x-amz-date"], STAMP).replace(tzinfo=UTC)
    if abs(now - signed) < timedelta(minutes=15):
        return None
    error = b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
    return Answer(error, 403, {"Date": format_datetime(now, usegmt=True)})


OBJECTS = {f"1hz/{number:02}.parquet": SMALL for number in range(20)}


@pytest.mark.row(31)
async def test_clock_that_is_off_costs_one_request(dest: Path) -> None:
    """All later requests are signed with the server's time, and the user is notified once."""
    async with ScriptedS3(OBJECTS) as s3:
        right = await sync(s3, dest / "right")
        usual = len(s3.requests)
        s3.on_list = s3.on_object = an_hour_ahead
        ran = await sync(s3, dest / "off")
        assert (right.code, ran.code) == (0, 0)
        assert len(s3.requests) == 2 * usual + 1
    assert tree(dest / "off") == OBJECTS
    (notice,) = ran.seen.notices
    assert "clock is off by -" in notice


@pytest.mark.row(31)
async def test_clock_that_goes_wrong_under_way_is_told_once(dest: Path) -> None:
    """Only requests in flight are refused; HEAD cannot say why, so a GET asks."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = an_hour_ahead
        ran = await sync(s3, dest, workers=4)
        refused = [r for r in s3.requests if an_hour_ahead(r) and r.verb != "LIST"]
    assert ran.code == 0
    assert tree(dest) == OBJECTS
    assert len(ran.seen.notices) == 1
    assert len(refused) <= 4 * 3  # a HEAD and a GET each, and the GET that says why


@pytest.mark.row(161)
@pytest.mark.parametrize("years", [10, -10])
async def test_nothing_is_signed_for_another_year(dest: Path, years: int) -> None:
    """The run ends after one request, and the error says by how much the two clocks differ."""
    date = formatdate(time.time() + years * 365 * 86400, usegmt=True)
    async with ScriptedS3(OBJECTS) as s3:
        skewed = b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
        s3.on_list = lambda _: Answer(skewed, 403, {"Date": date})
        done = await asyncsync(s3.environment, "--quiet", "--dest", str(dest))
        (request,) = s3.requests
    assert done.code == 4
    assert f"clock is off by {'-' if years > 0 else '+'}" in done.err
    assert request.headers["x-amz-date"][:4] == f"{datetime.now(UTC):%Y}"


@pytest.mark.row(161)
async def test_corrected_clock_is_told_of_in_a_quiet_run(dest: Path) -> None:
    """On standard error, once."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = s3.on_object = an_hour_ahead
        include = ("--include", "*", "--no-parquet-check")
        done = await asyncsync(s3.environment, "--quiet", *include, "--dest", str(dest))
    assert (done.code, done.out) == (0, "")
    (line,) = done.err.splitlines()
    assert line.startswith("asyncsync: this machine's clock is off by -")
