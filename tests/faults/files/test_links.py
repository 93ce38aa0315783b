"""Rows 97 to 100 and 106 of the table of faults: links, and what is not a regular file."""

import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.disk import Folder
from asyncsync.disk.folders.directory import FD_PATH
from asyncsync.disk.state import unsynced
from asyncsync.download.download import SMALL
from asyncsync.errors import DestinationError, KeyCollisionError, LocalFileError
from asyncsync.model import Checks
from tests.faults.files.scene import LARGE, OBJECTS
from tests.rigs.memory_store import MemoryStore
from tests.rigs.scripted_s3 import ScriptedS3, sync
from tests.rigs.state import PARTS, STATE
from tests.rigs.watch import Watcher, quick_pace, tree, unfinished

pytestmark = pytest.mark.anyio


@pytest.mark.row(97)
@pytest.mark.parametrize("key", ["link/x.parquet", "link/deep/x.parquet", "a/link/x.parquet"])
async def test_link_to_a_folder_is_not_followed(dest: Path, outside: Path, key: str) -> None:
    """Not even to check whether the file exists."""
    link = dest / key[: key.index("link") + len("link")]
    link.symlink_to(outside)
    async with ScriptedS3({**OBJECTS, key: b"evil", f"{link.name}/precious": b"precious"}) as s3:
        ran = await sync(s3, dest)
    assert (ran.code, ran.error) == (1, None)
    assert ran.seen.failures[key] is LocalFileError
    assert OBJECTS.items() <= tree(dest).items()
    assert link.is_symlink()


@pytest.mark.row(98)
@pytest.mark.parametrize("target", ["precious", "nothing"])
async def test_link_at_the_final_path_is_replaced(dest: Path, outside: Path, target: str) -> None:
    """Its target is neither read, written nor created."""
    (dest / "a" / "2.parquet").symlink_to(outside / target)
    async with ScriptedS3(OBJECTS) as s3:
        ran = await sync(s3, dest)
    assert (ran.code, tree(dest)) == (0, OBJECTS)
    assert not (dest / "a" / "2.parquet").is_symlink()


@pytest.mark.row(106)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["whole", "in parts"])
async def test_other_names_of_a_file_keep_its_bytes(dest: Path, size: int) -> None:
    """The path gets a new file; a hard link to the old one is not a link to the new one."""
    os.link(dest / "a" / "1.parquet", dest / "other name")
    async with ScriptedS3({"a/1.parquet": bytes(size)}) as s3:
        assert (await sync(s3, dest)).code == 0
    assert tree(dest) == {"a/1.parquet": bytes(size), "other name": b"old one"}


@pytest.mark.row(99)
@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
async def test_what_is_no_file_is_not_replaced(dest: Path, kind: str) -> None:
    """Nor opened, which could block forever."""
    path = dest / "a" / "2.parquet"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        with suppress(PermissionError):
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        if not path.exists():
            pytest.skip("only root makes devices")
    else:
        with socket.socket(socket.AF_UNIX) as bound, _working_in(path.parent):
            bound.bind(path.name)
    before = path.lstat()
    async with ScriptedS3(OBJECTS) as s3:
        ran = await sync(s3, dest)
    assert (ran.code, ran.seen.failures) == (1, {"a/2.parquet": LocalFileError})
    assert path.lstat() == before
    assert tree(dest)["b/3.parquet"] == b"three"


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """Change the working directory, since the path of a socket must be short."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.mark.row(59)
@pytest.mark.row(99)
@pytest.mark.parametrize("inside", [{}, {"mine": b"mine"}], ids=["empty", "not empty"])
async def test_folder_at_the_final_path_is_not_replaced(
    dest: Path, inside: Mapping[str, bytes]
) -> None:
    """No other key needs that folder, so this is not a collision of keys but a local error."""
    folder = dest / "a" / "2.parquet"
    folder.mkdir()
    for name, data in inside.items():
        (folder / name).write_bytes(data)
    async with ScriptedS3(OBJECTS) as s3:
        ran = await sync(s3, dest)
        assert s3.count("GET", "a/2.parquet") == 0
    assert (ran.code, ran.seen.failures) == (1, {"a/2.parquet": LocalFileError})
    assert tree(folder) == inside
    assert tree(dest)["b/3.parquet"] == b"three"


@pytest.mark.parametrize("kind", ["link", "fifo"])
@pytest.mark.parametrize(
    "name", ["lock", "published", "unsynced", "doubtful", "mounts", "since-x.json", "case"]
)
async def test_what_stands_in_for_a_file_of_ours_is_not_written(
    dest: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    """No link is followed and no FIFO blocks, neither when writing nor when reading."""
    (dest / STATE).mkdir(parents=True, mode=0o700)
    path = dest / (".asyncsync" if name == "lock" else STATE) / name
    if kind == "link":
        path.symlink_to(outside / "precious")
    else:
        os.mkfifo(path)
    (dest / "boot").write_text("0" * 36)
    monkeypatch.setattr(unsynced, "BOOT", dest / "boot")
    monkeypatch.setattr(unsynced, "sync_disk", str)
    folder = Folder(dest)
    with suppress(OSError):
        assert not folder.note(name)
    assert folder.unsure_until() == 0
    assert await folder.look_up([("a", "2.parquet")]) == [None]
    async with ScriptedS3(OBJECTS) as s3:
        ran = await sync(s3, dest)
    assert ran.code == 0
    assert tree(dest).items() >= OBJECTS.items()


@pytest.mark.row(100)
@pytest.mark.parametrize("swapped", ["d", ".asyncsync", PARTS])
async def test_link_swapped_in_before_any_call_redirects_nothing(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    """Swap in a link before the n-th system call, for each n, and swap it back later or not at all.

    This covers unfinished files and the state folder too; nothing is deleted through a link either.
    """
    monkeypatch.setattr(unsynced, "BOOT", tmp_path / "boot")
    monkeypatch.setattr(unsynced, "sync_disk", str)
    (tmp_path / "boot").write_text("0" * 36)
    objects = {"d/e/x.parquet": b"small", "d/e/y.parquet": LARGE}
    count, win_at, swap_back = 1, 0, True
    dest = tmp_path / "unset"

    def race() -> None:
        nonlocal count
        count += 1
        folder, aside = f"{dest}/{swapped}", f"{dest}-aside"
        if count == win_at:
            os.rename(folder, aside)
            os.symlink(outside, folder)
        elif swap_back and count == win_at + 1:
            os.unlink(folder)
            os.rename(aside, folder)

    for name in ("open", "stat", "replace", "mkdir", "utime"):
        monkeypatch.setattr(os, name, _race_before(getattr(os, name), race, lambda: str(dest)))
    while count >= win_at:  # while there is an n-th call
        win_at, swap_back = (win_at, True) if not swap_back else (win_at + 1, False)
        dest = tmp_path / f"dest-{win_at}-{swap_back}"
        (dest / "d" / "e").mkdir(parents=True)
        (dest / PARTS).mkdir(parents=True)
        count = 0
        seen = Watcher()
        job = pipeline.Job(
            store=MemoryStore(objects),
            folder=Folder(dest),
            selection=Selection(["*"], [], ["d/"]),
            pace=quick_pace(workers=1),
            observer=seen,
            checks=Checks(parquet=False),
        )
        try:
            await pipeline.sync(job)
        except DestinationError:
            assert swapped != "d"  # without the state folder, no run is possible
        else:
            assert len(seen.outcomes) + len(seen.failures) >= len(objects)
        assert set(seen.failures.values()) <= {LocalFileError, KeyCollisionError}
        assert swapped != "d" or unfinished(dest) == []
    assert win_at > 20


def _race_before(
    call: Callable[..., object], race: Callable[[], None], dest: Callable[[], str]
) -> Callable[..., object]:
    """Return the call, preceded by `race` if it works on the destination."""

    def raced(path: str | bytes | int, *arguments: object, **options: object) -> object:
        relative = "dir_fd" in options or "dst_dir_fd" in options
        if relative or str(path).startswith((dest(), FD_PATH)):
            race()
        return call(path, *arguments, **options)

    return raced
