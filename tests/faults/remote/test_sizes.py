"""Sizes that contradict each other, servers without ranges, and odd sizes (rows 39 to 56)."""

import asyncio
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsync.disk import PART
from asyncsync.download.download import STARTS
from asyncsync.errors import DiskFullError, IntegrityError
from tests.faults.remote.scene import (
    FIRST,
    KEY,
    KINDS,
    OTHER,
    PARTS,
    SMALL,
    WHOLE,
    assert_done,
    assert_only_key_failed,
)
from tests.rigs.acts import in_listing, s3_error
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Rule, Verb
from tests.rigs.fault_run import synced
from tests.rigs.scripted import response
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, etag_of, sync
from tests.rigs.watch import tree, unfinished

pytestmark = pytest.mark.anyio


# Sizes that contradict each other.


SHORTER = Act(headers={"content-length": "4999"}, body=lambda body: body[:4999])
LONGER = Act(headers={"content-length": "5001"}, body=lambda body: body + b"x")


@pytest.mark.row(56)
@pytest.mark.parametrize("size", ["-5", "", "many", "1e9", "9" * 30, None])
async def test_size_that_is_none_fails_its_key_alone(
    bucket: Bucket, dest: Path, size: str | None
) -> None:
    """A listed size that is not a number fails its key; all others are downloaded."""
    bucket.put(KEY, SMALL[:100])
    odd = in_listing("<Size>100</Size>", "" if size is None else f"<Size>{size}</Size>")
    run = await synced(bucket, dest, Rule("LIST", "*", odd))
    assert_only_key_failed(run, IntegrityError)
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
    """The object is listed and downloaded again; if it stays so, only this object fails."""
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
    """The Content-Range of a GET for the first byte has the length."""
    bucket.put(KEY, data)
    run = await synced(bucket, dest, Rule("HEAD", "*", Act(headers={"content-length": None})))
    assert_done(run, data)
    assert run.proxy.spans(KEY).count("bytes=0-0") == 1


@pytest.mark.row(35, 47)
async def test_empty_object_whose_head_has_no_length_arrives(bucket: Bucket, dest: Path) -> None:
    """A GET for its first byte fails with 416, so the object is empty."""
    bucket.put(KEY, b"")
    behind = s3_error("416 Range Not Satisfiable", "InvalidRange")  # as S3 answers
    run = await synced(
        bucket,
        dest,
        Rule("HEAD", "*", Act(headers={"content-length": None})),
        Rule("GET", KEY, behind, span="bytes=*"),
    )
    assert_done(run, b"")


@pytest.mark.row(47)
async def test_unknown_length_is_a_failure(bucket: Bucket, dest: Path) -> None:
    """The object fails if neither HEAD nor the range of the first byte has its length."""
    run = await synced(
        bucket,
        dest,
        Rule("HEAD", KEY, Act(headers={"content-length": None})),
        Rule("GET", KEY, Act(headers={"content-range": None}, chunked=True), span="bytes=0-0"),
        attempts=2,
    )
    assert_only_key_failed(run, IntegrityError)
    assert "tells its size" in run.message


# Servers that do not support ranges.


@pytest.mark.row(39)
async def test_server_that_ignores_ranges_is_read_in_one_stream(bucket: Bucket, dest: Path) -> None:
    """After a 200 to the request for a part, the object is requested without a range."""
    etag = bucket.put(KEY, PARTS)
    whole = Act(instead=response(PARTS, headers={"ETag": f'"{etag}"'}))
    run = await synced(bucket, dest, Rule("GET", KEY, whole), attempts=1)
    assert_done(run, PARTS)
    assert run.proxy.spans(KEY)[-1] == ""
    assert run.report.without_hash == 0


@pytest.mark.row(147)
@pytest.mark.parametrize("breaks", [False, True])
async def test_server_that_calls_a_part_whole_is_asked_for_parts(dest: Path, breaks: bool) -> None:
    """Its range and its length say what it is, also of the rest of a part that broke off."""

    def called_whole(request: Request) -> Answer | None:
        if "range" not in request.headers:
            return None
        cut = 300_000 if breaks and request.number == 0 else None
        return replace(s3.usual(request), status=200, cut=cut)

    async with ScriptedS3({KEY: PARTS}) as s3:
        s3.on_object = called_whole
        ran = await sync(s3, dest)
        asked = [request.headers for request in s3.requests if request.verb == "GET"]
    assert (ran.code, tree(dest)) == (0, s3.objects)
    assert ["range" in headers for headers in asked] == [True] * (3 if breaks else 2)


@pytest.mark.row(39)
async def test_server_that_ignores_ranges_is_asked_for_one_once(dest: Path) -> None:
    """After the first object, the run requests no more ranges."""
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
    """After a broken connection, the object is downloaded from its start."""
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
    assert_done(run, data)
    assert sum(run.watcher.bytes[KEY]) == len(data)


# Odd sizes.


@pytest.mark.row(53)
async def test_sizes_around_the_borders_arrive(bucket: Bucket, dest: Path) -> None:
    """Objects of 0 bytes, 1 byte, and about the size of a part are downloaded."""
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
    """Return one block of a huge object; no two blocks are equal."""
    return number.to_bytes(8, "big") * (MEBIBYTE // 8)


@pytest.mark.row(54)
@pytest.mark.long
async def test_object_beyond_four_gibibytes_arrives(dest: Path) -> None:
    """Each block is at its place, and the memory holds no more than a few parts."""
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
    """The error has the needed and the free space."""
    huge = in_listing("<Size>5000<", f"<Size>{int(4.99 * 2**40)}<")
    run = await synced(bucket, dest, Rule("LIST", "*", huge), prefixes=[KEY])
    assert run.ended_by == (DiskFullError, 5)
    assert re.search(r"at least 5\.5 TB needed, \S+ .?B free", run.message)
    assert run.proxy.count("GET") == 0
    assert unfinished(dest) == []
