"""Listing after the last keys: what it saves, what it must not miss, when everything is listed."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import anyio.lowlevel
import pytest

from asyncsync import api, pipeline
from asyncsync.compare import Selection
from asyncsync.disk import PART, Folder
from asyncsync.disk.folders.folding import Folding
from asyncsync.disk.state import unsynced
from asyncsync.errors import (
    AccessDeniedError,
    KeyCollisionError,
    ListingError,
    MachineError,
    SourceError,
)
from asyncsync.interfaces import Observer, Observers
from asyncsync.listing import incremental as incremental_module
from asyncsync.listing.cuts import HIGHEST
from asyncsync.listing.incremental import MAX_AGE, MOST_RUNS, Incremental, Scope, _format_price
from asyncsync.model import Checks
from tests.rigs.bucket import Bucket
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.state import STATE
from tests.rigs.watch import Watcher, quick_pace, tree, unfinished

pytestmark = pytest.mark.anyio

OLD = {f"{prefix}/{number:02}": b"x" for prefix in "ab" for number in range(20)} | {"root": b"r"}
SCOPE = Scope("https://memory.example", "sensors", (), ("*",), ())


class Rig:
    """Runs between a store with pages of five keys and a folder."""

    def __init__(self, dest: Path, objects: Mapping[str, bytes] = OLD) -> None:
        self.dest = dest
        self.store = MemoryStore(objects, page_size=5)
        self.now = 1_000_000.0
        self.scope = SCOPE
        self.source = ""
        """The bucket, as the folder notes it."""

    async def run(self, command: api.Command = pipeline.sync) -> Watcher:
        """Run the command and return its observer; the requests of earlier runs are forgotten."""
        self.store.requests.clear()
        seen = Watcher()
        folder = Folder(self.dest, source=self.source)
        incremental = Incremental(folder, self.scope, seen.noticed, lambda: self.now)
        await command(self.job(Observers(seen, incremental), incremental, folder))
        return seen

    def job(
        self, observer: Observer, incremental: Incremental | None, folder: Folder | None = None
    ) -> pipeline.Job:
        """Return what to work on."""
        return pipeline.Job(
            store=self.store,
            folder=folder or Folder(self.dest),
            selection=Selection(self.scope.include, self.scope.exclude, self.scope.prefixes),
            pace=quick_pace(),
            observer=observer,
            checks=Checks(parquet=False),
            incremental=incremental,
        )

    def listed_after(self) -> set[str]:
        """Return after which known keys the run has started to list."""
        starts = {r.start_after for r in self.store.requests if r.verb == "list"}
        return {start for start in starts if start and start[-1] not in f"/{HIGHEST}"}

    @property
    def state(self) -> Path:
        """The file with the last keys."""
        (found,) = (self.dest / STATE).glob("since-*")
        return found


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A bucket of two prefixes and an object in the root, and an empty destination."""
    return Rig(tmp_path / "dest")


FROM_THE_LAST = {"a/19", "b/19"}
IN_FULL: set[str] = set()


async def test_next_run_lists_from_the_last_keys_on(rig: Rig) -> None:
    """It downloads new objects, with one request for each prefix, and lists the root completely."""
    assert len((await rig.run()).downloaded) == len(OLD)
    in_full = len([r for r in rig.store.requests if r.verb == "list"])
    for key in ("a/20", "a/21", "newer root"):
        rig.store.put(key, b"n")
    assert (await rig.run()).downloaded == ["a/20", "a/21", "newer root"]
    assert rig.listed_after() == FROM_THE_LAST
    assert len([r for r in rig.store.requests if r.verb == "list"]) <= 5 < in_full
    assert (await rig.run()).downloaded == []
    assert rig.listed_after() == {"a/21", "b/19"}
    assert tree(rig.dest).keys() == OLD.keys() | {"a/20", "a/21", "newer root"}


async def test_new_prefix_is_listed_completely(rig: Rig) -> None:
    """It is discovered as usual."""
    await rig.run()
    rig.store.put("0/first", b"n")
    assert (await rig.run()).downloaded == ["0/first"]
    assert rig.listed_after() == FROM_THE_LAST


async def test_prefix_with_a_failure_keeps_its_last_key(rig: Rig) -> None:
    """A failed object is listed again until it has arrived; other prefixes move on."""
    rig.store.on("get", "a/07", Act(error=AccessDeniedError("a/07", "denied")))
    assert (await rig.run()).failures == {"a/07": AccessDeniedError}
    assert (await rig.run()).downloaded == ["a/07"]
    assert rig.listed_after() == {"b/19"}

    rig.store.put("a/20", b"n")
    rig.store.put("a/21", b"n")
    rig.store.on("get", "a/20", Act(error=AccessDeniedError("a/20", "denied")))
    assert (await rig.run()).downloaded == ["a/21"]
    assert (await rig.run()).downloaded == ["a/20"]
    assert rig.listed_after() == FROM_THE_LAST


async def test_skipped_key_is_listed_again(rig: Rig) -> None:
    """So every run reports it, and has the exit code for it."""
    rig.store.put("b/../x", b"unsafe")
    for _ in range(2):
        assert (await rig.run()).failures.keys() == {"b/../x"}
    assert rig.listed_after() == {"a/19"}


@pytest.mark.parametrize("later", [MAX_AGE, MAX_AGE + 1, -1])
async def test_everything_is_listed_once_a_day(rig: Rig, later: float) -> None:
    """That finds replaced objects and lost files; a clock that was set back has the same effect."""
    await rig.run()
    rig.store.put("a/03", b"another")
    (rig.dest / "b/05").unlink()
    assert (await rig.run()).downloaded == []
    rig.now += later
    assert (await rig.run()).downloaded == ["a/03", "b/05"]
    assert rig.listed_after() == IN_FULL
    await rig.run()
    assert rig.listed_after() == FROM_THE_LAST


async def test_everything_is_listed_every_so_many_runs(rig: Rig) -> None:
    """However short the time between them."""
    begun = []
    for _ in range(2 * MOST_RUNS):
        await rig.run()
        begun.append(rig.listed_after())
    assert begun == [IN_FULL, *[FROM_THE_LAST] * (MOST_RUNS - 1)] * 2


async def test_everything_is_listed_after_a_power_cut(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Once: damaged files sort before the last keys of the interrupted run."""
    monkeypatch.setattr(unsynced, "BOOT", tmp_path / "boot_id")
    (tmp_path / "boot_id").write_text(f"{uuid.UUID(int=1)}\n")
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "settle", lambda folder: anyio.lowlevel.checkpoint())
        await rig.run()
        await rig.run()
    assert rig.listed_after() == FROM_THE_LAST
    (tmp_path / "boot_id").write_text(f"{uuid.UUID(int=2)}\n")
    await rig.run(pipeline.plan)
    assert rig.listed_after() == IN_FULL
    seen = await rig.run()
    assert (sorted(seen.downloaded), rig.listed_after()) == (sorted(OLD), IN_FULL)
    seen = await rig.run()
    assert (seen.downloaded, rig.listed_after()) == ([], FROM_THE_LAST)


@pytest.mark.row(143)
async def test_everything_is_listed_in_a_folder_of_two_buckets(rig: Rig) -> None:
    """Files of the other one may be where this one's were that sort before the last keys."""
    rig.source = "one"
    for _ in range(2):
        await rig.run()
    assert rig.listed_after() != set()
    other = Rig(rig.dest, {"a/01": b"y"})
    other.source, other.scope = "other", replace(SCOPE, bucket="other")
    await other.run()
    assert tree(rig.dest) == {**OLD, "a/01": b"y"}
    assert (await rig.run()).downloaded == ["a/01"]
    assert rig.listed_after() == set()
    assert tree(rig.dest) == OLD


async def test_failure_among_old_keys_lists_the_whole_prefix_again(rig: Rig) -> None:
    """A replaced object that failed sorts before the last key."""
    await rig.run()
    rig.store.put("a/03", b"another")
    rig.now += MAX_AGE
    rig.store.on("get", "a/03", Act(error=AccessDeniedError("a/03", "denied")))
    assert (await rig.run()).downloaded == []
    assert (await rig.run()).downloaded == ["a/03"]
    assert rig.listed_after() == {"b/19"}


@pytest.mark.parametrize(
    "changed",
    [
        {"endpoint": "https://other.example"},
        {"bucket": "other"},
        {"include": ("*", "more")},
        {"exclude": ("*/03",)},
        {"prefixes": ("a/", "b/")},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_state_belongs_to_one_scope(rig: Rig, changed: dict[str, object]) -> None:
    """Another bucket, prefix or glob has its own state."""
    await rig.run()
    rig.scope = replace(SCOPE, **changed)  # type: ignore[arg-type]  # each is of its field's type
    await rig.run()
    assert rig.listed_after() == IN_FULL
    rig.scope = SCOPE
    await rig.run()
    assert rig.listed_after() == FROM_THE_LAST


async def test_bucket_without_new_objects_is_not_reported_as_empty(tmp_path: Path) -> None:
    """A second run lists no key, but knows that there are some."""
    rig = Rig(tmp_path / "dest", {"a/01": b"x"})
    await rig.run()
    seen = await rig.run()
    assert (seen.downloaded, seen.unmatched_prefixes) == ([], [])


@pytest.mark.parametrize("prefixes", [("a/", "b/"), ("a/1", "b/")])
async def test_given_prefixes_have_last_keys(rig: Rig, prefixes: tuple[str, ...]) -> None:
    """A prefix without new objects is not reported as unmatched."""
    rig.scope = replace(SCOPE, prefixes=prefixes)
    await rig.run()
    rig.store.put("b/20", b"n")
    seen = await rig.run()
    assert (seen.downloaded, seen.unmatched_prefixes) == (["b/20"], [])
    assert rig.listed_after() == FROM_THE_LAST


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"format": 2}',
        b'{"format": 2, "full_at": 1000000, "runs": 1, "marks": {}}',
    ],
)
async def test_invalid_state_lists_everything(rig: Rig, content: bytes) -> None:
    """With a message; the next state is valid again."""
    await rig.run()
    rig.state.write_bytes(content)
    seen = await rig.run()
    assert "not valid" in seen.notices[0]
    assert rig.listed_after() == IN_FULL
    await rig.run()
    assert rig.listed_after() == FROM_THE_LAST


@pytest.mark.parametrize("marks", [{"a/": ["a/19", "4"]}, {"a/": [19, 4]}, {"a/": "x"}, []])
async def test_invalid_mark_lists_everything(rig: Rig, marks: object) -> None:
    """One invalid mark makes the whole state invalid."""
    await rig.run()
    rig.state.write_text(json.dumps({**json.loads(rig.state.read_bytes()), "marks": marks}))
    await rig.run()
    assert rig.listed_after() == IN_FULL


async def test_incomplete_listing_keeps_the_state(rig: Rig) -> None:
    """What it did not see may be new."""
    await rig.run()
    before = rig.state.read_bytes()
    rig.store.put("a/20", b"n")
    rig.store.on("list", "", Act(), Act(error=ListingError("broken")))
    with pytest.raises(SourceError):
        await rig.run()
    assert rig.state.read_bytes() == before


async def test_unfinished_files_of_keys_that_are_not_listed_are_kept(rig: Rig) -> None:
    """Only a run that lists their prefix completely knows that no object needs them."""
    await rig.run()
    rig.store.put("a/00", bytes(PART))
    rig.store.on("get", "a/00", *[Act(cut=PART // 2)] * 3)
    await pipeline.sync(rig.job(Watcher(), None))  # which saves no state
    kept = unfinished(rig.dest)
    assert kept
    await rig.run()
    assert unfinished(rig.dest) == kept
    rig.store.delete("a/00")
    rig.now += MAX_AGE + 1
    await rig.run()
    assert unfinished(rig.dest) == []


async def test_server_without_an_order_is_listed_completely(tmp_path: Path) -> None:
    """New keys may sort before the last one."""
    rig = Rig(tmp_path / "dest")
    rig.store = MemoryStore(OLD, page_size=5, order=lambda key: key[::-1])
    for _ in range(2):
        await rig.run()
        assert rig.listed_after() == IN_FULL
    assert tree(rig.dest) == OLD


async def test_single_request_is_reported_in_the_singular(tmp_path: Path) -> None:
    """As a user of a small prefix reads it."""
    rig = Rig(tmp_path / "dest", {"a/1": b"x"})
    rig.scope = replace(SCOPE, prefixes=("a/",))
    (notice,) = (await rig.run()).notices
    assert notice.startswith("everything was listed: 1 request, ")


async def test_plan_reports_what_is_saved_and_saves_no_state(rig: Rig) -> None:
    """In requests and in money; a plan syncs nothing, so it saves no state."""
    (notice,) = (await rig.run()).notices
    requests = sum(request.verb == "list" for request in rig.store.requests)
    cost = f"{requests} requests, less than $0.0001 with R2"
    assert notice == f"everything was listed: {cost}; this is the first run of its kind here"
    before = rig.state.read_bytes()
    rig.store.put("a/20", b"n")
    for _ in range(2):
        (notice,) = (await rig.run(pipeline.plan)).notices
        assert f"listed: 3 requests, less than $0.0001 with R2, instead of {requests}" in notice
        assert f"everything is listed again in 24 h or {MOST_RUNS - 1} runs" in notice
        assert rig.state.read_bytes() == before


@pytest.mark.parametrize(
    ("requests", "price"), [(4, "less than $0.0001"), (1_204, "$0.0054"), (10**6, "$4.5000")]
)
async def test_price_is_never_shown_as_zero(requests: int, price: str) -> None:
    """A few requests cost less than the smallest price that is shown."""
    assert _format_price(requests) == price


async def test_run_succeeds_if_its_state_cannot_be_saved(rig: Rig) -> None:
    """All objects have arrived; the next run lists them again."""
    await rig.run()
    rig.state.unlink()
    rig.scope = replace(SCOPE, bucket="other")
    await rig.run()
    name = rig.state
    name.unlink()
    name.mkdir()
    (name / "in the way").touch()
    assert any("could not be saved" in notice for notice in (await rig.run()).notices)


async def test_run_succeeds_if_no_file_can_be_opened_at_its_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is saved depends on a file of the system's."""

    def refuse(_: Folder) -> int:
        raise MachineError("no more files can be opened")

    monkeypatch.setattr(Folder, "unsure_until", refuse)
    seen = await rig.run()
    assert any("could not be saved" in notice for notice in seen.notices)


async def test_everything_is_listed_where_names_fold(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new key may collide with an old one. The requests are reported as usual."""
    await rig.run()
    assert (await rig.run()).notices[0].startswith("only keys after")
    monkeypatch.setattr("asyncsync.disk.folder.probe", lambda _: Folding(cases=True, forms=True))
    rig.store.put("A/07", b"new")
    for _ in range(2):
        seen = await rig.run()
        (notice,) = seen.notices
        requests = sum(request.verb == "list" for request in rig.store.requests)
        assert notice.startswith(f"everything was listed: {requests} requests")
        assert seen.failures == {"a/07": KeyCollisionError}


async def test_real_bucket_is_listed_from_the_last_key_on(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`verify`, and a sync without the option, list everything."""
    for name, value in bucket.server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ASYNCSYNC_INCLUDE", "*.txt")
    monkeypatch.setattr(incremental_module, "FEWEST_PAGES", 1)
    dest = tmp_path / "dest"
    bucket.put("1hz/b.txt", b"1")
    assert (await api.sync(dest=dest, incremental=True)).downloaded == 1
    bucket.put("1hz/a.txt", b"2")
    bucket.put("1hz/c.txt", b"3")
    assert (await api.sync(dest=dest, incremental=True)).downloaded == 1
    assert tree(dest).keys() == {"1hz/b.txt", "1hz/c.txt"}
    report = await api.verify(dest=dest, incremental=True)
    assert (report.verified, report.failed) == (2, 1)
    assert (await api.sync(dest=dest)).downloaded == 1


async def test_prefix_of_less_than_two_pages_is_listed_completely(tmp_path: Path) -> None:
    """To leave it out would save no request, and what is new before its last key is found."""
    rig = Rig(tmp_path / "dest", {f"{prefix}/{n}": b"x" for prefix in "abcd" for n in range(6)})
    await rig.run()
    rig.store.put("b/0-new", b"n")
    assert (await rig.run()).downloaded == ["b/0-new"]
    assert rig.listed_after() == IN_FULL


@pytest.mark.row(130)
async def test_new_prefix_is_found_that_the_list_of_folders_leaves_out(rig: Rig) -> None:
    """Nothing is asked for with a delimiter: the gaps between the last keys are listed."""
    await rig.run()
    for key in ("0/deep/x", "a/20/x", "ab/c/x", "z/y/x"):
        rig.store.put(key, b"n")
    assert (await rig.run()).downloaded == ["0/deep/x", "a/20/x", "ab/c/x", "z/y/x"]
    assert not any(request.delimiter for request in rig.store.requests)


async def test_run_that_lists_everything_says_why(rig: Rig) -> None:
    """Each time: the first run, one that is due, and one in which there is nothing to save."""
    (first,) = (await rig.run()).notices
    assert first.endswith("; this is the first run of its kind here")
    rig.now += MAX_AGE
    (due,) = (await rig.run()).notices
    assert due.endswith("; that is due once a day, and after 20 runs")
