"""The Python API: settings in, a report or outcomes out."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest

import asyncsync
from asyncsync import (
    ConfigError,
    DestinationError,
    Downloaded,
    Failed,
    Outcome,
    SilentObserver,
    SourceError,
    UpToDate,
)
from asyncsync.errors import AuthError, ServerError, UnsafeKeyError
from asyncsync.model import Head
from asyncsync.report.report import MOST_FAILURES
from tests.rigs.memory_store import Act, MemoryStore, use_memory
from tests.rigs.watch import Watcher, tree, unfinished

pytestmark = pytest.mark.anyio

OBJECTS = {"1hz/a.parquet": b"a", "1hz/b.parquet": b"bb", "root.parquet": b"root"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """The bucket that the settings name."""
    store = MemoryStore(OBJECTS)
    use_memory(monkeypatch, store)
    return store


async def test_sync_downloads_what_is_missing_and_reports(
    store: MemoryStore, tmp_path: Path
) -> None:
    """The report has figures for each prefix and for all of them."""
    report = await asyncsync.sync(dest=tmp_path / "dest")
    assert tree(tmp_path / "dest") == OBJECTS
    assert (report.downloaded, report.downloaded_bytes, report.up_to_date) == (3, 7, 0)
    assert (report.failed, report.skipped, report.exit_code) == (0, 0, 0)
    assert report.seconds > 0
    assert {prefix: tally.to_download for prefix, tally in report.tallies.items()} == {
        "": 1,
        "1hz/": 2,
    }
    assert report.total.bytes_to_download == 7

    again = await asyncsync.sync(dest=str(tmp_path / "dest"))
    assert (again.downloaded, again.up_to_date, again.total.local) == (0, 3, 3)


async def test_failures_are_in_the_report(store: MemoryStore, tmp_path: Path) -> None:
    """They are not raised; the exit code is that of the command line."""
    store.put("../x.parquet", b"evil")
    report = await asyncsync.sync(dest=tmp_path)
    assert (report.skipped, report.failed, report.exit_code) == (1, 0, 3)
    assert [type(failure.error) for failure in report.failures] == [UnsafeKeyError]

    store.put("1hz/a.parquet", b"new")
    store.always("get", "1hz/a.parquet", Act(error=ServerError("500")))
    report = await asyncsync.sync(dest=tmp_path, attempts=1)
    assert (report.skipped, report.failed, report.exit_code) == (1, 1, 1)
    assert {failure.remote.key for failure in report.failures} == {"../x.parquet", "1hz/a.parquet"}


async def test_report_does_not_grow_with_the_failures(store: MemoryStore, tmp_path: Path) -> None:
    """All failures are counted, and the first thousand are kept."""
    store.put_many(dict.fromkeys((f"a//{number}.parquet" for number in range(1100)), b"x"))
    report = await asyncsync.sync(dest=tmp_path, prefixes=["a/"])
    assert (report.skipped, len(report.failures)) == (1100, MOST_FAILURES)


async def test_arguments_take_precedence_over_the_environment_and_that_over_the_file(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option falls back to the next source."""
    store.put("notes.txt", b"notes")
    env_file = tmp_path / "settings.env"
    env_file.write_text("ASYNCSYNC_DEST=file\nASYNCSYNC_INCLUDE=*.txt\nR2_BUCKET=elsewhere\n")
    await asyncsync.sync(env_file=env_file)
    assert tree(tmp_path / "file") == {"notes.txt": b"notes"}
    monkeypatch.setenv("ASYNCSYNC_DEST", "environment")
    await asyncsync.sync(env_file=str(env_file), include=["*"], exclude=["*.parquet"])
    assert tree(tmp_path / "environment") == {"notes.txt": b"notes"}
    await asyncsync.sync(env_file=env_file, dest="argument", prefixes=["1hz/"], include=["*a.*"])
    assert tree(tmp_path / "argument") == {"1hz/a.parquet": b"a"}


async def test_unknown_argument_is_refused(store: MemoryStore) -> None:
    """A misspelt one must not sync to the default destination."""
    misspelt: dict[str, Any] = {"destination": "elsewhere"}
    with pytest.raises(TypeError, match="destination"):
        await asyncsync.sync(**misspelt)
    assert store.requests == []
    assert "downloads" not in os.listdir()


async def test_argument_that_was_likely_meant_is_named(store: MemoryStore) -> None:
    """A slip of the keys is not looked for in a long signature."""
    misspelt: dict[str, Any] = {"inclde": ["*.json"]}
    with pytest.raises(TypeError, match=r"no such argument: inclde; did you mean include\?"):
        await asyncsync.sync(**misspelt)
    assert store.requests == []


async def test_several_prefixes_in_place_of_the_source_are_refused(store: MemoryStore) -> None:
    """The message says where they go."""
    prefixes: Any = ["1hz/", "fft/"]
    with pytest.raises(TypeError, match=r"^source: is no str; give several .* as prefixes=\["):
        await asyncsync.sync(prefixes, "downloads")
    assert store.requests == []


async def test_prefixes_may_be_any_iterable(store: MemoryStore, tmp_path: Path) -> None:
    """Even an iterator, which yields them only once."""
    report = await asyncsync.sync(dest=tmp_path, prefixes=iter(["1hz/"]))  # type: ignore[arg-type]
    assert sorted(tree(tmp_path)) == ["1hz/a.parquet", "1hz/b.parquet"]
    assert report.downloaded == 2


async def test_empty_prefix_is_the_whole_bucket(store: MemoryStore, tmp_path: Path) -> None:
    """With `since`, each of its top-level prefixes then has a last key of its own."""
    await asyncsync.sync(dest=tmp_path, prefixes=[""], incremental=True)
    store.put("1hz/c.parquet", b"new")
    await asyncsync.sync(dest=tmp_path, prefixes=["", "1hz/"], incremental=True)
    assert "1hz/c.parquet" in tree(tmp_path)


async def test_one_prefix_may_be_a_str(store: MemoryStore, tmp_path: Path) -> None:
    """It is one prefix and not a sequence of characters."""
    report = await asyncsync.sync(dest=tmp_path, prefixes="1hz/")
    assert (report.downloaded, report.unmatched_prefixes) == (2, [])


@pytest.mark.parametrize("command", [asyncsync.sync, asyncsync.plan, asyncsync.verify])
async def test_missing_settings_are_named_before_any_request(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, command: Callable[[], Any]
) -> None:
    """Nothing is created on the disk either."""
    monkeypatch.delenv("R2_BUCKET")
    with pytest.raises(ConfigError, match="R2_BUCKET"):
        await command()
    assert store.requests == []
    assert "downloads" not in os.listdir()


async def test_error_that_ends_the_run_is_raised(store: MemoryStore, tmp_path: Path) -> None:
    """The remote side and the local side each have an error class."""
    store.always("list", "", Act(error=AuthError("no")))
    with pytest.raises(SourceError, match="no"):
        await asyncsync.sync(dest=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="file"):
        await asyncsync.sync(dest=tmp_path / "file" / "below")


async def test_observer_is_notified(store: MemoryStore, tmp_path: Path) -> None:
    """Of every download and of the end of the listing."""
    watcher = Watcher()
    await asyncsync.sync(dest=tmp_path, observer=watcher)
    assert watcher.downloaded == sorted(OBJECTS)
    assert watcher.listings_ended == 1


async def test_plan_holds_what_would_be_fetched(store: MemoryStore, tmp_path: Path) -> None:
    """And whether it fits on the disk; nothing is fetched or created."""
    plan = await asyncsync.plan(dest=tmp_path / "dest")
    assert sorted(transfer.remote.key for transfer in plan.transfers) == sorted(OBJECTS)
    assert plan.free_bytes
    assert plan.free_bytes > 7
    assert plan.fits
    assert plan.exit_code == 0
    plan.free_bytes = 6
    assert not plan.fits
    assert plan.exit_code == 5
    plan.free_bytes = None
    assert plan.fits
    assert plan.exit_code == 0
    assert plan.summary().endswith("; the disk does not tell its free space")
    assert os.listdir(tmp_path) == []


async def test_plan_without_a_check_of_space_is_0(store: MemoryStore, tmp_path: Path) -> None:
    """A sync with the same argument would begin as well."""
    plan = await asyncsync.plan(dest=tmp_path / "dest", space_check=False)
    plan.free_bytes = 6
    assert (plan.fits, plan.exit_code) == (False, 0)


async def test_plan_is_a_collection_of_transfers(store: MemoryStore, tmp_path: Path) -> None:
    """It has a length and can be iterated, and knows its bucket and destination."""
    plan = await asyncsync.plan(dest=tmp_path / "dest", prefixes="1hz/")
    assert [transfer.remote.key for transfer in plan] == ["1hz/a.parquet", "1hz/b.parquet"]
    assert len(plan) == plan.total.to_download == 2
    assert (plan.route.bucket, plan.route.dest) == ("sensors", str(tmp_path / "dest"))


async def test_notebook_shows_a_plan(store: MemoryStore, tmp_path: Path) -> None:
    """Its summary and its objects, with escaped keys; it shows a verification as well."""
    store.put("1hz/<b>.parquet", b"x")
    shown = (plan := await asyncsync.plan(dest=tmp_path))._repr_html_()
    assert f"<p>{plan.summary()}</p>" in shown
    assert plan.summary().startswith("4 to download (8 B), 0 up to date; fits: ")
    assert "<summary>4 to download</summary>" in shown
    assert "1hz/&lt;b&gt;.parquet" in shown
    assert "missing</td>" in shown
    assert "parquet" not in repr(plan)
    assert "4 not in sync" in (await asyncsync.verify(dest=tmp_path))._repr_html_()


async def test_plan_can_be_synced(store: MemoryStore, tmp_path: Path) -> None:
    """Without listing again, to its own destination unless another is given."""
    plan = await asyncsync.plan(dest=tmp_path / "dest", prefixes="1hz/")
    store.requests.clear()
    assert (await asyncsync.sync(plan=plan)).downloaded == 2
    assert sorted(tree(tmp_path / "dest")) == ["1hz/a.parquet", "1hz/b.parquet"]
    again = await anyio.to_thread.run_sync(lambda: asyncsync.run(plan=plan, dest=tmp_path / "x"))
    assert again.downloaded == 2
    outcomes = [outcome async for outcome in asyncsync.stream(plan=plan)]
    assert {type(outcome) for outcome in outcomes} == {UpToDate}
    assert store.count("list") == 0


async def test_plan_of_many_objects_comes_in_pages(store: MemoryStore, tmp_path: Path) -> None:
    """As the objects of a listing do."""
    store.put_many(dict.fromkeys((f"many/{number}.parquet" for number in range(1100)), b"x"))
    plan = await asyncsync.plan(dest=tmp_path, prefixes="many/")
    assert [len(page) for page in plan.pages()] == [1000, 100]


async def test_plan_of_nothing_is_a_sync_of_nothing(store: MemoryStore, tmp_path: Path) -> None:
    """What has come since it was made is left to the next plan."""
    await asyncsync.sync(dest=tmp_path)
    plan = await asyncsync.plan(dest=tmp_path)
    store.put("new.parquet", b"PAR1PAR1PAR1")
    store.requests.clear()
    assert (await asyncsync.sync(plan=plan)).downloaded == len(plan) == 0
    assert store.requests == []


async def test_plan_for_another_bucket_is_refused(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is an empty `Plan()`, and a plan together with prefixes."""
    plan = await asyncsync.plan(dest=tmp_path)
    with pytest.raises(ConfigError, match="endpoint"):
        await asyncsync.sync(plan=asyncsync.Plan(), dest=tmp_path)
    with pytest.raises(ConfigError, match="prefixes"):
        await asyncsync.sync(plan=plan, prefixes=["1hz/"])
    monkeypatch.setenv("R2_BUCKET", "another")
    with pytest.raises(ConfigError, match="bucket sensors, not another"):
        await asyncsync.sync(plan=plan)
    assert tree(tmp_path) == {}


async def test_only_functions_that_download_take_a_plan(store: MemoryStore) -> None:
    """The others refuse it as an unknown argument."""
    misplaced: dict[str, Any] = {"plan": "plan.json"}
    for command in (asyncsync.plan, asyncsync.verify):
        with pytest.raises(TypeError, match="plan"):
            await command(**misplaced)


async def test_verify_counts_files_that_are_up_to_date(store: MemoryStore, tmp_path: Path) -> None:
    """All other objects are failures."""
    await asyncsync.sync(dest=tmp_path)
    assert (await asyncsync.verify(dest=tmp_path)).verified == 3
    store.always("head", "root.parquet", Act(head=Head(99, store.remote("root.parquet").etag)))
    report = await asyncsync.verify(dest=tmp_path)
    assert (report.verified, report.failed, report.exit_code) == (2, 1, 1)


# run --------------------------------------------------------------------------------------------


def test_run_needs_no_event_loop(store: MemoryStore, tmp_path: Path) -> None:
    """A script calls it and gets the report."""
    report = asyncsync.run(dest=tmp_path)
    assert report.downloaded == 3
    assert tree(tmp_path) == OBJECTS


async def test_run_works_inside_a_running_event_loop(store: MemoryStore, tmp_path: Path) -> None:
    """As in a notebook's cell, whose thread has a running event loop."""
    assert asyncsync.run(dest=tmp_path).downloaded == 3
    report = await anyio.to_thread.run_sync(lambda: asyncsync.run(dest=tmp_path))
    assert report.up_to_date == 3


def test_run_raises_the_errors_of_sync(store: MemoryStore, tmp_path: Path) -> None:
    """They come from another thread and are not wrapped."""
    store.always("list", "", Act(error=AuthError("no")))
    with pytest.raises(AuthError, match="no"):
        asyncsync.run(dest=tmp_path)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """The signal handler of a script; an event loop of an earlier test may have replaced it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupted_run_stops_cleanly(
    store: MemoryStore, tmp_path: Path, interruptible: None
) -> None:
    """Ctrl-C reaches the thread that waits, and the work in the other one is cancelled."""
    main_thread = threading.get_ident()

    def interrupt() -> None:
        signal.pthread_kill(main_thread, signal.SIGINT)

    store.always("get", "root.parquet", Act(before=interrupt, until=anyio.Event()))
    with pytest.raises(KeyboardInterrupt):
        asyncsync.run(dest=tmp_path)
    store.behave()
    assert unfinished(tmp_path) == []
    assert asyncsync.run(dest=tmp_path).exit_code == 0
    assert tree(tmp_path) == OBJECTS


# stream -----------------------------------------------------------------------------------------


def key_of(outcome: Outcome) -> str:
    return (outcome.transfer if isinstance(outcome, Downloaded) else outcome).remote.key


async def test_stream_yields_every_outcome(store: MemoryStore, tmp_path: Path) -> None:
    """Files that were up to date, new files, and failures."""
    await asyncsync.sync(dest=tmp_path, prefixes=["1hz/"])
    store.put("a//b.parquet", b"unsafe")
    store.always("get", "1hz/b.parquet", Act(error=ServerError("500")))
    store.put("1hz/b.parquet", b"new")
    outcomes = [outcome async for outcome in asyncsync.stream(dest=tmp_path, attempts=1)]
    assert {key_of(outcome): type(outcome) for outcome in outcomes} == {
        "1hz/a.parquet": UpToDate,
        "1hz/b.parquet": Failed,
        "a//b.parquet": Failed,
        "root.parquet": Downloaded,
    }
    assert len(outcomes) == 4


async def test_stream_yields_while_the_sync_goes_on(store: MemoryStore, tmp_path: Path) -> None:
    """Two objects wait until the first outcome was seen, whose file has its final name."""
    seen = anyio.Event()
    for key in ("1hz/a.parquet", "1hz/b.parquet"):
        store.on("get", key, Act(until=seen))
    keys = []
    with anyio.fail_after(25):
        async for outcome in asyncsync.stream(dest=tmp_path):
            assert (tmp_path / key_of(outcome)).exists()
            keys.append(key_of(outcome))
            seen.set()
    assert keys[0] == "root.parquet"
    assert sorted(keys) == sorted(OBJECTS)


async def test_stream_raises_the_error_that_ended_the_run(
    store: MemoryStore, tmp_path: Path
) -> None:
    """After all outcomes that there were before it."""
    arrived = anyio.Event()
    store.page_size = 2
    store.on("list", "", Act(), *[Act(until=arrived, error=AuthError("no"))] * 2)
    keys = []
    with pytest.raises(AuthError, match="no"):  # noqa: PT012  # outcomes come before the error
        async for outcome in asyncsync.stream(dest=tmp_path):
            keys.append(key_of(outcome))
            arrived.set()
    assert keys
    assert "1hz/b.parquet" not in keys


async def test_stream_that_is_closed_early_stops_the_sync(
    store: MemoryStore, tmp_path: Path
) -> None:
    """Nothing goes on in the background, and the destination is free again."""
    store.always("get", "1hz/a.parquet", Act(until=anyio.Event()))
    async with aclosing(asyncsync.stream(dest=tmp_path)) as outcomes:
        async for _ in outcomes:
            break
    assert unfinished(tmp_path) == []
    store.behave()
    with anyio.fail_after(25):
        report = await asyncsync.sync(dest=tmp_path)
    assert report.exit_code == 0
    assert tree(tmp_path) == OBJECTS


async def test_cancelled_reader_of_a_stream_stops_the_sync(
    store: MemoryStore, tmp_path: Path
) -> None:
    """The destination is free again afterwards."""
    asked = anyio.Event()
    store.always("get", "1hz/a.parquet", Act(before=asked.set, until=anyio.Event()))

    async def read() -> None:
        async for _ in asyncsync.stream(dest=tmp_path):
            pass

    with anyio.fail_after(25):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await asked.wait()
            group.cancel_scope.cancel()
        store.behave()
        assert (await asyncsync.sync(dest=tmp_path)).exit_code == 0


async def test_none_means_the_default(store: MemoryStore, tmp_path: Path) -> None:
    """For each argument, as if it was not given."""
    given = {"observer": None, "env_file": None, "prefixes": None, "workers": None, "since": None}
    report = await asyncsync.sync(dest=tmp_path, plan=None, **given)
    assert (report.exit_code, len(tree(tmp_path))) == (0, report.downloaded)
    assert report.downloaded > 0
    assert [outcome async for outcome in asyncsync.stream(dest=tmp_path, **given)]
    plan = await asyncsync.plan(dest=tmp_path / "other", **given)
    assert (await asyncsync.sync(plan=plan, dest=None)).downloaded == report.downloaded


async def test_stream_notifies_the_given_observer(store: MemoryStore, tmp_path: Path) -> None:
    """The stream does not replace it."""
    watcher = Watcher()
    async for _ in asyncsync.stream(dest=tmp_path, observer=watcher):
        pass
    assert watcher.downloaded == sorted(OBJECTS)


# the package ------------------------------------------------------------------------------------


async def test_observer_that_is_a_context_manager_is_opened_and_closed(
    store: MemoryStore, tmp_path: Path
) -> None:
    """It is open while it is notified."""

    class Recorder(SilentObserver):
        events: ClassVar[list[str]] = []

        def __enter__(self) -> None:
            self.events.append("opened")

        def __exit__(self, *_: object) -> None:
            self.events.append("closed")

        def listed(self) -> None:
            self.events.append("listed")

    await asyncsync.plan(dest=tmp_path / "dest", observer=Recorder())
    assert Recorder.events == ["opened", "listed", "closed"]
    async for _ in asyncsync.stream(dest=tmp_path / "dest", observer=Recorder()):
        assert Recorder.events[3:] in (
            ["opened"],
            ["opened", "listed"],
            ["opened", "listed", "closed"],
        )
    assert Recorder.events[3:] == ["opened", "listed", "closed"]


async def test_open_bars_may_be_given_to_several_runs(
    store: MemoryStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bars that the caller has opened stay open after a run, and draw the next one."""
    with asyncsync.Bars() as bars:
        for dest in (tmp_path / "1", tmp_path / "2"):
            await asyncsync.sync(dest=dest, observer=bars)
            bars.say("still drawing", sys.stderr)
    assert capsys.readouterr().err.count("still drawing") == 2


# s3://bucket/prefix -----------------------------------------------------------------------------


async def test_source_and_destination_may_be_given_by_their_place(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket in it takes the place of the one in the settings."""
    use_memory(monkeypatch, store, "other")
    dest = tmp_path / "dest"
    assert len(await asyncsync.plan("s3://other/1hz/", dest)) == 2
    assert (await asyncsync.sync("s3://other/1hz/", dest)).downloaded == 2
    assert (await asyncsync.verify("s3://other/1hz/", dest)).verified == 2
    found = asyncsync.stream(prefixes="s3://other/1hz/", dest=dest)
    assert [type(outcome) async for outcome in found] == [UpToDate, UpToDate]
    report = await anyio.to_thread.run_sync(asyncsync.run, "s3://other/1hz/", str(dest))
    assert report.up_to_date == 2
    assert sorted(tree(dest)) == ["1hz/a.parquet", "1hz/b.parquet"]


async def test_place_and_keyword_exclude_each_other(store: MemoryStore) -> None:
    """Only one of two folders, or of two sources, could be meant."""
    with pytest.raises(TypeError, match="prefixes: given twice"):
        await asyncsync.sync("1hz/", prefixes=["1hz/"])
    with pytest.raises(TypeError, match="dest: given twice"):
        await asyncsync.sync("1hz/", "a", dest="b")
    with pytest.raises(ConfigError, match="goes without other prefixes"):
        await asyncsync.sync(prefixes=["s3://a/", "s3://b/"])
    assert store.requests == []


async def test_plan_that_strips_a_prefix_is_synced_so(store: MemoryStore, tmp_path: Path) -> None:
    """The plan knows; the sync of it takes neither prefix nor option."""
    plan = await asyncsync.plan("1hz/", tmp_path / "dest", strip_prefix=True)
    assert [transfer.path for transfer in plan] == [("a.parquet",), ("b.parquet",)]
    report = await asyncsync.sync(plan=plan)
    assert report.downloaded == 2
    assert tree(tmp_path / "dest") == {"a.parquet": b"a", "b.parquet": b"bb"}
    with pytest.raises(ConfigError, match=r"^strip_prefix: a plan already says"):
        await asyncsync.sync(plan=plan, strip_prefix=True)


async def test_keys_that_were_listed_for_another_path_are_listed_again(
    store: MemoryStore, tmp_path: Path
) -> None:
    """What `since` has noted of a folder holds only for the prefix that it strips."""
    store.put_many({f"1hz/{number:04}.parquet": b"x" for number in range(3000)})
    dest = tmp_path / "dest"
    await asyncsync.sync("1hz/", dest, incremental=True)
    for name in (".asyncsync", "1hz"):
        (dest / name).rename(tmp_path / name)
    (dest / ".asyncsync").mkdir()
    state = next((tmp_path / ".asyncsync").iterdir())
    report = await asyncsync.sync("1hz/", dest, incremental=True, strip_prefix=True)
    assert state.exists()
    assert report.downloaded == 3002


# what is left out -------------------------------------------------------------------------------


async def test_report_counts_what_the_globs_leave_out(store: MemoryStore, tmp_path: Path) -> None:
    """By prefix and in total; a prefix with which no key begins is named."""
    store.put_many({"1hz/a.csv": b"x", "csv/b.csv": b"x", "csv/c.csv": b"x", "csv/d/": b""})
    report = await asyncsync.sync(dest=tmp_path / "dest")
    assert (report.left_out, report.tallies["csv/"].left_out, report.exit_code) == (3, 2, 0)
    missing = await asyncsync.plan(prefixes=["csv/", "cvs/"], dest=tmp_path / "dest")
    assert (missing.left_out, missing.exit_code) == (2, 3)
    assert (missing.unmatched_prefixes, missing.absent_prefixes) == (["csv/", "cvs/"], ["cvs/"])


async def test_deep_verification_says_what_it_has_proven(
    store: MemoryStore, tmp_path: Path
) -> None:
    """Also where that is nothing, because the bucket tells no hash."""
    for key, data in OBJECTS.items():
        store.put(key, data, etag=f"opaque-{key}")
    await asyncsync.sync(dest=tmp_path / "dest")
    report = await asyncsync.verify(dest=tmp_path / "dest", deep=True)
    assert (report.verified, report.content_proven) == (3, 0)
    assert "content proven of 0" in report.summary()
    assert "content proven" not in (await asyncsync.verify(dest=tmp_path / "dest")).summary()
