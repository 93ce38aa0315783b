"""Rows 91 to 93 of the table of faults: full disks and quotas."""

import errno
import os
from functools import partial
from pathlib import Path

import pytest

from asyncsync.disk import Folder
from asyncsync.disk.folders.directory import FD_PATH
from asyncsync.disk.parts.journal import version_hash
from asyncsync.download.download import SMALL
from asyncsync.errors import DiskFullError
from asyncsync.model import RemoteObject
from tests import ROOT
from tests.faults.files.scene import LARGE, run
from tests.rigs import scripted_s3
from tests.rigs.failing_disk import FailingDisk
from tests.rigs.scripted_s3 import ScriptedS3, etag_of, sync
from tests.rigs.state import PARTS
from tests.rigs.watch import tree, unfinished
from tests.rigs.wrapped import injected, limited, on_a_disk, wrapped

pytestmark = pytest.mark.anyio

WITH_MOVERS = pytest.mark.parametrize("processes", ["--processes=0", "--processes=2"])


@pytest.mark.row(91)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["small", "in parts"])
@pytest.mark.parametrize("call", ["write", "truncate", "sync", "rename"])
async def test_call_that_finds_no_space_ends_the_run(
    dest: Path, monkeypatch: pytest.MonkeyPatch, call: str, size: int
) -> None:
    """Whichever it is: no new work starts, the unfinished file is removed, finished ones stay."""
    monkeypatch.setattr(scripted_s3, "Folder", partial(Folder, durable=True))  # so all is synced
    disk = FailingDisk(monkeypatch, errno.ENOSPC, call)
    objects = {f"a/{number}.parquet": bytes(size) for number in range(1, 40)}
    async with ScriptedS3(objects) as s3:
        ran = await sync(s3, dest, workers=1)
        if not disk.failures:
            assert (call, size) == ("truncate", 3)  # a small file needs no truncate
            assert tree(dest) == objects
            return
        assert s3.count("GET") < len(objects)
    assert (ran.code, type(ran.error)) == (5, DiskFullError)
    assert "No space left on device" in str(ran.error)
    assert tree(dest) == {"a/1.parquet": b"old one"}
    assert unfinished(dest) == []


@pytest.mark.row(91, 93)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_folder_for_which_there_is_no_space_ends_the_run(dest: Path, number: int) -> None:
    """Files that were finished before stay."""
    fault = f"mkdir,mkdirat:error={errno.errorcode[number]}"
    wrapper = injected(fault, paths=[dest / "new", Path("new")])
    async with ScriptedS3({"a/2.parquet": b"two", "new/3.parquet": LARGE}) as s3:
        done = await run(wrapper, s3, dest, "--workers", "1")
    assert (done.code, done.err.count("\n")) == (5, 1)
    assert f"{os.strerror(number)}; make room" in done.err
    assert tree(dest).items() <= {"a/1.parquet": b"old one", "a/2.parquet": b"two"}.items()
    assert unfinished(dest) == []


@pytest.mark.row(92)
@pytest.mark.parametrize("size", [200_000, 400_000], ids=["small", "in parts"])
@WITH_MOVERS
async def test_write_that_stops_short_never_counts_as_done(
    tmp_path: Path, size: int, processes: str
) -> None:
    """The disk takes only 64 KiB of the file; files that were finished before stay."""
    dest = tmp_path / "disk"
    async with ScriptedS3({"a.parquet": b"first", "b/large.parquet": os.urandom(size)}) as s3:
        arguments = ("--workers", "1", "--no-space-check", processes)
        done = await run(on_a_disk(dest, "size=96k"), s3, dest, *arguments)
    assert done.code == 5, done.err
    assert f"{dest}: No space left on device" in done.err
    assert tree(tmp_path / "disk.copy") == {"a.parquet": b"first"}
    assert unfinished(tmp_path / "disk.copy") == []


@pytest.mark.row(93)
@WITH_MOVERS
async def test_disk_without_inodes_is_full(tmp_path: Path, processes: str) -> None:
    """It has free space, but cannot hold another name."""
    dest = tmp_path / "disk"
    objects = {f"{number:02}.parquet": b"x" for number in range(30)}
    async with ScriptedS3(objects) as s3:
        done = await run(on_a_disk(dest, "nr_inodes=12"), s3, dest, processes)
    assert done.code == 5, done.err
    assert "No space left on device" in done.err
    found = tree(tmp_path / "disk.copy")
    assert found.items() <= objects.items()
    assert unfinished(tmp_path / "disk.copy") == []


@pytest.mark.row(93)
async def test_exceeded_quota_is_a_full_disk(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the quota."""
    FailingDisk(monkeypatch, errno.EDQUOT, "write")
    async with ScriptedS3({"a/1.parquet": b"new"}) as s3:
        ran = await sync(s3, dest)
    assert (ran.code, type(ran.error)) == (5, DiskFullError)
    assert "Disk quota exceeded" in str(ran.error)
    assert tree(dest) == {"a/1.parquet": b"old one"}


@pytest.fixture
def unfinished_names(tmp_path: Path) -> dict[str, str]:
    """Settings with which each child process gives its unfinished files the same names.

    So the calls to inject faults into can be selected by path.
    """
    (tmp_path / "site").mkdir()
    same = "import secrets\nsecrets.token_hex = lambda size: '0' * 2 * size\n"
    (tmp_path / "site" / "sitecustomize.py").write_text(same)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)])}


@pytest.mark.row(93)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["small", "in parts"])
@pytest.mark.parametrize(
    "calls", ["write,pwrite64", "ftruncate", "openat", "rename,renameat,renameat2"]
)
async def test_system_call_that_exceeds_the_quota_ends_the_run(
    dest: Path, unfinished_names: dict[str, str], calls: str, size: int
) -> None:
    """Whichever it is: the error names the quota, the old file stays, nothing unfinished does."""
    run_name = "0" * 16
    remote = RemoteObject("a/1.parquet", size, etag_of(bytes(size)), 0)
    name = f"{version_hash(remote) if size > SMALL else 0}.{run_name}"
    parts = [Path(), dest / PARTS, *(Path(f"{FD_PATH}{fd}") for fd in range(3, 40))]
    wrapper = injected(f"{calls}:error=EDQUOT", paths=[folder / name for folder in parts])
    async with ScriptedS3({"a/1.parquet": bytes(size)}) as s3:
        arguments = ("--quiet", "--workers", "1", "--dest", str(dest))
        done = await wrapped(wrapper, s3.environment | unfinished_names, *arguments)
    if (calls, size) == ("ftruncate", 3):  # a small file needs no truncate
        assert (done.code, tree(dest)) == (0, {"a/1.parquet": bytes(size)})
        return
    assert (done.code, done.err.count("\n")) == (5, 1), done.err
    assert f"{dest}: Disk quota exceeded; make room" in done.err
    assert tree(dest) == {"a/1.parquet": b"old one"}
    assert unfinished(dest) == []


@pytest.mark.row(93)
@pytest.mark.parametrize("size", [200_000, 400_000], ids=["small", "in parts"])
@WITH_MOVERS
async def test_limit_of_file_size_is_a_full_disk(dest: Path, size: int, processes: str) -> None:
    """The signal that the system sends as well does not kill the process."""
    async with ScriptedS3({"large.parquet": os.urandom(size)}) as s3:
        done = await run(limited("-f", 128), s3, dest, processes)  # in 512 bytes
    assert done.code == 5, done.err
    assert "File too large" in done.err
    assert tree(dest) == {"a/1.parquet": b"old one"}
    assert unfinished(dest) == []
