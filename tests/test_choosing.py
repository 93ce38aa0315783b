"""What a run takes of the bucket by age, size and globs, from the options down to the files."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest

import asyncsync
from asyncsync.disk import PART
from asyncsync.errors import AbsentError, ConfigError, KeyCollisionError, LocalFileError
from asyncsync.settings import keylist, named_keys, read_keys
from tests.rigs.bucket import Bucket
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
    """By name, if others select something; an incremental run, which lists a part, does not."""
    told = Watcher()
    await asyncsync.sync(dest=tmp_path, include=["1hz/", "*.csv"], exclude="2hz", observer=told)
    assert tree(tmp_path).keys() == {"1hz/a.parquet", "1hz/b.parquet"}
    assert told.notices == [
        "no key matches --include '*.csv'",
        (
            "no key matches --exclude 2hz; a glob matches whole keys, so write '*/2hz/*' for "
            "folders of that name"
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


# named keys -------------------------------------------------------------------------------------


async def test_keys_that_a_list_names_are_synced(store: MemoryStore, tmp_path: Path) -> None:
    """From a file or anything to iterate over, and no others: a few are each looked up alone."""
    names = tmp_path / "names"
    names.write_bytes(b"2hz/c.parquet\r\n\n1hz/a.parquet\n1hz/a.parquet")
    keys = ["2hz/c.parquet", "1hz/a.parquet"]
    for source in (names, str(names), iter(keys)):
        store.requests.clear()
        report = await asyncsync.sync(dest=tmp_path / "dest", files_from=source)
        assert {r.key for r in store.requests if r.verb == "list"} == {*keys}
        assert (report.total.in_bucket, report.left_out, report.exit_code) == (2, 0, 0)
    assert tree(tmp_path / "dest").keys() == {*keys}


async def test_named_key_that_is_not_in_the_bucket_is_skipped(
    store: MemoryStore, tmp_path: Path
) -> None:
    """It is told of by name, exit code 3, by every command; its file is not extra as well."""
    (tmp_path / "gone.csv").write_bytes(b"x")
    names = ["1hz/a.parquet", "gone.csv", "1hz/" + "x" * 1100]
    for function in (asyncsync.plan, asyncsync.sync, asyncsync.verify):
        watcher = Watcher()
        report = await function(dest=tmp_path, files_from=names, observer=watcher)
        assert watcher.failures == dict.fromkeys(names[1:], AbsentError)
        assert (report.total.in_bucket, report.skipped, report.exit_code) == (1, 2, 3)
        assert watcher.extra_keys == []
        assert {str(failed.error) for failed in report.failures} == {"not in the bucket"}
    assert tree(tmp_path).keys() == {"1hz/a.parquet", "gone.csv"}


async def test_globs_do_not_matter_to_named_keys(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the default nor those of the environment; those of arguments are refused."""
    store.put("a.csv", b"x")
    monkeypatch.setenv("ASYNCSYNC_EXCLUDE", "*")
    monkeypatch.setenv("ASYNCSYNC_INCREMENTAL", "yes")
    assert (await asyncsync.sync(dest=tmp_path, files_from=["a.csv"])).downloaded == 1
    for globs in ({"include": ["*"]}, {"exclude": ["x"]}):
        with pytest.raises(ConfigError, match=r"cludes?: a list of keys says what to take"):
            await asyncsync.sync(dest=tmp_path, files_from=["a.csv"], **globs)  # type: ignore[arg-type]


async def test_named_keys_lie_under_the_prefixes(store: MemoryStore, tmp_path: Path) -> None:
    """So that the prefix can be stripped; a key under another one is a mistake."""
    report = await asyncsync.sync(
        prefixes="1hz/", dest=tmp_path, files_from=["1hz/a.parquet"], strip_prefix=True
    )
    assert report.exit_code == 0
    assert tree(tmp_path).keys() == {"a.parquet"}
    store.requests.clear()
    with pytest.raises(ConfigError, match=r"^files_from: a\.parquet does not begin with 1hz/; a"):
        await asyncsync.sync(prefixes="1hz/", dest=tmp_path, files_from=["a.parquet"])
    assert store.requests == []


async def test_limits_leave_out_named_keys_as_well(store: MemoryStore, tmp_path: Path) -> None:
    """They count as left out, and not as absent."""
    report = await asyncsync.sync(dest=tmp_path, files_from=sorted(OBJECTS), max_size=2000)
    assert (report.downloaded, report.left_out, report.exit_code) == (2, 1, 0)


async def test_empty_list_is_nothing_to_do(store: MemoryStore, tmp_path: Path) -> None:
    """No request is sent, and a line says why."""
    watcher = Watcher()
    report = await asyncsync.sync(dest=tmp_path, files_from=[], observer=watcher)
    assert (report.downloaded, report.exit_code, store.requests) == (0, 0, [])
    assert watcher.notices == ["the list of keys is empty, so that nothing is to do"]


async def test_key_that_needs_a_folder_wins_among_named_keys(
    store: MemoryStore, tmp_path: Path
) -> None:
    """Wherever the list is parted; only keys of the list are looked at."""
    names = [f"k{number:03}" for number in range(200)]
    store.put_many(dict.fromkeys([*names, "k050/x", "k099/x", "k100-", "k100/x", "k150/x"], b"x"))
    named = [*names, "k050/x", "k099/x", "k100-", "k100/x"]
    watcher = Watcher()
    await asyncsync.sync(dest=tmp_path, files_from=named, observer=watcher)
    refused = ("k050", "k099", "k100")
    assert watcher.failures == dict.fromkeys(refused, KeyCollisionError)
    assert tree(tmp_path).keys() == {*named} - {*refused}


async def test_folder_in_the_way_of_a_named_key_is_not_listed(
    store: MemoryStore, tmp_path: Path
) -> None:
    """Only keys of the list could need it, and these are looked up."""
    store.put_many({"2hz": b"x"} | {f"2hz/{number}": b"x" for number in range(50)})
    (tmp_path / "2hz").mkdir()
    store.page_size = 2
    for names, error in ((["2hz"], LocalFileError), (["2hz", "2hz/7"], KeyCollisionError)):
        watcher = Watcher()
        store.requests.clear()
        await asyncsync.plan(dest=tmp_path, files_from=names, observer=watcher)
        assert watcher.failures == {"2hz": error}
        assert len(store.requests) <= 3


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"b\r\na", ["a", "b"]),
        (b"# a\n; b\n c \n\n", ["# a", "; b", " c "]),
        (b"a\nb\0c\r\0", ["a\nb", "c\r"]),
        ("é\n".encode() + b"\xff", ["é", "\udcff"]),
        (b"", []),
    ],
)
def test_list_is_taken_as_it_is(content: bytes, keys: list[str]) -> None:
    """A line is a key, whatever is in it; with a NUL behind each key, a key may have lines."""
    found = named_keys({"files_from": read_keys("list", BytesIO(content))}, [])
    assert found == sorted(keys)


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({"files_from": ["1hz/a.parquet"]}, "a list of keys tells of no others"),
        ({"max_size": 1, "since": "1d"}, "does not go with --max-size, --newer-than"),
    ],
)
async def test_choice_does_not_go_with_deletions(
    store: MemoryStore, tmp_path: Path, choice: dict[str, object], why: str
) -> None:
    """What is chosen so shows of no file that its object is gone, or would have been chosen."""
    with pytest.raises(ConfigError, match=f"^delete: {why}"):
        await asyncsync.sync(dest=tmp_path, delete=True, **choice)  # type: ignore[arg-type]
    assert store.requests == []


async def test_list_that_cannot_be_read_is_named(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is one that is too long, such as a device; no request is sent."""
    monkeypatch.setattr(keylist, "MOST_BYTES", 1 << 20)
    for name, why in (
        (str(tmp_path / "none"), "No such file"),
        (str(tmp_path), "Is a directory"),
        ("/dev/zero", "is longer than 1 MiB"),
    ):
        with pytest.raises(ConfigError, match=rf"^files_from: {name}: {why}"):
            await asyncsync.sync(dest=tmp_path, files_from=name)
    for wrong in (5, [tmp_path]):
        with pytest.raises(ConfigError, match="files_from: is neither a path nor a list of keys"):
            await asyncsync.sync(dest=tmp_path, files_from=wrong)  # type: ignore[arg-type]
    assert store.requests == []


async def test_named_keys_of_a_real_server(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many of them, in folders that the server sorts in an order of its own, and some absent."""
    for name, value in bucket.server.environment().items():
        monkeypatch.setenv(name, value)
    folders = ("a", "a-b", "a/b", "z")
    objects = {f"{folder}/{number:03}.csv": b"x" for folder in folders for number in range(60)}
    bucket.put_many(objects)
    names = sorted(objects)[::2]
    report = await asyncsync.sync(dest=tmp_path / "dest", files_from=[*names, "a/none", "a-"])
    assert tree(tmp_path / "dest") == dict.fromkeys(names, b"x")
    assert (report.downloaded, report.skipped, report.failed) == (120, 2, 0)
