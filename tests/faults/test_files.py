"""Rows 91 to 106 of the table of faults: disks and folders that do not take what arrives."""

import asyncio
import errno
import io
import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import NoReturn

import aiofiles
import anyio
import pytest

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.disk import Folder, PartFile, unsynced
from asyncsync.disk.directory import HELD
from asyncsync.disk.folding import CASE, FORM
from asyncsync.disk.parts import _name
from asyncsync.download.download import SMALL
from asyncsync.errors import (
    DestinationError,
    DiskFullError,
    KeyCollisionError,
    LocalFileError,
    RetriesExhaustedError,
)
from asyncsync.model import Checks, RemoteObject
from tests import ROOT
from tests.rigs import scripted_s3
from tests.rigs.child import Done, asyncsync
from tests.rigs.memory_store import MemoryStore
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, etag_of, sync
from tests.rigs.watch import Watcher, quick_pace, snapshot, tree, unfinished
from tests.rigs.wrapped import injected, limited, on_a_disk, wrapped

pytestmark = pytest.mark.anyio

LARGE = os.urandom(SMALL + 1)
OBJECTS = {"a/1.parquet": b"one", "a/2.parquet": b"two", "b/3.parquet": b"three"}


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """A destination with a file that is out of date; whatever fails, it stays as it is."""
    (tmp_path / "dest" / "a").mkdir(parents=True)
    (tmp_path / "dest" / "a" / "1.parquet").write_bytes(b"old one")
    return tmp_path / "dest"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder elsewhere, in which nothing may change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_bytes(b"precious")
    before = snapshot(folder)
    yield folder
    assert snapshot(folder) == before


async def run(wrapper: Sequence[str], s3: ScriptedS3, dest: Path, *arguments: str) -> Done:
    return await wrapped(wrapper, s3.environment, "--quiet", "--dest", str(dest), *arguments)


WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if not os.getuid() else []
"""Makes root somebody whom modes hold back."""


class FailingDisk:
    """Lets calls about unfinished files fail: write, truncate, close, sync, rename.

    FailingDisk(monkeypatch, errno.ENOSPC, "write", times=1)  # only the first write fails
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, number: int, *calls: str, times: int = 1_000_000
    ) -> None:
        self.met = 0
        """Calls that have failed."""
        self._number = number
        self._calls = calls
        self._times = times
        for function, call in _FUNCTIONS.items():
            monkeypatch.setattr(os, function, self._guarded(call, getattr(os, function)))
        really: Callable[..., object] = open

        def opened(path: object, mode: str = "r", *arguments: object, **options: object) -> object:
            if "b" in mode and self._is_part(path) and not str(path).endswith(".journal"):
                return _File(self, str(path), mode.replace("b", ""))
            return really(path, mode, *arguments, **options)

        monkeypatch.setattr("builtins.open", opened)
        monkeypatch.setattr("aiofiles.threadpool.sync_open", opened)

    def meet(self, call: str) -> None:
        """Fail if this call is to."""
        if call in self._calls and self.met < self._times:
            self.met += 1
            raise OSError(self._number, os.strerror(self._number))

    def _guarded(self, call: str, function: Callable[..., object]) -> Callable[..., object]:
        def guarded(file: object, *arguments: object, **options: object) -> object:
            if self._is_part(file):
                self.meet(call)
            return function(file, *arguments, **options)

        return guarded

    @staticmethod
    def _is_part(file: object) -> bool:
        path = os.readlink(f"/proc/self/fd/{file}") if isinstance(file, int) else str(file)
        return "/.asyncsync/parts/" in os.path.realpath(path)


_FUNCTIONS = {
    "write": "write",
    "pwrite": "write",
    "ftruncate": "truncate",
    "posix_fallocate": "truncate",
    "fsync": "sync",
    "fdatasync": "sync",
    "rename": "rename",
    "replace": "rename",
}


class _File(io.FileIO):
    """An unfinished file whose calls may fail."""

    def __init__(self, disk: FailingDisk, path: str, mode: str) -> None:
        super().__init__(path, mode)
        self._disk = disk

    def write(self, block: bytes | memoryview, /) -> int:  # type: ignore[override]  # narrower
        self._disk.meet("write")
        return super().write(block)

    def truncate(self, size: int | None = None, /) -> int:
        self._disk.meet("truncate")
        return super().truncate(size)

    def close(self) -> None:
        was_open = not self.closed
        super().close()
        if was_open:
            self._disk.meet("close")


# full disks -------------------------------------------------------------------------------------


@pytest.mark.row(91)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["whole", "in parts"])
@pytest.mark.parametrize("call", ["write", "truncate", "sync", "rename"])
async def test_call_that_finds_no_space_ends_the_run(
    dest: Path, monkeypatch: pytest.MonkeyPatch, call: str, size: int
) -> None:
    """Whichever it is: new work stops, the unfinished file is dropped, finished ones stay."""
    monkeypatch.setattr(scripted_s3, "Folder", partial(Folder, durable=True))  # so all is synced
    disk = FailingDisk(monkeypatch, errno.ENOSPC, call)
    objects = {f"a/{number}.parquet": bytes(size) for number in range(1, 40)}
    async with ScriptedS3(objects) as s3:
        ran = await sync(s3, dest, workers=1)
        if not disk.met:
            assert (call, size) == ("truncate", 3)  # what is written as a whole needs none
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
    """What had arrived before stays."""
    fault = f"mkdir,mkdirat:error={errno.errorcode[number]}"
    wrapper = injected(fault, paths=[dest / "new", Path("new")])
    async with ScriptedS3({"a/2.parquet": b"two", "new/3.parquet": LARGE}) as s3:
        done = await run(wrapper, s3, dest, "--workers", "1")
    assert (done.code, done.err.count("\n")) == (5, 1)
    assert f"{os.strerror(number)}; make room" in done.err
    assert tree(dest).items() <= {"a/1.parquet": b"old one", "a/2.parquet": b"two"}.items()
    assert unfinished(dest) == []


@pytest.mark.row(92)
@pytest.mark.parametrize("size", [200_000, 400_000], ids=["whole", "in parts"])
async def test_write_that_stops_short_never_counts_as_done(tmp_path: Path, size: int) -> None:
    """The disk takes 64 KiB of it; what had arrived before is kept."""
    dest = tmp_path / "disk"
    async with ScriptedS3({"a.parquet": b"first", "b/large.parquet": os.urandom(size)}) as s3:
        arguments = ("--workers", "1", "--no-space-check")
        done = await run(on_a_disk(dest, "size=96k"), s3, dest, *arguments)
    assert done.code == 5, done.err
    assert f"{dest}: No space left on device" in done.err
    assert tree(tmp_path / "disk.copy") == {"a.parquet": b"first"}
    assert unfinished(tmp_path / "disk.copy") == []


@pytest.mark.row(93)
async def test_disk_without_inodes_is_full(tmp_path: Path) -> None:
    """There is space, but no name can be added."""
    dest = tmp_path / "disk"
    objects = {f"{number:02}.parquet": b"x" for number in range(30)}
    async with ScriptedS3(objects) as s3:
        done = await run(on_a_disk(dest, "nr_inodes=12"), s3, dest)
    assert done.code == 5, done.err
    assert "No space left on device" in done.err
    found = tree(tmp_path / "disk.copy")
    assert found.items() <= objects.items()
    assert unfinished(tmp_path / "disk.copy") == []


@pytest.mark.row(93)
async def test_exceeded_quota_is_a_full_disk(dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called by its name."""
    FailingDisk(monkeypatch, errno.EDQUOT, "write")
    async with ScriptedS3({"a/1.parquet": b"new"}) as s3:
        ran = await sync(s3, dest)
    assert (ran.code, type(ran.error)) == (5, DiskFullError)
    assert "Disk quota exceeded" in str(ran.error)
    assert tree(dest) == {"a/1.parquet": b"old one"}


@pytest.fixture
def unfinished_names(tmp_path: Path) -> dict[str, str]:
    """What lets each child name its unfinished files alike, so that a rig can tell their calls."""
    (tmp_path / "site").mkdir()
    same = "import secrets\nsecrets.token_hex = lambda size: '0' * 2 * size\n"
    (tmp_path / "site" / "sitecustomize.py").write_text(same)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)])}


@pytest.mark.row(93)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["whole", "in parts"])
@pytest.mark.parametrize("calls", ["write", "ftruncate", "openat", "rename,renameat,renameat2"])
async def test_system_call_that_exceeds_the_quota_ends_the_run(
    dest: Path, unfinished_names: dict[str, str], calls: str, size: int
) -> None:
    """Whichever it is, the error has its name; the old file stays, and nothing unfinished does."""
    run_name = "0" * 16
    remote = RemoteObject("a/1.parquet", size, etag_of(bytes(size)), 0)
    name = f"{_name(remote) if size > SMALL else 0}.{run_name}"
    parts = [dest / ".asyncsync" / "parts", *(Path(f"{HELD}{fd}") for fd in range(3, 40))]
    wrapper = injected(f"{calls}:error=EDQUOT", paths=[folder / name for folder in parts])
    async with ScriptedS3({"a/1.parquet": bytes(size)}) as s3:
        arguments = ("--quiet", "--workers", "1", "--dest", str(dest))
        done = await wrapped(wrapper, s3.environment | unfinished_names, *arguments)
    if (calls, size) == ("ftruncate", 3):  # what is written as a whole needs none
        assert (done.code, tree(dest)) == (0, {"a/1.parquet": bytes(size)})
        return
    assert (done.code, done.err.count("\n")) == (5, 1), done.err
    assert f"{dest}: Disk quota exceeded; make room" in done.err
    assert tree(dest) == {"a/1.parquet": b"old one"}
    assert unfinished(dest) == []


@pytest.mark.row(93)
@pytest.mark.parametrize("size", [200_000, 400_000], ids=["whole", "in parts"])
async def test_limit_of_file_size_is_a_full_disk(dest: Path, size: int) -> None:
    """The signal that comes with it does not end the process without a word."""
    async with ScriptedS3({"large.parquet": os.urandom(size)}) as s3:
        done = await run(limited("-f", 128), s3, dest)  # in 512 bytes
    assert done.code == 5, done.err
    assert "File too large" in done.err
    assert tree(dest) == {"a/1.parquet": b"old one"}
    assert unfinished(dest) == []


# folders that may not be written ----------------------------------------------------------------


@pytest.mark.row(94)
async def test_read_only_disk_ends_the_run_before_a_request(tmp_path: Path) -> None:
    """The destination exists, but nothing can be made in it."""
    dest = tmp_path / "disk"
    wrapper = on_a_disk(dest, "size=1m", 'mount -o remount,ro "$PWD"')
    async with ScriptedS3(OBJECTS) as s3:
        done = await run(wrapper, s3, dest)
        assert s3.count("GET") == 0
    assert done.code == 5, done.err
    assert "Read-only file system" in done.err


@pytest.mark.row(94)
@pytest.mark.parametrize("name", ["dest", "dest/new"])
async def test_destination_without_the_right_to_write_ends_the_run_before_a_request(
    tmp_path: Path, name: str
) -> None:
    """Whether it is there or would have to be made."""
    (tmp_path / "dest").mkdir(mode=0o555)
    async with ScriptedS3(OBJECTS) as s3:
        done = await run(WITHOUT_RIGHTS, s3, tmp_path / name)
        assert s3.requests == []
    assert done.code == 5
    assert "Permission denied" in done.err
    assert list((tmp_path / "dest").iterdir()) == []


@pytest.mark.row(95)
async def test_folder_that_may_not_be_written_fails_its_own_keys(dest: Path) -> None:
    """All others are done."""
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
    """As one that is marked immutable."""
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
    """With all that is above it."""
    async with ScriptedS3(OBJECTS) as s3:
        assert (await sync(s3, tmp_path / "new" / "deep" / "dest")).code == 0
    assert tree(tmp_path / "new" / "deep" / "dest") == OBJECTS


@pytest.mark.row(96)
async def test_destination_may_be_a_link(tmp_path: Path, dest: Path) -> None:
    """It is resolved once: when it comes to lead elsewhere, the run goes on where it began."""
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link"
    link.symlink_to(dest)

    def lead_elsewhere(request: Request) -> None:
        link.unlink()
        link.symlink_to(tmp_path / "elsewhere")

    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lead_elsewhere
        assert (await sync(s3, link, "")).code == 0
    assert tree(dest) == OBJECTS
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.row(96)
@pytest.mark.parametrize("command", ["sync", "plan", "verify"])
async def test_destination_that_is_a_file_is_a_wrong_argument(tmp_path: Path, command: str) -> None:
    """It is not replaced, and no request is sent."""
    (tmp_path / "dest").write_bytes(b"mine")
    async with ScriptedS3(OBJECTS) as s3:
        done = await asyncsync(s3.environment, command, "--dest", str(tmp_path / "dest"))
        assert s3.requests == []
    assert (done.code, done.out) == (2, "")
    assert done.err == f"asyncsync: --dest: {tmp_path}/dest is a file, and not a folder\n"
    assert (tmp_path / "dest").read_bytes() == b"mine"


# what stands in the way -------------------------------------------------------------------------


@pytest.mark.row(97)
@pytest.mark.parametrize("key", ["link/x.parquet", "link/deep/x.parquet", "a/link/x.parquet"])
async def test_link_to_a_folder_is_not_followed(dest: Path, outside: Path, key: str) -> None:
    """Not even to look whether the file is there."""
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
    """Its target is neither read, written nor made."""
    (dest / "a" / "2.parquet").symlink_to(outside / target)
    async with ScriptedS3(OBJECTS) as s3:
        ran = await sync(s3, dest)
    assert (ran.code, tree(dest)) == (0, OBJECTS)
    assert not (dest / "a" / "2.parquet").is_symlink()


@pytest.mark.row(99)
@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
async def test_what_is_no_file_is_not_replaced(dest: Path, kind: str) -> None:
    """Nor opened, which could wait for ever."""
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


@pytest.mark.row(59)
@pytest.mark.row(99)
@pytest.mark.parametrize("inside", [{}, {"mine": b"mine"}], ids=["empty", "full"])
async def test_folder_at_the_final_path_is_not_replaced(
    dest: Path, inside: Mapping[str, bytes]
) -> None:
    """No key asks for it, so it is no collision of keys but a fault of this machine."""
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
    """No link is followed and no pipe is waited for, neither by a run nor by a look."""
    (dest / ".asyncsync").mkdir()
    path = dest / ".asyncsync" / name
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
    assert ran.code == (5 if name == "lock" else 0)
    assert tree(dest).items() >= ({} if ran.code else OBJECTS).items()


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """Names of sockets are short, so they are given from where they lie."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.mark.row(100)
@pytest.mark.parametrize("swapped", ["d", ".asyncsync", ".asyncsync/parts"])
async def test_link_swapped_in_before_any_call_redirects_nothing(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    """A racer that wins before the n-th system call, for every n; and one that then swaps back.

    Of unfinished files and our own notes as well; nor is anything deleted there.
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
        monkeypatch.setattr(os, name, _raced(getattr(os, name), race, lambda: str(dest)))
    while count >= win_at:  # as long as there is an n-th call
        win_at, swap_back = (win_at, True) if not swap_back else (win_at + 1, False)
        dest = tmp_path / f"dest-{win_at}-{swap_back}"
        (dest / "d" / "e").mkdir(parents=True)
        (dest / ".asyncsync" / "parts").mkdir(parents=True)
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
            assert swapped != "d"  # our own folder, without which nothing can be done
        else:
            assert len(seen.outcomes) + len(seen.failures) >= len(objects)
        assert set(seen.failures.values()) <= {LocalFileError, KeyCollisionError}
        assert swapped != "d" or unfinished(dest) == []
    assert win_at > 20


def _raced(
    call: Callable[..., object], race: Callable[[], None], dest: Callable[[], str]
) -> Callable[..., object]:
    """Return the call with a racer before it, where it has to do with the destination."""

    def raced(path: str | bytes | int, *arguments: object, **options: object) -> object:
        relative = "dir_fd" in options or "dst_dir_fd" in options
        if relative or str(path).startswith((dest(), HELD)):
            race()
        return call(path, *arguments, **options)

    return raced


# failing calls ----------------------------------------------------------------------------------


@pytest.mark.row(101)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["whole", "in parts"])
@pytest.mark.parametrize("call", ["write", "close"])
async def test_failing_disk_fails_its_object(
    dest: Path, monkeypatch: pytest.MonkeyPatch, call: str, size: int
) -> None:
    """The unfinished file is dropped, the old one stays, all others are done."""
    FailingDisk(monkeypatch, errno.EIO, call, times=1)
    key = "a/1.parquet"
    async with ScriptedS3({key: bytes(size)}) as s3:
        ran = await sync(s3, dest)
        assert (ran.code, ran.error, ran.seen.failures) == (1, None, {key: LocalFileError})
        assert "Input/output error" in str(ran.report.failures[0].error)
        assert tree(dest) == {key: b"old one"}
        s3.objects |= {other: data for other, data in OBJECTS.items() if other != key}
        again = await sync(s3, dest)
    assert (again.code, tree(dest)) == (0, {**OBJECTS, key: bytes(size)})


@pytest.mark.row(93, 101)
@pytest.mark.parametrize(("name", "when"), [("lock", "2+"), ("published", "1+")])
@pytest.mark.parametrize("error", ["EDQUOT", "EIO"])
async def test_notes_that_cannot_be_closed_end_no_run(
    dest: Path, name: str, when: str, error: str
) -> None:
    """All objects are there by then; a disk across a network tells of its quota only now."""
    wrapper = injected(f"close:error={error}:when={when}", paths=[dest / ".asyncsync" / name])
    async with ScriptedS3(OBJECTS) as s3:
        done = await run(wrapper, s3, dest)
        assert (done.code, done.err) == (0, "")
        assert (await sync(s3, dest)).code == 0
    assert tree(dest) == OBJECTS


@pytest.mark.row(101)
@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOENT])
async def test_unfinished_files_that_cannot_be_looked_through_stay(
    dest: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """All objects are there by then; a line says so, and the next run clears them away."""
    left = dest / ".asyncsync" / "parts" / "0.killed"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"unfinished")
    left.with_name("0.killed.journal").write_bytes(b"damaged")
    async with ScriptedS3(OBJECTS) as s3:
        with monkeypatch.context() as failing:
            failing.setattr("asyncsync.disk.parts.Path.glob", _refusing(number))
            ran = await sync(s3, dest, alone=False)
        assert (ran.code, ran.error, tree(dest)) == (0, None, OBJECTS)
        stays = f"what earlier runs left unfinished stays for now: {os.strerror(number)}"
        assert ran.seen.notices == [stays]
        assert (await sync(s3, dest)).code == 0
    assert unfinished(dest) == []


@pytest.mark.row(102)
@pytest.mark.parametrize(
    "fault",
    [
        "recvfrom,recvmsg,sendto,sendmsg,epoll_wait,epoll_pwait:error=EINTR:when=2+3",
        "recvfrom,recvmsg,sendto,sendmsg:error=EAGAIN:when=1+3",
    ],
    ids=["EINTR", "EAGAIN"],
)
async def test_interrupted_calls_are_made_again(dest: Path, fault: str) -> None:
    """Nobody notices."""
    async with ScriptedS3({**OBJECTS, "large.parquet": LARGE}) as s3:
        done = await run(injected(fault), s3, dest)
    assert (done.code, done.err) == (0, "")
    assert tree(dest) == {**OBJECTS, "large.parquet": LARGE}


@pytest.mark.row(102)
async def test_interrupted_writes_are_made_again(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one write leaves, the next one takes."""

    class Reluctant(FailingDisk):
        def meet(self, call: str) -> None:
            """Let nothing fail."""

    Reluctant(monkeypatch, 0)
    really = os.write
    monkeypatch.setattr(os, "write", lambda file, block: really(file, block[:4001]))
    monkeypatch.setattr(_File, "write", lambda file, block: really(file.fileno(), block[:4001]))
    async with ScriptedS3({"small.parquet": LARGE[:9000], "large.parquet": LARGE}) as s3:
        ran = await sync(s3, dest)
        assert ran.code == 0
        assert tree(dest) == {**s3.objects, "a/1.parquet": b"old one"}


INNER = "mkdir b b/deep; mount -t tmpfs -o size=2m tmpfs b"
"""Mounts another disk inside the destination."""


@pytest.mark.row(103)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["whole", "in parts"])
@pytest.mark.parametrize("prepare", [INNER, f"{INNER}; mount --bind b b"], ids=["disk", "twice"])
async def test_disk_mounted_inside_the_destination_gets_its_files(
    tmp_path: Path, size: int, prepare: str
) -> None:
    """By a rename on that disk: no file is ever copied to its path."""
    dest = tmp_path / "disk"
    objects = {"a/1.parquet": bytes(size), "b/2.parquet": bytes(size), "b/c/3.parquet": b"3"}
    async with ScriptedS3(objects) as s3:
        done = await run(on_a_disk(dest, "size=4m", prepare), s3, dest)
    assert (done.code, done.err) == (0, "")
    copy = tmp_path / "disk.copy"
    found = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    own = ("lock", "mounts", "published", *(name for name, _ in (CASE, FORM)))
    assert found == {*objects, *(f".asyncsync/{name}" for name in own)}
    for state in copy.rglob(".asyncsync"):
        assert stat.S_IMODE(state.stat().st_mode) == 0o700


@pytest.mark.row(103)
@pytest.mark.parametrize(("size", "code"), [(1, 0), (5 << 20, 5)], ids=["fits", "does not"])
async def test_what_goes_to_another_disk_needs_no_space_here(
    tmp_path: Path, size: int, code: int
) -> None:
    """The space for all else is looked at as ever."""
    dest = tmp_path / "disk"
    prepare = "mkdir b; mount -t tmpfs -o size=64m tmpfs b"
    objects = {"a/1.parquet": bytes(size), "b/2.parquet": bytes(8 << 20), "b/c/3.parquet": b"3"}
    async with ScriptedS3(objects) as s3:
        done = await run(on_a_disk(dest, "size=4m", prepare), s3, dest)
    assert done.code == code
    assert ("too little space: 5.24 MB or more needed" in done.err) == bool(code)


@pytest.mark.row(103)
async def test_what_is_left_on_another_disk_is_cleared_away(tmp_path: Path) -> None:
    """By the next run; nothing is followed that has come to lie in its place."""
    dest = tmp_path / "disk"
    left = "mkdir -p b/.asyncsync/parts c/.asyncsync outside; touch b/.asyncsync/parts/0.killed"
    listed = """for name in b c d; do echo "[\\"$name\\"]"; done > .asyncsync/mounts"""
    link = "touch outside/precious; ln -s ../../outside c/.asyncsync/parts"
    prepare = f"{INNER}; {left}; {link}; mkdir .asyncsync; {listed}"
    async with ScriptedS3({"b/2.parquet": b"2"}) as s3:
        done = await run(on_a_disk(dest, "size=4m", prepare), s3, dest)
    assert (done.code, done.err) == (0, "")
    copy = tmp_path / "disk.copy"
    assert not (copy / "b" / ".asyncsync" / "parts" / "0.killed").exists()
    assert (copy / "outside" / "precious").exists()


@pytest.mark.row(104)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["whole", "in parts"])
async def test_destination_that_is_unmounted_ends_the_run(tmp_path: Path, size: int) -> None:
    """The empty folder that it leaves gets nothing."""
    dest, unmounted = tmp_path / "disk", tmp_path / "unmounted"
    unmounts = (
        'mount -t tmpfs tmpfs "$0"; "$@" & child=$!; '
        'while ! [ -e "$0/a/1.parquet" ]; do sleep 0.01; done; '
        'umount -l "$0"; touch "$0/../unmounted"; wait $child'
    )
    wrapper = [*on_a_disk(dest, "")[:-2], unmounts, str(dest)]
    gone = asyncio.Event()

    def waits(request: Request) -> Answer | None:
        return Answer(bytes(size), until=gone) if request.key == "b/2.parquet" else None

    async with ScriptedS3({"a/1.parquet": b"1", "b/2.parquet": bytes(size)}) as s3:
        s3.on_object = waits
        async with anyio.create_task_group() as group:
            group.start_soon(_set_when_there, gone, unmounted)
            done = await run(wrapper, s3, dest, "--validate", "response", "--attempts", "1")
    assert done.code == 5, done.err
    assert os.listdir(dest) == []
    assert sorted(os.listdir(tmp_path)) == ["disk", "unmounted"]


async def _set_when_there(event: asyncio.Event, path: Path) -> None:
    while not os.path.exists(path):  # noqa: ASYNC110, ASYNC240  # another process has no event
        await anyio.sleep(0.01)
    event.set()


@pytest.mark.row(104)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["whole", "in parts"])
async def test_destination_that_goes_away_ends_the_run(
    tmp_path: Path, dest: Path, size: int
) -> None:
    """It is not made again, there or elsewhere."""

    def goes_away(request: Request) -> None:
        if request.verb == "GET" and dest.exists():
            dest.rename(tmp_path / "moved")

    async with ScriptedS3({"a/1.parquet": bytes(size), "b/2.parquet": bytes(size)}) as s3:
        s3.on_object = goes_away
        ran = await sync(s3, dest)
    assert (ran.code, type(ran.error)) == (5, DestinationError)
    assert os.listdir(tmp_path) == ["moved"]
    assert tree(tmp_path / "moved") == {"a/1.parquet": b"old one"}


@pytest.mark.row(105)
@pytest.mark.parametrize(("size", "count"), [(3, 200), (300_000, 60), (20_000_000, 3)])
async def test_few_descriptors_slow_the_run_down_and_no_more(
    tmp_path: Path, size: int, count: int
) -> None:
    """With 64 of them, all files arrive."""
    objects = {f"{number % 20}/{number}.parquet": bytes([number]) * size for number in range(count)}
    async with ScriptedS3(objects) as s3:
        done = await run(limited("-n", 64), s3, tmp_path / "dest")
    assert (done.code, done.err) == (0, "")
    assert tree(tmp_path / "dest") == objects


@pytest.mark.row(105)
async def test_limit_of_descriptors_that_nothing_can_do_with_is_named(tmp_path: Path) -> None:
    """The destination is not to blame."""
    async with ScriptedS3({"1.parquet": b"1"}) as s3:
        done = await run(limited("-n", 15), s3, tmp_path / "dest")
    assert done.code == 5
    assert "Too many open files; end something else, allow more (ulimit -v, -u, -n)" in done.err


@pytest.mark.row(105)
async def test_descriptors_that_others_have_used_up_are_waited_for(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole machine has none left for a while: fewer requests are made then."""
    really, refusals = aiofiles.open, iter([errno.EMFILE, errno.ENFILE])

    def opened(*arguments: object, **options: object) -> object:
        if number := next(refusals, 0):
            raise OSError(number, os.strerror(number))
        return really(*arguments, **options)  # type: ignore[call-overload]  # as it came

    monkeypatch.setattr(aiofiles, "open", opened)
    async with ScriptedS3({"a/1.parquet": LARGE}) as s3:
        ran = await sync(s3, dest)
    assert (ran.code, tree(dest)) == (0, {"a/1.parquet": LARGE})


@pytest.mark.row(105)
@pytest.mark.parametrize(
    ("place", "size"),
    [
        ("publish.open", 3),
        ("directory.Directory._open", 3),
        ("directory.Directory._open", SMALL + 1),
        ("unsynced.Unsynced._write", 3),
        ("unsynced.Unsynced._write", SMALL + 1),
        ("durable.open", 3),
        ("durable.open", SMALL + 1),
        ("durable.SyncedFolders._sync", 3),
        ("parts.open", SMALL + 1),
        ("parts._left_over", SMALL + 1),
        ("parts.FileIO", SMALL + 1),
    ],
)
async def test_file_is_published_when_there_are_descriptors_again(
    dest: Path, monkeypatch: pytest.MonkeyPatch, place: str, size: int
) -> None:
    """Wherever they run out: it is tried again, and the object is not fetched again."""
    if place.startswith("durable."):
        monkeypatch.setattr(scripted_s3, "Folder", partial(Folder, durable=True))
    if place.startswith("unsynced."):
        monkeypatch.setattr(unsynced, "BOOT", dest / "boot")
        monkeypatch.setattr(unsynced, "sync_disk", str)
        (dest / "boot").write_text("0" * 36)
    tell, refusals, has_begun = Watcher(), iter([errno.EMFILE, errno.ENFILE]), asyncio.Event()
    module, _, name = f"asyncsync.disk.{place}".rpartition(".")
    really: Callable[..., object] = getattr(resolve_name(module), name, open)

    def scarce(*arguments: object, **options: object) -> object:
        if has_begun.is_set() and (number := next(refusals, 0)):
            raise OSError(number, os.strerror(number))
        return really(*arguments, **options)

    def begins(_: object) -> None:
        has_begun.set()

    monkeypatch.setattr(f"{module}.{name}", scarce, raising=False)
    async with ScriptedS3({"new/1.parquet": os.urandom(size)}) as s3:
        s3.on_object = begins
        if place.startswith("parts."):  # before the first request
            tell = Watcher(on_compared=has_begun.set)
        ran = await sync(s3, dest, seen=tell)
        assert ran.code == 0
        assert tree(dest)["new/1.parquet"] == s3.objects["new/1.parquet"]
    assert [*refusals] == []
    assert s3.count("GET") == 1


@pytest.mark.row(105)
async def test_unfinished_file_is_read_when_there_are_descriptors_again(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier run has brought is not given up for want of them."""
    really, refusals = PartFile.take_over, iter([errno.EMFILE, errno.ENFILE])

    def taken_over(part: PartFile, old: Path) -> None:
        for number in refusals:
            with monkeypatch.context() as scarce:
                scarce.setattr("asyncsync.disk.parts.open", _refusing(number), raising=False)
                really(part, old)
        really(part, old)

    def breaks_off(request: Request) -> Answer | None:
        if request.verb == "HEAD":
            return None
        return Answer(status=500) if "range" in request.headers else Answer(LARGE, cut=SMALL)

    async with ScriptedS3({"a/1.parquet": LARGE}) as s3:
        s3.on_object = breaks_off
        assert (await sync(s3, dest, alone=False)).code == 1
        s3.on_object = lambda _: None
        monkeypatch.setattr(PartFile, "take_over", taken_over)
        ran = await sync(s3, dest)
    assert (ran.code, tree(dest)) == (0, {"a/1.parquet": LARGE})
    assert ran.report.kept_bytes == SMALL


def _refusing(number: int) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.row(105)
async def test_file_that_finds_no_descriptors_fails_alone(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After as many attempts as any request has."""
    monkeypatch.setattr("asyncsync.disk.publish.open", _refusing(errno.EMFILE), raising=False)
    async with ScriptedS3({"a/1.parquet": b"new", "a/2.parquet": LARGE}) as s3:
        ran = await sync(s3, dest)
    assert (ran.code, ran.seen.failures) == (1, {"a/1.parquet": RetriesExhaustedError})
    assert tree(dest) == {"a/1.parquet": b"old one", "a/2.parquet": LARGE}


@pytest.mark.row(106)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["whole", "in parts"])
async def test_other_names_of_a_file_keep_its_bytes(dest: Path, size: int) -> None:
    """The path gets a new file; a link to the old one is not a link to the new one."""
    os.link(dest / "a" / "1.parquet", dest / "other name")
    async with ScriptedS3({"a/1.parquet": bytes(size)}) as s3:
        assert (await sync(s3, dest)).code == 0
    assert tree(dest) == {"a/1.parquet": bytes(size), "other name": b"old one"}


@pytest.mark.row(106)
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000, 0o277])
async def test_modes_are_those_of_any_new_file(tmp_path: Path, mask: int) -> None:
    """0666 less the umask, also where that takes away the owner's right to write."""
    before = os.umask(mask)
    try:
        async with ScriptedS3({"small.parquet": b"x", "large.parquet": LARGE}) as s3:
            ran = await sync(s3, tmp_path / "dest")
    finally:
        os.umask(before)
    assert ran.code == 0
    for name in ("small.parquet", "large.parquet"):
        assert stat.S_IMODE((tmp_path / "dest" / name).stat().st_mode) == 0o666 & ~mask
