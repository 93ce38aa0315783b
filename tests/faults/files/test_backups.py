"""Rows 101 and 107 of the table of faults, with `--backup-dir`: nothing that was here is lost."""

import signal
from pathlib import Path

import pytest

from tests.faults.files.scene import LARGE, run
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.watch import tree
from tests.rigs.wrapped import injected, on_a_disk

pytestmark = pytest.mark.anyio

OBJECTS = {"a/1.parquet": b"one", "a/2.parquet": LARGE, "b/3.parquet": b"three"}
MINE = {key: b"mine, of " + key.encode() for key in OBJECTS}


def edit(dest: Path) -> None:
    """Put files of somebody's into the places of the objects."""
    for key, content in MINE.items():
        (dest / key).parent.mkdir(parents=True, exist_ok=True)
        (dest / key).write_bytes(content)


def check_nothing_is_lost(dest: Path, kept: Path) -> None:
    """Each file is in its place or among the backups; none is half of one or the other."""
    here, there = tree(dest), tree(kept)
    for key, content in MINE.items():
        assert here[key] in {content, OBJECTS[key]}
        assert content in {here[key], there.get(key)}
    assert {path: there[path] for path in there if path in MINE}.items() <= MINE.items()


async def synced(
    s3: ScriptedS3, dest: Path, kept: Path, *wrapper: str, processes: str = "0"
) -> int:
    options = ("--no-parquet-check", "--backup-dir", str(kept), "--processes", processes)
    return (await run(wrapper, s3, dest, *options)).code


@pytest.mark.row(107)
@pytest.mark.parametrize("call", ["linkat", "renameat", "mkdirat", "unlinkat"])
@pytest.mark.parametrize("when", [1, 2, 3, 4])
async def test_killed_run_loses_no_file_that_it_replaces(
    tmp_path: Path, dest: Path, call: str, when: int
) -> None:
    """At whatever change to the disk it is killed; the next run keeps each file once."""
    kept = tmp_path / "kept"
    edit(dest)
    async with ScriptedS3(OBJECTS) as s3:
        wrapper = injected(f"{call}:signal=SIGKILL:when={when}")
        assert await synced(s3, dest, kept, *wrapper) in {0, -signal.SIGKILL, 128 + signal.SIGKILL}
        check_nothing_is_lost(dest, kept)
        assert await synced(s3, dest, kept) == 0
    assert tree(dest) == OBJECTS
    assert tree(kept) == MINE


@pytest.mark.row(101)
async def test_file_that_cannot_be_kept_stays(tmp_path: Path, dest: Path) -> None:
    """Its object fails, and all others are downloaded; the next run tries again."""
    kept, left = tmp_path / "kept", "b/3.parquet"
    (kept / "b").mkdir(parents=True)
    edit(dest)
    async with ScriptedS3(OBJECTS) as s3:
        wrapper = injected("linkat:error=EIO", paths=[kept / "b"])
        assert await synced(s3, dest, kept, *wrapper) == 1
        check_nothing_is_lost(dest, kept)
        assert tree(dest) == {**OBJECTS, left: MINE[left]}
        assert tree(kept) == {key: content for key, content in MINE.items() if key != left}
        assert await synced(s3, dest, kept) == 0
    assert (tree(dest), tree(kept)) == (OBJECTS, MINE)


async def test_folder_on_another_disk_is_refused_before_anything_is_fetched(
    tmp_path: Path, dest: Path
) -> None:
    """The message says what to do, and no file is touched."""
    kept = tmp_path / "kept"
    async with ScriptedS3(OBJECTS) as s3:
        wrapper = on_a_disk(dest, "size=8m", "mkdir a; echo mine > a/1.parquet")
        ran = await run(wrapper, s3, dest, "--no-parquet-check", "--backup-dir", str(kept))
        assert s3.count("GET") == 0
    assert ran.code == 5
    why = "cannot keep files: it is on another disk; choose another --backup-dir"
    assert why in ran.err
    assert tree(Path(f"{dest}.copy")) == {"a/1.parquet": b"mine\n"}
    assert tree(kept) == {}


@pytest.mark.row(107)
@pytest.mark.parametrize("call", ["linkat", "unlinkat"])
@pytest.mark.parametrize("when", [2, 3, 4])
async def test_killed_run_loses_no_file_that_it_deletes(
    tmp_path: Path, dest: Path, call: str, when: int
) -> None:
    """It is in its place or among the backups, and the next run goes on."""
    kept, deletes = tmp_path / "kept", ("--delete", "--max-delete", "100%")
    options = ("--no-parquet-check", "--backup-dir", str(kept), *deletes)
    async with ScriptedS3(OBJECTS) as s3:
        assert (await run([], s3, dest, "--no-parquet-check")).code == 0
        for key in ("a/1.parquet", "a/2.parquet"):
            del s3.objects[key]
        wrapper = injected(f"{call}:signal=SIGKILL:when={when}")
        await run(wrapper, s3, dest, *options)
        here, there = tree(dest), tree(kept)
        for key, content in OBJECTS.items():
            assert content in {here.get(key), there.get(key)}
        assert (await run([], s3, dest, *options)).code == 0
    assert tree(dest) == {"b/3.parquet": b"three"}
    assert tree(kept) == {key: OBJECTS[key] for key in ("a/1.parquet", "a/2.parquet")}


@pytest.mark.row(101)
@pytest.mark.parametrize("processes", ["0", "2"])
async def test_what_has_arrived_for_a_file_that_cannot_be_kept_is_not_fetched_again(
    tmp_path: Path, dest: Path, processes: str
) -> None:
    """A large object waits beside its place, and needs only its name once the file can be kept."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "a").write_bytes(b"in the way")
    edit(dest)
    async with ScriptedS3({"a/2.parquet": LARGE}) as s3:
        assert await synced(s3, dest, kept, processes=processes) == 1
        assert (dest / "a/2.parquet").read_bytes() == MINE["a/2.parquet"]
        fetched = s3.count("GET")
        (kept / "a").unlink()
        assert await synced(s3, dest, kept, processes=processes) == 0
        assert s3.count("GET") == fetched
    assert (dest / "a/2.parquet").read_bytes() == LARGE
    assert tree(kept) == {"a/2.parquet": MINE["a/2.parquet"]}
