"""What a run takes of the bucket by age, size and globs, from the options down to the files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import asyncsync
from asyncsync.disk import PART
from asyncsync.errors import ConfigError
from tests.rigs.memory_store import Act, MemoryStore, use_memory
from tests.rigs.watch import Watcher, tree, unfinished

pytestmark = pytest.mark.anyio

SIZES = {"1hz/a": 1, "1hz/b": 2000, "2hz/c": 3_000_000}
OBJECTS = {f"{name}.parquet": bytes(size) for name, size in SIZES.items()}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """The bucket that the settings name; each object is a second younger than the one before."""
    monkeypatch.setenv("ASYNCSYNC_PARQUET_CHECK", "no")
    store = MemoryStore(OBJECTS)
    use_memory(monkeypatch, store)
    return store


def modified(store: MemoryStore, key: str) -> datetime:
    return datetime.fromtimestamp(store.remote(key).modified_ns / 1e9, UTC)


async def test_what_a_limit_leaves_out_is_counted(store: MemoryStore, tmp_path: Path) -> None:
    """Like what globs leave out; `verify` says the same of the same limits."""
    report = await asyncsync.sync(dest=tmp_path, min_size=2, max_size="1M")
    assert tree(tmp_path).keys() == {"1hz/b.parquet"}
    assert (report.left_out, report.total.in_bucket, report.exit_code) == (2, 1, 0)
    assert ", 2 left out" in report.summary()
    again = await asyncsync.verify(dest=tmp_path, min_size=2, max_size="1M")
    assert (again.verified, again.left_out, again.exit_code) == (1, 2, 0)


async def test_objects_are_chosen_by_age(store: MemoryStore, tmp_path: Path) -> None:
    """By the time in the listing, inclusive at both ends."""
    middle = modified(store, "1hz/b.parquet")
    newer = await asyncsync.plan(dest=tmp_path, newer_than=middle)
    assert [t.remote.key for t in newer] == ["1hz/b.parquet", "2hz/c.parquet"]
    older = await asyncsync.plan(dest=tmp_path, older_than=middle.isoformat())
    assert [t.remote.key for t in older] == ["1hz/a.parquet", "1hz/b.parquet"]
    both = await asyncsync.plan(dest=tmp_path, since=middle, older_than=middle)
    assert [t.remote.key for t in both] == ["1hz/b.parquet"]
    assert len(await asyncsync.plan(dest=tmp_path, newer_than=timedelta(days=1))) == 0


@pytest.mark.parametrize(
    "limits",
    [
        {"min_size": 2, "max_size": 1},
        {"newer_than": "2026-11-02", "older_than": "2026-11-01"},
        {"since": "1d", "older_than": "2d"},
    ],
)
async def test_limits_that_contradict_each_other_are_refused(
    store: MemoryStore, limits: dict[str, str | int]
) -> None:
    """No object could be within both, so that no request is sent."""
    with pytest.raises(ConfigError, match="so that every object would be left out"):
        await asyncsync.sync(**limits)  # type: ignore[arg-type]  # names and values are right
    assert store.requests == []


async def test_file_whose_object_a_limit_leaves_out_is_not_extra(
    store: MemoryStore, tmp_path: Path
) -> None:
    """It is neither compared nor touched; only a file without an object is extra."""
    await asyncsync.sync(dest=tmp_path)
    store.delete("2hz/c.parquet")
    store.put("1hz/b.parquet", bytes(2001))
    watcher = Watcher()
    report = await asyncsync.verify(dest=tmp_path, max_size=1999, observer=watcher)
    assert (report.verified, report.failed, report.left_out) == (1, 0, 1)
    assert watcher.extra_keys == ["2hz/c.parquet"]


async def test_unfinished_file_whose_object_a_limit_leaves_out_is_kept(
    store: MemoryStore, tmp_path: Path
) -> None:
    """A later run without the limit goes on with it."""
    store.put("2hz/c.parquet", bytes(PART))
    store.on("get", "2hz/c.parquet", *[Act(cut=PART // 2)] * 8)
    assert (await asyncsync.sync(dest=tmp_path)).failed == 1
    kept = unfinished(tmp_path)
    assert kept
    store.put("1hz/a.parquet", b"newer")
    assert (await asyncsync.sync(dest=tmp_path, max_size=2000)).downloaded == 1
    assert unfinished(tmp_path) == kept
    assert (await asyncsync.sync(dest=tmp_path)).kept_bytes > 0
    assert unfinished(tmp_path) == []


async def test_everything_is_listed_where_limits_leave_out_objects(
    store: MemoryStore, tmp_path: Path
) -> None:
    """An incremental run without them would take what they left out for what is here."""
    store.page_size = 1
    told = Watcher()
    await asyncsync.sync(dest=tmp_path, max_size=2000, incremental=True, observer=told)
    assert "everything is listed: --incremental does not go with sizes and times" in told.notices
    report = await asyncsync.sync(dest=tmp_path, incremental=True)
    assert (report.downloaded, tree(tmp_path)) == (1, OBJECTS)


async def test_globs_that_match_nothing_are_told_of(store: MemoryStore, tmp_path: Path) -> None:
    """By name, where others select something; an incremental run, which lists a part, does not."""
    told = Watcher()
    await asyncsync.sync(dest=tmp_path, include=["1hz/", "*.csv"], exclude="2hz", observer=told)
    assert tree(tmp_path).keys() == {"1hz/a.parquet", "1hz/b.parquet"}
    assert told.notices == [
        "no key matches --include '*.csv'",
        (
            "no key matches --exclude 2hz; a glob matches whole keys, so write '*/2hz/*' for folders "
            "of that name"
        ),
    ]
    store.page_size = 1
    told = Watcher()
    await asyncsync.sync(dest=tmp_path, include=["*", "*.csv"], incremental=True, observer=told)
    assert not any("no key matches" in notice for notice in told.notices)


async def test_report_says_why_nothing_is_selected(store: MemoryStore, tmp_path: Path) -> None:
    """Also without an observer, as in a notebook."""
    report = await asyncsync.sync(dest=tmp_path, include="*.parquet", exclude="*")
    assert "all 3 objects left out (--exclude '*' leaves out every key" in report.summary()
