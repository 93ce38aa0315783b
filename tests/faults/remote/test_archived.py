"""Objects in an archive, from which nothing can be read before they are restored."""

from pathlib import Path

import pytest

from asyncsync.errors import ArchivedError
from asyncsync.report import plan_summary
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, sync
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio

OBJECTS = {f"1hz/{number}.csv": b"%d" % number for number in range(6)}
CLASSES = {
    "1hz/1.csv": "GLACIER",
    "1hz/2.csv": "DEEP_ARCHIVE",
    "1hz/3.csv": "GLACIER_IR",
    "1hz/4.csv": "INTELLIGENT_TIERING",
}


def with_classes(s3: ScriptedS3) -> Answer:
    """Return a page that tells the storage classes."""
    page = s3.page(*OBJECTS)
    for key, name in CLASSES.items():
        start = page.index(key.encode())
        end = page.index(b"</Contents>", start)
        page = page[:end] + f"<StorageClass>{name}</StorageClass>".encode() + page[end:]
    return Answer(page)


def archived(request: Request) -> Answer | None:
    """Answer as S3 does: HEAD is allowed, GET is not."""
    is_archived = CLASSES.get(request.key) in {"GLACIER", "DEEP_ARCHIVE"}
    if request.verb != "GET" or not is_archived:
        return None
    return Answer(b"<Error><Code>InvalidObjectState</Code></Error>", 403)


@pytest.mark.row(138)
async def test_archived_objects_are_skipped_and_counted(dest: Path) -> None:
    """By their storage class in the listing: no request is sent for them, and all others arrive."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lambda _: with_classes(s3)
        s3.on_object = archived
        ran = await sync(s3, dest)
        asked = {request.key for request in s3.requests if request.verb != "LIST"}
    skipped = ["1hz/1.csv", "1hz/2.csv"]
    assert (ran.code, ran.error) == (3, None)
    assert ran.seen.failures == dict.fromkeys(skipped, ArchivedError)
    assert asked == tree(dest).keys() == OBJECTS.keys() - set(skipped)
    assert (ran.report.skipped, ran.report.archived) == (2, 2)
    assert "2 skipped (2 archived)" in plan_summary(ran.report, None)
    told = str(ran.report.failures[0].error)
    assert told.startswith("archived (GLACIER); restore it")


@pytest.mark.row(138)
async def test_object_that_only_its_get_tells_to_be_archived_is_skipped(dest: Path) -> None:
    """As one that S3 has moved to an archive by itself (INTELLIGENT_TIERING)."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = archived
        ran = await sync(s3, dest)
    assert (ran.code, ran.report.archived, ran.report.downloaded) == (3, 2, 4)
    assert ran.seen.failures == dict.fromkeys(["1hz/1.csv", "1hz/2.csv"], ArchivedError)


@pytest.mark.row(138)
async def test_archived_object_whose_file_is_here_is_up_to_date(dest: Path) -> None:
    """Nothing is to be read then."""
    async with ScriptedS3(OBJECTS) as s3:
        await sync(s3, dest)
        s3.on_list = lambda _: with_classes(s3)
        ran = await sync(s3, dest)
    assert (ran.code, ran.report.up_to_date, ran.report.skipped) == (0, 6, 0)
