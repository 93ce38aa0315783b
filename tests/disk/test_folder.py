"""The destination: looking at files, opening it for writing, unfinished files."""

import errno
import os
import shutil
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from asyncsync.disk import folder as disk
from asyncsync.disk.folder import Folder
from asyncsync.disk.folders.directory import UNCHANGED, Directory, LocalFile
from asyncsync.disk.trial import free_bytes
from asyncsync.errors import (
    ConnectionLostError,
    DestinationError,
    DiskFullError,
    LockHeldError,
    MachineError,
)
from tests.rigs.failing_disk import failing_call
from tests.rigs.publishing import transfer_of
from tests.rigs.state import PARTS, STATE
from tests.rigs.watch import tree

Look = Callable[[Folder], Awaitable[object]]


async def look_up(folder: Folder) -> list[LocalFile | None]:
    return await folder.look_up([("a", "b")])


async def unlisted(folder: Folder) -> list[str]:
    return await folder.unlisted(list, ())


@pytest.mark.row(105)
@pytest.mark.anyio
@pytest.mark.parametrize(
    ("look", "call"), [(look_up, "open"), (unlisted, "scandir")], ids=["look-up", "walk"]
)
async def test_looks_wait_until_files_can_be_opened(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch, look: Look, call: str
) -> None:
    """An existing file is never reported as missing, and a run that cannot look ends."""
    (root / "a").mkdir()
    (root / "a" / "b").write_bytes(b"data")
    monkeypatch.setattr(disk, "PAUSE", 0)
    original, refusals = getattr(os, call), [errno.EMFILE, errno.ENFILE]

    def scarce(*arguments: object, **options: object) -> object:
        if refusals:
            failing_call(refusals.pop())()
        return original(*arguments, **options)

    with monkeypatch.context() as once:
        once.setattr(os, call, scarce)
        found = await look(folder)
    assert found == await look(folder) != [None]
    assert refusals == []
    monkeypatch.setattr(os, call, failing_call(errno.EMFILE))
    with pytest.raises(DestinationError, match="Too many open files"):
        await look(folder)
    monkeypatch.undo()


@pytest.mark.row(105)
def test_run_without_descriptors_knows_whether_the_files_of_others_differ(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has looked when it began, before its requests could use up all."""
    with monkeypatch.context() as scarce:
        scarce.setattr(os, "open", failing_call(errno.EMFILE))
        assert not folder.is_mixed


@pytest.mark.row(105)
@pytest.mark.anyio
async def test_records_that_find_no_descriptor_are_not_taken_for_empty(
    folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was made here would count as another tool's."""
    folder._published.add(["a"])
    folder = Folder(root)
    with monkeypatch.context() as scarce:
        scarce.setattr(disk, "PAUSE", 0)
        scarce.setattr(os, "open", failing_call(errno.EMFILE))
        with pytest.raises(MachineError, match="Too many open files"):
            await folder.were_published(["a"])
    assert await folder.were_published(["a"]) == {"a"}


@pytest.mark.anyio
async def test_look_up_answers_for_each_path_in_turn(root: Path) -> None:
    """Missing paths, files, folders; the same folder again; one behind a link, one below a file."""
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
async def test_file_is_unchanged_if_it_has_just_the_size_and_the_time(root: Path) -> None:
    """Anything else is described, and so is a file that a power cut may have damaged."""
    (root / "folder").mkdir(parents=True)
    for name in ("same", "longer", "older"):
        (root / name).write_bytes(b"22")
        os.utime(root / name, ns=(5_000, 5_000))
    (root / "link").symlink_to("same")
    names, known = ["same", "longer", "older", "folder", "link", "no"], [(2, 5_000)] * 6
    known[1:3] = [(1, 5_000), (2, 6_000)]
    found = await Folder(root).compare(names, known)
    assert [file and file.kind for file in found] == [
        "unchanged",
        "file",
        "file",
        "folder",
        None,
        None,
    ]
    assert found[0] is UNCHANGED
    always = [(0, 1 << 63)]
    with Directory(str(root)) as directory:
        unsure = directory.look_up_all(names[:1], known[:1], always)
    assert unsure == [LocalFile(2, 5_000, is_unsure=True)]


@pytest.mark.anyio
async def test_look_up_in_a_missing_folder_finds_nothing(root: Path) -> None:
    """A first run has nothing to compare with."""
    assert await Folder(root).look_up([("a",), ("b", "c")]) == [None, None]


@pytest.mark.anyio
async def test_count_is_of_files_that_match_by_top_level_prefix(root: Path) -> None:
    """Links, folders, state folders and files that do not match are not counted."""
    for name in ("x.parquet", "1hz/a.parquet", "1hz/2026/b.parquet", "fft/c.parquet", "1hz/d.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / PARTS).mkdir(parents=True)
    (root / PARTS / "e.parquet").touch()
    (root / "1hz" / ".asyncsync").mkdir()
    (root / "1hz" / ".asyncsync" / "f.parquet").touch()
    (root / "folder.parquet").mkdir()
    (root / "link.parquet").symlink_to("x.parquet")
    (root / "1hz" / "round").symlink_to("..")
    found = await Folder(root).count(lambda keys: [key for key in keys if key.endswith(".parquet")])
    assert found == {"": 1, "1hz/": 2, "fft/": 1}


@pytest.mark.anyio
async def test_missing_folder_counts_nothing(root: Path) -> None:
    """A first run has no files."""
    assert await Folder(root).count(list) == {}


def test_free_bytes_are_those_of_the_disk_the_folder_will_be_on(root: Path) -> None:
    """The folder does not have to exist yet."""
    disk_of_parent = shutil.disk_usage(root.parent)
    assert 0 < (free_bytes(root / "not" / "yet") or 0) <= disk_of_parent.total


def test_free_bytes_need_no_right_to_look(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder cannot be examined, the disk of the folder above it counts."""
    root.mkdir()
    original = os.stat

    def refusing(path: str | Path, **options: bool) -> os.stat_result:
        if str(path) == str(root):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path, **options)

    monkeypatch.setattr(os, "stat", refusing)
    assert free_bytes(root)


def test_writing_makes_the_folder_and_its_private_state(root: Path) -> None:
    """Parents are created too; other users cannot see unfinished files."""
    with Folder(root / "deep" / "down").writing():
        state = root / "deep" / "down" / STATE
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        assert stat.S_IMODE((state / "parts").stat().st_mode) == 0o700


@pytest.mark.anyio
async def test_files_of_the_state_are_private(root: Path) -> None:
    """Except the bytes of an object and the records of keys, which are in a private folder."""
    folder = Folder(root)
    with folder.writing():
        folder.keep_note("note", b"kept")
        async with folder.part_file(transfer_of("large")) as part:
            found = [path for path in (root / STATE).rglob("*") if path.is_file()]
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in found}
    assert {part.path.name, f"{part.path.name}.journal", "note", "lock"} <= modes.keys()
    del modes[part.path.name], modes["published"]
    assert set(modes.values()) == {0o600}


def test_writing_clears_what_a_killed_run_left(root: Path) -> None:
    """Unfinished files are removed, all other files stay."""
    with Folder(root).writing():
        pass
    parts = root / PARTS
    (parts / "unfinished").write_bytes(b"half")
    (root / "mine").write_bytes(b"kept")
    with Folder(root).writing():
        assert list(parts.iterdir()) == []
    assert tree(root) == {"mine": b"kept"}


def test_second_writer_is_refused(root: Path) -> None:
    """One run at a time; a second one does not remove the first one's unfinished files."""
    with Folder(root).writing():
        (root / PARTS / "unfinished").touch()
        with pytest.raises(LockHeldError), Folder(root).writing():
            pytest.fail("two write one folder")
        assert (root / PARTS / "unfinished").exists()


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


@pytest.mark.row(151)
@pytest.mark.parametrize("name", [".asyncsync", STATE, ".asyncsync/lock"])
def test_link_in_the_place_of_the_state_is_not_used(root: Path, name: str) -> None:
    """A notice says so; nothing is created, truncated or removed where the link leads."""
    outside = root.parent / "outside"
    (root / name).parent.mkdir(parents=True)
    (root / name).symlink_to(outside / "precious" if name.endswith("lock") else outside)
    notices: list[str] = []
    with Folder(root, notice=notices.append).writing():
        assert ["cannot be used" in notice for notice in notices] == [True]
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_bytes() == b"precious"


@pytest.mark.row(151)
def test_link_in_the_state_is_refused(root: Path) -> None:
    """Nothing is written where it leads; this user has put it there."""
    outside = root.parent / "outside"
    (root / STATE).mkdir(parents=True, mode=0o700)
    (root / PARTS).symlink_to(outside)
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
    monkeypatch.setattr(os, "mkdir", failing_call(number))
    with pytest.raises(kind, match=os.strerror(number)) as caught, Folder(root).writing():
        pytest.fail("wrote nowhere")
    assert str(root) in str(caught.value)
    assert caught.value.exit_code == 5


@pytest.mark.anyio
async def test_unfinished_file_has_no_name_yet(folder: Folder, root: Path) -> None:
    """Until the last byte is there, the path keeps its old content."""
    (root / "a").write_bytes(b"old")
    async with folder.part_file(transfer_of("a")) as part:
        for span, block in ((range(2, 4), b"ta"), (range(2), b"da")):
            part.write(span, block)
            assert tree(root) == {"a": b"old"}
        await folder.publish_parts(transfer_of("a"), part)
    assert tree(root) == {"a": b"data"}


@pytest.mark.anyio
async def test_broken_off_transfer_leaves_nothing(folder: Folder, root: Path) -> None:
    """The unfinished file is removed (the fixture checks it), and the old file stays."""
    (root / "a").write_bytes(b"old")

    async def broken_off() -> None:
        async with folder.part_file(transfer_of("a")) as part:
            part.write(range(4), b"da")
            raise ConnectionLostError

    with pytest.raises(ConnectionLostError):
        await broken_off()
    assert tree(root) == {"a": b"old"}


@pytest.mark.anyio
async def test_cancelled_transfer_without_bytes_leaves_nothing(folder: Folder, root: Path) -> None:
    """The same when the run is stopped before a byte has arrived."""
    with anyio.CancelScope() as scope:
        async with folder.part_file(transfer_of("a")):
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert tree(root) == {}


@pytest.mark.anyio
async def test_cancelled_transfer_keeps_what_has_come(root: Path) -> None:
    """The next run continues at the next byte, and leaves nothing unfinished."""
    folder = Folder(root)
    with folder.writing(), anyio.CancelScope() as scope:
        async with folder.part_file(transfer_of("a")) as part:
            part.write(range(4), b"da")
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert tree(root) == {}
    folder = Folder(root)
    with folder.writing():
        async with folder.part_file(transfer_of("a")) as part:
            assert part.missing(range(4)) == range(2, 4)
            part.write(range(4), b"ta")
            await folder.publish_parts(transfer_of("a"), part)
    assert tree(root) == {"a": b"data"}
    assert os.listdir(root / PARTS) == []
