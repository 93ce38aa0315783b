"""What survives a power cut: the order of writes, syncs and renames, as strace shows it."""

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import anyio
import pytest

from asyncsync.disk.durable import SyncedFolders
from asyncsync.disk.folder import Folder
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state.place import Place
from asyncsync.download.download import SMALL
from asyncsync.errors import AsyncSyncError, LocalFileError
from asyncsync.model import Proof, Reason, RemoteObject, Transfer
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.state import PARTS
from tests.rigs.watch import tree, unfinished
from tests.rigs.wrapped import injected, wrapped

pytestmark = pytest.mark.anyio

OBJECTS = {
    **{f"a/b/{number:02}.parquet": bytes([number]) * 9 for number in range(30)},
    "a/c/1.parquet": b"1",
    "root.parquet": b"2",
    "large/1.parquet": os.urandom(SMALL + 1),
}
CALLS = (
    "openat,write,pwrite64,ftruncate,utimensat,mkdir,mkdirat,rename,renameat,renameat2,fsync,syncfs"
)

NAMED = re.compile(r'(?:<(/[^>]*)>, )?"((?:[^"\\]|\\.)*)"')
"""A path in a line of strace, with the open folder that it starts in if the call names one."""


def ended_calls(trace: Iterable[str]) -> Iterator[str]:
    """Yield the calls as they end; strace splits a call if another thread's comes in between."""
    begun: dict[str, str] = {}
    for line in trace:
        thread, _, call = line.partition(" ")
        if call.endswith(" <unfinished ...>"):
            begun[thread] = call.removesuffix(" <unfinished ...>").lstrip()
        elif " resumed>" in call:
            yield begun.pop(thread) + call.partition(" resumed>")[2]
        else:
            yield call.lstrip()


def violations(trace: Iterable[str], dest: Path) -> Iterator[str]:
    """Yield what a power cut could have undone, from the trace of a complete run.

    That is files that are renamed before their data and times are synced, and names that are not
    synced in the end.
    """
    unsynced: set[str] = set()
    unnamed: dict[str, str] = {}  # path whose name is not synced -> the call that made it
    for line in ended_calls(trace):
        # Paths through an open folder lead to the parts folder; other names are of an open folder.
        line = re.sub(r'"/proc/self/fd/\d+', f'"{dest}/{PARTS}', line)
        call, _, rest = line.partition("(")
        if not rest.rstrip().rpartition(" = ")[2][:1].isdigit():
            continue  # the call failed
        files = re.findall(r"<(/[^>]*)>", rest)
        names = [os.path.join(*named) for named in NAMED.findall(rest)]
        match call:
            case "write" | "pwrite64" | "ftruncate":
                unsynced.update(files[:1])
            case "utimensat":
                unsynced.update(names or files[:1])  # of a path, or of an open file
            case "fsync":
                unsynced.discard(files[0])
                unnamed = {p: by for p, by in unnamed.items() if os.path.dirname(p) != files[0]}
            case "mkdir" | "mkdirat":
                unnamed[names[0]] = line
            case "rename" | "renameat" | "renameat2":
                if names[0] in unsynced:
                    yield f"renamed before it was synced: {line}"
                unnamed[names[1]] = line
    below = str(dest / ".asyncsync")
    yield from (line for path, line in unnamed.items() if not path.startswith(below))


async def traced(dest: Path, trace: Path, *arguments: str) -> list[str]:
    wrapper = [*injected()[:3], "-y", "-o", str(trace), "-e", f"trace={CALLS}"]
    async with ScriptedS3(OBJECTS) as s3:
        settings = s3.environment
        done = await wrapped(wrapper, settings, "--quiet", "--dest", str(dest), *arguments)
    assert (done.code, done.err) == (0, "")
    assert tree(dest) == OBJECTS
    text = await anyio.Path(trace).read_text(errors="surrogateescape")
    return text.splitlines()


@pytest.mark.row(120)
async def test_every_file_is_synced_before_its_rename_and_its_folder_after_it(
    tmp_path: Path,
) -> None:
    """With all folders above it that the run created."""
    dest = tmp_path / "new" / "dest"
    calls = await traced(dest, tmp_path / "trace", "--durable")
    assert list(violations(calls, dest)) == []
    syncs = [call for call in calls if "fsync(" in call]
    assert sum(f"{PARTS}/" in call for call in syncs) == len(OBJECTS)


@pytest.mark.row(120)
async def test_no_file_is_synced_by_itself_unless_asked_for(tmp_path: Path) -> None:
    """Then the check finds violations; the run waits for the disk once, after the last file."""
    dest = tmp_path / "dest"
    calls = await traced(dest, tmp_path / "trace")
    assert not any("fsync(" in call and "/parts/" in call for call in calls)
    assert len(list(violations(calls, dest))) > 2 * len(OBJECTS)
    ended = list(ended_calls(calls))
    [waited] = (number for number, call in enumerate(ended) if call.startswith("syncfs("))
    named = [call for call in ended[:waited] if call.startswith("rename") and "sources" not in call]
    assert len(named) == len(OBJECTS)
    assert not any(call.startswith("rename") for call in ended[waited:])


def transfer_of(key: str) -> Transfer:
    return Transfer(RemoteObject(key, 4, "etag", 1), tuple(key.split("/")), Reason.MISSING)


@pytest.mark.row(101)
@pytest.mark.row(120)
async def test_failed_sync_is_never_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is removed; the other files are published."""
    failed: list[str] = []
    original = os.fsync

    def fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        assert path not in failed
        if not failed and "/parts/" in path:
            failed.append(path)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    errors = await publish_all(Folder(tmp_path / "dest", durable=True), ["a/1", "a/2", "a/3"])
    assert [type(error) for error in errors.values()] == [LocalFileError]
    assert tree(tmp_path / "dest").keys() == {"a/1", "a/2", "a/3"} - errors.keys()
    assert unfinished(tmp_path / "dest") == []


def fail_folder_syncs(
    monkeypatch: pytest.MonkeyPatch, fails: Callable[[str, int], bool]
) -> list[str]:
    """Make syncs of folders fail, depending on path and attempt; return the paths tried."""
    tried: list[str] = []
    original = Directory.sync

    def sync(directory: Directory) -> None:
        path = str(directory.path(Path()).resolve())
        tried.append(path)
        if fails(path, tried.count(path)):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        original(directory)

    monkeypatch.setattr(Directory, "sync", sync)
    return tried


@pytest.mark.row(120)
async def test_files_of_a_folder_that_cannot_be_synced_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, and none of another folder; each batch tries one sync of the folder."""
    tried = fail_folder_syncs(monkeypatch, lambda path, _: path.endswith("/a"))
    folder = Folder(tmp_path / "dest", durable=True)
    errors = await publish_all(folder, ["a/1", "a/2", "b/1"])
    assert errors.keys() == {"a/1", "a/2"}
    assert 1 <= tried.count(str(tmp_path / "dest" / "a")) <= 2


@pytest.mark.row(120)
def test_folder_whose_name_is_lost_takes_no_more_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later files fail too, without another sync of the folder above."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    tried = fail_folder_syncs(
        monkeypatch, lambda path, attempt: (path, attempt) == (str(tmp_path), 1)
    )
    folders = SyncedFolders(Place(tmp_path))
    for folder in (("a", "b"), ("a", "b"), ("a",)):
        with pytest.raises(OSError, match="Input/output error"):
            folders.sync(folder)
    assert tried.count(str(tmp_path)) == 1
    folders.sync(("c",))


async def publish_all(folder: Folder, keys: Iterable[str]) -> dict[str, AsyncSyncError]:
    """Publish small files concurrently; return the errors by key."""
    errors: dict[str, AsyncSyncError] = {}

    async def publish(key: str) -> None:
        try:
            await folder.publish(transfer_of(key), b"data", lambda: Proof(0))
        except AsyncSyncError as error:
            errors[key] = error

    with folder.writing():
        async with anyio.create_task_group() as group:
            for key in keys:
                group.start_soon(publish, key)
    return errors


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
async def test_file_system_that_cannot_sync_folders_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It offers nothing better."""

    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "a").mkdir()
    monkeypatch.setattr(os, "fsync", fsync)
    SyncedFolders(Place(tmp_path)).sync(("a",))
