"""Directory: no step follows a symbolic link, with and without directory descriptors."""

import errno
import os
import socket
from pathlib import Path

import pytest

from asyncsync.disk.folders import directory
from asyncsync.disk.folders.directory import Directory, LocalFile


@pytest.fixture(params=["by descriptor", "by path"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a folder is opened: as on POSIX, and as on Windows."""
    if request.param == "by path":
        monkeypatch.setattr(directory, "_HAS_DIR_FD", False)
    return str(request.param)


by_descriptor = pytest.mark.parametrize("way", ["by descriptor"], indirect=True)
"""For what paths alone cannot guarantee."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder; beside it lies `outside`, which no walk may reach."""
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def test_walk_opens_the_folder_it_is_led_to(root: Path) -> None:
    """Each name leads one level down; without names, the root is opened."""
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "x").write_bytes(b"12")
    with Directory.walk(str(root), ["a", "b"]) as found:
        assert found.look_up("x") == LocalFile(2, (root / "a/b/x").stat().st_mtime_ns)
    with Directory.walk(str(root), []) as found:
        assert found.look_up("a") == LocalFile(0, 0, "folder")


def test_walk_makes_what_is_missing_if_asked(root: Path) -> None:
    """Without `create`, it makes nothing."""
    with pytest.raises(FileNotFoundError):
        Directory.walk(str(root), ["a", "b"])
    assert list(root.iterdir()) == []
    with Directory.walk(str(root), ["a", "b"], create=True):
        assert (root / "a" / "b").is_dir()


def test_root_itself_is_never_made(root: Path) -> None:
    """A destination that was removed is not created again."""
    with pytest.raises(OSError, match="gone"):
        Directory.walk(str(root / "gone"), ["a"], create=True)
    assert not (root / "gone").exists()


@pytest.mark.parametrize("target", ["../outside", "../nowhere", "real", "link"])
@pytest.mark.parametrize("names", [["link"], ["link", "deep"]])
def test_symbolic_link_is_refused(root: Path, target: str, names: list[str]) -> None:
    """Wherever it leads, even inside the root or nowhere: ELOOP."""
    (root / "real" / "deep").mkdir(parents=True)
    (root / "link").symlink_to(target)
    for create in (False, True):
        with pytest.raises(OSError, match="symbolic links") as caught:
            Directory.walk(str(root), names, create=create)
        assert caught.value.errno == errno.ELOOP
    assert not (root.parent / "nowhere").exists()


@pytest.mark.parametrize("names", [["file"], ["file", "deep"]])
def test_file_in_the_way_is_refused(root: Path, names: list[str]) -> None:
    """A file is not a folder: ENOTDIR."""
    (root / "file").touch()
    with pytest.raises(NotADirectoryError):
        Directory.walk(str(root), names, create=True)


def test_refused_walk_leaves_nothing_open(root: Path) -> None:
    """All folders on the way are closed."""
    (root / "a").mkdir()
    (root / "a" / "link").symlink_to("..")
    before = open_descriptors()
    with pytest.raises(OSError, match="symbolic links"):
        Directory.walk(str(root), ["a", "link"])
    with Directory.walk(str(root), ["a", "b", "c"], create=True):
        assert open_descriptors() <= before + 1
    assert open_descriptors() == before


def test_folder_that_another_worker_made_first_is_used(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers may create the same folder at the same time."""
    make = os.mkdir

    def make_first(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        make(path, mode, dir_fd=dir_fd)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)

    monkeypatch.setattr(os, "mkdir", make_first)
    with Directory.walk(str(root), ["a"], create=True) as found:
        assert found.look_up("x") is None


@by_descriptor
def test_link_swapped_in_during_the_walk_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing outside is opened, although it was a folder when it was last checked."""
    (root / "a").mkdir()
    (root / "a" / "deep").mkdir()
    original = os.open

    def swapping_open(
        path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        if path == "a":
            (root / "a").rename(root / "moved")
            (root / "a").symlink_to("../outside")
        return original(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swapping_open)
    with pytest.raises(OSError, match="symbolic links"):
        Directory.walk(str(root), ["a", "deep"])


@by_descriptor
def test_link_swapped_in_after_the_walk_redirects_nothing(root: Path) -> None:
    """An open folder stays the same, whatever its path leads to later."""
    (root / "part").write_bytes(b"new")
    with Directory(str(root)) as parts, Directory.walk(str(root), ["a"], create=True) as found:
        (root / "a").rename(root / "moved")
        (root / "a").symlink_to("../outside")
        parts.move("part", found, "x")
        os.close(found.create("y"))
    assert (root / "moved" / "x").read_bytes() == b"new"
    assert (root / "moved" / "y").read_bytes() == b""
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["deep"]


def test_look_up_tells_files_from_all_else(root: Path) -> None:
    """A link counts as nothing, since it would be replaced; only a regular file is a file."""
    (root / "file").write_bytes(b"123")
    os.utime(root / "file", ns=(1, 1_234_567_890_123_456_789))
    (root / "folder").mkdir()
    (root / "link").symlink_to("file")
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "socket"))  # its path must be short
        with Directory.walk(str(root), []) as found:
            assert found.look_up("file") == LocalFile(3, 1_234_567_890_123_456_789)
            assert found.look_up("folder") == LocalFile(0, 0, "folder")
            assert found.look_up("fifo") == LocalFile(0, 0, "special")
            assert found.look_up("socket") == LocalFile(0, 0, "special")
            for name in ("link", "dangling", "nothing", "n" * 256, "file/x"):
                assert found.look_up(name) is None


def test_move_replaces_a_link_and_not_its_target(root: Path) -> None:
    """The name gets the new file, and the link's target stays."""
    (root / "target").write_bytes(b"old")
    (root / "link").symlink_to("target")
    (root / "part").write_bytes(b"new")
    (root / "parts").mkdir()
    (root / "part").rename(root / "parts" / "part")
    with Directory(str(root / "parts")) as parts, Directory.walk(str(root), []) as found:
        parts.move("part", found, "link")
    assert (root / "link").read_bytes() == b"new"
    assert not (root / "link").is_symlink()
    assert (root / "target").read_bytes() == b"old"
    assert list((root / "parts").iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_create_makes_a_new_file_or_none(root: Path, kind: str) -> None:
    """What has the name already stays as it is, and so does what a link leads to."""
    target = root.parent / "outside" / "target"
    if kind == "file":
        (root / "x").write_bytes(b"old")
    else:
        (root / "x").symlink_to(target)
    if kind == "link":
        target.write_bytes(b"old")
    with Directory.walk(str(root), []) as found, pytest.raises(FileExistsError):
        found.create("x")
    assert target.exists() == (kind == "link")
    if kind != "dangling link":
        assert (root / "x").read_bytes() == b"old"
