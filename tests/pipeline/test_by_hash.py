"""Files that are here already, and are up to date by their size or by their hash."""

import errno
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncsync import pipeline
from asyncsync.disk import Folder
from asyncsync.disk.state.place import Place
from asyncsync.errors import AccessDeniedError, DestinationError, ListingError, NotParquetError
from asyncsync.interfaces import Observers
from asyncsync.model import Checks, Compare, Reason
from asyncsync.report import Plan, Report
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import OBJECTS, Rig
from tests.rigs.state import STATE
from tests.rigs.watch import Watcher, snapshot, tree, unfinished

pytestmark = pytest.mark.anyio
KEY = "root.parquet"


def bring(dest: Path, files: Mapping[str, bytes] = OBJECTS) -> None:
    """Do what another tool does: write files, and leave them the time at which it did."""
    for name, content in files.items():
        (dest / name).parent.mkdir(parents=True, exist_ok=True)
        (dest / name).write_bytes(content)


def age(path: Path) -> None:
    """Let a file be older than any object."""
    os.utime(path, (1_000_000_000, 1_000_000_000))


def job(rig: Rig, report: Report, **changes: object) -> pipeline.Job:
    """Return what to work on by hash; the report and a new watcher see it."""
    rig.watcher = Watcher()
    rig.store.requests.clear()
    observed = {"compare": Compare.HASH, "observer": Observers(report, rig.watcher), **changes}
    return replace(rig.job(), **observed)  # type: ignore[arg-type]


async def sync(rig: Rig, **changes: object) -> Report:
    """Sync by hash, and return the report."""
    report = Report()
    with anyio.fail_after(25):
        await pipeline.sync(job(rig, report, **changes))
    assert unfinished(rig.dest) == []
    return report


def reasons(rig: Rig) -> dict[str, Reason]:
    """Return why objects were fetched, by key."""
    return {t.remote.key: t.reason for page in rig.watcher.pages for t in page.transfers}


@pytest.mark.parametrize("older", [True, False], ids=["older", "younger"])
async def test_file_that_is_the_object_is_taken_as_it_is(dest: Path, *, older: bool) -> None:
    """It gets the object's time, and so is up to date for a later run that compares times."""
    rig = Rig(dest)
    bring(dest)
    for path in (dest / key for key in OBJECTS):
        if older:
            age(path)
    report = await sync(rig)
    assert (report.up_to_date, report.downloaded, report.total.to_download) == (len(OBJECTS), 0, 0)
    assert report.total.in_bucket == len(OBJECTS)
    assert (report.proven["md5"], report.exit_code) == (len(OBJECTS), 0)
    assert rig.store.count("get") == 0
    for key in OBJECTS:
        assert (dest / key).stat().st_mtime_ns == rig.store.remote(key).modified_ns
    assert (await rig.again()).downloaded == []


async def test_file_that_was_taken_counts_as_made_here(dest: Path) -> None:
    """So it is fetched again when somebody edits it."""
    rig = Rig(dest)
    bring(dest)
    await sync(rig)
    (dest / KEY).write_bytes(b"toor")
    assert (await rig.again()).downloaded == [KEY]
    assert reasons(rig) == {KEY: Reason.EDITED}


async def test_file_of_another_hash_is_replaced(dest: Path) -> None:
    """Even if its size and its time are the object's; one of another size is not read for that."""
    rig = Rig(dest)
    await rig.sync()
    for name, content in {KEY: b"toor", "1hz/b.parquet": b"longer"}.items():
        modified = (dest / name).stat().st_mtime_ns
        (dest / name).write_bytes(content)
        os.utime(dest / name, ns=(modified, modified))
    report = await sync(rig)
    assert (report.downloaded, report.up_to_date) == (2, len(OBJECTS) - 2)
    assert reasons(rig) == {KEY: Reason.HASH_DIFFERS, "1hz/b.parquet": Reason.SIZE_DIFFERS}
    assert report.total.in_bucket == len(OBJECTS)
    assert tree(dest) == OBJECTS


async def test_what_no_hash_proves_is_fetched(dest: Path) -> None:
    """The download brings the same, and the next run by hash does so again."""
    rig = Rig(dest)
    await rig.sync()
    key = "fft_hub1/c.parquet"
    rig.store.set_etag(key, "opaque")
    report = await sync(rig)
    assert (report.downloaded, reasons(rig)) == (1, {key: Reason.UNPROVEN})


async def test_file_that_changes_while_it_is_read_proves_nothing(dest: Path) -> None:
    """Its bytes may be a mixture, or others by now."""
    rig = Rig(dest, {KEY: b"root"})
    bring(dest, {KEY: b"root"})

    def change() -> None:
        (dest / KEY).write_bytes(b"toor")
        (dest / KEY).write_bytes(b"root")

    rig.store.on("head", KEY, Act(before=change))
    report = await sync(rig)
    assert (report.downloaded, reasons(rig)) == (1, {KEY: Reason.UNPROVEN})


async def test_plan_by_hash_reads_and_writes_nothing(dest: Path) -> None:
    """It names what would be fetched, and counts as up to date what a sync would take."""
    rig = Rig(dest)
    bring(dest, {**OBJECTS, KEY: b"toor"})
    before = snapshot(dest)
    plan = Plan()
    with anyio.fail_after(25):
        await pipeline.plan(job(rig, plan))
    assert [transfer.remote.key for transfer in plan] == [KEY]
    assert (plan.up_to_date, plan.total.to_download, plan.growth) == (len(OBJECTS) - 1, 1, 0)
    assert plan.total.in_bucket == len(OBJECTS)
    assert rig.store.count("get") == 0
    assert snapshot(dest) == before
    assert rig.watcher.listings_ended == 1
    assert rig.watcher.outcomes == []


async def test_totals_are_final_when_the_listing_counts_as_ended(dest: Path) -> None:
    """A file that is still being read may yet become a transfer."""
    rig = Rig(dest)
    bring(dest, {**OBJECTS, KEY: b"toor"})
    seen: list[int] = []
    report = Report()
    work = job(rig, report)
    rig.watcher = Watcher(on_listed=lambda: seen.append(report.total.to_download))
    go_on = anyio.Event()
    rig.store.on("head", KEY, Act(until=go_on))
    rig.store.on("head", "1hz/b.parquet", Act(before=go_on.set))
    await pipeline.sync(replace(work, observer=Observers(report, rig.watcher)))
    assert seen == [1]


async def test_object_that_is_listed_twice_is_decided_once(dest: Path) -> None:
    """And the run ends."""
    rig = Rig(dest, {KEY: b"root"})
    bring(dest, {KEY: b"toor"})
    remote = rig.store.remote(KEY)
    rig.store.requests.clear()
    report = await sync(rig, planned=iter([[remote], [remote]]))
    assert (report.downloaded, tree(dest)) == (1, {KEY: b"root"})


async def test_listing_that_fails_leaves_what_was_decided(dest: Path) -> None:
    """Files of earlier pages are read and taken."""
    rig = Rig(dest, page_size=2)
    bring(dest)
    rig.store.on("list", "", Act(), Act(error=ListingError("broken")))
    with pytest.raises(ListingError), anyio.fail_after(25):
        await sync(rig)
    first = dest / "1hz/b.parquet"
    assert first.stat().st_mtime_ns == rig.store.remote("1hz/b.parquet").modified_ns


async def test_object_that_may_not_be_read_fails_alone(dest: Path) -> None:
    """When its file cannot be proven, its download tells what is wrong."""
    rig = Rig(dest)
    bring(dest)
    denied = AccessDeniedError(KEY, "denied")
    rig.store.always("head", KEY, Act(error=denied))
    report = await sync(rig)
    assert (report.failed, report.up_to_date) == (1, len(OBJECTS) - 1)
    assert rig.watcher.failures == {KEY: AccessDeniedError}
    assert report.total.in_bucket == len(OBJECTS)


async def test_object_that_is_no_parquet_fails_without_a_download(dest: Path) -> None:
    """The file proves that the object is like that."""
    rig = Rig(dest)
    bring(dest)
    report = await sync(rig, checks=Checks(parquet=True))
    assert report.failed == len(OBJECTS)
    assert set(rig.watcher.failures.values()) == {NotParquetError}
    assert rig.store.count("get") == 0


async def test_taken_files_need_no_right_to_write_if_they_have_their_times(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading will do for what is in step; otherwise the run ends before the first GET."""
    rig = Rig(dest)
    await rig.sync()

    async def refuse(self: Folder) -> bool:
        raise DestinationError("read-only")

    monkeypatch.setattr(Folder, "begin_writing", refuse)
    assert (await sync(rig)).up_to_date == len(OBJECTS)
    for change in (age, lambda path: path.write_bytes(b"toor")):
        change(dest / KEY)
        with pytest.raises(DestinationError, match="read-only"):
            await sync(rig)
        assert rig.store.count("get") == 0


async def test_taken_files_need_no_state_either(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no run has written yet, and none can."""
    rig = Rig(dest)
    bring(dest)
    for key in OBJECTS:
        modified_ns = rig.store.remote(key).modified_ns
        os.utime(dest / key, ns=(modified_ns, modified_ns))

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Place, "open_state", refuse)
    assert (await sync(rig)).up_to_date == len(OBJECTS)
    assert tree(dest) == OBJECTS


@pytest.mark.row(120)
async def test_unsure_file_that_is_the_object_is_sure_again(dest: Path) -> None:
    """Its bytes have been read from the disk, and its change time is a new one."""
    rig = Rig(dest, {KEY: b"root"})
    await rig.sync()
    period = f"0 {time.time_ns() + 10**15}\n"
    (dest / STATE / "doubtful").write_text(period, encoding="ascii")
    report = await sync(rig)
    assert (report.up_to_date, report.downloaded) == (1, 0)
    assert (await rig.again()).downloaded == []


async def test_file_that_cannot_be_given_its_time_is_fetched(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of another user; what replaces it is this user's."""
    rig = Rig(dest, {KEY: b"root"})
    bring(dest, {KEY: b"root"})

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("asyncsync.disk.publish.Publisher.adopt", refuse)
    report = await sync(rig)
    assert (report.downloaded, reasons(rig)) == (1, {KEY: Reason.UNPROVEN})


async def test_by_size_any_file_of_the_size_is_up_to_date(dest: Path) -> None:
    """Older or edited, and nothing is asked about it; one of another size is fetched."""
    rig = Rig(dest)
    await rig.sync()
    age(dest / "1hz/b.parquet")
    (dest / KEY).write_bytes(b"toor")
    (dest / "1hz/2026/01/a.parquet").write_bytes(b"longer")
    report = await sync(rig, compare=Compare.SIZE)
    assert (report.downloaded, report.up_to_date) == (1, len(OBJECTS) - 1)
    assert reasons(rig) == {"1hz/2026/01/a.parquet": Reason.SIZE_DIFFERS}
    assert rig.store.count("head") == 1


async def test_verification_by_hash_reads_the_files(dest: Path) -> None:
    """What is not proven fails, and nothing is changed."""
    rig = Rig(dest)
    bring(dest, {**OBJECTS, KEY: b"toor"})
    before = snapshot(dest)
    report = Report()
    await pipeline.verify(job(rig, report))
    assert (report.verified, report.failed) == (len(OBJECTS) - 1, 1)
    assert list(rig.watcher.failures) == [KEY]
    assert snapshot(dest) == before
