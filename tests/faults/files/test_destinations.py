"""Rows 94 to 96, 104 and 106 of the table of faults: destinations, and the modes of files."""

import asyncio
import os
import shutil
import stat
from pathlib import Path

import anyio
import pytest

from asyncsync.download.download import SMALL
from asyncsync.errors import DestinationError
from tests.faults.files.scene import LARGE, OBJECTS, run
from tests.rigs.child import asyncsync
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, sync
from tests.rigs.watch import tree, unfinished
from tests.rigs.wrapped import injected, on_a_disk

pytestmark = pytest.mark.anyio

WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if not os.getuid() else []
"""Takes away root's capabilities, so that file modes apply."""


@pytest.mark.row(94)
async def test_read_only_disk_ends_the_run_before_it_downloads(tmp_path: Path) -> None:
    """The destination exists, but nothing can be created in it."""
    dest = tmp_path / "disk"
    wrapper = on_a_disk(dest, "size=1m", 'mount -o remount,ro "$PWD"')
    async with ScriptedS3(OBJECTS) as s3:
        done = await run(wrapper, s3, dest)
        assert s3.count("GET") == 0
    assert done.code == 5, done.err
    assert "Read-only file system" in done.err


@pytest.mark.row(94)
@pytest.mark.parametrize("name", ["dest", "dest/new"])
async def test_destination_without_the_right_to_write_ends_the_run_before_it_downloads(
    tmp_path: Path, name: str
) -> None:
    """Whether it exists or would have to be created: then nothing is even listed."""
    (tmp_path / "dest").mkdir(mode=0o555)
    async with ScriptedS3(OBJECTS) as s3:
        done = await run(WITHOUT_RIGHTS, s3, tmp_path / name)
        assert [r.verb for r in s3.requests] == ["LIST"] * (name == "dest")
    assert done.code == 5
    assert "Permission denied" in done.err
    assert list((tmp_path / "dest").iterdir()) == []


@pytest.mark.row(94)
@pytest.mark.parametrize("state", ["", "rm -r .asyncsync;"], ids=["a sync's", "another tool's"])
async def test_read_only_disk_will_do_where_all_is_in_step(tmp_path: Path, state: str) -> None:
    """Nothing needs to be written, until there is something to do."""
    first, dest = tmp_path / "first", tmp_path / "disk"
    copy = on_a_disk(dest, "size=1m", f'cp -a {first}/. .; {state} mount -o remount,ro "$PWD"')
    async with ScriptedS3(OBJECTS) as s3:
        assert (await sync(s3, first)).code == 0
        s3.requests.clear()
        done = await run(copy, s3, dest)
        assert (done.code, done.out, done.err) == (0, "", "")
        assert [r.verb for r in s3.requests] == ["LIST"]
        s3.objects["a/2.parquet"] = b"of another size"
        done = await run(copy, s3, dest)
        assert (done.code, s3.count("GET")) == (5, 0)
        assert "Read-only file system" in done.err


@pytest.mark.row(95)
async def test_folder_that_may_not_be_written_fails_its_own_keys(dest: Path) -> None:
    """All other objects are downloaded."""
    (dest / "a").chmod(0o555)
    async with ScriptedS3({**OBJECTS, "a/new/4.parquet": b"four", "b/5.parquet": LARGE}) as s3:
        done = await run(WITHOUT_RIGHTS, s3, dest)
    (dest / "a").chmod(0o755)
    assert done.code == 1
    lines = sorted(line.split(": ")[:2] for line in done.err.splitlines())
    failing = ["a/1.parquet", "a/2.parquet", "a/new/4.parquet"]
    assert lines == [["failed", key] for key in failing]
    assert done.err.count("Permission denied") == 3
    expected = {"a/1.parquet": b"old one", "b/3.parquet": b"three", "b/5.parquet": LARGE}
    assert tree(dest) == expected
    assert unfinished(dest) == []


@pytest.mark.row(95)
async def test_file_that_may_not_be_replaced_fails_alone(dest: Path) -> None:
    """For example a file that is marked immutable."""
    wrapper = injected("rename,renameat,renameat2:error=EPERM", paths=[Path("1.parquet")])
    async with ScriptedS3(OBJECTS) as s3:
        done = await run(wrapper, s3, dest)
    assert done.code == 1
    assert done.err.startswith("failed: a/1.parquet: ")
    assert "Operation not permitted" in done.err
    assert tree(dest) == {**OBJECTS, "a/1.parquet": b"old one"}
    assert unfinished(dest) == []


@pytest.mark.row(96)
async def test_missing_destination_is_made(tmp_path: Path) -> None:
    """With all folders above it."""
    async with ScriptedS3(OBJECTS) as s3:
        assert (await sync(s3, tmp_path / "new" / "deep" / "dest")).code == 0
    assert tree(tmp_path / "new" / "deep" / "dest") == OBJECTS


@pytest.mark.row(96)
async def test_destination_may_be_a_link(tmp_path: Path, dest: Path) -> None:
    """It is resolved once: if the link changes during the run, the run stays where it began."""
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link"
    link.symlink_to(dest)

    def change_link(request: Request) -> None:
        link.unlink()
        link.symlink_to(tmp_path / "elsewhere")

    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = change_link
        assert (await sync(s3, link, "")).code == 0
    assert tree(dest) == OBJECTS
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.row(96)
@pytest.mark.parametrize("command", ["sync", "plan", "verify"])
async def test_destination_that_is_a_file_is_a_wrong_argument(tmp_path: Path, command: str) -> None:
    """The file is not replaced, and no request is sent."""
    (tmp_path / "dest").write_bytes(b"mine")
    async with ScriptedS3(OBJECTS) as s3:
        done = await asyncsync(s3.environment, command, "--dest", str(tmp_path / "dest"))
        assert s3.requests == []
    assert (done.code, done.out) == (2, "")
    assert done.err == f"asyncsync: --dest: {tmp_path}/dest is a file, not a folder\n"
    assert (tmp_path / "dest").read_bytes() == b"mine"


@pytest.mark.row(104)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["small", "in parts"])
async def test_destination_that_is_unmounted_ends_the_run(tmp_path: Path, size: int) -> None:
    """Nothing is written to the empty folder that remains."""
    dest, unmounted = tmp_path / "disk", tmp_path / "unmounted"
    unmounts = (
        'mount -t tmpfs tmpfs "$0"; "$@" & child=$!; '
        'while ! [ -e "$0/a/1.parquet" ]; do sleep 0.01; done; '
        'umount -l "$0"; touch "$0/../unmounted"; wait $child'
    )
    wrapper = [*on_a_disk(dest, "")[:-2], unmounts, str(dest)]
    is_gone = asyncio.Event()

    def wait(request: Request) -> Answer | None:
        return Answer(bytes(size), until=is_gone) if request.key == "b/2.parquet" else None

    async with ScriptedS3({"a/1.parquet": b"1", "b/2.parquet": bytes(size)}) as s3:
        s3.on_object = wait
        async with anyio.create_task_group() as group:
            group.start_soon(_set_when_present, is_gone, unmounted)
            done = await run(wrapper, s3, dest, "--validate", "response", "--attempts", "1")
    assert done.code == 5, done.err
    assert os.listdir(dest) == []
    assert sorted(os.listdir(tmp_path)) == ["disk", "unmounted"]


async def _set_when_present(event: asyncio.Event, path: Path) -> None:
    while not os.path.exists(path):  # noqa: ASYNC110, ASYNC240  # another process has no event
        await anyio.sleep(0.01)
    event.set()


@pytest.mark.row(104, 153)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["small", "in parts"])
@pytest.mark.parametrize("link", [False, True], ids=["moved", "replaced by a link"])
async def test_destination_that_is_moved_ends_the_run(
    tmp_path: Path, dest: Path, size: int, link: bool
) -> None:
    """It is not created again; all files are in the folder that had the name, or nowhere."""
    (tmp_path / "elsewhere").mkdir()
    objects = {"a/1.parquet": bytes(size), "b/2.parquet": bytes(size)}

    def move_destination(request: Request) -> None:
        if request.verb == "GET" and dest.exists():
            dest.rename(tmp_path / "moved")
            if link:
                dest.symlink_to("elsewhere")

    async with ScriptedS3(objects) as s3:
        s3.on_object = move_destination
        ran = await sync(s3, dest)
    assert (ran.code, type(ran.error)) == (5, DestinationError)
    assert "was moved, replaced or removed during the run" in str(ran.error)
    assert sorted(os.listdir(tmp_path)) == sorted(["moved", "elsewhere", *["dest"] * link])
    assert os.listdir(tmp_path / "elsewhere") == []
    found = tree(tmp_path / "moved")
    assert found["a/1.parquet"] in {b"old one", bytes(size)}
    assert found.get("b/2.parquet", bytes(size)) == bytes(size)


@pytest.mark.row(104)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["small", "in parts"])
async def test_destination_that_is_removed_ends_the_run(
    tmp_path: Path, dest: Path, size: int
) -> None:
    """It is not created again."""

    def remove_destination(request: Request) -> None:
        if request.verb == "GET" and dest.exists():
            shutil.rmtree(dest)

    async with ScriptedS3({"a/1.parquet": bytes(size), "b/2.parquet": bytes(size)}) as s3:
        s3.on_object = remove_destination
        ran = await sync(s3, dest)
    assert (ran.code, type(ran.error)) == (5, DestinationError)
    assert os.listdir(tmp_path) == []


@pytest.mark.row(106)
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000, 0o277])
async def test_modes_are_those_of_any_new_file(tmp_path: Path, mask: int) -> None:
    """0666 less the umask, even if that takes away the owner's permission to write."""
    before = os.umask(mask)
    try:
        async with ScriptedS3({"small.parquet": b"x", "large.parquet": LARGE}) as s3:
            ran = await sync(s3, tmp_path / "dest")
    finally:
        os.umask(before)
    assert ran.code == 0
    for name in ("small.parquet", "large.parquet"):
        assert stat.S_IMODE((tmp_path / "dest" / name).stat().st_mode) == 0o666 & ~mask
