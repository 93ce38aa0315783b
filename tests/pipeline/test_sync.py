"""Sync: what is listed, compared, queued and downloaded at the same time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from asyncsync import pipeline
from asyncsync.errors import DiskFullError, OutOfStepError
from asyncsync.listing.listing import LISTS_AT_ONCE
from asyncsync.listing.outline import MOST_PAGES
from asyncsync.model import Page, Reason
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import OBJECTS, Rig
from tests.rigs.state import STATE
from tests.rigs.watch import Watcher, snapshot, tree, unfinished

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("page_size", [1, 1000])
async def test_tree_equals_the_bucket(dest: Path, page_size: int) -> None:
    """Every selected object becomes the file of its key."""
    rig = Rig(dest, {**OBJECTS, "folder/": b"", "1hz/notes.txt": b"-"}, page_size=page_size)
    seen = await rig.sync()
    assert tree(dest) == OBJECTS
    assert seen.downloaded == sorted(OBJECTS)
    assert seen.failures == {}
    assert seen.listings_ended == 1


async def test_second_run_only_lists(dest: Path) -> None:
    """It sends no GET or HEAD, and writes nothing."""
    rig = Rig(dest)
    await rig.sync()
    before = {path: status for path, status in snapshot(dest).items() if ".asyncsync" not in path}
    seen = await rig.again()
    assert {request.verb for request in rig.store.requests} == {"list"}
    assert sum(len(page.up_to_date) for page in seen.pages) == len(OBJECTS)
    assert seen.outcomes == []
    after = {path: status for path, status in snapshot(dest).items() if ".asyncsync" not in path}
    assert after == before


async def test_what_changed_is_fetched_with_its_reason(dest: Path) -> None:
    """Objects that are missing, of another size or newer are downloaded, and no others."""
    rig = Rig(dest)
    await rig.sync()
    (dest / "root.parquet").unlink()
    (dest / "1hz/b.parquet").write_bytes(b"cut")
    rig.store.put("1hz/2026/01/a.parquet", b"A")
    seen = await rig.again()
    reasons = {t.remote.key: t.reason for page in seen.pages for t in page.transfers}
    assert reasons == {
        "root.parquet": Reason.MISSING,
        "1hz/b.parquet": Reason.SIZE_DIFFERS,
        "1hz/2026/01/a.parquet": Reason.NEWER,
    }
    assert tree(dest) == {**OBJECTS, "1hz/2026/01/a.parquet": b"A"}


async def test_file_without_an_object_stays(dest: Path) -> None:
    """A sync deletes nothing."""
    (dest / "1hz").mkdir(parents=True)
    (dest / "1hz/mine.parquet").write_bytes(b"mine")
    (dest / "notes.txt").write_bytes(b"notes")
    seen = await Rig(dest).sync()
    assert tree(dest) == {**OBJECTS, "1hz/mine.parquet": b"mine", "notes.txt": b"notes"}
    assert seen.files == {"1hz/": 1}


async def test_selection_holds_for_objects_and_files(dest: Path) -> None:
    """The same globs select objects and files."""
    rig = Rig(dest, {"1hz/a.csv": b"1", "1hz/b.csv": b"2", "1hz/c.parquet": b"3"})
    rig.include, rig.exclude = ["*.csv"], ["*/b.*"]
    (dest / "1hz").mkdir(parents=True)
    for name in ("b.csv", "c.parquet", "d.csv"):
        (dest / "1hz" / name).write_bytes(b"old")
    seen = await rig.sync()
    assert seen.downloaded == ["1hz/a.csv"]
    assert seen.files == {"1hz/": 1}


async def test_prefixes_that_match_nothing_are_reported(dest: Path) -> None:
    """So is one without a selected object; one that another prefix covers does match."""
    rig = Rig(dest, {**OBJECTS, "text/a.txt": b"-"})
    rig.prefixes = ["1hz/", "1hz/2026/", "1hz/2027/", "text/", "typo/"]
    seen = await rig.sync()
    assert seen.unmatched_prefixes == ["1hz/2027/", "text/", "typo/"]
    assert seen.downloaded == ["1hz/2026/01/a.parquet", "1hz/b.parquet"]


async def test_downloads_start_before_the_listing_ends(dest: Path) -> None:
    """Here the last page of the listing waits for the first file."""
    rig = Rig(dest, dict.fromkeys(["a.parquet", "b.parquet", "c.parquet"], b"x"), page_size=2)
    arrived = anyio.Event()
    rig.watcher = Watcher(on_ended=lambda outcome: arrived.set())
    rig.store.on("list", "", Act(), Act(until=arrived))
    await rig.sync()
    assert sorted(tree(dest)) == ["a.parquet", "b.parquet", "c.parquet"]


async def test_sync_check_does_not_wait_for_downloads(dest: Path) -> None:
    """The listing of some thousand objects ends while the first of them are on their way."""
    keys = [f"{number:04}.parquet" for number in range(5000)]
    rig = Rig(dest, dict.fromkeys(keys, b"x"), page_size=1000)
    rig.workers = 2
    listed = anyio.Event()
    rig.watcher = Watcher(on_listed=listed.set)
    for key in keys[:2]:
        rig.store.on("get", key, Act(until=anyio.Event()))
    with anyio.fail_after(25):
        async with anyio.create_task_group() as group:
            group.start_soon(rig.sync)
            await listed.wait()
            group.cancel_scope.cancel()
    assert rig.watcher.downloaded == []


async def test_far_ahead_listing_waits(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While downloads stand still, each listing requests one more page at most."""
    monkeypatch.setattr(pipeline, "QUEUE_SIZE", 4)
    keys = [f"{number:04}.parquet" for number in range(400)]
    rig = Rig(dest, dict.fromkeys(keys, b"x"), page_size=10)
    rig.workers = 2
    go_on = anyio.Event()
    for key in keys[:2]:
        rig.store.on("get", key, Act(until=go_on))
    async with anyio.create_task_group() as group:
        group.start_soon(rig.sync)
        with anyio.fail_after(25):
            while rig.store.count("get") < 2:
                await anyio.lowlevel.checkpoint()
            await _until_still(lambda: len(rig.store.requests))
        assert rig.store.count("list") <= 1 + LISTS_AT_ONCE + MOST_PAGES
        go_on.set()
    assert sorted(tree(dest)) == keys


async def _until_still(measure: Callable[[], int]) -> None:
    """Return when all tasks wait, and the measure has stopped growing."""
    before = -1
    while before != measure():
        before = measure()
        await anyio.to_thread.run_sync(int)  # after the results of other threads
        await anyio.wait_all_tasks_blocked()


async def test_key_that_is_listed_twice_is_fetched_once(dest: Path) -> None:
    """On one page, on two pages, and by overlapping prefixes."""
    rig = Rig(dest)
    remote = rig.store.remote("root.parquet")
    listed = anyio.Event()
    rig.watcher = Watcher(on_listed=listed.set)
    rig.store.on("get", remote.key, Act(until=listed))
    rig.store.on(
        "list", "", Act(page=Page([remote, remote], [], "A")), Act(page=Page([remote], [], ""))
    )
    seen = await rig.sync()
    assert seen.downloaded == ["root.parquet"]
    assert rig.store.count("get") == 1

    rig.prefixes = ["1hz/", "1hz/2026/", "1hz/"]
    seen = await rig.again()
    assert seen.downloaded == ["1hz/2026/01/a.parquet", "1hz/b.parquet"]
    assert rig.store.count("get") == 2


async def test_key_that_arrives_between_its_comparison_and_its_turn_is_fetched_once(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan named it a second time, and it was compared while its first download ran."""
    monkeypatch.setattr(pipeline, "QUEUE_SIZE", 1)
    rig = Rig(dest, dict.fromkeys(["a.parquet", "b.parquet", "c.parquet"], b"x"))
    rig.workers = 1
    a, b, c = (rig.store.remote(key) for key in ("a.parquet", "b.parquet", "c.parquet"))
    compared = anyio.Event()

    def on_compared() -> None:
        found = [transfer.remote for page in rig.watcher.pages for transfer in page.transfers]
        if found.count(a) == 2:
            compared.set()

    rig.watcher = Watcher(on_compared=on_compared)
    rig.store.on("get", a.key, Act(until=compared))
    with anyio.fail_after(25):
        await pipeline.sync(replace(rig.job(), planned=iter([[a, b], [c, a]])))
    assert rig.store.count("get", a.key) == 1


async def test_run_ends_when_what_is_found_no_longer_fits(tmp_path: Path) -> None:
    """Downloads that have started are kept; what is found later is not requested."""
    objects = {f"{number:02}.parquet": bytes([number]) * 1000 for number in range(30)}
    rig = Rig(tmp_path / "dest", objects, page_size=10)
    first = anyio.Event()
    rig.watcher = Watcher(on_ended=lambda outcome: first.set())
    rig.store.on("list", "", Act(), Act(until=first))
    found = SimpleNamespace(total=10**6, free=10_500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: found)
        with pytest.raises(DiskFullError, match=r"at least 18 kB needed, 10\.5 kB free"):
            await rig.sync()
    assert 1 <= len(rig.watcher.downloaded) <= 10
    assert {r.key for r in rig.store.requests if r.verb != "list"} <= {*list(objects)[:10]}
    assert unfinished(rig.dest) == []
    await rig.sync()
    assert tree(rig.dest) == objects


async def test_edited_file_is_replaced_and_one_of_another_tool_is_not(dest: Path) -> None:
    """An edited file fails in a verification and is downloaded again; another tool's is kept."""
    rig = Rig(dest, {"edited.parquet": b"data", "foreign.parquet": b"data"})
    await rig.sync()
    (dest / STATE / "published").unlink()
    (dest / "foreign.parquet").write_bytes(b"DATA")
    (dest / "edited.parquet").unlink()
    await rig.again()
    (dest / "edited.parquet").write_bytes(b"DATA")
    rig.watcher = Watcher()
    await pipeline.verify(rig.job())
    assert rig.watcher.failures == {"edited.parquet": OutOfStepError}
    assert rig.watcher.confirmed == ["foreign.parquet"]
    seen = await rig.again()
    assert seen.downloaded == ["edited.parquet"]
    assert tree(dest) == {"edited.parquet": b"data", "foreign.parquet": b"DATA"}
    (dest / "edited.parquet").write_bytes(b"DATA")
    (dest / STATE / "published").unlink()
    seen = await rig.again()
    assert seen.downloaded == []
