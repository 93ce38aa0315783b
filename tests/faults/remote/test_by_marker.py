"""Servers that know ListObjects, and no ListObjectsV2: all guarantees hold there as well."""

import os
from pathlib import Path
from typing import Literal

import pytest

from asyncsync.errors import ListingError
from tests.faults.remote.scene import BOTH, FIRST
from tests.rigs.acts import s3_error
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Rule
from tests.rigs.fault_run import synced
from tests.rigs.scripted_s3 import Answer, ScriptedS3, sync
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio

KEYS = [
    *[f"{folder}/{number:02}.csv" for folder in ("1hz", "fft hub", "z+&é") for number in range(40)],
    os.fsdecode(b"bytes/\xff\xfe.csv"),
    "root.csv",
]
OBJECTS = {key: key.encode("utf-8", "surrogateescape") for key in KEYS}

second = pytest.mark.parametrize("second", ["refused", "ignored"])


@second
@pytest.mark.parametrize("page_size", [1, 7, 30, 1000])
@pytest.mark.parametrize("encodes", [True, False])
async def test_every_object_arrives(
    dest: Path, second: Literal["refused", "ignored"], page_size: int, encodes: bool
) -> None:
    """By the short way and by aioboto3's client, with whatever pages; and it is told once."""
    objects = OBJECTS if encodes else {k: v for k, v in OBJECTS.items() if k.isprintable()}
    async with ScriptedS3(objects, page_size=page_size, encodes=encodes, second=second) as s3:
        ran = await sync(s3, dest)
        versions = [request.version for request in s3.requests if request.verb == "LIST"]
    assert (ran.code, ran.error) == (0, None)
    assert tree(dest) == objects
    assert ran.seen.notices == [
        "the server knows no ListObjectsV2, so the bucket is listed by ListObjects"
    ]
    assert versions[0] == 2
    assert versions.count(2) == 1


@second
async def test_prefixes_are_listed_side_by_side(
    dest: Path, second: Literal["refused", "ignored"]
) -> None:
    """Each by its own markers; nothing else is listed."""
    async with ScriptedS3(OBJECTS, page_size=7, second=second) as s3:
        ran = await sync(s3, dest, "1hz/", "fft")
    assert ran.code == 0
    assert tree(dest).keys() == {key for key in KEYS if key.startswith(("1hz/", "fft"))}


async def test_pages_that_repeat_end_the_run(dest: Path) -> None:
    """A server that does not know markers either sends the first page for ever."""
    async with ScriptedS3(OBJECTS, page_size=7, second="ignored") as s3:
        keys = sorted(KEYS)[:7]
        s3.on_list = lambda _: Answer(s3.page(*keys, marker="", truncated=True))
        ran = await sync(s3, dest)
    assert (ran.code, type(ran.error)) == (4, ListingError)


async def test_page_without_anything_behind_which_more_could_follow_ends_the_run(
    dest: Path,
) -> None:
    """There is no marker to continue with."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lambda _: Answer(s3.page(marker="", truncated=True))
        ran = await sync(s3, dest)
    assert (ran.code, type(ran.error)) == (4, ListingError)


@pytest.mark.parametrize(("status", "code"), [("501 No", "NotImplemented"), ("400 Bad", "Unknown")])
async def test_real_server_is_listed_by_its_first_version(
    bucket: Bucket, dest: Path, status: str, code: str
) -> None:
    """SeaweedFS knows both; here the newer one is refused."""
    refused = Rule("LIST", "*", s3_error(status, code), nth=FIRST)
    run = await synced(bucket, dest, refused)
    assert run.ended_by == (None, 0)
    assert run.tree == BOTH
