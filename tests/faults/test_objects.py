"""Objects that change, vanish, or are not what they are said to be: rows 42 to 60."""

import asyncio
import gzip
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path

import pytest
from anyio import to_thread, wait_all_tasks_blocked

from asyncsync.demo.seaweed import SeaweedServer
from asyncsync.disk import PART
from asyncsync.download.download import STARTS
from asyncsync.download.proof import Prover, _Hash
from asyncsync.errors import (
    AsyncSyncError,
    DiskFullError,
    EncodedObjectError,
    IntegrityError,
    NotParquetError,
    RemoteChangedError,
    RetriesExhaustedError,
    VanishedError,
)
from tests.faults.test_answers import s3_error
from tests.rigs.bucket import Bucket, new_bucket
from tests.rigs.fault_proxy import Act, Rule, Verb, flipped, padded
from tests.rigs.fault_run import Run, emptied, synced
from tests.rigs.objects import parquet
from tests.rigs.scripted import response
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, etag_of, sync
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
SECOND_PART = f"bytes={PART}-*"
KINDS = pytest.mark.parametrize("data", [SMALL, WHOLE, PARTS], ids=["small", "large", "parts"])


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


def is_done(run: Run, data: bytes) -> None:
    """Insist on exit code 0, and on the object's file and the other one."""
    assert run.tree == {KEY: data, OTHER: SMALL}
    assert run.ended_by == (None, 0)


def only_fails(run: Run, kind: type[AsyncSyncError], code: int = 1) -> None:
    """Insist that one key has failed, and that the other one is there."""
    assert run.failures == {KEY: kind}
    assert run.ended_by == (None, code)
    assert run.tree == {OTHER: SMALL}


def between_two_parts(
    change: Callable[[], object], *, checked: bool = True, tagged: bool = True
) -> list[Rule]:
    """Return rules that do something when the first part has come, and before the second does."""
    came = asyncio.Event()
    request = {} if checked else {"if-match": None}
    headers = {} if tagged else {"etag": None}
    first = Act(then=came.set, request=request, headers=headers)
    second = Act(until=came, do=change, request=request, headers=headers)
    return [Rule("GET", KEY, second, span=SECOND_PART), Rule("GET", KEY, first, span="bytes=0-*")]


# objects that change while they are fetched -----------------------------------------------------


@pytest.mark.row(42)
async def test_object_replaced_between_two_parts_is_not_mixed(bucket: Bucket, dest: Path) -> None:
    """The real server refuses the second part of the old version; the new one arrives whole."""
    bucket.put(KEY, PARTS)
    new = bytes(reversed(PARTS))
    rules = between_two_parts(partial(bucket.put, KEY, new))
    is_done(await synced(bucket, dest, *rules), new)


@pytest.mark.row(42)
async def test_object_replaced_behind_a_break_is_not_mixed(bucket: Bucket, dest: Path) -> None:
    """The rest of the old version is not to be had; the new one arrives whole."""
    bucket.put(KEY, WHOLE)
    new = bytes(reversed(WHOLE))
    run = await synced(
        bucket,
        dest,
        Rule("GET", KEY, Act(stop=300_000, ending="fin"), nth={1}),
        Rule("GET", KEY, Act(do=partial(bucket.put, KEY, new)), nth={2}),
    )
    is_done(run, new)
    assert run.proxy.spans(KEY) == ["", "bytes=300000-700000", ""]


@pytest.mark.row(43)
async def test_replaced_object_is_seen_without_the_servers_help(bucket: Bucket, dest: Path) -> None:
    """A server that ignores If-Match serves the new version, whose ETag is another."""
    bucket.put(KEY, PARTS)
    new = bytes(reversed(PARTS))
    rules = between_two_parts(partial(bucket.put, KEY, new), checked=False)
    run = await synced(bucket, dest, *rules)
    is_done(run, new)
    assert run.proxy.count("GET", KEY) == 4


@pytest.mark.row(43)
async def test_parts_that_do_not_name_their_version_are_not_taken(
    bucket: Bucket, dest: Path
) -> None:
    """They may be of two, and where the ETag is no hash nothing else would tell."""
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
    assert "does not say which" in run.message
    assert run.tree == {}


@pytest.mark.row(44)
async def test_object_deleted_between_two_parts_is_skipped(bucket: Bucket, dest: Path) -> None:
    """Exit code 3; what had arrived of it is dropped, and the old file stays."""
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
    """All of the old version has come when HEAD shows the new one."""
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
    is_done(run, new)
    assert run.proxy.count("HEAD", KEY) == 2


# sizes that contradict each other ---------------------------------------------------------------


def in_listing(pattern: str, replacement: str) -> Act:
    """Return the act of a listing with another text in its entries."""
    return Act(body=lambda xml: re.sub(pattern.encode(), replacement.encode(), xml), chunked=True)


SHORTER = Act(headers={"content-length": "4999"}, body=lambda body: body[:4999])
LONGER = Act(headers={"content-length": "5001"}, body=lambda body: body + b"x")


@pytest.mark.row(56)
@pytest.mark.parametrize("size", ["-5", "", "many", "1e9", "9" * 30, None])
async def test_size_that_is_none_fails_its_key_alone(
    bucket: Bucket, dest: Path, size: str | None
) -> None:
    """All others are done, and the old file stays."""
    bucket.put(KEY, SMALL[:100])
    odd = in_listing("<Size>100</Size>", "" if size is None else f"<Size>{size}</Size>")
    run = await synced(bucket, dest, Rule("LIST", "*", odd))
    only_fails(run, IntegrityError)
    assert run.proxy.count("GET", KEY) == 0
    assert run.waited == 0


@pytest.mark.row(46)
@pytest.mark.parametrize(
    ("verb", "act"),
    [
        ("HEAD", SHORTER),
        ("HEAD", LONGER),
        ("GET", SHORTER),
        ("GET", LONGER),
        ("LIST", in_listing("<Size>5000<", "<Size>4999<")),
        ("LIST", in_listing("<Size>5000<", "<Size>5001<")),
    ],
)
async def test_sizes_that_contradict_each_other_are_a_failure(
    bucket: Bucket, dest: Path, verb: Verb, act: Act
) -> None:
    """The object is listed and fetched again; if it stays so, it fails alone."""
    bucket.put(OTHER, SMALL[:100])
    glob = "*" if verb == "LIST" else KEY
    run = await synced(bucket, dest, Rule(verb, glob, act))
    assert run.failures == {KEY: IntegrityError}
    assert run.ended_by == (None, 1)
    assert run.tree == {OTHER: SMALL[:100]}
    assert run.proxy.count("LIST", KEY) == STARTS - 1

    run = await synced(bucket, dest, Rule(verb, glob, act, nth=FIRST))
    assert run.tree == {KEY: SMALL, OTHER: SMALL[:100]}
    assert run.ended_by == (None, 0)


@pytest.mark.row(47)
@KINDS
async def test_head_without_a_length_is_asked_in_another_way(
    bucket: Bucket, dest: Path, data: bytes
) -> None:
    """The range of the first byte shows it."""
    bucket.put(KEY, data)
    run = await synced(bucket, dest, Rule("HEAD", "*", Act(headers={"content-length": None})))
    is_done(run, data)
    assert run.proxy.spans(KEY).count("bytes=0-0") == 1


@pytest.mark.row(35, 47)
async def test_empty_object_whose_head_has_no_length_arrives(bucket: Bucket, dest: Path) -> None:
    """It has no first byte, and that is the answer."""
    bucket.put(KEY, b"")
    behind = s3_error("416 Range Not Satisfiable", "InvalidRange")  # as S3 answers
    run = await synced(
        bucket,
        dest,
        Rule("HEAD", "*", Act(headers={"content-length": None})),
        Rule("GET", KEY, behind, span="bytes=*"),
    )
    is_done(run, b"")


@pytest.mark.row(47)
async def test_unknown_length_is_a_failure(bucket: Bucket, dest: Path) -> None:
    """Neither HEAD nor the first byte's range says how long the object is."""
    run = await synced(
        bucket,
        dest,
        Rule("HEAD", KEY, Act(headers={"content-length": None})),
        Rule("GET", KEY, Act(headers={"content-range": None}, chunked=True), span="bytes=0-0"),
        attempts=2,
    )
    only_fails(run, IntegrityError)
    assert "how long" in run.message


# servers that know no ranges --------------------------------------------------------------------


@pytest.mark.row(39)
async def test_server_that_ignores_ranges_is_read_in_one_stream(bucket: Bucket, dest: Path) -> None:
    """A 200 to the request for a part is the whole object, which is then asked for."""
    etag = bucket.put(KEY, PARTS)
    whole = Act(instead=response(PARTS, headers={"ETag": f'"{etag}"'}))
    run = await synced(bucket, dest, Rule("GET", KEY, whole), attempts=1)
    is_done(run, PARTS)
    assert run.proxy.spans(KEY)[-1] == ""
    assert run.report.without_hash == 0


@pytest.mark.row(39)
async def test_server_that_ignores_ranges_is_asked_for_one_once(dest: Path) -> None:
    """What the first object has shown holds for all others of the run."""
    keys = [f"1hz/{number}.parquet" for number in range(3)]
    async with ScriptedS3(dict.fromkeys(keys, PARTS)) as s3:
        whole = Answer(PARTS, headers={"ETag": f'"{etag_of(PARTS)}"'})
        s3.on_object = lambda request: whole if request.verb == "GET" else None
        ran = await sync(s3, dest, workers=1)
        asked = [request for request in s3.requests if request.verb == "GET"]
    assert (ran.code, tree(dest)) == (0, s3.objects)
    assert ["range" in request.headers for request in asked] == [True, False, False, False]


@pytest.mark.row(39)
@pytest.mark.parametrize("data", [WHOLE, PARTS], ids=["large", "parts"])
async def test_server_that_ignores_the_range_of_a_rest_starts_anew(
    bucket: Bucket, dest: Path, data: bytes
) -> None:
    """After a break, the whole object comes once more."""
    etag = bucket.put(KEY, data)
    whole = Act(instead=response(data, headers={"ETag": f'"{etag}"'}))
    cut = replace(whole, stop=300_000, ending="fin")
    run = await synced(
        bucket,
        dest,
        Rule("GET", KEY, cut, span="", nth=FIRST),
        Rule("GET", KEY, whole),
        attempts=3,
    )
    is_done(run, data)
    assert sum(run.watcher.bytes[KEY]) == len(data)


# content ----------------------------------------------------------------------------------------


@pytest.mark.row(24, 52)
@KINDS
async def test_error_document_of_the_right_length_is_not_written(
    bucket: Bucket, dest: Path, data: bytes
) -> None:
    """Status, size and ETag are right; only the MD5 tells."""
    bucket.put(KEY, data)
    act = Act(body=padded(b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"))
    run = await synced(bucket, dest, Rule("GET", KEY, act), attempts=2)
    only_fails(run, IntegrityError)


@pytest.mark.row(24)
async def test_error_document_is_not_taken_for_parquet(bucket: Bucket, dest: Path) -> None:
    """Where the ETag is no hash, the missing magic tells; the object itself arrives."""
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
    """The object is fetched anew twice; if it stays so, it fails alone and is dropped."""
    bucket.put(KEY, data)
    span = SECOND_PART if data is PARTS else "*"
    run = await synced(bucket, dest, Rule("GET", KEY, Act(body=flipped(at)), span=span))
    only_fails(run, IntegrityError)
    assert run.proxy.count("GET", KEY) == STARTS * (2 if data is PARTS else 1)
    run = await synced(bucket, dest, Rule("GET", KEY, Act(body=flipped(at)), span=span, nth={1, 2}))
    is_done(run, data)
    assert run.report.without_hash == 0


@pytest.mark.row(52)
async def test_part_that_comes_again_is_hashed_again(
    bucket: Bucket, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time it is right but for the end of its answer, the second time a byte is not."""
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
    is_done(run, PARTS)
    assert run.proxy.count("GET", KEY) == 5


@pytest.mark.row(57)
@pytest.mark.parametrize("data", [SMALL, WHOLE], ids=["small", "large"])
@pytest.mark.parametrize("hashed", [True, False])
async def test_object_that_is_not_parquet_fails_alone(
    bucket: Bucket, dest: Path, data: bytes, hashed: bool
) -> None:
    """With a hash it is fetched once; without one, the bytes may have been damaged on the way."""
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


# encodings --------------------------------------------------------------------------------------


@pytest.mark.row(48)
@pytest.mark.parametrize(
    ("data", "encoding"),
    [(SMALL, "gzip"), (SMALL, "br"), (WHOLE, "gzip"), (PARTS, "gzip")],
    ids=["small", "br", "large", "parts"],
)
async def test_encoded_object_fails_alone(
    bucket: Bucket, dest: Path, data: bytes, encoding: str
) -> None:
    """It is not decompressed, and the hint says how to upload it."""
    bucket.put(KEY, data, encoding=encoding)
    run = await synced(bucket, dest)
    only_fails(run, EncodedObjectError)
    assert f"Content-Encoding {encoding}" in run.message
    assert "`Cache-Control: no-transform`" in run.message


@pytest.mark.row(48)
async def test_encoded_part_does_not_hang(bucket: Bucket, dest: Path) -> None:
    """Whatever a 206 says of its bytes, they are left as they are."""
    bucket.put(KEY, PARTS)
    gzipped = Rule("GET", KEY, Act(headers={"content-encoding": "gzip"}), span=SECOND_PART)
    only_fails(await synced(bucket, dest, gzipped), EncodedObjectError)


@pytest.mark.row(48)
@pytest.mark.parametrize(("chunked", "kind"), [(True, EncodedObjectError), (False, IntegrityError)])
async def test_object_that_is_decompressed_on_the_way_gets_the_hint(
    bucket: Bucket, dest: Path, chunked: bool, kind: type[AsyncSyncError]
) -> None:
    """As R2 does it: no Content-Encoding, and another length or none."""
    bucket.put(KEY, gzip.compress(SMALL * 3))
    length = {} if chunked else {"content-length": str(len(SMALL) * 3)}
    plain = Act(body=gzip.decompress, headers=length, chunked=chunked)
    run = await synced(bucket, dest, Rule("GET", KEY, plain), attempts=2)
    only_fails(run, kind)
    assert "`Cache-Control: no-transform`" in run.message


@pytest.mark.row(48)
@KINDS
@pytest.mark.parametrize("chunked", [True, False])
async def test_object_without_a_length_arrives(
    bucket: Bucket, dest: Path, data: bytes, chunked: bool
) -> None:
    """Some servers tell none; the bytes that come are as many as were listed."""
    bucket.put(KEY, data)
    until_closed = Act(headers={"content-length": None}, ending="fin")
    unsaid = Rule("GET", KEY, Act(chunked=True) if chunked else until_closed)
    is_done(await synced(bucket, dest, unsaid, attempts=1), data)


@pytest.mark.row(48)
async def test_short_body_without_a_length_is_fetched_again(bucket: Bucket, dest: Path) -> None:
    """Its end is the connection's, which may have been cut."""
    bucket.put(KEY, SMALL)
    cut = Act(headers={"content-length": None}, stop=99, ending="fin")
    run = await synced(bucket, dest, Rule("GET", KEY, cut, nth={1}))
    is_done(run, SMALL)
    assert run.report.retried == 1


@pytest.mark.row(48)
async def test_identity_is_no_encoding(bucket: Bucket, dest: Path) -> None:
    """A server may say so."""
    plain = Rule("*", KEY, Act(headers={"content-encoding": "identity"}))
    is_done(await synced(bucket, dest, plain), SMALL)


# ETags ------------------------------------------------------------------------------------------

NO_TAG = Act(headers={"etag": None})
NO_LISTED_TAG = in_listing("<ETag>[^<]*</ETag>", "")


UNTAGGED = [Rule("LIST", "*", NO_LISTED_TAG), Rule("*", "*", NO_TAG)]
LATER = Act(headers={"etag": None, "last-modified": "Fri, 01 Jan 2027 00:00:00 GMT"})


@pytest.mark.row(49)
@KINDS
async def test_object_without_an_etag_arrives(bucket: Bucket, dest: Path, data: bytes) -> None:
    """In one stream, with HEAD before and after it; nothing can be named in If-Match then."""
    bucket.put(KEY, data)
    run = await synced(bucket, dest, *UNTAGGED)
    is_done(run, data)
    asked = [request for request in run.proxy.requests if request.key == KEY]
    assert [request.verb for request in asked] == ["HEAD", "GET", "HEAD"]
    assert not any("if-match" in request.headers or request.span for request in asked)
    assert "if-unmodified-since" in asked[1].headers
    assert run.report.proven["version"] == 0


@pytest.mark.row(49)
async def test_objects_without_an_etag_are_warned_of_once(bucket: Bucket, dest: Path) -> None:
    """With a key and the number of the others."""
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
    """HEAD before it, GET and HEAD after it show when it was."""
    bucket.put(KEY, data)
    verb, nth = rule
    run = await synced(bucket, dest, Rule(verb, KEY, LATER, nth=nth), *UNTAGGED)
    is_done(run, data)
    assert run.proxy.count("LIST", KEY) == 1
    run = await synced(bucket, dest.with_name("2"), Rule(verb, KEY, LATER), *UNTAGGED)
    only_fails(run, RemoteChangedError)


@pytest.mark.row(49)
async def test_object_without_an_etag_is_not_served_when_it_was_modified(
    bucket: Bucket, dest: Path
) -> None:
    """The real server minds If-Unmodified-Since."""
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
    """No later run could know whether it goes on with the same version."""
    bucket.put(KEY, PARTS)
    cut = Act(headers={"etag": None}, stop=PART, ending="fin")
    run = await synced(bucket, dest, Rule("GET", KEY, cut), *UNTAGGED, attempts=2)
    only_fails(run, RetriesExhaustedError)
    assert run.proxy.spans(KEY) == ["", ""]
    assert unfinished(dest) == []


@pytest.mark.row(50)
async def test_weak_etag_is_not_named(bucket: Bucket, dest: Path) -> None:
    """It is as if there was none, but tells two versions apart all the same."""
    weak = in_listing("<ETag>", "<ETag>W/")
    rules = [
        Rule("LIST", "*", weak),
        Rule("*", "*", Act(headers={"etag": f'W/"{bucket.put(KEY, SMALL)}"'})),
    ]
    run = await synced(bucket, dest, *rules)
    is_done(run, SMALL)
    asked = [request for request in run.proxy.requests if request.key == KEY]
    assert [request.verb for request in asked] == ["HEAD", "GET", "HEAD"]
    assert not any("if-match" in request.headers for request in asked)
    assert "no strong ETag" in run.watcher.notices[0]
    changed = Rule("GET", KEY, Act(headers={"etag": 'W/"other"'}))
    run = await synced(bucket, dest.with_name("2"), changed, *rules)
    only_fails(run, RemoteChangedError)


@pytest.mark.row(51)
async def test_etag_of_parts_is_a_version_like_any_other(bucket: Bucket, dest: Path) -> None:
    """It is no MD5, and nobody takes it for one; its parts are of a size that tools use."""
    etag = bucket.multipart(KEY, PARTS, 5 * 1024 * 1024)
    assert etag.endswith("-2")
    run = await synced(bucket, dest)
    is_done(run, PARTS)
    assert (run.report.proven["md5"], run.report.proven["md5-of-parts"]) == (1, 1)
    asked = {r.headers["if-match"] for r in run.proxy.requests if (r.verb, r.key) == ("GET", KEY)}
    assert asked == {f'"{etag}"'}


@pytest.mark.row(51)
async def test_opaque_etag_is_a_version_like_any_other(bucket: Bucket, dest: Path) -> None:
    """Of whatever it may be made."""
    opaque = {"etag": '"it/is=what it,is"'}
    run = await synced(
        bucket,
        dest,
        Rule("LIST", "*", in_listing("<ETag>[^<]*<", "<ETag>&quot;it/is=what it,is&quot;<")),
        Rule("*", "*", Act(headers=opaque, request={"if-match": None})),
    )
    is_done(run, SMALL)


# sizes, times and what lies here already --------------------------------------------------------


@pytest.mark.row(53)
async def test_sizes_around_the_borders_arrive(bucket: Bucket, dest: Path) -> None:
    """Nothing, one byte, and around the size of a part."""
    sizes = [0, 1, PART - 1, PART, PART + 1]
    objects = {f"1hz/{size}.parquet": PARTS[:size] for size in sizes}
    bucket.put_many(objects)
    run = await synced(bucket, dest, prefixes=list(objects))
    assert run.tree == objects
    assert run.ended_by == (None, 0)


HUGE = 6 * (1 << 30) + 5
MEBIBYTE = 1 << 20
SYNC = """
import sys
from pathlib import Path
from asyncsync.cli import main
code = main(["--dest", sys.argv[1], "--include", "*", "--no-progress", "--quiet"])
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(code, int(status["VmHWM"].split()[0]) // 1024)  # ru_maxrss counts the parent's as well
"""


def mebibyte(number: int) -> bytes:
    """Return one of the blocks that make up a huge object, no two of which are alike."""
    return number.to_bytes(8, "big") * (MEBIBYTE // 8)


@pytest.mark.row(54)
@pytest.mark.long
async def test_object_beyond_four_gibibytes_arrives(dest: Path) -> None:
    """Each block at its place, and in memory no more than some parts."""
    tag = {"ETag": '"huge"'}

    def served(request: Request) -> Answer:
        if request.verb == "HEAD":
            return Answer(headers={**tag, "Content-Length": str(HUGE)})
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        blocks = range(first // MEBIBYTE, last // MEBIBYTE + 1)
        assert first % MEBIBYTE == 0
        body = b"".join(map(mebibyte, blocks))[: last - first + 1]
        return Answer(body, 206, {**tag, "Content-Range": f"bytes {first}-{last}/{HUGE}"})

    async with ScriptedS3({"huge.bin": b"x"}) as s3:
        listing = s3.page("huge.bin").replace(b"<Size>1<", b"<Size>%d<" % HUGE)
        listing = listing.replace(etag_of(b"x").encode(), b"huge")
        s3.on_list = lambda request: Answer(listing) if request.key in "huge.bin" else None
        s3.on_object = served
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SYNC, str(dest)),
            env={**os.environ, **s3.environment},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await child.communicate()
    code, mebibytes = map(int, out.split())
    assert (code, (dest / "huge.bin").stat().st_size) == (0, HUGE)
    assert mebibytes < 300
    with (dest / "huge.bin").open("rb") as file:
        for number, content in enumerate(iter(lambda: file.read(MEBIBYTE), b"")):
            assert content == mebibyte(number)[: len(content)], number


@pytest.mark.row(55)
async def test_object_that_cannot_fit_ends_the_run_before_any_get(
    bucket: Bucket, dest: Path
) -> None:
    """The error gives need and free."""
    huge = in_listing("<Size>5000<", f"<Size>{int(4.99 * 2**40)}<")
    run = await synced(bucket, dest, Rule("LIST", "*", huge), prefixes=[KEY])
    assert run.ended_by == (DiskFullError, 5)
    assert re.search(r"5\.5 TB or more needed, \S+ .?B free", run.message)
    assert run.proxy.count("GET") == 0
    assert unfinished(dest) == []


@pytest.mark.row(58)
@pytest.mark.parametrize("in_place", [True, False])
async def test_edited_file_of_the_same_size_is_fetched_again(
    bucket: Bucket, dest: Path, in_place: bool
) -> None:
    """Its time is not the one that it was given; an editor may have put another file there."""
    await synced(bucket, dest)
    path = dest / KEY
    edited = path if in_place else dest / "new"
    edited.write_bytes(bytes(reversed(SMALL)))
    os.utime(edited, ns=(1, path.stat().st_mtime_ns + 3_600_000_000_000))
    edited.rename(path)
    run = await synced(bucket, dest)
    is_done(run, SMALL)
    assert run.report.downloaded == 1
    again = await synced(bucket, dest)
    assert (again.report.downloaded, again.report.up_to_date) == (0, 2)


@pytest.mark.row(59)
@pytest.mark.parametrize("content", [SMALL[:-1], SMALL + b"x", b""], ids=["cut", "grown", "empty"])
async def test_file_of_another_size_is_fetched_again(
    bucket: Bucket, dest: Path, content: bytes
) -> None:
    """Whatever its time."""
    await synced(bucket, dest)
    (dest / KEY).write_bytes(content)
    run = await synced(bucket, dest)
    is_done(run, SMALL)
    assert run.report.downloaded == 1


@pytest.mark.row(60)
@pytest.mark.parametrize(
    "time",
    ["2199-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "yesterday", "", "1601-01-01T00:00:00Z"],
)
async def test_odd_time_does_no_harm(bucket: Bucket, dest: Path, time: str) -> None:
    """The object arrives once; a time that cannot be read decides nothing."""
    odd = Rule("LIST", "*", in_listing("<LastModified>[^<]*<", f"<LastModified>{time}<"))
    is_done(await synced(bucket, dest, odd), SMALL)
    again = await synced(bucket, dest, odd)
    is_done(again, SMALL)
    assert (again.report.downloaded, again.report.up_to_date) == (0, 2)
