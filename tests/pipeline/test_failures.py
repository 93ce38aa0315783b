"""Failures of objects, of the source and of the destination."""

import errno
import os
from pathlib import Path

import anyio
import pytest

from asyncsync.errors import (
    AccessDeniedError,
    AuthError,
    DestinationError,
    DiskFullError,
    IntegrityError,
    ListingError,
    LocalFileError,
    LockHeldError,
    RemoteChangedError,
    RetriesExhaustedError,
    ServerError,
    UnsafeKeyError,
    VanishedError,
)
from asyncsync.model import Head, Outcome
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import OBJECTS, Rig
from tests.rigs.state import PARTS
from tests.rigs.watch import Watcher, tree, unfinished

pytestmark = pytest.mark.anyio


async def test_failing_objects_do_not_stop_the_others(dest: Path) -> None:
    """Each fails with its own error; all others are downloaded."""
    rig = Rig(dest)
    bad = [f"bad/{number}.parquet" for number in range(6)]
    rig.store.put_many(dict.fromkeys(bad, b"bad"))
    store = rig.store
    store.always("get", bad[0], Act(error=AccessDeniedError(bad[0], "403")))
    store.always("get", bad[1], Act(error=ServerError("500")))
    store.always("get", bad[2], Act(error=RemoteChangedError(bad[2], "412")))
    store.always("head", bad[3], Act(head=Head(99, "")))
    store.always("head", bad[4], Act(error=VanishedError(bad[4], "404")))
    (dest / "bad").mkdir(parents=True)
    os.mkfifo(dest / bad[5])
    seen = await rig.sync()
    assert seen.failures == {
        bad[0]: AccessDeniedError,
        bad[1]: RetriesExhaustedError,
        bad[2]: RemoteChangedError,
        bad[3]: IntegrityError,
        bad[4]: VanishedError,
        bad[5]: LocalFileError,
    }
    assert seen.downloaded == sorted(OBJECTS)
    (dest / bad[5]).unlink()
    assert tree(dest) == OBJECTS


async def test_hostile_keys_are_refused_and_nothing_leaves_the_folder(dest: Path) -> None:
    """Each is reported as failed, without a request for it."""
    hostile = ["../x.parquet", "/etc/x.parquet", "a//b.parquet", ".asyncsync/x.parquet"]
    rig = Rig(dest, {**OBJECTS, **dict.fromkeys(hostile, b"evil")})
    seen = await rig.sync()
    assert seen.failures == dict.fromkeys(hostile, UnsafeKeyError)
    assert tree(dest) == OBJECTS
    assert [path.name for path in dest.parent.iterdir()] == ["dest"]
    assert not {request.key for request in rig.store.requests if request.verb == "get"} & {*hostile}


async def test_listing_error_does_not_cancel_downloads(dest: Path) -> None:
    """Downloads in flight are finished when a page fails; then the error is raised.

    `b.parquet` is left out: only the next page could show whether keys are below it.
    """
    rig = Rig(dest, dict.fromkeys(["a.parquet", "b.parquet", "c.parquet"], b"x"), page_size=2)
    failed = anyio.Event()
    rig.store.always("get", "a.parquet", Act(until=failed))
    error = ListingError("no more")
    rig.store.on("list", "", Act(), *[Act(before=failed.set, error=error)] * 2)
    with pytest.raises(ListingError, match="no more"):
        await rig.sync()
    assert rig.watcher.downloaded == ["a.parquet"]
    assert sorted(tree(dest)) == ["a.parquet"]
    assert rig.watcher.listings_ended == 0


@pytest.mark.parametrize("page_size", [10, 17, 100])
async def test_key_that_is_not_utf8_loses_no_other_key(dest: Path, page_size: int) -> None:
    """The listing goes on alone if it was cut before, and no key is lost."""
    keys = [f"p/{number:03}.parquet" for number in range(300)] + ["p/250\udcff.parquet"]
    rig = Rig(dest, dict.fromkeys(keys, b"x"), page_size=page_size)
    await rig.sync()
    assert sorted(tree(dest)) == sorted(keys)


async def test_key_that_is_not_utf8_and_arrives_damaged_is_fetched_again(dest: Path) -> None:
    """It cannot be listed by name, and is not on the first page of its prefix."""
    key = "p/\udcff.parquet"
    rig = Rig(dest, {f"p/{number}.parquet": b"1" for number in range(5)} | {key: b"data"})
    rig.store.page_size = 2
    rig.store.on("get", key, Act(body=b"dama"))
    seen = await rig.sync()
    assert seen.failures == {}
    assert tree(dest)[key] == b"data"


async def test_prefix_is_not_reported_as_unmatched_when_its_listing_failed(dest: Path) -> None:
    """It may have matching keys."""
    rig = Rig(dest)
    rig.prefixes = ["1hz/"]
    rig.store.always("list", "1hz/", Act(error=AuthError("no")))
    with pytest.raises(AuthError):
        await rig.sync()
    assert rig.watcher.unmatched_prefixes == []


async def test_error_about_the_source_ends_the_run_at_once(dest: Path) -> None:
    """Expired credentials cancel everything that waits."""
    rig = Rig(dest)
    rig.store.always("get", "root.parquet", Act(error=AuthError("expired")))
    for key in ("1hz/b.parquet", "fft_hub1/c.parquet"):  # of which nothing comes, to be kept
        rig.store.always("get", key, Act(until=anyio.Event()))
    rig.store.always("list", "fft_hub1/", Act(until=anyio.Event()))
    with pytest.raises(AuthError, match="expired"):
        await rig.sync()
    assert unfinished(dest) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, DiskFullError), (errno.EDQUOT, DiskFullError), (errno.EROFS, DestinationError)],
)
async def test_error_about_the_destination_ends_the_run_at_once(
    dest: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[DestinationError]
) -> None:
    """No object can be written any more, so all downloads are cancelled."""

    def utime(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "utime", utime)
    rig = Rig(dest)
    for key in ("1hz/b.parquet", "fft_hub1/c.parquet"):  # of which nothing comes, to be kept
        rig.store.always("get", key, Act(until=anyio.Event()))
    rig.store.always("list", "fft_hub1/", Act(until=anyio.Event()))
    with pytest.raises(kind, match=os.strerror(number)):
        await rig.sync()
    assert tree(dest) == {}
    assert unfinished(dest) == []


async def test_destination_that_cannot_be_created_causes_no_request(tmp_path: Path) -> None:
    """A file is where the folder should be."""
    (tmp_path / "file").write_bytes(b"mine")
    for dest in (tmp_path / "file", tmp_path / "file" / "below"):
        rig = Rig(dest)
        with pytest.raises(DestinationError):
            await rig.sync()
        assert rig.store.requests == []


async def test_second_run_on_one_folder_is_refused(dest: Path) -> None:
    """It sends no request, and the first run continues."""
    rig = Rig(dest)
    go_on = anyio.Event()
    asked = anyio.Event()
    rig.store.on("get", "root.parquet", Act(before=asked.set, until=go_on))
    other = Rig(dest)
    async with anyio.create_task_group() as group:
        group.start_soon(rig.sync)
        await asked.wait()
        with pytest.raises(LockHeldError, match=f"process {os.getpid()}"):
            await other.sync()
        go_on.set()
    assert other.store.requests == []
    assert tree(dest) == OBJECTS


async def test_bug_in_a_worker_ends_the_run(dest: Path) -> None:
    """The exception is raised unchanged, all other tasks are cancelled, and nothing hangs."""

    def bug(outcome: Outcome) -> None:
        raise ZeroDivisionError

    rig = Rig(dest)
    rig.watcher = Watcher(on_ended=bug)
    rig.store.always("get", "root.parquet", Act(until=anyio.Event()))
    with pytest.raises(ZeroDivisionError):
        await rig.sync()


async def test_cancelled_run_leaves_nothing_half_done(dest: Path) -> None:
    """Complete files stay, unfinished ones are removed, and the lock is released."""
    rig = Rig(dest)
    arrived = anyio.Event()
    rig.watcher = Watcher(on_ended=lambda outcome: arrived.set())
    for key in OBJECTS:
        if key != "root.parquet":
            rig.store.on("get", key, Act(until=anyio.Event()))
    async with anyio.create_task_group() as group:
        group.start_soon(rig.sync)
        await arrived.wait()
        group.cancel_scope.cancel()
    assert tree(dest) == {"root.parquet": b"root"}
    assert unfinished(dest) == []
    rig.store.behave()
    await rig.again()
    assert tree(dest) == OBJECTS


async def test_unfinished_files_of_a_killed_run_are_removed(dest: Path) -> None:
    """The next run removes them."""
    parts = dest / PARTS
    parts.mkdir(parents=True)
    (parts / "0123").write_bytes(b"half")
    await Rig(dest).sync()
    assert tree(dest) == OBJECTS
