"""From the sync to the analysis: which files are new, where they are, and a report of them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

import asyncsync
from asyncsync import ConfigError, Downloaded, Failed, Outcome, Reason, SilentObserver, UpToDate
from asyncsync.errors import ServerError
from tests.rigs.memory_store import Act, MemoryStore, use_memory
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio

OBJECTS = {"1hz/a.parquet": b"a", "1hz/b.parquet": b"bb", "root.parquet": b"root"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """The bucket that the settings name."""
    store = MemoryStore(OBJECTS)
    use_memory(monkeypatch, store)
    return store


# outcomes


async def test_outcomes_know_their_files(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absolute paths, which hold also when the working folder is another."""
    monkeypatch.chdir(tmp_path)
    for kind in (Downloaded, UpToDate):
        found = {}
        async for outcome in asyncsync.stream(dest="dest"):
            assert isinstance(outcome, Downloaded | UpToDate)
            assert type(outcome) is kind
            assert outcome.file.is_absolute()
            found[outcome.remote.key] = outcome.file.read_bytes()
        assert found == OBJECTS


async def test_outcomes_know_their_times(store: MemoryStore, tmp_path: Path) -> None:
    """As datetimes in UTC: those of the objects, which the files have as well."""
    async for outcome in asyncsync.stream(dest=tmp_path):
        assert isinstance(outcome, Downloaded)
        assert outcome.modified
        assert outcome.modified.tzinfo is UTC
        assert outcome.modified.timestamp() == outcome.file.stat().st_mtime
    store.always("get", "root.parquet", Act(error=ServerError("500")))
    store.put("root.parquet", b"new")
    outcomes = [found async for found in asyncsync.stream(dest=tmp_path, attempts=1)]
    expected = datetime.fromtimestamp(store.remote("root.parquet").modified_ns / 1e9, UTC)
    assert [found.modified for found in outcomes if isinstance(found, Failed)] == [expected]


@pytest.mark.parametrize("name", ["root.parquet", "a//b.parquet"])
async def test_files_are_where_the_run_puts_them(
    store: MemoryStore, tmp_path: Path, name: str
) -> None:
    """Also where it strips a prefix, and encodes odd keys."""
    store.put(f"in/{name}", b"x")
    for _ in range(2):
        stream = asyncsync.stream("in/", tmp_path, strip_prefix=True, odd_keys="encode")
        async for outcome in stream:
            assert not isinstance(outcome, Failed)
            assert outcome.file.read_bytes() == b"x"
            assert outcome.file.parent in {tmp_path, tmp_path / "a/%~"}


async def test_observers_get_outcomes_with_files(store: MemoryStore, tmp_path: Path) -> None:
    """In a verification as well."""

    class Reading(SilentObserver):
        def __init__(self) -> None:
            self.found: list[bytes] = []

        def ended(self, outcome: Outcome) -> None:
            assert not isinstance(outcome, Failed)
            self.found.append(outcome.file.read_bytes())

    for command in (asyncsync.sync, asyncsync.verify):
        observer = Reading()
        await command(dest=tmp_path, observer=observer)
        assert sorted(observer.found) == sorted(OBJECTS.values())


# files


async def test_report_has_the_new_files(store: MemoryStore, tmp_path: Path) -> None:
    """Those that were downloaded in this run, and no others."""
    await asyncsync.sync(dest=tmp_path, prefixes=["1hz/"])
    store.put("1hz/a.parquet", b"newer")
    store.put("a//b.parquet", b"unsafe")
    report = await asyncsync.sync(dest=tmp_path)
    assert {file.key: (file.path.read_bytes(), file.reason) for file in report.files} == {
        "1hz/a.parquet": (b"newer", Reason.SIZE_DIFFERS),
        "root.parquet": (b"root", Reason.MISSING),
    }
    assert len(report.files) == report.downloaded == report.to_arrow().num_rows == 2
    assert {"size", "version", "md5"} <= {*report.files[0].proven}
    assert str(report) == report.summary()
    assert len((await asyncsync.sync(dest=tmp_path)).files) == 0
    assert len((await asyncsync.plan(dest=tmp_path / "other")).files) == 0


async def test_report_is_written_to_a_file(store: MemoryStore, tmp_path: Path) -> None:
    """What was downloaded, and what was not; each run writes its own."""
    store.put("a//b.parquet", b"unsafe")
    path = tmp_path / "new.jsonl"

    def outcomes() -> dict[str, str]:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return {row["key"]: row["outcome"] for row in rows}

    await asyncsync.sync(dest=tmp_path / "dest", report=path)
    assert outcomes() == dict.fromkeys(OBJECTS, "downloaded") | {"a//b.parquet": "skipped"}
    assert [outcome async for outcome in asyncsync.stream(dest=tmp_path / "dest", report=path)]
    assert outcomes() == {"a//b.parquet": "skipped"}
    store.put("root.parquet", b"again")
    run = asyncsync.run
    report = await anyio.to_thread.run_sync(lambda: run(dest=tmp_path / "dest", report=str(path)))
    assert report.downloaded == 1
    assert outcomes() == {"root.parquet": "downloaded", "a//b.parquet": "skipped"}


async def test_report_of_another_kind_is_refused_before_any_request(
    store: MemoryStore, tmp_path: Path
) -> None:
    """As is one that cannot be written, or that would be a file of the run."""
    for name in ("new.xlsx", "missing/new.csv", "dest/root.parquet"):
        with pytest.raises(ConfigError, match=r"^report: "):
            await asyncsync.sync(dest=tmp_path / "dest", report=tmp_path / name)
    assert store.requests == []
    assert tree(tmp_path) == {}


# plans


async def test_filtered_plan_can_be_synced(store: MemoryStore, tmp_path: Path) -> None:
    """Only what it kept is fetched, to the destination of the plan."""
    plan = await asyncsync.plan(dest=tmp_path)
    small = plan.filter(lambda transfer: transfer.remote.size > 1).only("1hz/")
    assert (await asyncsync.sync(plan=small)).downloaded == 1
    assert tree(tmp_path) == {"1hz/b.parquet": b"bb"}
    assert (await asyncsync.sync(plan=plan)).downloaded == 2
