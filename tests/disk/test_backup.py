"""Backups of replaced files: what is kept, under which name, and when nothing is replaced."""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncsync.disk import Backup, Folder
from asyncsync.disk.folders.directory import Directory
from asyncsync.errors import BackupDirError, DiskFullError, LocalFileError
from tests.rigs.failing_disk import failing_call
from tests.rigs.publishing import Publish, publish_small, transfer_of
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio

KEY = "1hz/2026/a"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder for backups, which is not there yet."""
    return tmp_path / "backups" / "today"


@pytest.fixture
def folder(root: Path, kept: Path) -> Iterator[Folder]:
    """A destination that is being written, with a file."""
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).write_bytes(b"mine")
    folder = Folder(root, backup=Backup(kept))
    with folder.writing():
        yield folder


async def test_replaced_file_is_kept_under_its_path(
    folder: Folder, root: Path, kept: Path, publish: Publish
) -> None:
    """As it is, with its time and its mode; a file that is new has nothing to keep."""
    os.chmod(root / KEY, 0o640)
    before = (root / KEY).stat()
    await publish(folder, transfer_of(KEY), b"data")
    await publish(folder, transfer_of("new"), b"data")
    assert tree(root) == {KEY: b"data", "new": b"data"}
    assert tree(kept) == {KEY: b"mine"}
    assert os.path.samestat((kept / KEY).stat(), before)
    assert (kept / KEY).stat().st_mtime_ns == before.st_mtime_ns
    assert stat.S_IMODE((kept / KEY).stat().st_mode) == 0o640


async def test_earlier_backup_is_never_overwritten(
    folder: Folder, root: Path, kept: Path, publish: Publish
) -> None:
    """The next ones get numbers, as those of `cp --backup=numbered`."""
    for content in (b"one ", b"two ", b"six "):
        await publish(folder, transfer_of(KEY), content)
    assert tree(root) == {KEY: b"six "}
    assert tree(kept) == {KEY: b"mine", f"{KEY}.~1~": b"one ", f"{KEY}.~2~": b"two "}


async def test_file_that_a_killed_run_has_kept_is_not_kept_again(
    folder: Folder, root: Path, kept: Path, publish: Publish
) -> None:
    """Killed before it replaced the file, it left both names."""
    (kept / KEY).parent.mkdir(parents=True)
    os.link(root / KEY, kept / KEY)
    await publish(folder, transfer_of(KEY), b"data")
    assert (tree(root), tree(kept)) == ({KEY: b"data"}, {KEY: b"mine"})


async def test_deleted_file_is_kept(
    folder: Folder, root: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot be kept is not deleted."""
    await publish_small(folder, transfer_of("gone"), b"data")
    [file] = await folder.look_up([("gone",)])
    assert file
    with monkeypatch.context() as refusing:
        refusing.setattr(Directory, "link", failing_call(errno.EIO))
        with pytest.raises(LocalFileError, match="stays, as --backup-dir cannot keep it: Input/"):
            folder.removal.remove("gone", file)
    assert (tree(root)["gone"], tree(kept)) == (b"data", {})
    shutil.rmtree(kept)
    with pytest.raises(LocalFileError, match="stays, as --backup-dir cannot keep it: No such file"):
        folder.removal.remove("gone", file)
    assert tree(root)["gone"] == b"data"


async def test_deleted_file_is_kept_beside_an_earlier_backup(
    folder: Folder, root: Path, kept: Path
) -> None:
    """As one that is replaced."""
    (kept / "gone").write_bytes(b"earlier")
    await publish_small(folder, transfer_of("gone"), b"data")
    [file] = await folder.look_up([("gone",)])
    assert file
    assert folder.removal.remove("gone", file)
    assert (tree(root), tree(kept)) == ({KEY: b"mine"}, {"gone": b"earlier", "gone.~1~": b"data"})


async def test_link_is_kept_as_one(
    folder: Folder, root: Path, kept: Path, publish: Publish
) -> None:
    """What it leads to stays where it is."""
    (root / "link").symlink_to("../outside/precious")
    await publish(folder, transfer_of("link"), b"data")
    assert (root / "link").read_bytes() == b"data"
    assert os.readlink(kept / "link") == "../outside/precious"


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV, errno.EIO, errno.ENAMETOOLONG])
async def test_file_that_cannot_be_kept_is_not_replaced(
    folder: Folder, root: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Its object fails; a disk that another file is on, or another user's file, may be why."""
    monkeypatch.setattr(os, "link", failing_call(number))
    with pytest.raises(LocalFileError, match="stays, as --backup-dir cannot keep it: ") as caught:
        await publish(folder, transfer_of(KEY), b"data")
    assert caught.value.key == KEY
    assert tree(root) == {KEY: b"mine"}
    await publish(folder, transfer_of("new"), b"data")
    monkeypatch.undo()
    await publish(folder, transfer_of(KEY), b"data")


async def test_full_disk_ends_the_run_before_the_file_is_replaced(
    folder: Folder, root: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name needs space as well."""
    monkeypatch.setattr(os, "link", failing_call(errno.ENOSPC))
    with pytest.raises(DiskFullError):
        await publish(folder, transfer_of(KEY), b"data")
    assert tree(root) == {KEY: b"mine"}


async def test_file_where_a_folder_is_needed_keeps_its_object_from_being_replaced(
    folder: Folder, root: Path, kept: Path, publish: Publish
) -> None:
    """An earlier backup is in the way, and stays."""
    (kept / "1hz").write_bytes(b"earlier")
    with pytest.raises(LocalFileError, match="Not a directory"):
        await publish(folder, transfer_of(KEY), b"data")
    assert (tree(root), tree(kept)) == ({KEY: b"mine"}, {"1hz": b"earlier"})


async def test_link_in_the_backups_leads_nothing_out(
    folder: Folder, root: Path, kept: Path, publish: Publish
) -> None:
    """Whoever put it there would get the file (the fixture checks what is outside)."""
    (kept / "1hz").symlink_to(root.parent / "outside")
    with pytest.raises(LocalFileError, match="symbolic links"):
        await publish(folder, transfer_of(KEY), b"data")
    assert tree(root) == {KEY: b"mine"}


def test_folder_is_made_like_the_destination_and_removed_if_nothing_is_kept(
    root: Path, kept: Path
) -> None:
    """Who may not look into the one may not look into the other."""
    root.mkdir(mode=0o700)
    with Folder(root, backup=Backup(kept)).writing():
        assert stat.S_IMODE(kept.stat().st_mode) == 0o700
        assert list(kept.iterdir()) == []
    assert not kept.parent.exists()


@pytest.mark.parametrize(
    ("number", "why"),
    [(errno.EXDEV, "on another disk"), (errno.EPERM, "no hard links"), (errno.EROFS, "Read-only")],
)
def test_folder_that_cannot_keep_files_ends_the_run_at_its_start(
    root: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, number: int, why: str
) -> None:
    """Before anything is downloaded; nothing of the trial is left."""
    monkeypatch.setattr(os, "link", failing_call(number))
    folder = Folder(root, backup=Backup(kept))
    with pytest.raises(BackupDirError, match=f"today: cannot keep files: .*{why}"):
        folder.writing().__enter__()
    assert not kept.parent.exists()


async def test_durable_backup_is_on_the_disk_before_its_file_is_replaced(
    root: Path, kept: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of the backup, and those above it, are synced between link and rename."""
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).write_bytes(b"mine")
    done: list[str] = []

    def noting(name: str, call: Callable[..., None]) -> Callable[..., None]:
        def noted(*arguments: object, **options: object) -> None:
            done.append(name)
            call(*arguments, **options)

        return noted

    folder = Folder(root, durable=True, backup=Backup(kept, durable=True))
    with folder.writing():
        monkeypatch.setattr(Directory, "sync", noting("sync", Directory.sync))
        monkeypatch.setattr(Directory, "link", noting("link", Directory.link))
        monkeypatch.setattr(Directory, "move", noting("move", Directory.move))
        await publish(folder, transfer_of(KEY), b"data")
    start = done.index("link")
    assert done[start : start + 5] == ["link", "sync", "sync", "sync", "move"]


async def test_backup_that_would_be_the_file_itself_keeps_it_in_its_place(
    root: Path, publish: Publish
) -> None:
    """As where the file system takes two names of a folder for one: it would not be kept at all."""
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).write_bytes(b"mine")
    folder = Folder(root, backup=Backup(root))
    with folder.writing(), pytest.raises(LocalFileError, match="it would be its own backup"):
        await publish(folder, transfer_of(KEY), b"data")
    assert tree(root) == {KEY: b"mine"}


@pytest.mark.row(167)
@pytest.mark.parametrize("place", [".", "raw", "raw/old"])
def test_folder_that_a_followed_link_leads_to_takes_no_backups(
    root: Path, tmp_path: Path, place: str
) -> None:
    """They would be files of the destination, and in the folder around it, the same ones."""
    disk = tmp_path / "disk"
    (disk / "raw").mkdir(parents=True)
    (disk / "raw" / "a").write_bytes(b"mine")
    root.mkdir()
    (root / "raw").symlink_to(disk / "raw")
    folder = Folder(root, follows_links=True, backup=Backup(disk / place))
    with pytest.raises(BackupDirError, match="--follow-links"):
        folder.writing().__enter__()
    assert tree(disk) == {"raw/a": b"mine"}
