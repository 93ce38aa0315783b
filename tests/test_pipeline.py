"""The road as a whole: listing, comparing and downloading at the same time."""

import errno
import os
import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.disk import PART, Folder
from asyncsync.disk.folding import Folding
from asyncsync.download import proof
from asyncsync.download.download import SMALL
from asyncsync.errors import (
    AccessDeniedError,
    AuthError,
    ConfigError,
    DestinationError,
    DiskFullError,
    IntegrityError,
    KeyCollisionError,
    ListingError,
    LocalFileError,
    LockHeldError,
    NotParquetError,
    OutOfStepError,
    RemoteChangedError,
    RetriesExhaustedError,
    ServerError,
    SourceError,
    UnsafeKeyError,
    VanishedError,
)
from asyncsync.listing import Landmarks
from asyncsync.model import (
    Checks,
    Failed,
    Head,
    Outcome,
    Page,
    Proof,
    Reason,
    RemoteObject,
    UpToDate,
)
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.objects import parquet
from tests.rigs.watch import Watcher, quick_pace, snapshot, tree, unfinished

pytestmark = pytest.mark.anyio

OBJECTS: Mapping[str, bytes] = {
    "1hz/2026/01/a.parquet": b"a",
    "1hz/b.parquet": b"bb",
    "fft_hub1/c.parquet": bytes(SMALL + 1),
    "fft_hub1/empty.parquet": b"",
    "root.parquet": b"root",
}


class Rig:
    """A pipeline between a store and a folder."""

    def __init__(
        self, dest: Path, objects: Mapping[str, bytes] = OBJECTS, *, page_size: int = 1000
    ) -> None:
        self.dest = dest
        self.store = MemoryStore(objects, page_size=page_size)
        self.watcher = Watcher()
        self.prefixes: list[str] = []
        self.include = ["*.parquet"]
        self.exclude: list[str] = []
        self.workers = 8

    def job(self) -> pipeline.Job:
        """Return what to work on."""
        return pipeline.Job(
            store=self.store,
            folder=Folder(self.dest),
            selection=Selection(self.include, self.exclude, self.prefixes),
            pace=quick_pace(workers=self.workers),
            observer=self.watcher,
            checks=Checks(parquet=False),
        )

    async def sync(self) -> Watcher:
        """Sync, and return what there was to see."""
        with anyio.fail_after(10):
            await pipeline.sync(self.job())
        assert unfinished(self.dest) == []
        return self.watcher

    async def again(self) -> Watcher:
        """Sync once more, and return what there was to see this time."""
        self.watcher = Watcher()
        self.store.requests.clear()
        return await self.sync()


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """A destination that does not exist yet."""
    return tmp_path / "new" / "dest"


# sync -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_size", [1, 1000])
async def test_tree_equals_the_bucket(dest: Path, page_size: int) -> None:
    """Everything that counts arrives below its own key."""
    rig = Rig(dest, {**OBJECTS, "folder/": b"", "1hz/notes.txt": b"-"}, page_size=page_size)
    seen = await rig.sync()
    assert tree(dest) == OBJECTS
    assert seen.downloaded == sorted(OBJECTS)
    assert seen.failures == {}
    assert seen.listings_ended == 1


async def test_second_run_only_lists(dest: Path) -> None:
    """Nothing is fetched, asked about or written."""
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
    """Missing, of another size, newer; and nothing else."""
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
    """Nothing is deleted that the run did not make."""
    (dest / "1hz").mkdir(parents=True)
    (dest / "1hz/mine.parquet").write_bytes(b"mine")
    (dest / "notes.txt").write_bytes(b"notes")
    seen = await Rig(dest).sync()
    assert tree(dest) == {**OBJECTS, "1hz/mine.parquet": b"mine", "notes.txt": b"notes"}
    assert seen.files == {"1hz/": 1}


async def test_selection_counts_on_both_sides(dest: Path) -> None:
    """Files and objects are chosen by the same globs."""
    rig = Rig(dest, {"1hz/a.csv": b"1", "1hz/b.csv": b"2", "1hz/c.parquet": b"3"})
    rig.include, rig.exclude = ["*.csv"], ["*/b.*"]
    (dest / "1hz").mkdir(parents=True)
    for name in ("b.csv", "c.parquet", "d.csv"):
        (dest / "1hz" / name).write_bytes(b"old")
    seen = await rig.sync()
    assert seen.downloaded == ["1hz/a.csv"]
    assert seen.files == {"1hz/": 1}


async def test_prefixes_that_match_nothing_are_named(dest: Path) -> None:
    """Also one whose objects are all left out; one that is covered by another still counts."""
    rig = Rig(dest, {**OBJECTS, "text/a.txt": b"-"})
    rig.prefixes = ["1hz/", "1hz/2026/", "1hz/2027/", "text/", "typo/"]
    seen = await rig.sync()
    assert seen.unmatched_prefixes == ["1hz/2027/", "text/", "typo/"]
    assert seen.downloaded == ["1hz/2026/01/a.parquet", "1hz/b.parquet"]


async def test_downloads_start_before_the_listing_ends(dest: Path) -> None:
    """The last page of the listing waits for the first file."""
    rig = Rig(dest, dict.fromkeys(["a.parquet", "b.parquet", "c.parquet"], b"x"), page_size=2)
    arrived = anyio.Event()
    rig.watcher = Watcher(on_ended=lambda outcome: arrived.set())
    rig.store.on("list", "", Act(), Act(until=arrived))
    await rig.sync()
    assert sorted(tree(dest)) == ["a.parquet", "b.parquet", "c.parquet"]


async def test_far_ahead_listing_waits(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no object arrives, no more pages are asked for than the queue and the workers take."""
    monkeypatch.setattr(pipeline, "QUEUE_SIZE", 4)
    keys = [f"{number:04}.parquet" for number in range(400)]
    rig = Rig(dest, dict.fromkeys(keys, b"x"), page_size=10)
    rig.workers = 2
    go_on = anyio.Event()
    for key in keys[:2]:
        rig.store.on("get", key, Act(until=go_on))
    async with anyio.create_task_group() as group:
        group.start_soon(rig.sync)
        with anyio.fail_after(5):
            while rig.store.count("get") < 2:
                await anyio.lowlevel.checkpoint()
            await _until_still(lambda: len(rig.store.requests))
        assert rig.store.count("list") <= 3
        go_on.set()
    assert sorted(tree(dest)) == keys


async def _until_still(measure: Callable[[], int]) -> None:
    """Return when all tasks wait, threads included, and the measure has stopped growing."""
    before = -1
    while before != measure():
        before = measure()
        await anyio.to_thread.run_sync(int)  # behind what other threads have to tell
        await anyio.wait_all_tasks_blocked()


async def test_key_that_is_listed_twice_is_fetched_once(dest: Path) -> None:
    """On one page, on two pages, and by prefixes that cover each other."""
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
    """Its second listing was compared while its first download was still under way."""
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
    pages = [Page([], [], "more"), Page([a, b], [], "A"), Page([c, a], [], "")]
    rig.store.on("list", "", *(Act(page=page) for page in pages))
    await rig.sync()
    assert rig.store.count("get", a.key) == 1


# failures ---------------------------------------------------------------------------------------


async def test_failing_objects_do_not_stop_the_others(dest: Path) -> None:
    """Each ends with its own reason; all others arrive."""
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
    """They are failures with a key; nobody asks the bucket for them."""
    hostile = ["../x.parquet", "/etc/x.parquet", "a//b.parquet", ".asyncsync/x.parquet"]
    rig = Rig(dest, {**OBJECTS, **dict.fromkeys(hostile, b"evil")})
    seen = await rig.sync()
    assert seen.failures == dict.fromkeys(hostile, UnsafeKeyError)
    assert tree(dest) == OBJECTS
    assert [path.name for path in dest.parent.iterdir()] == ["dest"]
    assert not {request.key for request in rig.store.requests if request.verb == "get"} & {*hostile}


@pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
@pytest.mark.parametrize("top", ["", "1hz/"])
async def test_folder_wins_over_a_key_of_its_name(dest: Path, page_size: int, top: str) -> None:
    """On whatever page the two are, and again in the next run; a plan says the same."""
    names = ["x.parquet", "x.parquet-1.parquet", "x.parquet.parquet", "x.parquet/y/z.parquet"]
    objects = {top + name: b"data" for name in [*names, "y.parquet", "y.parquet/notes.txt"]}
    rig = Rig(dest, objects, page_size=page_size)
    await pipeline.plan(rig.job())
    assert rig.watcher.failures == {f"{top}x.parquet": KeyCollisionError}
    for _ in range(2):
        seen = await rig.again()
        assert seen.failures == {f"{top}x.parquet": KeyCollisionError}
        assert tree(dest) == {top + name: b"data" for name in [*names[1:], "y.parquet"]}


async def test_file_of_an_earlier_run_is_not_removed_for_a_folder(dest: Path) -> None:
    """The keys below it are refused, without a request for them, until it is moved away."""
    rig = Rig(dest, {"x.parquet": b"old"})
    await rig.sync()
    rig.store.put_many({"x.parquet": b"newer", "x.parquet/y.parquet": b"deep"})
    for _ in range(2):
        seen = await rig.again()
        assert seen.failures == {"x.parquet/y.parquet": KeyCollisionError}
        assert tree(dest) == {"x.parquet": b"newer"}
        assert rig.store.count("get", "x.parquet/y.parquet") == 0
    (dest / "x.parquet").unlink()
    seen = await rig.again()
    assert seen.failures == {"x.parquet": KeyCollisionError}
    assert tree(dest) == {"x.parquet/y.parquet": b"deep"}


async def test_no_run_asks_about_folders(dest: Path) -> None:
    """Pages tell, or those behind them; in the root, the prefixes that are discovered."""
    keys = [
        "a.parquet",
        "b.parquet",
        *(f"1hz/{number}.parquet" for number in range(9)),
        "c/d.parquet",
    ]
    rig = Rig(dest, dict.fromkeys(keys, b"x"), page_size=3)
    for run in (rig.sync, rig.again):
        await run()
        assert {r.key for r in rig.store.requests if r.verb == "list"} == {"", "1hz/", "c/"}
    assert sorted(tree(dest)) == sorted(keys)


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5, 1000])
@pytest.mark.parametrize("prefixes", [[], ["p/"], [""]])
async def test_folder_wins_wherever_a_page_ends(
    dest: Path, page_size: int, prefixes: list[str]
) -> None:
    """Its keys come pages later, behind others that sort before them, and maybe count not."""
    names = ["x", "x!", "x-1", "x-2", "x.parquet", "x/a.no", "x/b.no", "x/c", "x0", "z", "z/a.no"]
    rig = Rig(dest, {f"p/{name}": b"x" for name in names}, page_size=page_size)
    rig.prefixes, rig.include, rig.exclude = prefixes, ["*"], ["*.no"]
    await rig.sync()
    assert rig.watcher.failures == {"p/x": KeyCollisionError}
    assert set(tree(dest)) == {f"p/{name}" for name in names if name[-3:] != ".no"} - {"p/x"}


@pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
async def test_folder_wins_in_the_root(dest: Path, page_size: int) -> None:
    """Its prefix is rolled up, on the same page of the discovery or on a later one."""
    rig = Rig(dest, dict.fromkeys(["r", "r!", "r/s", "t", "t/a.no"], b"x"), page_size=page_size)
    rig.include, rig.exclude = ["*"], ["*.no"]
    await rig.sync()
    assert rig.watcher.failures == {"r": KeyCollisionError}
    assert set(tree(dest)) == {"r!", "r/s", "t"}


async def test_listing_error_does_not_take_back_what_was_begun(dest: Path) -> None:
    """What is under way when a page fails is finished; then the error is raised.

    What becomes of `b.parquet` is not known before the next page: there may be keys below it.
    """
    rig = Rig(dest, dict.fromkeys(["a.parquet", "b.parquet", "c.parquet"], b"x"), page_size=2)
    failed = anyio.Event()
    rig.store.always("get", "a.parquet", Act(until=failed))
    error = ListingError("no more")
    rig.store.on("list", "", Act(), Act(), Act(before=failed.set, error=error))
    with pytest.raises(ListingError, match="no more"):
        await rig.sync()
    assert rig.watcher.downloaded == ["a.parquet"]
    assert sorted(tree(dest)) == ["a.parquet"]
    assert rig.watcher.listings_ended == 0


@pytest.mark.parametrize("page_size", [10, 17, 100])
async def test_key_that_is_no_text_costs_no_other_one(dest: Path, page_size: int) -> None:
    """A prefix that was cut before it turns up is listed again, and nothing is left out."""
    keys = [f"p/{number:03}.parquet" for number in range(300)] + ["p/250\udcff.parquet"]
    rig = Rig(dest, dict.fromkeys(keys, b"x"), page_size=page_size)
    await rig.sync()
    assert sorted(tree(dest)) == sorted(keys)


@pytest.mark.parametrize("page_size", range(3, 20))
async def test_folder_wins_where_the_listing_is_cut_before_its_keys(
    dest: Path, monkeypatch: pytest.MonkeyPatch, page_size: int
) -> None:
    """A file that is here lies between `x` and `x/1`, and tells where to cut."""
    monkeypatch.setattr(pipeline, "Landmarks", partial(Landmarks, 4))
    names = [f"p/{place}{number:02}.parquet" for place in "az" for number in range(20)]
    rig = Rig(dest, dict.fromkeys([*names, "p/x.parquet-old.parquet"], b"here"))
    await rig.sync()
    rig.store.put("p/x.parquet", b"file")
    rig.store.put("p/x.parquet/1.parquet", b"deep")
    rig.store.page_size, rig.prefixes = page_size, ["p/"]
    seen = await rig.again()
    assert seen.failures == {"p/x.parquet": KeyCollisionError}
    assert "p/x.parquet/1.parquet" in tree(dest)


async def test_folder_wins_when_the_listing_failed_before_its_keys(dest: Path) -> None:
    """Nothing begins of which nobody knows whether it may be there."""
    rig = Rig(dest, {"p/x.parquet": b"file", "p/x.parquet/1.parquet": b"deep"}, page_size=1)
    rig.prefixes = ["p/"]
    rig.store.on("list", "p/", Act(), Act(error=ListingError("no more")))
    with pytest.raises(ListingError):
        await rig.sync()
    seen = await rig.again()
    assert seen.failures == {"p/x.parquet": KeyCollisionError}
    assert tree(dest) == {"p/x.parquet/1.parquet": b"deep"}


async def test_key_that_is_no_text_and_came_damaged_is_fetched_again(dest: Path) -> None:
    """It cannot be asked for, and so much sorts before it that it is not on the first page."""
    key = "p/\udcff.parquet"
    rig = Rig(dest, {f"p/{number}.parquet": b"1" for number in range(5)} | {key: b"data"})
    rig.store.page_size = 2
    rig.store.on("get", key, Act(body=b"dama"))
    seen = await rig.sync()
    assert seen.failures == {}
    assert tree(dest)[key] == b"data"


async def test_prefix_is_not_called_unmatched_when_its_listing_failed(dest: Path) -> None:
    """Nobody knows whether it matches."""
    rig = Rig(dest)
    rig.prefixes = ["1hz/"]
    rig.store.always("list", "1hz/", Act(error=AuthError("no")))
    with pytest.raises(AuthError):
        await rig.sync()
    assert rig.watcher.unmatched_prefixes == []


async def test_error_about_the_source_ends_the_run_at_once(dest: Path) -> None:
    """Credentials that expire on the way end all that waits."""
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
    """No object can be written any more, so nobody waits for those under way."""

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


async def test_destination_that_cannot_be_made_costs_no_request(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_bytes(b"mine")
    for dest in (tmp_path / "file", tmp_path / "file" / "below"):
        rig = Rig(dest)
        with pytest.raises(DestinationError):
            await rig.sync()
        assert rig.store.requests == []


async def test_second_run_on_one_folder_is_refused(dest: Path) -> None:
    """It sends nothing, and the first goes on."""
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
    """It is raised as it is, all others are cancelled, and nothing hangs."""

    def bug(outcome: Outcome) -> None:
        raise ZeroDivisionError

    rig = Rig(dest)
    rig.watcher = Watcher(on_ended=bug)
    rig.store.always("get", "root.parquet", Act(until=anyio.Event()))
    with pytest.raises(ZeroDivisionError):
        await rig.sync()


async def test_cancelled_run_leaves_nothing_half_done(dest: Path) -> None:
    """What has arrived stays, what has not leaves no trace, and the lock is free."""
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


async def test_unfinished_files_of_a_killed_run_are_cleared_away(dest: Path) -> None:
    """They are found at the next start."""
    parts = dest / ".asyncsync" / "parts"
    parts.mkdir(parents=True)
    (parts / "0123").write_bytes(b"half")
    await Rig(dest).sync()
    assert tree(dest) == OBJECTS


# plan and verify --------------------------------------------------------------------------------


async def test_plan_lists_and_does_nothing(dest: Path) -> None:
    """Not even the destination is made."""
    rig = Rig(dest)
    await pipeline.plan(rig.job())
    keys = [t.remote.key for page in rig.watcher.pages for t in page.transfers]
    assert sorted(keys) == sorted(OBJECTS)
    assert {request.verb for request in rig.store.requests} == {"list"}
    assert not dest.parent.exists()
    assert rig.watcher.listings_ended == 1


async def test_plan_raises_what_the_listing_does(dest: Path) -> None:
    """A plan of half a bucket would be none."""
    rig = Rig(dest)
    rig.store.always("list", "", Act(error=ListingError("broken")))
    with pytest.raises(SourceError, match="broken"):
        await pipeline.plan(rig.job())


async def test_verify_confirms_what_is_in_step(dest: Path) -> None:
    """One HEAD for each file, no GET, and nothing is written."""
    rig = Rig(dest)
    await rig.sync()
    rig.store.requests.clear()
    rig.watcher = Watcher()
    before = snapshot(dest)
    await pipeline.verify(rig.job())
    assert rig.watcher.confirmed == sorted(OBJECTS)
    assert rig.watcher.failures == {}
    assert rig.store.count("get") == 0
    assert sorted(r.key for r in rig.store.requests if r.verb == "head") == sorted(OBJECTS)
    assert snapshot(dest) == before


async def test_verify_names_what_is_not_in_step(dest: Path) -> None:
    """Missing, cut, out of date, refused, replaced or gone since the listing."""
    rig = Rig(dest, {**OBJECTS, "../x.parquet": b"evil", "z.parquet": b"z"})
    await rig.sync()
    rig.watcher = Watcher()
    (dest / "root.parquet").unlink()
    (dest / "1hz/b.parquet").write_bytes(b"cut")
    rig.store.put("1hz/2026/01/a.parquet", b"A")
    rig.store.always("head", "fft_hub1/c.parquet", Act(head=Head(SMALL + 1, "other")))
    rig.store.always("head", "z.parquet", Act(error=VanishedError("z.parquet", "gone")))
    before = snapshot(dest)
    await pipeline.verify(rig.job())
    assert rig.watcher.failures == {
        "root.parquet": OutOfStepError,
        "1hz/b.parquet": OutOfStepError,
        "1hz/2026/01/a.parquet": OutOfStepError,
        "fft_hub1/c.parquet": RemoteChangedError,
        "z.parquet": VanishedError,
        "../x.parquet": UnsafeKeyError,
    }
    assert rig.watcher.confirmed == ["fft_hub1/empty.parquet"]
    assert snapshot(dest) == before


async def test_verify_takes_the_listings_word_if_asked(dest: Path) -> None:
    """Without HEAD, it is the listing and nothing else."""
    rig = Rig(dest)
    await rig.sync()
    rig.store.requests.clear()
    rig.watcher = Watcher()
    await pipeline.verify(replace(rig.job(), checks=Checks(head=False, parquet=False)))
    assert rig.watcher.confirmed == sorted(OBJECTS)
    assert {request.verb for request in rig.store.requests} == {"list"}


async def test_verify_names_files_that_are_not_in_the_bucket(dest: Path) -> None:
    """Those that count: of a key that is refused or out of step there is an object."""
    rig = Rig(dest)
    rig.prefixes = ["1hz/", "fft_hub1/"]
    rig.exclude = ["*/left-out.parquet"]
    await rig.sync()
    (dest / "1hz/b.parquet").write_bytes(b"cut")
    for name in ("1hz/mine.parquet", "1hz/\udcff.parquet", "root2.parquet"):
        (dest / name).write_bytes(b"mine")
    for name in ("1hz/notes.txt", "1hz/left-out.parquet", ".asyncsync/x.parquet"):
        (dest / name).write_bytes(b"does not count")
    rig.watcher = Watcher()
    await pipeline.verify(rig.job())
    assert rig.watcher.extra_keys == ["1hz/mine.parquet", "1hz/\udcff.parquet"]
    assert rig.watcher.failures == {"1hz/b.parquet": OutOfStepError}


@pytest.mark.row(101)
async def test_deep_verification_goes_on_where_a_file_cannot_be_read(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a bad sector: its object has failed, and the others are checked."""
    rig = Rig(dest, {"a.parquet": b"aa", "b.parquet": b"bb", "c.parquet": b"cc"})
    await rig.sync()
    really = proof.Prover.prove_file

    async def prove_file(prover: proof.Prover) -> Proof:
        if prover._remote.key == "b.parquet":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return await really(prover)

    monkeypatch.setattr(proof.Prover, "prove_file", prove_file)
    rig.watcher = Watcher()
    await pipeline.verify(replace(rig.job(), deep=True))
    assert rig.watcher.failures == {"b.parquet": LocalFileError}
    assert rig.watcher.confirmed == ["a.parquet", "c.parquet"]


@pytest.mark.row(58)
@pytest.mark.parametrize("deep", [True, False])
async def test_deep_verification_finds_other_content(dest: Path, deep: bool) -> None:
    """Of the same size and time; only reading the file tells, whatever its size."""
    small, large = parquet(b"small"), parquet(bytes(SMALL + 1))
    objects = {"a.parquet": small, "b.parquet": large, "c.parquet": large, "d.parquet": b"text"}
    rig = Rig(dest, objects)
    await rig.sync()
    for name, content in (("a.parquet", small), ("b.parquet", large)):
        modified_ns = (dest / name).stat().st_mtime_ns
        (dest / name).write_bytes(content.replace(b"a footer", b"A footer"))
        os.utime(dest / name, ns=(modified_ns, modified_ns))
    rig.watcher = Watcher()
    before = snapshot(dest)
    await pipeline.verify(replace(rig.job(), checks=Checks(content=False), deep=deep))
    found = {
        "a.parquet": IntegrityError,
        "b.parquet": IntegrityError,
        "d.parquet": NotParquetError,
    }
    assert rig.watcher.failures == (found if deep else {})
    told = {o.remote.key: str(o.error) for o in rig.watcher.outcomes if isinstance(o, Failed)}
    ways_out = {key: text.partition("; remove the file, and ")[2] for key, text in told.items()}
    again = "the next sync downloads it again"
    assert ways_out == ({"a.parquet": again, "b.parquet": again, "d.parquet": ""} if deep else {})
    assert rig.watcher.confirmed == ["c.parquet"] if deep else sorted(objects)
    assert snapshot(dest) == before
    proven = Proof.SIZE_AND_VERSION | (Proof.MD5 | Proof.PARQUET if deep else Proof(0))
    assert {o.proven for o in rig.watcher.outcomes if isinstance(o, UpToDate)} == {proven}


async def test_deep_verification_of_a_file_that_cannot_be_read_is_a_failure(dest: Path) -> None:
    """As of one that somebody takes away, or replaces by a link, in the meantime."""
    rig = Rig(dest, {"a.parquet": b"a", "b.parquet": b"b"})
    await rig.sync()

    def replace_both() -> None:
        (dest / "a.parquet").unlink()
        (dest / "b.parquet").unlink()
        (dest / "b.parquet").symlink_to("/etc/hostname")

    rig.watcher = Watcher(on_compared=replace_both)
    await pipeline.verify(replace(rig.job(), deep=True))
    assert rig.watcher.failures == {"a.parquet": LocalFileError, "b.parquet": LocalFileError}


async def test_run_ends_when_what_is_found_no_longer_fits(tmp_path: Path) -> None:
    """What had begun before is kept; of what comes after, nothing is asked for."""
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


async def test_edited_file_is_told_from_one_that_another_tool_brought(dest: Path) -> None:
    """The first is fetched again, after a verification has failed it; the second is trusted."""
    rig = Rig(dest, {"edited.parquet": b"data", "foreign.parquet": b"data"})
    await rig.sync()
    (dest / ".asyncsync" / "published").unlink()
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
    (dest / ".asyncsync" / "published").unlink()
    seen = await rig.again()
    assert seen.downloaded == []


# a plan -----------------------------------------------------------------------------------------


async def planned(rig: Rig, *keys: str) -> Watcher:
    """Sync these objects as they are listed now, without a listing."""
    pages = iter([[rig.store.remote(key)] for key in keys])
    rig.store.requests.clear()
    rig.watcher = Watcher()
    with anyio.fail_after(10):
        await pipeline.sync(replace(rig.job(), planned=pages))
    assert rig.store.count("list") == 0
    return rig.watcher


async def test_plan_is_done_without_a_listing(dest: Path) -> None:
    """Just what it names; the selection was its own."""
    rig = Rig(dest, {**OBJECTS, "notes.txt": b"-"})
    seen = await planned(rig, "1hz/b.parquet", "fft_hub1/c.parquet", "notes.txt")
    assert seen.downloaded == ["1hz/b.parquet", "fft_hub1/c.parquet", "notes.txt"]
    assert (seen.files, seen.listings_ended) == ({}, 1)
    again = await planned(rig, "1hz/b.parquet", "root.parquet")
    assert again.downloaded == ["root.parquet"]
    assert again.files == {"1hz/": 1}
    assert "1hz/2026/01/a.parquet" not in tree(dest)


async def test_plan_takes_no_other_version(dest: Path) -> None:
    """What was replaced fails, what was deleted is skipped, and old files stay."""
    rig = Rig(dest)
    await rig.sync()
    before = tree(dest)
    rig.store.put_many(dict.fromkeys(OBJECTS, b"second"))
    listed = [rig.store.remote(key) for key in OBJECTS]
    rig.store.put("1hz/b.parquet", b"third")
    rig.store.put("fft_hub1/c.parquet", bytes(SMALL + 2))
    rig.store.delete("root.parquet")
    rig.store.requests.clear()
    rig.watcher = Watcher()
    await pipeline.sync(replace(rig.job(), planned=iter([listed])))
    assert rig.watcher.failures == {
        "1hz/b.parquet": RemoteChangedError,
        "fft_hub1/c.parquet": RemoteChangedError,
        "root.parquet": VanishedError,
    }
    assert rig.store.count("list") == 0
    assert rig.store.count("get", "1hz/b.parquet") == 1
    changed = dict.fromkeys(("1hz/2026/01/a.parquet", "fft_hub1/empty.parquet"), b"second")
    assert tree(dest) == {**before, **changed}
    assert unfinished(dest) == []


async def test_planned_object_that_arrives_wrong_is_fetched_again(dest: Path) -> None:
    """In the same version."""
    rig = Rig(dest)
    rig.store.on("get", "root.parquet", Act(body=b"too long"))
    assert (await planned(rig, "root.parquet")).downloaded == ["root.parquet"]
    assert rig.store.count("get", "root.parquet") == 2


async def test_hostile_keys_of_a_plan_are_refused(dest: Path) -> None:
    """By the same guard as those of a listing; a folder marker is no file."""
    hostile = ["../x.parquet", "/x.parquet", "a//b", "folder/", "", ".asyncsync/lock", "\ud800"]
    rig = Rig(dest, dict.fromkeys(hostile, b"x"))
    seen = await planned(rig, *hostile)
    assert seen.failures == dict.fromkeys(hostile, UnsafeKeyError)
    assert rig.store.requests == []
    assert (tree(dest), os.listdir(dest.parent)) == ({}, [dest.name])


async def test_plan_leaves_what_others_left_unfinished(dest: Path) -> None:
    """It knows nothing of the objects that it does not name."""
    rig = Rig(dest, {"large.parquet": bytes(3 * PART), "small.parquet": b"x"})
    rig.workers = 1
    cut = [Act(error=ServerError("500"))] * 9
    rig.store.on("get", "large.parquet", Act(), *cut)
    await pipeline.sync(rig.job())
    left = unfinished(dest)
    assert left
    rig.store.behave()
    await planned(rig, "small.parquet")
    assert unfinished(dest) == left
    assert (await planned(rig, "large.parquet")).downloaded == ["large.parquet"]
    assert rig.store.count("get", "large.parquet") == 2
    assert unfinished(dest) == []


async def test_plan_that_breaks_off_ends_the_run(dest: Path) -> None:
    """What it named before may have arrived."""

    def pages() -> Iterator[list[RemoteObject]]:
        yield [rig.store.remote("root.parquet")]
        raise ConfigError("line 2")

    rig = Rig(dest)
    with pytest.raises(ConfigError, match="line 2"):
        await pipeline.sync(replace(rig.job(), planned=pages()))
    assert unfinished(dest) == []


# names that are one -----------------------------------------------------------------------------

NFC, NFD = (unicodedata.normalize(form, "\u00e9.parquet") for form in ("NFC", "NFD"))


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a look at the file system say that it tells neither cases nor forms apart."""
    monkeypatch.setattr("asyncsync.disk.folder.probe", lambda _: Folding(cases=True, forms=True))


@pytest.mark.row(82, 83)
@pytest.mark.usefixtures("folds")
@pytest.mark.parametrize(
    ("first", "second"),
    [("Case/a.parquet", "case/a.parquet"), ("A.parquet", "a.parquet"), (NFD, NFC)],
)
@pytest.mark.parametrize("page_size", [1, 1000])
@pytest.mark.parametrize("turned", [False, True])
async def test_first_key_gets_the_file_where_two_are_one(
    dest: Path, first: str, second: str, page_size: int, turned: bool
) -> None:
    """In every run, and as well when the other one was stored first or comes first on its page."""
    keys = [second, first] if turned else [first, second]
    objects = {key: key.encode() for key in keys}
    rig = Rig(dest, objects, page_size=page_size)
    if page_size > 1:  # then the server may list them in the order in which they were stored
        rig.store = MemoryStore(objects, order=lambda key: [keys.index(key)])
    rig.prefixes = [key[0] for key in keys] if first.startswith("C") else []
    await rig.sync()
    for _ in range(2):
        assert rig.watcher.failures == {second: KeyCollisionError}
        assert tree(dest) == {first: first.encode()}
        assert {request.key for request in rig.store.requests if request.verb == "get"} <= {first}
        await rig.again()


@pytest.mark.row(82, 83)
async def test_both_keys_get_a_file_where_names_stay_apart(dest: Path) -> None:
    """Which the real file system says of itself."""
    keys = ["Case/a.parquet", "case/a.parquet", "case/A.parquet", NFC, NFD]
    rig = Rig(dest, {key: key.encode() for key in keys})
    await rig.sync()
    if rig.job().folder.folding():
        pytest.skip("this file system folds names")
    assert rig.watcher.failures == {}
    assert tree(dest) == {key: key.encode() for key in keys}


@pytest.mark.row(83)
@pytest.mark.usefixtures("folds")
@pytest.mark.parametrize("command", [pipeline.plan, pipeline.verify])
async def test_plan_and_verify_refuse_the_keys_that_sync_does(
    dest: Path, command: Callable[[pipeline.Job], Awaitable[None]]
) -> None:
    """And they change nothing."""
    rig = Rig(dest, {"A/x.parquet": b"1", "a/X.parquet": b"2", "a/y.parquet": b"3"})
    await rig.sync()
    before = snapshot(dest)
    rig.watcher = Watcher()
    await command(rig.job())
    assert rig.watcher.failures == {"a/X.parquet": KeyCollisionError}
    assert snapshot(dest) == before


@pytest.mark.row(83)
@pytest.mark.usefixtures("folds")
async def test_file_and_folder_of_one_name_are_told_apart(dest: Path) -> None:
    """The first key gets its path, whichever of the two it is."""
    keys = ["A.parquet", "B.parquet/x.parquet", "a.parquet/x.parquet", "b.parquet"]
    rig = Rig(dest, dict.fromkeys(keys, b"x"))
    seen = await rig.sync()
    assert seen.failures == dict.fromkeys(keys[2:], KeyCollisionError)
    assert seen.downloaded == keys[:2]


@pytest.mark.row(83)
@pytest.mark.usefixtures("folds")
async def test_planned_objects_are_told_apart(dest: Path) -> None:
    """Also when the plan has them in another order, as one made before the first sync may."""
    rig = Rig(dest, {"A.parquet": b"1", "a.parquet": b"2", "b.parquet": b"3"})
    pages = iter([[rig.store.remote(f"{name}.parquet")] for name in "baA"])
    await pipeline.sync(replace(rig.job(), planned=pages))
    assert rig.watcher.failures == {"a.parquet": KeyCollisionError}
    assert tree(dest) == {"A.parquet": b"1", "b.parquet": b"3"}
