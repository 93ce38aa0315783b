"""A folder that more than one bucket is synced to."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from asyncsync import pipeline
from asyncsync.disk import PART
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state.published import Published
from asyncsync.errors import BucketError, IntegrityError, SourceError
from asyncsync.model import Reason
from tests.rigs.child import asyncsync
from tests.rigs.failing_disk import failing_call
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import OBJECTS, Rig
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.state import STATE
from tests.rigs.watch import snapshot, tree, unfinished

pytestmark = pytest.mark.anyio
KEY = "root.parquet"
ALIKE = {key: data[::-1] if key == KEY else data for key, data in OBJECTS.items()}
"""Objects of another bucket, of the same sizes and times; one has other bytes."""


def rig(dest: Path, source: str, objects: Mapping[str, bytes] = OBJECTS) -> Rig:
    """Return a pipeline from a bucket of this name."""
    rig = Rig(dest, objects)
    rig.source = source
    return rig


def asked(rig: Rig) -> set[str]:
    """Return what was asked, besides the listing."""
    return {request.key for request in rig.store.requests if request.verb != "list"}


@pytest.mark.row(143)
async def test_nothing_of_another_bucket_is_up_to_date_by_chance(dest: Path) -> None:
    """What has the size and the time of an object is read, and replaced if its hash differs."""
    await rig(dest, "one").sync()
    other = rig(dest, "other", ALIKE)
    seen = await other.sync()
    assert seen.downloaded == [KEY]
    reasons = {t.remote.key: t.reason for page in seen.pages for t in page.transfers}
    assert reasons == {KEY: Reason.HASH_DIFFERS}
    assert tree(dest) == ALIKE
    [notice] = seen.notices
    assert "was synced from one, and this run is for other" in notice


@pytest.mark.row(143)
@pytest.mark.parametrize("quiet", [(), ("--quiet",)], ids=["", "quiet"])
async def test_another_bucket_is_told_aloud(dest: Path, quiet: tuple[str, ...]) -> None:
    """Once, with --quiet as well; the endpoint matters as the bucket's name does."""
    async with ScriptedS3({KEY: b"one"}) as one, ScriptedS3({KEY: b"two"}) as other:
        arguments = ("--dest", str(dest), "--no-progress", "--no-parquet-check", *quiet)
        for s3, told in ((one, False), (other, True), (other, False), (one, False)):
            done = await asyncsync(s3.environment, *arguments)
            assert (done.code, "was synced from" in done.err) == (0, told)
            assert tree(dest) == s3.objects


async def test_bucket_under_another_name_is_read_once(dest: Path) -> None:
    """Nothing is fetched, and from then on the files are known to be from there, and not before."""
    await rig(dest, "one").sync()
    renamed = rig(dest, "renamed")
    assert (await renamed.sync()).downloaded == []
    assert renamed.store.count("get") == 0
    assert asked(renamed) == set(OBJECTS)
    seen = await renamed.again()
    assert (asked(renamed), seen.notices) == (set(), [])
    again = rig(dest, "one")
    await again.sync()
    assert asked(again) == set(OBJECTS)


async def test_two_buckets_of_different_keys_share_a_folder(dest: Path) -> None:
    """After the first sync of each, neither reads or asks for anything, whoever was last."""
    other = {"more/x.parquet": b"x", "y.parquet": b"y"}
    for source, objects in (("one", OBJECTS), ("other", other)) * 2:
        await rig(dest, source, objects).sync()
    for source, objects in (("one", OBJECTS), ("other", other)):
        last = rig(dest, source, objects)
        assert (await last.sync()).notices == []
        assert asked(last) == set()
    assert tree(dest) == dict(sorted({**OBJECTS, **other}.items(), key=lambda i: i[0].split("/")))


async def test_doubts_outlive_a_run_that_is_cut_short(dest: Path) -> None:
    """The bucket is noted before the first file, and each file when it is proven."""
    await rig(dest, "one").sync()
    cut = rig(dest, "other", ALIKE)

    def fail() -> None:
        raise ZeroDivisionError

    cut.store.on("head", KEY, Act(before=fail))
    with pytest.raises(ZeroDivisionError):
        await cut.sync()
    other = rig(dest, "other", ALIKE)
    assert (await other.sync()).downloaded == [KEY]
    assert tree(dest) == ALIKE


async def test_plan_and_verification_know_of_the_other_bucket(dest: Path) -> None:
    """They read the files in doubt as well, say so, and change nothing."""
    await rig(dest, "one").sync()
    before = snapshot(dest)
    planned = rig(dest, "other", ALIKE)
    await pipeline.plan(planned.job())
    assert [t.remote.key for page in planned.watcher.pages for t in page.transfers] == [KEY]
    verified = rig(dest, "other", ALIKE)
    await pipeline.verify(verified.job())
    assert verified.watcher.failures == {KEY: IntegrityError}
    assert len(planned.watcher.notices) == len(verified.watcher.notices) == 1
    assert snapshot(dest) == before


@pytest.mark.row(143)
@pytest.mark.parametrize("key", [KEY, "fft_hub1/c.parquet"], ids=["small", "large"])
async def test_file_that_did_not_get_its_name_is_in_no_record(
    dest: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """So the one of another bucket that is still there is not taken for it, as after a kill."""
    await rig(dest, "one").sync()
    alike = {**OBJECTS, key: bytes(255 - byte for byte in OBJECTS[key])}
    with monkeypatch.context() as failing:
        failing.setattr(Directory, "move", failing_call(errno.EIO))
        failed = await rig(dest, "other", alike).sync()
        assert list(failed.failures) == [key]
    assert tree(dest) == OBJECTS
    assert (await rig(dest, "other", alike).sync()).downloaded == [key]
    assert tree(dest) == alike


@pytest.mark.row(143)
async def test_file_that_got_its_name_and_no_record_is_nobodys(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill between the two, the bucket that had published it before reads it as well."""
    await rig(dest, "one").sync()
    await rig(dest, "other", ALIKE).sync()
    with monkeypatch.context() as killed:
        killed.setattr(Published, "confirm", lambda *_: None)
        assert (await rig(dest, "one").sync()).downloaded == [KEY]
    last = rig(dest, "other", ALIKE)
    assert (await last.sync()).downloaded == [KEY]
    assert tree(dest) == ALIKE


@pytest.mark.row(143)
async def test_unfinished_file_of_another_bucket_is_not_continued(dest: Path) -> None:
    """Where ETags are no hashes, objects of two buckets may have the same key, size and ETag."""
    contents = {source: os.urandom(3 * PART) for source in ("one", "other")}
    for source, content in contents.items():
        rig_ = rig(dest, source, {KEY: content})
        rig_.workers = 1
        rig_.store.set_etag(KEY, "1")
        if source == "one":
            rig_.store.on("get", KEY, Act(), Act(error=SourceError("gone")))
            with pytest.raises(SourceError):
                await rig_.sync()
            assert unfinished(dest) != []
        else:
            assert (await rig_.sync()).downloaded == [KEY]
    assert tree(dest) == {KEY: contents["other"]}


async def test_folder_without_a_note_is_trusted_as_ever(dest: Path) -> None:
    """As one that an earlier version has synced, or whose note somebody removed on purpose."""
    await rig(dest, "one").sync()
    (dest / STATE / "sources").unlink()
    other = rig(dest, "other")
    seen = await other.sync()
    assert (asked(other), seen.notices) == (set(), [])
    assert (dest / STATE / "sources").exists()


@pytest.mark.row(143)
async def test_bucket_that_does_not_answer_is_not_noted(dest: Path) -> None:
    """One that was mistyped would make each later run doubt what is here."""
    mistyped = rig(dest, "mistyped")
    mistyped.store.always("list", "", Act(error=BucketError("no such bucket")))
    with pytest.raises(BucketError):
        await mistyped.sync()
    seen = await rig(dest, "one").sync()
    assert (seen.downloaded, seen.notices) == (sorted(OBJECTS), [])
    seen = await rig(dest, "one").sync()
    assert (seen.downloaded, seen.notices) == ([], [])
