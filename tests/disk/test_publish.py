"""Publishing: what a file is when it gets its path, and what is left when it does not."""

import errno
import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncsync.disk.folder import Folder
from asyncsync.disk.folders.directory import Directory, LocalFile
from asyncsync.errors import (
    AsyncSyncError,
    DestinationError,
    DiskFullError,
    KeyCollisionError,
    LocalFileError,
)
from tests import ROOT
from tests.rigs.failing_disk import failing_call
from tests.rigs.publishing import MODIFIED, Publish, prove_nothing, transfer_of
from tests.rigs.watch import tree


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
    """Content, path, and LastModified to the nanosecond."""
    content = os.urandom(1001)
    await publish(folder, transfer_of(key, len(content)), content)
    assert tree(root) == {key: content}
    found = LocalFile(len(content), MODIFIED)
    assert await folder.look_up([tuple(key.split("/"))]) == [found]


@pytest.mark.anyio
async def test_empty_object_is_an_empty_file(folder: Folder, root: Path, publish: Publish) -> None:
    """An object of 0 bytes is an object too."""
    await publish(folder, transfer_of("empty", 0), b"")
    assert tree(root) == {"empty": b""}


@pytest.mark.anyio
async def test_file_without_a_known_time_has_that_of_its_download(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """A LastModified that cannot be parsed does not become 1970."""
    await publish(folder, transfer_of("a", 4, modified_ns=0), b"data")
    assert (root / "a").stat().st_mtime_ns >= (root / ".asyncsync/lock").stat().st_mtime_ns


@pytest.mark.anyio
@pytest.mark.row(117)
async def test_file_that_is_removed_while_it_is_written_is_written_again(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run that no lock kept out may take it for a leftover as soon as it has a name."""
    really, removed = Directory.set_time, list[str]()

    def set_time(parts: Directory, name: str, modified_ns: int) -> None:
        if not removed:
            removed.append(name)
            parts.remove(name)
        really(parts, name, modified_ns)

    monkeypatch.setattr(Directory, "set_time", set_time)
    await folder.publish(transfer_of("a", 4), b"data", prove_nothing)
    assert (len(removed), tree(root)) == (1, {"a": b"data"})


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
    """A file is replaced, never written in place."""
    (root / "a").write_bytes(b"old")
    os.link(root / "a", root / "snapshot")
    await publish(folder, transfer_of("a"), b"data")
    assert tree(root) == {"a": b"data", "snapshot": b"old"}


@pytest.mark.anyio
async def test_link_at_the_path_is_replaced_and_its_target_untouched(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """The link goes; what it points to is not ours (the fixture checks it)."""
    (root / "a").symlink_to("../outside/precious")
    await publish(folder, transfer_of("a"), b"data")
    assert not (root / "a").is_symlink()
    assert tree(root) == {"a": b"data"}


@pytest.mark.anyio
async def test_linked_folder_is_refused(folder: Folder, root: Path, publish: Publish) -> None:
    """Nothing is written through it (the fixture checks it)."""
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
    """Of `a` and `a/b` the first keeps its path, and the other fails."""
    await publish(folder, transfer_of("a"), b"file")
    with pytest.raises(KeyCollisionError, match="a file exists where") as caught:
        await publish(folder, transfer_of("a/b"), b"data")
    assert caught.value.key == "a/b"
    assert tree(root) == {"a": b"file"}


@pytest.mark.anyio
async def test_folder_where_a_file_is_needed_is_a_collision(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """The same in the other order: no folder is replaced, not even an empty one."""
    await publish(folder, transfer_of("a/b"), b"deep")
    (root / "empty").mkdir()
    for key in ("a", "empty"):
        with pytest.raises(KeyCollisionError, match="a folder has this name") as caught:
            await publish(folder, transfer_of(key), b"data")
        assert caught.value.key == key
    assert tree(root) == {"a/b": b"deep"}
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
    """A full or lost disk ends the run, other errors fail one path; the old file stays."""
    (root / "a").write_bytes(b"old")
    monkeypatch.setattr(os, call, failing_call(number))
    key = "new/a" if call == "mkdir" else "a"
    with pytest.raises(kind, match=os.strerror(number)) as caught:
        await publish(folder, transfer_of(key), b"data")
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, OSError)
    assert tree(root) == {"a": b"old"}


@pytest.mark.anyio
async def test_folder_that_may_not_be_written_fails_its_own_files_only(
    folder: Folder, root: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system denies access to one folder; files in others are written."""
    (root / "locked").mkdir()
    original = os.replace

    def refusing(source: str, name: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if os.path.samestat(os.fstat(dst_dir_fd), (root / "locked").stat()):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        original(source, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(LocalFileError, match="locked/a: Permission denied"):
        await publish(folder, transfer_of("locked/a"), b"data")
    await publish(folder, transfer_of("free/a"), b"data")
    assert tree(root) == {"free/a": b"data"}


@contextmanager
def limit_file_size(size: int) -> Iterator[None]:
    """Limit the size of files: a write stops at `size` bytes, and the next one fails."""
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
    """The system writes 64 KiB of 100 kB and no more: the run ends, and the file is removed."""
    with limit_file_size(65536), pytest.raises(DiskFullError, match="File too large"):
        await publish(folder, transfer_of("a", 100_000), bytes(100_000))
    assert tree(root) == {}


@pytest.mark.anyio
async def test_short_writes_are_completed(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one write leaves, the next one writes."""
    original, written = os.write, list[int]()

    def reluctant(file: int, block: bytes | memoryview) -> int:
        written.append(original(file, memoryview(block)[:1000]))
        return written[-1]

    monkeypatch.setattr(os, "write", reluctant)
    content = os.urandom(4001)
    await folder.publish(transfer_of("a", len(content)), content, prove_nothing)
    assert tree(root) == {"a": content}
    assert written[-6:-1] == [1000, 1000, 1000, 1000, 1]  # and then the record of the file


@pytest.mark.anyio
async def test_message_shows_a_hostile_path_on_one_line(folder: Folder, publish: Publish) -> None:
    """A key cannot send control characters to the terminal in an error message."""
    await publish(folder, transfer_of("\x1b[2J"), b"data")
    with pytest.raises(KeyCollisionError) as caught:
        await publish(folder, transfer_of("\x1b[2J/\n"), b"data")
    assert str(caught.value).isprintable()


@pytest.mark.anyio
async def test_destination_that_is_gone_ends_the_run(
    folder: Folder, root: Path, publish: Publish
) -> None:
    """It is not created again, whoever removed it."""
    shutil.rmtree(root)
    with pytest.raises(DestinationError, match="removed during the run"):
        await publish(folder, transfer_of("a/b"), b"data")
    assert root.name not in os.listdir(root.parent)


FULL_DISK = """
import asyncio, os, sys
from pathlib import Path
from asyncsync.disk import Folder
from asyncsync.errors import DiskFullError
from tests.rigs.publishing import publish_large, publish_small, transfer_of
from tests.rigs.state import PARTS
from tests.rigs.watch import tree

root = Path(sys.argv[1])
folder = Folder(root)
with folder.writing():
    asyncio.run(publish_small(folder, transfer_of("small"), b"data"))
    for way in (publish_small, publish_large):
        try:
            asyncio.run(way(folder, transfer_of("a", 200_000), os.urandom(200_000)))
        except DiskFullError as error:
            print(error)
    asyncio.run(publish_large(folder, transfer_of("later"), b"data"))
    print(sorted(tree(root)), os.listdir(root / PARTS))
"""


def test_full_disk_ends_the_run_and_keeps_what_is_finished(root: Path) -> None:
    """On a disk of 64 KiB: both ways report it and clean up, and later files fit again."""
    root.mkdir()
    mounted = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-Urm", "sh", "-ec", mounted, "sh", str(root), sys.executable, FULL_DISK]
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"]).returncode:
        pytest.skip("this machine makes no disks for tests")
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    full = f"{root}: No space left on device"
    assert done.stdout.splitlines() == [full, full, "['later', 'small'] []"], done.stderr
