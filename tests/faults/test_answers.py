"""Answers of HTTP and S3 that are not the ones that were hoped for: rows 19 to 41."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from asyncsync.demo.seaweed import SeaweedServer
from asyncsync.disk import PART
from asyncsync.download.download import STARTS
from asyncsync.errors import (
    AccessDeniedError,
    AsyncSyncError,
    AuthError,
    BucketError,
    ClockError,
    IntegrityError,
    ListingError,
    RedirectError,
    RemoteChangedError,
    RetriesExhaustedError,
    SourceError,
    TransferError,
    VanishedError,
)
from asyncsync.model import Settings
from asyncsync.s3.clock import STAMP
from tests.rigs.bucket import Bucket, new_bucket
from tests.rigs.fault_proxy import Act, Rule, Verb
from tests.rigs.fault_run import Run, emptied, synced
from tests.rigs.scripted import Authority, ScriptedServer, answers, response
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3
from tests.rigs.scripted_s3 import sync as scripted_sync
from tests.rigs.watch import tree, unfinished

pytestmark = pytest.mark.anyio

KEY = "1hz/a.parquet"
OTHER = "1hz/b.parquet"
SMALL = os.urandom(5000)
WHOLE = os.urandom(700_001)
"""Comes with one request, into an unfinished file."""
PARTS = os.urandom(PART + 400_001)
"""Comes in two parts."""
FIRST = {1}


@pytest.fixture(scope="module")
def shared(server: SeaweedServer) -> Iterator[Bucket]:
    """One bucket for all tests here; making one takes longer than most of them."""
    with new_bucket(server) as made:
        yield made


@pytest.fixture
def bucket(shared: Bucket) -> Iterator[Bucket]:
    """The bucket, with two small objects."""
    with emptied(shared):
        shared.put(KEY, SMALL)
        shared.put(OTHER, SMALL)
        yield shared


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """The local folder."""
    return tmp_path / "dest"


BOTH = {KEY: SMALL, OTHER: SMALL}


def s3_error(status: str, code: str = "", message: str = "Because.", **headers: str) -> Act:
    """Return the act of an S3 error; the headers' names have underscores for hyphens."""
    xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Act(instead=response(xml.encode(), status=status, headers=fields))


def skewed(minutes: int) -> Act:
    """Return the refusal by a server that this machine's clock is so far ahead of."""
    now = datetime.now(UTC) - timedelta(minutes=minutes)
    return s3_error("403 Forbidden", "RequestTimeTooSkewed", date=format_datetime(now, usegmt=True))


def only_fails(run: Run, kind: type[AsyncSyncError], code: int = 1) -> None:
    """Insist that one key has failed, and that the other one is there."""
    assert run.failures == {KEY: kind}
    assert run.ended_by == (None, code)
    assert run.tree == {OTHER: SMALL}


def ended(run: Run, kind: type[AsyncSyncError], *said: str) -> None:
    """Insist that the remote side has ended the run, and on what the user is told."""
    assert run.ended_by == (kind, 4)
    for text in said:
        assert text in run.message


IN_TWO_DAYS = format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)


# passing failures -------------------------------------------------------------------------------


@pytest.mark.row(19)
@pytest.mark.parametrize("status", ["500 Internal Server Error", "502 Bad Gateway", "504 Late"])
async def test_failures_now_and_then_are_retried(bucket: Bucket, dest: Path, status: str) -> None:
    """Whatever was asked."""
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
    """Also where they come as a bad request, or without a word."""
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
    """An answer to HEAD has no body, so the code does not arrive."""
    late = Rule("HEAD", "*", s3_error("400 Bad Request", code), nth=FIRST)
    run = await synced(bucket, dest, late)
    assert run.tree == BOTH
    assert run.ended_by == (None, 0)
    assert run.proxy.count("HEAD") == 4


@pytest.mark.row(23)
async def test_head_of_an_empty_object_that_times_out_is_retried(
    bucket: Bucket, dest: Path
) -> None:
    """That its first byte is out of range tells that it is there, and that it is empty."""
    bucket.put(KEY, b"")
    late = s3_error("400 Bad Request", "RequestTimeout")
    run = await synced(bucket, dest, Rule("HEAD", KEY, late, nth={1, 2, 3}), attempts=8)
    assert run.tree == {KEY: b"", OTHER: SMALL}
    assert run.ended_by == (None, 0)
    assert run.proxy.count("HEAD", KEY) == 4


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
    """Up to a minute; what cannot be read is as if nothing was said."""
    busy = s3_error(status, "SlowDown", retry_after=retry_after)
    run = await synced(bucket, dest, Rule("GET", KEY, busy, nth=FIRST))
    assert run.tree == BOTH
    assert run.report.retried == 1
    assert least <= run.waited <= most


@pytest.mark.row(20, 21)
async def test_busy_server_gets_few_requests_more(bucket: Bucket, dest: Path) -> None:
    """While 5 % of the answers are 503, at most a tenth more requests are sent than are needed."""
    objects = {f"1hz/{number:02}.parquet": SMALL for number in range(80)}
    bucket.put_many(objects)
    busy = s3_error("503 Slow Down", "SlowDown", retry_after="2")
    run = await synced(bucket, dest, Rule("*", "*", busy, chance=0.05), seed=2)
    assert run.tree == objects | BOTH
    assert run.ended_by == (None, 0)
    assert 0 < len(run.proxy.requests) - 2 * len(run.tree) - 2 <= 0.1 * (2 * len(run.tree) + 2)


@pytest.mark.row(22)
async def test_object_that_is_never_served_fails_alone(bucket: Bucket, dest: Path) -> None:
    """After its attempts and no more."""
    busy = Rule("GET", KEY, s3_error("503 Slow Down", "SlowDown"))
    run = await synced(bucket, dest, busy, attempts=4)
    only_fails(run, RetriesExhaustedError)
    assert "given up after 4 attempts" in run.message
    assert "SlowDown" in run.message
    assert run.proxy.count("GET", KEY) == 4


@pytest.mark.row(22)
@pytest.mark.parametrize("prefix", ["", "1hz/"])
async def test_listing_that_is_never_served_ends_the_run(
    bucket: Bucket, dest: Path, prefix: str
) -> None:
    """Within the attempts, whatever is listed."""
    busy = Rule("LIST", prefix, s3_error("503 Slow Down", "SlowDown"))
    run = await synced(bucket, dest, busy, attempts=4, prefixes=[prefix] if prefix else [])
    ended(run, ListingError, "4 attempts", "SlowDown")
    assert sum(r.key == prefix for r in run.proxy.requests) == 4


# successes that are none ------------------------------------------------------------------------

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
    """Once it is retried; if it stays, the object fails alone."""
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
    """Once it is retried; a bucket never counts as empty for it."""
    run = await synced(bucket, dest, Rule("LIST", "*", answer), attempts=3)
    ended(run, ListingError, "not an S3")
    assert len(run.proxy.requests) == 3

    run = await synced(bucket, dest, Rule("LIST", "*", answer, nth=FIRST))
    assert run.tree == BOTH
    assert run.ended_by == (None, 0)


# refusals that end the run ----------------------------------------------------------------------


@pytest.mark.row(27)
@pytest.mark.parametrize(
    ("status", "code"), [("400 Bad Request", "InvalidArgument"), ("501 Not", "NotImplemented")]
)
async def test_refusal_of_the_request_ends_the_run(
    bucket: Bucket, dest: Path, status: str, code: str
) -> None:
    """At once, with the server's code."""
    run = await synced(bucket, dest, Rule("LIST", "*", s3_error(status, code)))
    ended(run, SourceError, code, status[:3])
    assert len(run.proxy.requests) == 1


@pytest.mark.row(27)
@pytest.mark.parametrize("verb", ["HEAD", "GET"])
@pytest.mark.parametrize("status", ["400 Bad Request", "501 Not Implemented"])
async def test_refusal_of_every_such_request_ends_the_run(
    bucket: Bucket, dest: Path, verb: Verb, status: str
) -> None:
    """A request that the server cannot take is none of the object's faults."""
    run = await synced(
        bucket,
        dest,
        Rule("GET", "*", s3_error(status, "NotImplemented")),
        *[Rule("HEAD", "*", Act(instead=response(status=status)))] * (verb == "HEAD"),
    )
    ended(run, SourceError, status[:3])
    assert run.tree == {}
    assert run.waited == 0


@pytest.mark.row(27)
async def test_refusal_for_the_sake_of_one_object_fails_alone(bucket: Bucket, dest: Path) -> None:
    """As that of one that is stored under a key of the customer's own."""
    sealed = Rule("GET", KEY, s3_error("400 Bad Request", "InvalidRequest"))
    only_fails(await synced(bucket, dest, sealed), TransferError)


@pytest.mark.row(28)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("401 Unauthorized", "Unauthorized"),
        ("403 Forbidden", "InvalidAccessKeyId"),
        ("403 Forbidden", "SignatureDoesNotMatch"),
    ],
)
async def test_bad_credentials_end_the_run(
    bucket: Bucket, dest: Path, status: str, code: str
) -> None:
    """After one request, with a hint."""
    run = await synced(bucket, dest, Rule("LIST", "*", s3_error(status, code)))
    ended(run, AuthError, code, "R2_SECRET_ACCESS_KEY", "a new token may need up to a minute")
    assert len(run.proxy.requests) == 1
    assert run.waited == 0


@pytest.mark.row(28)
@pytest.mark.parametrize(
    "wrong", [{"secret_access_key": "wrong"}, {"access_key_id": "nobody"}], ids=["secret", "key"]
)
async def test_real_server_refuses_wrong_credentials(
    bucket: Bucket, dest: Path, wrong: dict[str, str]
) -> None:
    """The same, and the secret is not shown."""
    run = await synced(bucket, dest, settings=wrong)
    ended(run, AuthError, "the credentials are not accepted")
    assert "wrong" not in run.message
    assert len(run.proxy.requests) == 1


@pytest.mark.row(29)
@pytest.mark.parametrize(
    ("status", "code"), [("403 Forbidden", "ExpiredToken"), ("400 Bad Request", "ExpiredRequest")]
)
async def test_credentials_that_expire_end_the_run(
    bucket: Bucket, dest: Path, status: str, code: str
) -> None:
    """What was finished by then stays."""
    first = await synced(bucket, dest, prefixes=[OTHER])
    assert first.tree == {OTHER: SMALL}
    run = await synced(bucket, dest, Rule("GET", "*", s3_error(status, code)))
    ended(run, AuthError, code)
    assert run.tree == {OTHER: SMALL}
    assert run.proxy.count("GET") == 1


@pytest.mark.row(29)
async def test_parts_are_kept_when_credentials_expire(bucket: Bucket, dest: Path) -> None:
    """The next run, with new ones, asks for the rest only."""
    bucket.put(KEY, PARTS)
    came = asyncio.Event()
    expired = s3_error("403 Forbidden", "ExpiredToken")
    run = await synced(
        bucket,
        dest,
        Rule("GET", KEY, replace(expired, until=came), span=f"bytes={PART}-*"),
        Rule("GET", KEY, Act(then=came.set), span="bytes=0-*"),
        prefixes=[KEY],
    )
    ended(run, AuthError, "ExpiredToken")
    assert run.tree == {}
    assert unfinished(dest)
    run = await synced(bucket, dest, prefixes=[KEY])
    assert (run.tree, run.ended_by) == ({KEY: PARTS}, (None, 0))
    assert run.report.kept_bytes > 0
    assert sum(run.watcher.bytes[KEY]) == len(PARTS)


@pytest.mark.row(29)
async def test_new_credentials_are_taken_in_a_run(bucket: Bucket, dest: Path) -> None:
    """The real server refuses the old ones, and takes those that are found meanwhile."""
    server = bucket.server
    found = Settings(
        server.access_key_id, server.secret_access_key, server.endpoint_url, server.bucket
    )
    old = {"access_key_id": "nobody", "reload": lambda: found}
    run = await synced(bucket, dest, settings=old)
    assert run.tree == BOTH
    assert run.ended_by == (None, 0)


@pytest.mark.row(31)
@pytest.mark.parametrize("minutes", [20, -20])
async def test_clock_that_stays_refused_ends_the_run(
    bucket: Bucket, dest: Path, minutes: int
) -> None:
    """After one more request; the error says by how much it is wrong, from the server's Date."""
    run = await synced(bucket, dest, Rule("LIST", "*", skewed(minutes)))
    ended(run, ClockError, "clock is off by ")
    seconds = int(run.message.partition("clock is off by ")[2].partition(" s")[0])
    assert abs(seconds - minutes * 60) < 30
    assert len(run.proxy.requests) == 2


@pytest.mark.row(31)
async def test_date_that_fits_the_clock_does_not_explain_the_refusal(
    bucket: Bucket, dest: Path
) -> None:
    """Then there is nothing to sign anew."""
    run = await synced(bucket, dest, Rule("LIST", "*", skewed(0)))
    ended(run, ClockError)
    assert len(run.proxy.requests) == 1
    assert run.watcher.notices == []


@pytest.mark.row(31)
@pytest.mark.parametrize("minutes", [3, -3])
async def test_real_server_takes_what_is_signed_with_its_time(
    bucket: Bucket, dest: Path, minutes: int
) -> None:
    """Listings and objects; it allows a quarter of an hour, so that it sees the wrong times too."""
    run = await synced(
        bucket, dest, Rule("LIST", "*", skewed(minutes), nth=FIRST), prefixes=["1hz/"]
    )
    assert run.ended_by == (None, 0)
    assert run.tree == BOTH
    (notice,) = run.watcher.notices
    assert "clock is off by " in notice
    assert run.report.retried == 0


def an_hour_ahead(request: Request) -> Answer | None:
    """Check times as S3 does, by a clock that is an hour ahead of this machine's."""
    now = datetime.now(UTC) + timedelta(hours=1)
    signed = datetime.strptime(request.headers["x-amz-date"], STAMP).replace(tzinfo=UTC)
    if abs(now - signed) < timedelta(minutes=15):
        return None
    error = b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
    return Answer(error, 403, {"Date": format_datetime(now, usegmt=True)})


OBJECTS = {f"1hz/{number:02}.parquet": SMALL for number in range(20)}


@pytest.mark.row(31)
async def test_clock_that_is_off_costs_one_request(dest: Path) -> None:
    """All that follows is signed with the server's time, and the user is told once."""
    async with ScriptedS3(OBJECTS) as s3:
        right = await scripted_sync(s3, dest / "right")
        usual = len(s3.requests)
        s3.on_list = s3.on_object = an_hour_ahead
        ran = await scripted_sync(s3, dest / "off")
        assert (right.code, ran.code) == (0, 0)
        assert len(s3.requests) == 2 * usual + 1
    assert tree(dest / "off") == OBJECTS
    (notice,) = ran.seen.notices
    assert "clock is off by -" in notice


@pytest.mark.row(31)
async def test_clock_that_goes_wrong_under_way_is_told_once(dest: Path) -> None:
    """By as many requests as are under way; HEAD cannot say why, and a GET is asked."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = an_hour_ahead
        ran = await scripted_sync(s3, dest, workers=4)
        refused = [r for r in s3.requests if an_hour_ahead(r) and r.verb != "LIST"]
    assert ran.code == 0
    assert tree(dest) == OBJECTS
    assert len(ran.seen.notices) == 1
    assert len(refused) <= 4 * 3  # a HEAD and a GET each, and the GET that says why


@pytest.mark.row(33)
async def test_missing_bucket_ends_the_run(bucket: Bucket, dest: Path) -> None:
    """The real server says so, and the hint names the settings."""
    run = await synced(bucket, dest, settings={"bucket": "no-such-bucket"})
    ended(run, BucketError, "no such bucket", "R2_BUCKET", "R2_ENDPOINT_URL")
    assert len(run.proxy.requests) == 1


# redirects --------------------------------------------------------------------------------------


@pytest.mark.row(36)
@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ("LIST", "301 Moved Permanently"),
        ("LIST", "307 Temporary Redirect"),
        ("HEAD", "308 Permanent Redirect"),
        ("GET", "302 Found"),
    ],
)
async def test_redirect_ends_the_run(bucket: Bucket, dest: Path, verb: Verb, status: str) -> None:
    """It is never followed; the error names where it leads."""
    async with ScriptedServer(answers(response())) as elsewhere:
        away = s3_error(status, location=f"{elsewhere.endpoint}/b/k", x_amz_bucket_region="weur")
        run = await synced(bucket, dest, Rule(verb, "*", away))
        ended(run, RedirectError, f"127.0.0.1:{elsewhere.port}", "region weur")
        assert elsewhere.peers == []
    assert run.tree == {}


@pytest.mark.row(37)
async def test_redirect_out_of_tls_ends_the_run(bucket: Bucket, dest: Path) -> None:
    """As any other."""
    authority = Authority()
    async with ScriptedServer(answers(response())) as elsewhere:
        run = await synced(
            bucket,
            dest,
            Rule("*", "*", s3_error("302 Found", location=f"{elsewhere.endpoint}/")),
            tls=authority.server(),
            transport={"ssl_context": authority.client()},
        )
        ended(run, RedirectError, f"127.0.0.1:{elsewhere.port}")
        assert elsewhere.peers == []


# refusals of one object -------------------------------------------------------------------------


@pytest.mark.row(30, 40)
@pytest.mark.parametrize("verb", ["HEAD", "GET"])
async def test_forbidden_object_fails_alone(bucket: Bucket, dest: Path, verb: Verb) -> None:
    """At once, and all others arrive."""
    run = await synced(bucket, dest, Rule(verb, KEY, s3_error("403 Forbidden", "AccessDenied")))
    only_fails(run, AccessDeniedError)
    assert run.proxy.count(verb, KEY) == 1


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


@pytest.mark.row(34)
@pytest.mark.parametrize("data", [SMALL, WHOLE, PARTS], ids=["small", "large", "parts"])
async def test_object_that_changes_is_started_anew(bucket: Bucket, dest: Path, data: bytes) -> None:
    """The real server refuses the old version, and the new one is fetched."""
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
    """After three starts."""
    bucket.put(KEY, data)
    versions = count()
    change = Act(do=lambda: bucket.put(KEY, data[:-4] + b"%04d" % next(versions)))
    run = await synced(bucket, dest, Rule("GET", KEY, change))
    only_fails(run, RemoteChangedError)
    assert run.proxy.count("GET", KEY) == STARTS == 3


@pytest.mark.row(35)
async def test_range_that_is_not_there_starts_anew(bucket: Bucket, dest: Path) -> None:
    """The object must have become shorter."""
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
    only_fails(run, RemoteChangedError)


@pytest.mark.row(35)
async def test_empty_object_is_asked_for_without_a_range(bucket: Bucket, dest: Path) -> None:
    """No range of it could be served."""
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
    """Once it is retried; if it stays, the object fails alone."""
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


@pytest.mark.row(40)
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        ("401 Unauthorized", AuthError, 4),
        ("404 Not Found", VanishedError, 3),
        ("412 Precondition Failed", RemoteChangedError, 1),
        ("503 Busy", RetriesExhaustedError, 1),
        ("500 Failed", RetriesExhaustedError, 1),
    ],
)
async def test_head_without_a_body_is_classed_by_its_status(
    bucket: Bucket, dest: Path, status: str, kind: type[AsyncSyncError], code: int
) -> None:
    """There is no XML to read."""
    run = await synced(bucket, dest, Rule("HEAD", KEY, s3_error(status)), attempts=2)
    assert run.exit_code == code
    assert type(run.error) is kind if code == 4 else run.failures == {KEY: kind}
    assert KEY not in run.tree


# error bodies that are traps --------------------------------------------------------------------

BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<Error><Code>&c;</Code><Message>&c;</Message></Error>"""


@pytest.mark.row(41)
@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found"])
async def test_entity_bomb_is_not_read(bucket: Bucket, dest: Path, status: str) -> None:
    """The class comes from the status, and the message holds nothing of it."""
    bomb = Act(instead=response(BOMB, status=status))
    run = await synced(bucket, dest, Rule("GET", KEY, bomb))
    assert run.failures.keys() == {KEY}
    assert run.tree == {OTHER: SMALL}
    assert "aaaa" not in run.message
    assert run.proxy.count("GET", KEY) == 1


@pytest.mark.row(41)
async def test_listing_with_a_document_type_ends_the_run(bucket: Bucket, dest: Path) -> None:
    """Whatever it declares."""
    bomb = Act(instead=response(BOMB.replace(b"Error>", b"ListBucketResult>")))
    run = await synced(bucket, dest, Rule("LIST", "*", bomb), attempts=2)
    ended(run, ListingError, "document type")


@pytest.mark.row(41)
@pytest.mark.parametrize("verb", ["LIST", "GET"])
async def test_huge_error_body_is_not_read(bucket: Bucket, dest: Path, verb: Verb) -> None:
    """The run ends although most of the 100 MiB never come."""
    head = b"HTTP/1.1 500 Failed\r\nContent-Length: 104857600\r\n\r\n"
    huge = Act(instead=head + b"x" * 100_000, ending="stall")
    run = await synced(bucket, dest, Rule(verb, "*", huge), attempts=2)
    assert run.exit_code == (4 if verb == "LIST" else 1)
    assert run.tree == {}


HUGE = 100 * 1024 * 1024
MOST_IN_SOCKETS = 8 * 1024 * 1024
FRAMINGS = {
    "announced": {"Content-Length": str(HUGE)},
    "in chunks": {"Transfer-Encoding": "chunked"},
    "until the end": {"Connection": "close"},
}


@pytest.mark.row(41)
@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize(("status", "times"), [(403, 1), (500, 3)])
@pytest.mark.parametrize("verb", ["LIST", "HEAD", "GET"])
async def test_error_body_without_bounds_is_hung_up_on(
    tmp_path: Path, verb: Verb, status: int, times: int, framing: dict[str, str]
) -> None:
    """A server that would send 100 MiB gets rid of what the sockets between hold, and no more."""
    flood = Answer(b"", status, framing, more=HUGE)
    async with ScriptedS3({KEY: SMALL}) as s3:
        hook = partial(_flooding, verb, flood)
        s3.on_list, s3.on_object = hook, hook
        ran = await scripted_sync(s3, tmp_path / "dest")
    assert ran.code == (4 if verb == "LIST" else 1)
    assert tree(tmp_path / "dest") == {}
    assert len(s3.sent) == times
    assert max(s3.sent) < MOST_IN_SOCKETS


def _flooding(verb: Verb, flood: Answer, request: Request) -> Answer | None:
    return flood if request.verb == verb else None
