"""Row 103 of the table of faults: another disk that is mounted inside the destination."""

import stat
from pathlib import Path

import pytest

from asyncsync.disk.folders.folding import CASE, FORM
from asyncsync.download.download import SMALL
from tests.faults.files.scene import run
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.state import PARTS, STATE
from tests.rigs.wrapped import on_a_disk

pytestmark = pytest.mark.anyio

INNER = "mkdir b b/deep; mount -t tmpfs -o size=2m tmpfs b"
"""Mounts another disk inside the destination."""


@pytest.mark.row(103)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["small", "in parts"])
@pytest.mark.parametrize("prepare", [INNER, f"{INNER}; mount --bind b b"], ids=["disk", "twice"])
@pytest.mark.parametrize("processes", ["0", "2"])
async def test_disk_mounted_inside_the_destination_gets_its_files(
    tmp_path: Path, size: int, prepare: str, processes: str
) -> None:
    """By a rename on that disk: no file is copied to its path."""
    dest = tmp_path / "disk"
    objects = {"a/1.parquet": bytes(size), "b/2.parquet": bytes(size), "b/c/3.parquet": b"3"}
    async with ScriptedS3(objects) as s3:
        disk = on_a_disk(dest, "size=4m", prepare)
        done = await run(disk, s3, dest, "--processes", processes)
    assert (done.code, done.err) == (0, "")
    copy = tmp_path / "disk.copy"
    found = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    own = ("lock", "mounts", "published", "made", "sources", *(name for name, _ in (CASE, FORM)))
    tags = (".gitignore", "CACHEDIR.TAG")
    shared = [".asyncsync/lock", *(f"{at}.asyncsync/{tag}" for at in ("", "b/") for tag in tags)]
    assert found == {*objects, *shared, *(f"{STATE}/{name}" for name in own)}
    for parts in copy.rglob(PARTS):
        assert stat.S_IMODE(parts.stat().st_mode) == 0o700


@pytest.mark.row(103)
@pytest.mark.parametrize(("size", "code"), [(1, 0), (5 << 20, 5)], ids=["fits", "does not fit"])
async def test_what_goes_to_another_disk_needs_no_space_here(
    tmp_path: Path, size: int, code: int
) -> None:
    """The space for all other files is still checked, and a plan says the same."""
    dest = tmp_path / "disk"
    prepare = "mkdir b; mount -t tmpfs -o size=64m tmpfs b"
    objects = {"a/1.parquet": bytes(size), "b/2.parquet": bytes(8 << 20), "b/c/3.parquet": b"3"}
    other = tmp_path / "planned"
    async with ScriptedS3(objects) as s3:
        done = await run(on_a_disk(dest, "size=4m", prepare), s3, dest)
        planned = await run(on_a_disk(other, "size=4m", prepare), s3, other, "plan")
    assert done.code == planned.code == code
    assert ("not enough space: at least 5.24 MB needed" in done.err) == bool(code)


@pytest.mark.row(149)
async def test_plan_knows_what_goes_to_another_disk_through_a_link(tmp_path: Path) -> None:
    """A sync ends as the plan does."""
    prepare = "mkdir ../other; mount -t tmpfs -o size=64m tmpfs ../other; ln -s ../other b"
    codes = []
    async with ScriptedS3({"b/c/2.parquet": bytes(8 << 20)}) as s3:
        for command in ("plan", "sync"):
            dest = tmp_path / command / "disk"
            dest.parent.mkdir()
            wrapper = on_a_disk(dest, "size=4m", prepare)
            codes.append((await run(wrapper, s3, dest, command, "--follow-links")).code)
    assert codes == [0, 0]


@pytest.mark.row(103)
async def test_what_is_left_on_another_disk_is_cleared_away(tmp_path: Path) -> None:
    """The next run removes it, without following a link that replaced the folder."""
    dest = tmp_path / "disk"
    left = f"mkdir -p b/{PARTS} %~/{PARTS} c/{STATE} outside; touch b/{PARTS}/0 %~/{PARTS}/0"
    listed = f"""for name in b c d %~; do echo "[\\"$name\\"]"; done > {STATE}/mounts"""
    link = f"touch outside/precious; ln -s ../../../outside c/{PARTS}"
    prepare = f"{INNER}; {left}; {link}; mkdir -p {STATE}; {listed}"
    async with ScriptedS3({"b/2.parquet": b"2"}) as s3:
        done = await run(on_a_disk(dest, "size=4m", prepare), s3, dest)
    assert (done.code, done.err) == (0, "")
    copy = tmp_path / "disk.copy"
    assert not (copy / "b" / PARTS / "0").exists()
    assert not (copy / "%~" / PARTS / "0").exists()
    assert (copy / "outside" / "precious").exists()
