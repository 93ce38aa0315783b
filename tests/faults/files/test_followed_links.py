"""Row 167 of the table of faults: links in the destination that `--follow-links` takes."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from asyncsync.disk import Folder
from asyncsync.disk.folders.links import hold_links
from asyncsync.model import RemoteObject
from tests.faults.files.scene import LARGE, OBJECTS, run
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.users import FIRST, SECOND, as_user, needs_root
from tests.rigs.watch import snapshot, tree
from tests.rigs.wrapped import on_a_disk

pytestmark = pytest.mark.anyio


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder outside the destination."""
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@pytest.mark.row(167)
@pytest.mark.parametrize("processes", ["--processes=0", "--processes=2"])
async def test_files_below_a_link_arrive_where_it_leads(
    dest: Path, elsewhere: Path, processes: str
) -> None:
    """The link stays; a second run, a plan and a verification find them there."""
    (dest / "b").symlink_to(elsewhere)
    objects = {**OBJECTS, "b/deep/4.parquet": LARGE}
    async with ScriptedS3(objects) as s3:
        refused = await run([], s3, dest, processes)
        assert refused.code == 1
        assert "--follow-links" in refused.err
        assert tree(elsewhere) == {}
        assert (await run([], s3, dest, "--follow-links", processes)).code == 0
        assert tree(elsewhere) == {"3.parquet": b"three", "deep/4.parquet": LARGE}
        assert (dest / "b").is_symlink()
        again = await run([], s3, dest, "--follow-links", "--json")
        assert (again.code, again.events[-1]["downloaded"]) == (0, 0)
        assert again.events[-1]["total"]["local"] == 4
        (elsewhere / "extra.parquet").touch()
        (elsewhere / "3.parquet").unlink()
        seen = await run([], s3, dest, "verify", "--follow-links", "--json")
    assert seen.code == 1
    assert [e["key"] for e in seen.events if e["event"] == "extra"] == ["b/extra.parquet"]
    assert [e["key"] for e in seen.events if e["event"] == "failed"] == ["b/3.parquet"]


@pytest.mark.row(167)
@pytest.mark.parametrize("processes", ["--processes=0", "--processes=2"])
async def test_link_may_lead_to_another_disk_and_on_from_there(
    tmp_path: Path, processes: str
) -> None:
    """Files get their names by a rename there; what goes there needs no space here."""
    dest = tmp_path / "disk"
    prepare = (
        "mkdir data other other/far data/a; mount -t tmpfs -o size=64m tmpfs other; "
        "mkdir other/raw other/far; ln -s ../other/raw data/b; ln -s ../far other/raw/c"
    )
    objects = {"a/1.parquet": b"1", "b/2.parquet": bytes(8 << 20), "b/c/3.parquet": LARGE}
    async with ScriptedS3(objects) as s3:
        options = ("--follow-links", "--durable", processes)
        done = await run(on_a_disk(dest, "size=4m", prepare), s3, dest / "data", *options)
    assert (done.code, done.err) == (0, "")
    copy = tmp_path / "disk.copy"
    assert (copy / "other/raw/2.parquet").stat().st_size == 8 << 20
    assert (copy / "other/far/3.parquet").read_bytes() == LARGE
    assert (copy / "data/b").is_symlink()


@pytest.mark.row(167)
@pytest.mark.parametrize("target", [".", "..", "a", "../elsewhere/deep"])
async def test_link_to_a_folder_that_is_synced_already_is_not_taken(
    dest: Path, elsewhere: Path, target: str
) -> None:
    """Two keys would have one file."""
    (elsewhere / "deep").mkdir()
    (dest / "0").symlink_to(elsewhere)
    (dest / "0" / "b").symlink_to(elsewhere / "b")
    (dest / "b").symlink_to(target)
    notices: list[str] = []
    with ExitStack() as opened:
        held = hold_links(str(dest), str(dest), notices.append, opened)
        taken = [os.readlink(dest.joinpath(*path)) for path in held]
    assert len(taken) == 1
    assert len(notices) == 1
    assert "is not followed" in notices[0]


@pytest.mark.row(167)
def test_links_that_lead_round_in_a_circle_end(dest: Path, elsewhere: Path) -> None:
    """And so do those that lead nowhere."""
    (dest / "b").symlink_to(elsewhere)
    (elsewhere / "c").symlink_to(elsewhere)
    (elsewhere / "d").symlink_to(dest)
    (elsewhere / "e").symlink_to("e")
    (elsewhere / "f").symlink_to("nothing")
    notices: list[str] = []
    with ExitStack() as opened:
        assert list(hold_links(str(dest), str(dest), notices.append, opened)) == [("b",)]
    assert len(notices) == 2


@pytest.mark.row(167)
async def test_link_that_is_changed_during_a_run_changes_nothing(
    dest: Path, elsewhere: Path, outside: Path
) -> None:
    """What it led to at the start is held."""
    (dest / "b").symlink_to(elsewhere)
    (elsewhere / "3.parquet").write_bytes(b"here")
    folder = Folder(dest, follows_links=True)
    with folder.reading():
        (dest / "b").unlink()
        (dest / "b").symlink_to(outside)
        found = await folder.look_up([("b", "3.parquet"), ("b", "precious")])
        assert (found[0] and found[0].size, found[1]) == (4, None)
        with folder.open(RemoteObject("b/3.parquet", 4, "", 0)) as file:
            assert file.read() == b"here"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A destination of the first user that everybody can write, in a folder all may enter."""
    around = Path(tempfile.mkdtemp())
    around.chmod(0o755)
    for name, mode in [("dest", 0o777), ("elsewhere", 0o755)]:
        (around / name).mkdir()
        (around / name).chmod(mode)
        os.chown(around / name, FIRST, FIRST)
    yield around / "dest"
    shutil.rmtree(around)


@pytest.mark.row(167)
@needs_root
@pytest.mark.parametrize("owner", [FIRST, SECOND])
async def test_link_of_another_user_is_not_taken(shared: Path, owner: int) -> None:
    """Not even if it leads to a folder of this user's."""
    elsewhere = shared.parent / "elsewhere"
    (shared / "b").symlink_to(elsewhere)
    os.chown(shared / "b", owner, owner, follow_symlinks=False)
    before = snapshot(elsewhere)
    async with ScriptedS3(OBJECTS) as s3:
        done = await run(as_user(FIRST, group=FIRST), s3, shared, "--follow-links")
    if owner == FIRST:
        assert (done.code, tree(elsewhere)) == (0, {"3.parquet": b"three"})
    else:
        assert done.code == 1
        assert snapshot(elsewhere) == before


@pytest.mark.row(167)
@needs_root
async def test_folder_of_another_user_is_not_taken(shared: Path) -> None:
    """Nor by root, for whom somebody has put a link there."""
    elsewhere = shared.parent / "elsewhere"
    (shared / "b").symlink_to(elsewhere)
    before = snapshot(elsewhere)
    async with ScriptedS3(OBJECTS) as s3:
        done = await run([], s3, shared, "--follow-links")
    assert done.code == 1
    assert snapshot(elsewhere) == before


@pytest.mark.row(167)
@needs_root
@pytest.mark.parametrize("owner", [FIRST, SECOND])
async def test_link_of_another_user_behind_a_link_is_not_taken(shared: Path, owner: int) -> None:
    """It would say where the files of this user go, to any other folder of theirs."""
    elsewhere, between = shared.parent / "elsewhere", shared.parent / "between"
    between.mkdir()
    (between / "link").symlink_to("../elsewhere")
    (shared / "b").symlink_to("../between/link")
    os.chown(between, owner, owner)
    os.chown(between / "link", owner, owner, follow_symlinks=False)
    os.chown(shared / "b", FIRST, FIRST, follow_symlinks=False)
    before = snapshot(elsewhere)
    async with ScriptedS3(OBJECTS) as s3:
        done = await run(as_user(FIRST, group=FIRST), s3, shared, "--follow-links")
    if owner == FIRST:
        assert (done.code, tree(elsewhere)) == (0, {"3.parquet": b"three"})
    else:
        assert done.code == 1
        assert snapshot(elsewhere) == before
