"""The destination: what a file is when it gets its name, and what is left when it does not."""

import errno
import io
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from asyncsync.disk import folder as disk
from asyncsync.disk import publish as publishing
from asyncsync.disk.batches import MOST, WRITERS
from asyncsync.disk.directory import LocalFile
from asyncsync.disk.folder import Folder
from asyncsync.errors import (
    AsyncSyncError,
    ConnectionLostError,
    DestinationError,
    DiskFullError,
    KeyCollisionError,
    LocalFileError,
    LockHeldError,
)
from asyncsync.model import Proof, Reason, RemoteObject, Transfer
from tests import ROOT

MODIFIED = 1_767_225_600_123_456_000

Publish = Callable[[Folder, Transfer, bytes], Awaitable[None]]


def proven() -> Proof:
    """Prove nothing."""
    return Proof(0)


async def as_whole(folder: Folder, transfer: Transfer, content: bytes) -> None:
    await folder.publish(transfer, content, proven)


async def in_parts(folder: Folder, transfer: Transfer, content: bytes) -> None:
    """Write the second half first."""
    half = len(content) // 2
    async with folder.part_file(transfer) as part:
        async with part.at(range(half, len(content))) as write:
            write(content[half:])
        async with part.at(range(half)) as write:
            write(content[:half])
        await folder.publish_parts(transfer, part)


@pytest.fixture(params=[as_whole, in_parts])
def publish(request: pytest.FixtureRequest) -> Publish:
    """The two ways in which a file comes to its name."""
    way: Publish = request.param
    return way


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The destination; beside it lies `outside`, which no run may touch."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_bytes(b"precious")
    return tmp_path / "root"


@pytest.fixture
def folder(root: Path) -> Iterator[Folder]:
    """A destination that is being written; whatever happened, it holds no unfinished file then."""
    folder = Folder(root)
    with folder.writing():
        yield folder
        parts = root / ".asyncsync" / "parts"
        assert not parts.exists() or list(parts.iterdir()) == []
    outside = root.parent / "outside"
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_bytes() == b"precious"


def transfer_of(key: str, size: int = 4, modified_ns: int = MODIFIED) -> Transfer:
    remote = RemoteObject(key, size, "etag", modified_ns)
    return Transfer(remote, tuple(key.split("/")), Reason.MISSING)


def files(root: Path) -> Mapping[str, bytes]:
    """Return all that was published, by key."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".asyncsync" not in path.parts
    }


def failing(number: int) -> Callable[..., None]:
    """Return a system call that fails."""

    def call(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


# reading


Look = Callable[[Folder], Awaitable[object]]


async def look_up(folder: Folder) -> list[LocalFile | None]:
    return await folder.look_up([("a", "b")])


async def unlisted(folder: Folder) -> list[str]:
    return await folder.unlisted(bool, ())


@pytest.mark.row(105)
@pytest.mark.anyio
@pytest.mark.parametrize(
    ("look", "call"), [(look_up, "open"), (unlisted, "scandir")], ids=["look-up", "walk"]
)
async def test_looks_wait_until_files_can_be_opened(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch, look: Look, call: str
) -> None:
    """What is there is never taken for missing, and a run that cannot look ends."""
    (root / "a").mkdir()
    (root / "a" / "b").write_bytes(b"data")
    monkeypatch.setattr(disk, "PAUSE", 0)
    really, refusals = getattr(os, call), [errno.EMFILE, errno.ENFILE]

    def scarce(*arguments: object, **options: object) -> object:
        if refusals:
            failing(refusals.pop())()
        return really(*arguments, **options)

    with monkeypatch.context() as once:
        once.setattr(os, call, scarce)
        found = await look(folder)
    assert found == await look(folder) != [None]
    assert refusals == []
    monkeypatch.setattr(os, call, failing(errno.EMFILE))
    with pytest.raises(DestinationError, match="Too many open files"):
        await look(folder)
    monkeypatch.undo()


@pytest.mark.anyio
async def test_look_up_answers_for_each_path_in_turn(root: Path) -> None:
    """Nothing, files, folders; the same folder again; one behind a link, one below a file."""
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "x").write_bytes(b"1")
    (root / "a" / "b" / "y").write_bytes(b"22")
    (root / "linked").symlink_to("../outside")
    paths = [("a", "x"), ("a", "b"), ("a", "b", "y"), ("no", "x"), ("linked", "precious"), ("a",)]
    found = await Folder(root).look_up([*paths, ("a", "x", "below"), ("z",)])
    sizes = [(file.kind, file.size) if file else None for file in found]
    in_a = [("file", 1), ("folder", 0), ("file", 2)]
    assert sizes == [*in_a, None, None, ("folder", 0), ("blocked", 0), None]
    assert await Folder(root).look_up([]) == []


@pytest.mark.anyio
async def test_look_up_in_a_missing_folder_finds_nothing(root: Path) -> None:
    """A first run has nothing to compare with."""
    assert await Folder(root).look_up([("a",), ("b", "c")]) == [None, None]


@pytest.mark.anyio
async def test_count_is_of_files_that_match_by_top_level_prefix(root: Path) -> None:
    """Links, folders, our own files and what does not match are not counted."""
    for name in ("x.parquet", "1hz/a.parquet", "1hz/2026/b.parquet", "fft/c.parquet", "1hz/d.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / ".asyncsync" / "parts").mkdir(parents=True)
    (root / ".asyncsync" / "parts" / "e.parquet").touch()
    (root / "1hz" / ".asyncsync").mkdir()
    (root / "1hz" / ".asyncsync" / "f.parquet").touch()
    (root / "folder.parquet").mkdir()
    (root / "link.parquet").symlink_to("x.parquet")
    (root / "1hz" / "round").symlink_to("..")
    found = await Folder(root).count(lambda key: key.endswith(".parquet"))
    assert found == {"": 1, "1hz/": 2, "fft/": 1}


@pytest.mark.anyio
async def test_missing_folder_counts_nothing(root: Path) -> None:
    """A first run has no files."""
    assert await Folder(root).count(lambda key: True) == {}


def test_free_bytes_are_those_of_the_disk_the_folder_will_be_on(root: Path) -> None:
    """The folder need not be there yet."""
    disk_of_parent = shutil.disk_usage(root.parent)
    assert 0 < Folder(root / "not" / "yet").free_bytes() <= disk_of_parent.total


def test_free_bytes_need_no_right_to_look(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder may not be looked at, the disk of the one above it is told."""
    root.mkdir()
    really = os.stat

    def refusing(path: str | Path, **options: bool) -> os.stat_result:
        if str(path) == str(root):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really(path, **options)

    monkeypatch.setattr(os, "stat", refusing)
    assert Folder(root).free_bytes() > 0


# taking the folder


def test_writing_makes_the_folder_and_its_private_state(root: Path) -> None:
    """Parents are made as well; others see nothing of unfinished files."""
    with Folder(root / "deep" / "down").writing():
        state = root / "deep" / "down" / ".asyncsync"
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        assert stat.S_IMODE((state / "parts").stat().st_mode) == 0o700


@pytest.mark.anyio
async def test_files_of_the_state_are_private(root: Path) -> None:
    """But for the bytes of an object, which get the mode of any new file, in a private folder."""
    folder = Folder(root)
    with folder.writing():
        folder.keep_note("note", b"kept")
        async with folder.part_file(transfer_of("large")) as part:
            found = [path for path in (root / ".asyncsync").rglob("*") if path.is_file()]
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in found}
    assert {part.path.name, f"{part.path.name}.journal", "note", "lock"} <= modes.keys()
    del modes[part.path.name]
    assert set(modes.values()) == {0o600}


def test_writing_clears_what_a_killed_run_left(root: Path) -> None:
    """Unfinished files go, published ones and all others stay."""
    with Folder(root).writing():
        pass
    parts = root / ".asyncsync" / "parts"
    (parts / "unfinished").write_bytes(b"half")
    (root / "mine").write_bytes(b"kept")
    with Folder(root).writing():
        assert list(parts.iterdir()) == []
    assert files(root) == {"mine": b"kept"}


def test_second_writer_is_refused(root: Path) -> None:
    """One run at a time; its unfinished files are not cleared away by the other."""
    with Folder(root).writing():
        (root / ".asyncsync" / "parts" / "unfinished").touch()
        with pytest.raises(LockHeldError), Folder(root).writing():
            pytest.fail("two write one folder")
        assert (root / ".asyncsync" / "parts" / "unfinished").exists()


def test_destination_that_is_a_file_is_refused(root: Path) -> None:
    """It is not replaced by a folder."""
    root.write_bytes(b"a file")
    with pytest.raises(DestinationError, match="File exists"), Folder(root).writing():
        pytest.fail("wrote into a file")
    assert root.read_bytes() == b"a file"


def test_destination_may_be_a_link_to_a_folder(tmp_path: Path) -> None:
    """The user's own link is followed, once."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    folder = Folder(tmp_path / "link")
    assert folder.path == tmp_path / "real"
    with folder.writing():
        assert (tmp_path / "real" / ".asyncsync" / "lock").exists()


@pytest.mark.parametrize("name", [".asyncsync", ".asyncsync/parts", ".asyncsync/lock"])
def test_state_behind_a_link_is_refused(root: Path, name: str) -> None:
    """Nothing is made, truncated or cleared away where the link leads."""
    outside = root.parent / "outside"
    (root / name).parent.mkdir(parents=True)
    (root / name).symlink_to(outside / "precious" if name.endswith("lock") else outside)
    with pytest.raises(DestinationError), Folder(root).writing():
        pytest.fail("followed a link")
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EROFS, DestinationError),
        (errno.EACCES, DestinationError),
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
    ],
)
def test_folder_that_cannot_be_written_ends_the_run(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[DestinationError]
) -> None:
    """Before anything is fetched; the message names the folder and the system's reason."""
    monkeypatch.setattr(os, "mkdir", failing(number))
    with pytest.raises(kind, match=os.strerror(number)) as caught, Folder(root).writing():
        pytest.fail("wrote nowhere")
    assert str(root) in str(caught.value)
    assert caught.value.exit_code == 5


# publishing


@pytest.mark.anyio
@pytest.mark.parametrize(
    "key",
    [
        "a",
        "1hz/2026/01/a.parquet",
        " ",
        "line\nbreak",
        "\x1b[2J",
        "raw\udcff",
        "-rf",
        "%s{}*",
        "C:\\x",
    ],
)
async def test_published_file_has_its_bytes_its_name_and_its_time(
    folder: Folder, root: Path, publish: Publish, key: str
) -> None:
    """Content, path and LastModified to the nanosecond."""
    content = os.urandom(1001)
    await publish(folder, transfer_of(key, len(content)), content)
    assert files(root) == {key: content}
    found = LocalFile(len(content), MODIFIED)
    assert await folder.look_up([tuple(key.split("/"))]) == [found]


@pytest.mark.anyio
async def test_empty_object_is_an_empty_file(folder: Folder, root: Path, publish: Publish) -> None:
    """No bytes are content as well."""
    await publish(folder, transfer_of("empty", 0), b"")
    assert files(root) == {"empty": b""}


@pytest.mark.anyio
async def test_no_file_waits_for_all_that_came_with_it(folder: Folder) -> None:
    """Here the last of many is not proven until an early one has its name."""
    is_published = threading.Event()

    async def publish(number: int) -> None:
        def prove() -> Proof:
            assert number < last or is_published.wait(5)
            return Proof.SIZE

        await folder.publish(transfer_of(f"{number}"), b"data", prove)
        if number == WRITERS:  # those before it come alone
            is_published.set()

    last = (WRITERS + 1) * MOST
    async with anyio.create_task_group() as group:
        for number in range(last + 1):
            group.start_soon(publish, number)


@pytest.mark.anyio
async def test_file_without_a_known_time_has_that_of_its_download(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """An unreadable LastModified is not 1970."""
    await publish(folder, transfer_of("a", 4, modified_ns=0), b"data")
    assert (root / "a").stat().st_mtime_ns >= (root / ".asyncsync/lock").stat().st_mtime_ns


@pytest.mark.anyio
async def test_modes_are_those_of_any_new_file(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """0666 and 0777 less the umask."""
    before = os.umask(0o027)
    try:
        await publish(folder, transfer_of("a/b"), b"data")
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o750
    assert stat.S_IMODE((root / "a" / "b").stat().st_mode) == 0o640


@pytest.mark.anyio
async def test_other_names_of_a_replaced_file_keep_its_bytes(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """A file is replaced, never rewritten."""
    (root / "a").write_bytes(b"old")
    os.link(root / "a", root / "snapshot")
    await publish(folder, transfer_of("a"), b"data")
    assert files(root) == {"a": b"data", "snapshot": b"old"}


@pytest.mark.anyio
async def test_link_at_the_path_is_replaced_and_its_target_untouched(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """A link is nothing worth keeping; where it leads is not ours: the fixture looks there."""
    (root / "a").symlink_to("../outside/precious")
    await publish(folder, transfer_of("a"), b"data")
    assert not (root / "a").is_symlink()
    assert files(root) == {"a": b"data"}


@pytest.mark.anyio
async def test_linked_folder_is_refused(folder: Folder, root: Path, publish: Publish) -> None:
    """Nothing is written through it: the fixture looks there."""
    (root / "a").symlink_to("../outside")
    with pytest.raises(LocalFileError, match="symbolic link") as caught:
        await publish(folder, transfer_of("a/precious"), b"data")
    assert caught.value.key == "a/precious"
    with pytest.raises(LocalFileError, match="symbolic link"):
        await publish(folder, transfer_of("a/deep/x"), b"data")


@pytest.mark.anyio
async def test_file_where_a_folder_is_needed_is_a_collision(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """Of `a` and `a/b` the first keeps its path; the other is skipped."""
    await publish(folder, transfer_of("a"), b"file")
    with pytest.raises(KeyCollisionError, match="a file stands where") as caught:
        await publish(folder, transfer_of("a/b"), b"data")
    assert caught.value.key == "a/b"
    assert files(root) == {"a": b"file"}


@pytest.mark.anyio
async def test_folder_where_a_file_is_needed_is_a_collision(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """The same in the other order: no folder is replaced, not even an empty one."""
    await publish(folder, transfer_of("a/b"), b"deep")
    (root / "empty").mkdir()
    for key in ("a", "empty"):
        with pytest.raises(KeyCollisionError, match="a folder has that name") as caught:
            await publish(folder, transfer_of(key), b"data")
        assert caught.value.key == key
    assert files(root) == {"a/b": b"deep"}
    assert (root / "empty").is_dir()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EFBIG, DiskFullError),
        (errno.EROFS, DestinationError),
        (errno.ESTALE, DestinationError),
        (errno.ENODEV, DestinationError),
        (errno.EACCES, LocalFileError),
        (errno.EPERM, LocalFileError),
        (errno.EIO, LocalFileError),
        (errno.ENAMETOOLONG, LocalFileError),
    ],
)
@pytest.mark.parametrize("call", ["utime", "mkdir", "replace"])
async def test_failing_system_call_is_translated(
    folder: Folder,
    root: Path,
    publish: Publish,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    kind: type[AsyncSyncError],
) -> None:
    """A full or lost disk ends the run, all else is about one path; the old file stays."""
    (root / "a").write_bytes(b"old")
    monkeypatch.setattr(os, call, failing(number))
    key = "new/a" if call == "mkdir" else "a"
    with pytest.raises(kind, match=os.strerror(number)) as caught:
        await publish(folder, transfer_of(key), b"data")
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, OSError)
    assert files(root) == {"a": b"old"}


@pytest.mark.anyio
async def test_folder_that_may_not_be_written_fails_its_own_files_only(
    folder: Folder, root: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system refuses one folder; others are written as before."""
    (root / "locked").mkdir()
    really = os.replace

    def refusing(source: str, name: str, *, dst_dir_fd: int) -> None:
        if os.path.samestat(os.fstat(dst_dir_fd), (root / "locked").stat()):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        really(source, name, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(LocalFileError, match="locked/a: Permission denied"):
        await publish(folder, transfer_of("locked/a"), b"data")
    await publish(folder, transfer_of("free/a"), b"data")
    assert files(root) == {"free/a": b"data"}


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes: a write stops there first, and fails then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.anyio
async def test_write_that_stops_short_never_counts(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """The system writes 64 KiB of 100 kB and then nothing more: the run ends, the file is gone."""
    with largest_file(65536), pytest.raises(DiskFullError, match="File too large"):
        await publish(folder, transfer_of("a", 100_000), bytes(100_000))
    assert files(root) == {}


@pytest.mark.anyio
async def test_short_writes_are_completed(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one write leaves, the next one takes."""

    class Reluctant(io.FileIO):
        def write(self, block: bytes | memoryview, /) -> int:  # type: ignore[override]  # narrower
            return super().write(memoryview(block)[:1000])

    def reluctant(path: str, mode: str, buffering: int) -> Reluctant:
        return Reluctant(path, mode)

    monkeypatch.setattr(publishing, "open", reluctant, raising=False)
    content = os.urandom(4001)
    await folder.publish(transfer_of("a", len(content)), content, proven)
    assert files(root) == {"a": content}


@pytest.mark.anyio
async def test_message_shows_a_hostile_path_on_one_line(folder: Folder, publish: Publish) -> None:
    """A key cannot write on the terminal by failing."""
    await publish(folder, transfer_of("\x1b[2J"), b"data")
    with pytest.raises(KeyCollisionError) as caught:
        await publish(folder, transfer_of("\x1b[2J/\n"), b"data")
    assert str(caught.value).isprintable()


@pytest.mark.anyio
async def test_destination_that_is_gone_ends_the_run(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """It is not made again, whoever removed it."""
    shutil.rmtree(root)
    with pytest.raises(DestinationError, match="No such file"):
        await publish(folder, transfer_of("a/b"), b"data")
    assert root.name not in os.listdir(root.parent)


@pytest.mark.anyio
async def test_unfinished_file_has_no_name_yet(folder: Folder, root: Path) -> None:
    """Until the last byte is there, the path holds what it held."""
    (root / "a").write_bytes(b"old")
    async with folder.part_file(transfer_of("a")) as part:
        for span, block in ((range(2, 4), b"ta"), (range(2), b"da")):
            async with part.at(span) as write:
                write(block)
            assert files(root) == {"a": b"old"}
        await folder.publish_parts(transfer_of("a"), part)
    assert files(root) == {"a": b"data"}


@pytest.mark.anyio
async def test_broken_off_transfer_leaves_nothing(folder: Folder, root: Path) -> None:
    """The unfinished file is removed (the fixture looks), the error passes, the old file stays."""
    (root / "a").write_bytes(b"old")

    async def broken_off() -> None:
        async with folder.part_file(transfer_of("a")) as part, part.at(range(4)) as write:
            write(b"da")
            raise ConnectionLostError

    with pytest.raises(ConnectionLostError):
        await broken_off()
    assert files(root) == {"a": b"old"}


@pytest.mark.anyio
async def test_cancelled_transfer_without_bytes_leaves_nothing(folder: Folder, root: Path) -> None:
    """The same when the run is stopped before anything has come."""
    with anyio.CancelScope() as scope:
        async with folder.part_file(transfer_of("a")) as part, part.at(range(4)):
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert files(root) == {}


@pytest.mark.anyio
async def test_cancelled_transfer_keeps_what_has_come(root: Path) -> None:
    """The next run goes on with it, to the byte, and leaves nothing of it."""
    folder = Folder(root)
    with folder.writing(), anyio.CancelScope() as scope:
        async with folder.part_file(transfer_of("a")) as part, part.at(range(4)) as write:
            write(b"da")
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert files(root) == {}
    folder = Folder(root)
    with folder.writing():
        async with folder.part_file(transfer_of("a")) as part:
            async with part.at(range(4)) as write:
                assert part.missing(range(4)) == range(2, 4)
                write(b"ta")
            await folder.publish_parts(transfer_of("a"), part)
    assert files(root) == {"a": b"data"}
    assert os.listdir(root / ".asyncsync/parts") == []


@pytest.mark.anyio
async def test_many_at_once_each_have_their_own_result(folder: Folder, root: Path) -> None:
    """Files that are written in one go share nothing else: one that fails fails alone."""
    (root / "full").mkdir()
    keys = [*(f"{number}/{number}" for number in range(50)), "full", "0/0/x"]
    errors: dict[str, AsyncSyncError] = {}

    async def publish(key: str) -> None:
        try:
            await folder.publish(transfer_of(key, len(key)), key.encode(), proven)
        except AsyncSyncError as error:
            errors[key] = error

    await publish(keys[0])  # or the last could come before it, on a machine that is busy
    async with anyio.create_task_group() as group:
        for key in keys[1:]:
            group.start_soon(publish, key)
    assert files(root) == {key: key.encode() for key in sorted(keys) if key not in errors}
    assert {key: type(error) for key, error in errors.items()} == {
        "full": KeyCollisionError,
        "0/0/x": KeyCollisionError,
    }
    await publish("after")
    assert files(root)["after"] == b"after"


FULL_DISK = """
import asyncio, os, sys
from pathlib import Path
from asyncsync.disk import Folder
from asyncsync.errors import DiskFullError
from tests.disk.test_folder import as_whole, files, in_parts, transfer_of

root = Path(sys.argv[1])
folder = Folder(root)
with folder.writing():
    asyncio.run(as_whole(folder, transfer_of("small"), b"data"))
    for way in (as_whole, in_parts):
        try:
            asyncio.run(way(folder, transfer_of("a", 200_000), os.urandom(200_000)))
        except DiskFullError as error:
            print(error)
    asyncio.run(in_parts(folder, transfer_of("later"), b"data"))
    print(sorted(files(root)), os.listdir(root / ".asyncsync/parts"))
"""


def test_full_disk_ends_the_run_and_keeps_what_is_finished(root: Path) -> None:
    """On a disk of 64 KiB: both ways fail by name, clean up, and later files fit again."""
    root.mkdir()
    mounted = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-Urm", "sh", "-ec", mounted, "sh", str(root), sys.executable, FULL_DISK]
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"]).returncode:
        pytest.skip("this machine makes no disks for tests")
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30)
    full = f"{root}: No space left on device"
    assert done.stdout.splitlines() == [full, full, "['later', 'small'] []"], done.stderr
