"""Runs that strip a prefix: its content is right in the folder, and keys stay whole."""

import shutil
from pathlib import Path

import pytest

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.disk import Folder
from asyncsync.download.download import SMALL
from asyncsync.errors import ConfigError, UnsafeKeyError
from asyncsync.model import Checks
from asyncsync.paths import Paths
from tests.rigs.memory_store import MemoryStore
from tests.rigs.state import PARTS, STATE
from tests.rigs.watch import Watcher, quick_pace, snapshot, tree

pytestmark = pytest.mark.anyio

OBJECTS = {
    "1hz/2026/a.parquet": b"a",
    "1hz/b.parquet": b"bb",
    "1hz/large.parquet": bytes(SMALL + 1),
    "2hz/b.parquet": b"BB",
    "b.parquet": b"root",
}
BELOW = {key.removeprefix("1hz/"): OBJECTS[key] for key in OBJECTS if key.startswith("1hz/")}


class Rig:
    """Runs from a bucket in memory, below one prefix, into a folder without it."""

    def __init__(self, dest: Path, objects: dict[str, bytes]) -> None:
        self.dest = dest
        self.store = MemoryStore(objects)

    async def run(
        self, prefix: str, command: str = "sync", *, strips: bool = True, deep: bool = False
    ) -> Watcher:
        """Run a command, and return what its observer saw."""
        stripped = prefix if strips else ""
        seen = Watcher()
        job = pipeline.Job(
            store=self.store,
            folder=Folder(self.dest, paths=Paths(stripped)),
            selection=Selection(["*.parquet"], [], [prefix], Paths(stripped)),
            pace=quick_pace(),
            observer=seen,
            checks=Checks(parquet=False),
            deep=deep,
        )
        await getattr(pipeline, command)(job)
        return seen


@pytest.fixture
def rig(dest: Path) -> Rig:
    """A bucket with two prefixes and an object in its root."""
    return Rig(dest, OBJECTS)


async def test_content_of_the_prefix_comes_right_into_the_folder(rig: Rig) -> None:
    """Outcomes name whole keys; a second run finds all up to date, and sends no request for one."""
    seen = await rig.run("1hz/")
    assert tree(rig.dest) == BELOW
    assert seen.downloaded == sorted(f"1hz/{name}" for name in BELOW)
    assert seen.files == {}
    rig.store.requests.clear()
    again = await rig.run("1hz/")
    assert (again.downloaded, again.files) == ([], {"1hz/": 3})
    assert {request.verb for request in rig.store.requests} == {"list"}


async def test_stripped_files_are_planned_and_verified(rig: Rig) -> None:
    """Files without an object are named by the key that they would have; nothing is written."""
    await rig.run("1hz/")
    (rig.dest / "b.parquet").unlink()
    (rig.dest / "more").mkdir()
    (rig.dest / "more/x.parquet").write_bytes(b"x")
    before = snapshot(rig.dest)
    planned = await rig.run("1hz/", "plan")
    assert [t.path for page in planned.pages for t in page.transfers] == [("b.parquet",)]
    verified = await rig.run("1hz/", "verify", deep=True)
    assert verified.confirmed == ["1hz/2026/a.parquet", "1hz/large.parquet"]
    assert set(verified.failures) == {"1hz/b.parquet"}
    assert verified.extra_keys == ["1hz/more/x.parquet"]
    assert snapshot(rig.dest) == before


async def test_edited_file_is_fetched_again(rig: Rig) -> None:
    """The notes of what was made here know whole keys."""
    await rig.run("1hz/")
    (rig.dest / "b.parquet").write_bytes(b"bx")
    assert (await rig.run("1hz/")).downloaded == ["1hz/b.parquet"]
    assert tree(rig.dest) == BELOW


@pytest.mark.parametrize("key", ["p/../x.parquet", "p//x.parquet", "p/.asyncsync/x.parquet"])
async def test_rest_of_the_key_must_be_a_safe_path(dest: Path, key: str) -> None:
    """Whatever the prefix is; the error names the whole key."""
    seen = await Rig(dest, {key: b"x"}).run("p/")
    assert seen.failures == {key: UnsafeKeyError}
    assert tree(dest) == {}


@pytest.mark.parametrize("prefix", ["../", "/", "a//", ".asyncsync/"])
async def test_prefix_itself_need_not_be_a_path(dest: Path, prefix: str) -> None:
    """It is no part of any."""
    await Rig(dest, {f"{prefix}x.parquet": b"x"}).run(prefix)
    assert tree(dest) == {"x.parquet": b"x"}


async def test_key_and_folder_of_its_name_collide_below_the_prefix(dest: Path) -> None:
    """As without stripping, the folder wins."""
    seen = await Rig(dest, {"p/x.parquet": b"x", "p/x.parquet/y.parquet": b"y"}).run("p/")
    assert list(seen.failures) == ["p/x.parquet"]
    assert tree(dest) == {"x.parquet/y.parquet": b"y"}


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (("1hz/", True), ("2hz/", True), "holds 1hz/ without that prefix; choose another folder"),
        (("1hz/", True), ("1hz/", False), "holds 1hz/ without that prefix; use --strip-prefix"),
        (("1hz/", False), ("1hz/", True), "holds files with whole keys as paths"),
        (("", False), ("2hz/", True), "holds files with whole keys as paths"),
    ],
)
@pytest.mark.parametrize("command", ["sync", "plan", "verify"])
async def test_folder_takes_runs_of_one_kind(
    rig: Rig, first: tuple[str, bool], second: tuple[str, bool], says: str, command: str
) -> None:
    """A file of `1hz/b.parquet` never counts as one of `2hz/b.parquet`, of the same size and time.

    No request is sent, and no file changes.
    """
    await rig.run(first[0], strips=first[1])
    before = tree(rig.dest)
    rig.store.requests.clear()
    with pytest.raises(ConfigError, match=says):
        await rig.run(second[0], command, strips=second[1])
    assert (tree(rig.dest), rig.store.requests) == (before, [])
    assert (await rig.run(first[0], strips=first[1])).downloaded == []


async def test_folder_of_a_run_that_made_nothing_is_free(rig: Rig) -> None:
    """What counts is whether files were made, not that there was a run."""
    await rig.run("none/")
    await rig.run("none/", strips=False)
    assert (await rig.run("2hz/")).downloaded == ["2hz/b.parquet"]
    assert tree(rig.dest) == {"b.parquet": b"BB"}
    with pytest.raises(ConfigError, match="holds 2hz/ without"):
        await rig.run("1hz/")


async def test_copy_of_the_folder_takes_runs_of_the_same_kind(rig: Rig) -> None:
    """The records of the files do not count there, but the files are there."""
    await rig.run("1hz/")
    copy = Rig(rig.dest.with_name("copy"), OBJECTS)
    shutil.copytree(rig.dest, copy.dest)
    (copy.dest / PARTS / "0.left").touch()  # so that the run opens the records, and drops them
    assert (await copy.run("1hz/")).downloaded == []
    with pytest.raises(ConfigError, match="holds 1hz/ without"):
        await copy.run("2hz/")


@pytest.mark.parametrize(("theirs", "ours"), [("2hz/", "1hz/"), ("", "1hz/"), ("1hz/", "")])
async def test_files_that_other_users_made_of_other_keys_are_not_taken(
    dest: Path, theirs: str, ours: str
) -> None:
    """No note of another user keeps a run out, but what looks up to date is read, each time."""
    keys = f"{ours}b.parquet", f"{theirs}b.parquet"
    rig = Rig(dest, dict(zip(keys, (b"bb", b"BB"), strict=True)))  # theirs is the younger one
    await rig.run(theirs)
    (dest / STATE).rename(dest / ".asyncsync/4711")
    planned = await rig.run(ours, "plan")
    assert keys[0] in [t.remote.key for page in planned.pages for t in page.transfers]
    for _ in range(2):
        assert keys[0] in (await rig.run(ours)).downloaded
        assert (dest / "b.parquet").read_bytes() == b"bb"
        (dest / "b.parquet").write_bytes(b"BB")  # theirs again, and younger


async def test_files_of_another_tool_are_taken_over(rig: Rig) -> None:
    """A folder that such a tool has filled below a prefix is brought in step."""
    rig.dest.mkdir(parents=True)
    (rig.dest / "b.parquet").write_bytes(b"bb")
    seen = await rig.run("1hz/")
    assert seen.downloaded == ["1hz/2026/a.parquet", "1hz/large.parquet"]
