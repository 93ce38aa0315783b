"""Objects that change during the download, and the ETags that show it (rows 42 to 51)."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path

import pytest

from asyncsync.disk import PART
from asyncsync.errors import (
    IntegrityError,
    RemoteChangedError,
    RetriesExhaustedError,
    VanishedError,
)
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
from tests.rigs.fault_proxy import Act, Rule, Verb
from tests.rigs.fault_run import synced
from tests.rigs.watch import unfinished

pytestmark = pytest.mark.anyio


# Objects that change during the download.


def between_two_parts(
    change: Callable[[], object], *, checked: bool = True, tagged: bool = True
) -> list[Rule]:
    """Return rules that call `change` when the first part has arrived, before the second one."""
    came = asyncio.Event()
    request = {} if checked else {"if-match": None}
    headers = {} if tagged else {"etag": None}
    first = Act(then=came.set, request=request, headers=headers)
    second = Act(until=came, do=change, request=request, headers=headers)
    return [Rule("GET", KEY, second, span=SECOND_PART), Rule("GET", KEY, first, span="bytes=0-*")]


@pytest.mark.row(42)
async def test_object_replaced_between_two_parts_is_not_mixed(bucket: Bucket, dest: Path) -> None:
    """The real server refuses the second part of the old version; the new version arrives."""
    bucket.put(KEY, PARTS)
    new = bytes(reversed(PARTS))
    rules = between_two_parts(partial(bucket.put, KEY, new))
    assert_done(await synced(bucket, dest, *rules), new)


@pytest.mark.row(42)
async def test_object_replaced_behind_a_break_is_not_mixed(bucket: Bucket, dest: Path) -> None:
    """After a broken connection the old version is gone, and the new version arrives complete."""
    bucket.put(KEY, WHOLE)
    new = bytes(reversed(WHOLE))
    run = await synced(
        bucket,
        dest,
        Rule("GET", KEY, Act(stop=300_000, ending="fin"), nth={1}),
        Rule("GET", KEY, Act(do=partial(bucket.put, KEY, new)), nth={2}),
    )
    assert_done(run, new)
    assert run.proxy.spans(KEY) == ["", "bytes=300000-700000", ""]


@pytest.mark.row(43)
async def test_replaced_object_is_seen_without_the_servers_help(bucket: Bucket, dest: Path) -> None:
    """A server that ignores If-Match sends the new version, and its ETag differs."""
    bucket.put(KEY, PARTS)
    new = bytes(reversed(PARTS))
    rules = between_two_parts(partial(bucket.put, KEY, new), checked=False)
    run = await synced(bucket, dest, *rules)
    assert_done(run, new)
    assert run.proxy.count("GET", KEY) == 4


@pytest.mark.row(43)
async def test_parts_that_do_not_name_their_version_are_not_taken(
    bucket: Bucket, dest: Path
) -> None:
    """Parts without an ETag may be of two versions, which an opaque listed ETag cannot show."""
    bucket.put(KEY, PARTS)
    replaced = partial(bucket.put, KEY, bytes(reversed(PARTS)))
    run = await synced(
        bucket,
        dest,
        Rule("LIST", "*", in_listing("<ETag>[^<]*<", "<ETag>opaque<")),
        Rule("HEAD", "*", Act(headers={"etag": '"opaque"'})),
        *between_two_parts(replaced, checked=False, tagged=False),
        prefixes=[KEY],
    )
    assert run.failures == {KEY: IntegrityError}
    assert "GET has none" in run.message
    assert run.tree == {}


@pytest.mark.row(44)
async def test_object_deleted_between_two_parts_is_skipped(bucket: Bucket, dest: Path) -> None:
    """Exit code 3; the received part is deleted, and the old file stays."""
    bucket.put(KEY, PARTS)
    (dest / "1hz").mkdir(parents=True)
    (dest / KEY).write_bytes(b"an older one")
    run = await synced(bucket, dest, *between_two_parts(lambda: bucket.delete(KEY)))
    assert run.failures == {KEY: VanishedError}
    assert run.ended_by == (None, 3)
    assert run.tree == {KEY: b"an older one", OTHER: SMALL}


@pytest.mark.row(45)
@KINDS
async def test_object_replaced_before_the_head_is_fetched_again(
    bucket: Bucket, dest: Path, data: bytes
) -> None:
    """The old version has arrived completely when HEAD shows the new one."""
    bucket.put(KEY, data)
    new = bytes(reversed(data))
    came = asyncio.Event()
    span = SECOND_PART if data is PARTS else "*"
    run = await synced(
        bucket,
        dest,
        Rule("HEAD", KEY, Act(until=came, do=partial(bucket.put, KEY, new)), nth=FIRST),
        Rule("GET", KEY, Act(then=came.set), span=span),
    )
    assert_done(run, new)
    assert run.proxy.count("HEAD", KEY) == 2


# No ETag.


NO_TAG = Act(headers={"etag": None})
NO_LISTED_TAG = in_listing("<ETag>[^<]*</ETag>", "")
UNTAGGED = [Rule("LIST", "*", NO_LISTED_TAG), Rule("*", "*", NO_TAG)]
LATER = Act(headers={"etag": None, "last-modified": "Fri, 01 Jan 2027 00:00:00 GMT"})


@pytest.mark.row(49)
@KINDS
async def test_object_without_an_etag_arrives(bucket: Bucket, dest: Path, data: bytes) -> None:
    """It is downloaded in one request, with HEAD before and after, and without If-Match."""
    bucket.put(KEY, data)
    run = await synced(bucket, dest, *UNTAGGED)
    assert_done(run, data)
    asked = [request for request in run.proxy.requests if request.key == KEY]
    assert [request.verb for request in asked] == ["HEAD", "GET", "HEAD"]
    assert not any("if-match" in request.headers or request.span for request in asked)
    assert "if-unmodified-since" in asked[1].headers
    assert run.report.proven["version"] == 0


@pytest.mark.row(49)
async def test_objects_without_an_etag_are_warned_of_once(bucket: Bucket, dest: Path) -> None:
    """The warning has one key and the number of the others."""
    run = await synced(bucket, dest, *UNTAGGED)
    (notice,) = run.watcher.notices
    assert re.match(r"1hz/[ab].parquet and 1 others?: no strong ETag", notice)
    run = await synced(bucket, dest.with_name("2"), *UNTAGGED, prefixes=[KEY])
    (notice,) = run.watcher.notices
    assert notice.startswith(f"{KEY}: no strong ETag")


@pytest.mark.row(49)
@KINDS
@pytest.mark.parametrize("rule", [("HEAD", {1}), ("HEAD", {2}), ("GET", {1})], ids=str)
async def test_object_without_an_etag_that_was_modified_is_fetched_again(
    bucket: Bucket, dest: Path, data: bytes, rule: tuple[Verb, set[int]]
) -> None:
    """HEAD before, GET or HEAD after shows another Last-Modified."""
    bucket.put(KEY, data)
    verb, nth = rule
    run = await synced(bucket, dest, Rule(verb, KEY, LATER, nth=nth), *UNTAGGED)
    assert_done(run, data)
    assert run.proxy.count("LIST", KEY) == 1
    run = await synced(bucket, dest.with_name("2"), Rule(verb, KEY, LATER), *UNTAGGED)
    assert_only_key_failed(run, RemoteChangedError)


@pytest.mark.row(49)
async def test_object_without_an_etag_is_not_served_when_it_was_modified(
    bucket: Bucket, dest: Path
) -> None:
    """The real server obeys If-Unmodified-Since."""
    earlier = in_listing("<LastModified>20", "<LastModified>19")
    unseen = replace(NO_TAG, headers={"etag": None, "last-modified": None})
    rules = [
        Rule("LIST", "*", replace(NO_LISTED_TAG, body=_both(NO_LISTED_TAG, earlier))),
        Rule("*", KEY, unseen),
    ]
    run = await synced(bucket, dest, *rules, prefixes=[KEY])
    assert run.failures == {KEY: RemoteChangedError}
    assert "412" in run.message


def _both(one: Act, other: Act) -> Callable[[bytes], bytes]:
    edits = [edit for act in (one, other) if (edit := act.body)]
    return lambda body: reduce(lambda done, edit: edit(done), edits, body)


@pytest.mark.row(49)
async def test_nothing_is_kept_of_an_object_without_an_etag(bucket: Bucket, dest: Path) -> None:
    """A later run could not know whether it continues the same version."""
    bucket.put(KEY, PARTS)
    cut = Act(headers={"etag": None}, stop=PART, ending="fin")
    run = await synced(bucket, dest, Rule("GET", KEY, cut), *UNTAGGED, attempts=2)
    assert_only_key_failed(run, RetriesExhaustedError)
    assert run.proxy.spans(KEY) == ["", ""]
    assert unfinished(dest) == []


# Other ETags.


@pytest.mark.row(50)
async def test_weak_etag_is_not_named(bucket: Bucket, dest: Path) -> None:
    """A weak ETag is not sent in If-Match, but two different ones are two versions."""
    weak = in_listing("<ETag>", "<ETag>W/")
    rules = [
        Rule("LIST", "*", weak),
        Rule("*", "*", Act(headers={"etag": f'W/"{bucket.put(KEY, SMALL)}"'})),
    ]
    run = await synced(bucket, dest, *rules)
    assert_done(run, SMALL)
    asked = [request for request in run.proxy.requests if request.key == KEY]
    assert [request.verb for request in asked] == ["HEAD", "GET", "HEAD"]
    assert not any("if-match" in request.headers for request in asked)
    assert "no strong ETag" in run.watcher.notices[0]
    changed = Rule("GET", KEY, Act(headers={"etag": 'W/"other"'}))
    run = await synced(bucket, dest.with_name("2"), changed, *rules)
    assert_only_key_failed(run, RemoteChangedError)


@pytest.mark.row(51)
async def test_etag_of_parts_is_a_version_like_any_other(bucket: Bucket, dest: Path) -> None:
    """It is sent in If-Match, and its MD5s are checked, as its parts have a usual size."""
    etag = bucket.multipart(KEY, PARTS, 5 * 1024 * 1024)
    assert etag.endswith("-2")
    run = await synced(bucket, dest)
    assert_done(run, PARTS)
    assert (run.report.proven["md5"], run.report.proven["md5-of-parts"]) == (1, 1)
    asked = {r.headers["if-match"] for r in run.proxy.requests if (r.verb, r.key) == ("GET", KEY)}
    assert asked == {f'"{etag}"'}


@pytest.mark.row(51)
async def test_etag_of_parts_of_an_odd_size_proves_the_bytes_as_well(
    bucket: Bucket, dest: Path
) -> None:
    """No guess fits, so the server is asked, which takes one request more."""
    bucket.multipart(KEY, PARTS, 5 * 1024 * 1024 + 12_345)
    run = await synced(bucket, dest)
    assert_done(run, PARTS)
    assert (run.report.proven["md5"], run.report.proven["md5-of-parts"]) == (1, 1)
    assert [r.verb for r in run.proxy.requests if r.key == KEY].count("HEAD") == 2


@pytest.mark.row(51)
async def test_opaque_etag_is_a_version_like_any_other(bucket: Bucket, dest: Path) -> None:
    """An ETag may be any text."""
    opaque = {"etag": '"it/is=what it,is"'}
    run = await synced(
        bucket,
        dest,
        Rule("LIST", "*", in_listing("<ETag>[^<]*<", "<ETag>&quot;it/is=what it,is&quot;<")),
        Rule("*", "*", Act(headers=opaque, request={"if-match": None})),
    )
    assert_done(run, SMALL)
