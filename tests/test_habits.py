"""What people rely on who come from other tools: from bucket to folder, through the command line.

Each of these behaviours is checked by the suite of at least one of s5cmd, aws-cli, rclone and
huggingface_hub. What is different here, and why, is in docs/differences.md.
"""

import os
import shutil
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.rigs.bucket import Bucket
from tests.rigs.child import Done, asyncsync
from tests.rigs.watch import snapshot, tree

pytestmark = pytest.mark.anyio

WEEK = 7 * 24 * 3600


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """The folder that `synced` syncs into; not made yet."""
    return tmp_path / "dest"


async def synced(bucket: Bucket, *arguments: str) -> Done:
    """Sync into `dest` in the working directory, and return what came of it."""
    return await asyncsync(bucket.server.environment(), *arguments, "--json", "--dest", "dest")


def put(bucket: Bucket, *keys: str) -> Mapping[str, bytes]:
    """Store objects that hold their own keys."""
    objects = {key: key.encode() for key in keys}
    bucket.put_many(objects)
    return objects


def write(dest: Path, files: Mapping[str, str], *, age: float = 0) -> None:
    """Make files in the destination, as another tool might, so many seconds ago."""
    dest.mkdir(exist_ok=True)
    for name, content in files.items():
        (dest / name).write_text(content)
        os.utime(dest / name, (time.time() - age,) * 2)


# what counts ------------------------------------------------------------------------------------


async def test_prefix_is_taken_literally(bucket: Bucket, dest: Path) -> None:
    """Characters that a glob gives a meaning stand for themselves."""
    put(bucket, "a*b/1.parquet", "a?b/2.parquet", "a[xy]b/3.parquet", "axb/4.parquet")
    for prefix, key in (("a*b/", "a*b/1.parquet"), ("a[xy]b/", "a[xy]b/3.parquet")):
        assert (await synced(bucket, "sync", prefix)).code == 0
        assert key in tree(dest)
    assert sorted(tree(dest)) == ["a*b/1.parquet", "a[xy]b/3.parquet"]


async def test_prefix_may_end_anywhere_and_be_a_whole_key(bucket: Bucket, dest: Path) -> None:
    """All keys that begin so come, each to the path that is its whole key."""
    put(bucket, "1hz/a.parquet", "1hz-old/a.parquet", "1/a.parquet", "2/1hz.parquet")
    assert (await synced(bucket, "sync", "1hz/a.parquet")).code == 0
    assert sorted(tree(dest)) == ["1hz/a.parquet"]
    assert (await synced(bucket, "sync", "1hz")).code == 0
    assert sorted(tree(dest)) == ["1hz-old/a.parquet", "1hz/a.parquet"]


async def test_exclude_wins_over_include_in_any_order(bucket: Bucket, dest: Path) -> None:
    """What one glob excludes, no other brings back."""
    put(bucket, "a.csv", "raw/b.csv", "c.parquet")
    include, exclude = ("--include", "*.csv"), ("--exclude", "raw/*")
    for arguments in ((*include, *exclude), (*exclude, *include)):
        assert (await synced(bucket, *arguments)).code == 0
        assert sorted(tree(dest)) == ["a.csv"]


async def test_globs_match_whole_keys_and_know_case(bucket: Bucket, dest: Path) -> None:
    """`*` matches nothing and slashes as well, `?` one character, and a dot is no wildcard."""
    put(bucket, "a/b/c.parquet", "a/bc.parquet", "a/b.PARQUET", "a/b-parquet", "xa/b.parquet")
    assert (await synced(bucket, "--include", "a/*b*.parquet")).code == 0
    assert sorted(tree(dest)) == ["a/b/c.parquet", "a/bc.parquet"]
    assert (await synced(bucket, "--include", "a/?.PAR*")).code == 0
    assert "a/b.PARQUET" in tree(dest)


async def test_globs_match_what_the_prefix_has_matched_as_well(bucket: Bucket, dest: Path) -> None:
    """They are no paths below the prefix, also where the files are."""
    put(bucket, "raw/a.csv", "raw/b.csv")
    below = await synced(bucket, "sync", "raw/", "--strip-prefix", "--include", "a*")
    assert (below.code, below.summary["downloaded"]) == (0, 0)
    whole = await synced(bucket, "sync", "raw/", "--strip-prefix", "--include", "raw/a*")
    assert whole.code == 0
    assert tree(dest) == {"a.csv": b"raw/a.csv"}


async def test_each_glob_may_be_one_of_several(bucket: Bucket, dest: Path) -> None:
    """What one include matches comes, unless an exclude does so as well."""
    put(bucket, "app.go", "app.py", "file.go", "file.py", "read.me", "vendor/package.go")
    includes = ("--include", "*.py", "--include", "*.go")
    excludes = ("--exclude", "file*", "--exclude", "vendor/*")
    assert (await synced(bucket, *includes, *excludes)).code == 0
    assert sorted(tree(dest)) == ["app.go", "app.py"]


# what is done, and what is left -----------------------------------------------------------------


async def test_size_or_a_newer_object_brings_a_file_again(bucket: Bucket, dest: Path) -> None:
    """A file of another tool that has the object's size and is not older stays as it is."""
    put(bucket, "newer.parquet", "older.parquet", "other size.parquet")
    write(dest, {"newer.parquet": "NEWER.PARQUET"}, age=-WEEK)
    write(dest, {"older.parquet": "OLDER.PARQUET"}, age=WEEK)
    write(dest, {"other size.parquet": "x"}, age=-WEEK)
    ran = await synced(bucket)
    reasons = {e["key"]: e["reason"] for e in ran.events if e["event"] == "downloaded"}
    assert ran.code == 0
    assert reasons == {"older.parquet": "newer", "other size.parquet": "size-differs"}
    assert (dest / "newer.parquet").read_text() == "NEWER.PARQUET"


async def test_object_that_has_become_empty_empties_its_file(bucket: Bucket, dest: Path) -> None:
    """No bytes are a content like any other."""
    put(bucket, "a.csv", "b.csv")
    assert (await synced(bucket, "--include", "*.csv")).code == 0
    bucket.put("a.csv", b"")
    assert (await synced(bucket, "--include", "*.csv")).code == 0
    assert tree(dest) == {"a.csv": b"", "b.csv": b"b.csv"}


async def test_what_was_deleted_here_comes_again_and_nothing_else(
    bucket: Bucket, dest: Path
) -> None:
    """Be it a file, a folder, or all that is known of former runs."""
    objects = put(bucket, "a.parquet", "b/c.parquet", "d.parquet")
    assert (await synced(bucket)).code == 0
    (dest / "a.parquet").unlink()
    shutil.rmtree(dest / "b")
    shutil.rmtree(dest / ".asyncsync")
    ran = await synced(bucket)
    assert (ran.code, ran.summary["downloaded"], ran.summary["up_to_date"]) == (0, 2, 1)
    assert tree(dest) == objects


async def test_what_the_bucket_has_no_more_stays_and_is_told(bucket: Bucket, dest: Path) -> None:
    """Neither a file of the user's own nor one whose object was deleted is removed."""
    put(bucket, "a.parquet", "b.parquet")
    write(dest, {"own.txt": "mine"})
    assert (await synced(bucket)).code == 0
    bucket.delete("a.parquet")
    assert (await synced(bucket)).code == 0
    assert sorted(tree(dest)) == ["a.parquet", "b.parquet", "own.txt"]
    checked = await asyncsync(bucket.server.environment(), "verify", "--dest", "dest")
    assert checked.code == 0
    assert "a.parquet" in checked.out + checked.err


async def test_other_globs_in_a_later_run_remove_nothing(bucket: Bucket, dest: Path) -> None:
    """A run looks at what it selects, and leaves the rest alone."""
    objects = put(bucket, "a.csv", "b.parquet")
    assert (await synced(bucket, "--include", "*.csv")).code == 0
    assert (await synced(bucket)).code == 0
    assert tree(dest) == objects


async def test_file_gets_the_time_of_its_object(bucket: Bucket, dest: Path) -> None:
    """That of LastModified, whatever the metadata of another tool say."""
    bucket.put("a.parquet", b"data", metadata={"mtime": "1000000000.5"})
    ran = await synced(bucket)
    (event,) = [event for event in ran.events if event["event"] == "downloaded"]
    modified = datetime.fromtimestamp((dest / "a.parquet").stat().st_mtime, UTC)
    assert event["modified"].startswith(f"{modified:%Y-%m-%dT%H:%M:%S}")
    assert modified.year > 2020


async def test_marker_of_an_empty_folder_makes_no_folder(bucket: Bucket, dest: Path) -> None:
    """It holds nothing to download; the objects below it make the folders that they need."""
    put(bucket, "full/a.parquet")
    bucket.put("full/", b"")
    bucket.put("empty/", b"")
    assert (await synced(bucket, "--include", "*")).code == 0
    assert sorted(os.listdir(dest)) == [".asyncsync", "full"]


async def test_dry_run_names_what_a_sync_would_fetch(bucket: Bucket, tmp_path: Path) -> None:
    """And touches nothing, not even the destination."""
    objects = put(bucket, "a.parquet", "b/c.parquet")
    before = snapshot(tmp_path)
    planned = await asyncsync(bucket.server.environment(), "plan", "-v", "--dest", "dest")
    assert planned.code == 0
    assert all(key in planned.out for key in objects)
    assert snapshot(tmp_path) == before


@pytest.mark.row(181)
async def test_deletion_takes_what_was_synced_and_nothing_else(bucket: Bucket, dest: Path) -> None:
    """With `--delete`; a file that was only ever here is not a file that is gone from there."""
    put(bucket, *(f"{n}.parquet" for n in range(3)))
    assert (await synced(bucket)).code == 0
    write(dest, {"mine.parquet": "mine", "mine.txt": "mine"})
    bucket.delete("2.parquet")
    assert (await synced(bucket)).code == 0
    assert "2.parquet" in tree(dest)
    done = await synced(bucket, "--delete", "--max-delete", "1")
    assert (done.code, done.summary["deleted"], done.summary["extra"]) == (0, 1, 1)
    assert sorted(tree(dest)) == ["0.parquet", "1.parquet", "mine.parquet", "mine.txt"]


@pytest.mark.row(185)
async def test_bucket_that_was_emptied_empties_no_folder(bucket: Bucket, dest: Path) -> None:
    """Unless that is asked for by name."""
    objects = put(bucket, "a.parquet", "b/c.parquet")
    assert (await synced(bucket)).code == 0
    for key in objects:
        bucket.delete(key)
    done = await synced(bucket, "--delete", "--max-delete", "100%")
    assert (done.code, done.summary["deleted"]) == (7, 0)
    assert "--allow-empty" in done.summary["left"][0]
    assert tree(dest) == objects
    done = await synced(bucket, "--delete", "--max-delete", "100%", "--allow-empty")
    assert (done.code, done.summary["deleted"]) == (0, 2)
    assert sorted(os.listdir(dest)) == [".asyncsync"]


@pytest.mark.parametrize("option", ["--delete-excluded", "--recursive", "--ignore-existing"])
async def test_option_of_another_tool_ends_the_run(
    bucket: Bucket, tmp_path: Path, option: str
) -> None:
    """It is not guessed what it might mean, and nothing is touched."""
    put(bucket, "a.parquet")
    before = snapshot(tmp_path)
    ran = await synced(bucket, option)
    assert ran.code == 2
    assert option in ran.err
    assert snapshot(tmp_path) == before


# where it goes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [".", "new/er/est", "new/", "./there/../b", "a*?[b]"])
async def test_destination_is_any_path(bucket: Bucket, tmp_path: Path, path: str) -> None:
    """Also the working directory, and one with a glob's characters; what is missing is made."""
    (tmp_path / "there").mkdir()
    objects = put(bucket, "1hz/a.parquet")
    done = await asyncsync(bucket.server.environment(), "--dest", path)
    assert done.code == 0
    assert (tmp_path / path / "1hz/a.parquet").read_bytes() == objects["1hz/a.parquet"]


async def test_files_of_one_name_do_not_meet(bucket: Bucket, dest: Path) -> None:
    """Nothing is flattened: the path is the whole key."""
    objects = put(bucket, "a/x.parquet", "b/x.parquet", "a/b/x.parquet", "x.parquet", ".x.parquet")
    assert (await synced(bucket)).code == 0
    assert tree(dest) == objects


async def test_read_only_file_is_replaced(bucket: Bucket, dest: Path) -> None:
    """It takes the right to write in its folder, and no other."""
    put(bucket, "a.parquet")
    write(dest, {"a.parquet": "old"})
    (dest / "a.parquet").chmod(0o444)
    assert (await synced(bucket)).code == 0
    assert tree(dest) == {"a.parquet": b"a.parquet"}


async def test_socket_in_the_way_fails_its_object_alone(bucket: Bucket, dest: Path) -> None:
    """It is no file that could be out of date, so it is not replaced."""
    put(bucket, "a.parquet", "b.parquet")
    write(dest, {})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("dest/a.parquet")
        ran = await synced(bucket)
    assert (ran.code, ran.summary["downloaded"], ran.summary["failed"]) == (1, 1, 1)
    assert (dest / "a.parquet").is_socket()
