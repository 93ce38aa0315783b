"""One object to a file anywhere, or held for who reads it once."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pytest

from asyncsync.disk import Held, PartFile, SingleFile
from asyncsync.errors import DestinationError, DiskFullError, IntegrityError
from asyncsync.model import Proof
from tests.rigs.outcomes import transfer

pytestmark = pytest.mark.anyio

Sink = SingleFile | Held
MODIFIED_NS = 1_600_000_000 * 10**9


def proven() -> Proof:
    """Return what the bytes prove."""
    return Proof.MD5


def damaged() -> Proof:
    """Find that the bytes are others."""
    raise IntegrityError("a", "they are damaged")


async def send_small(sink: Sink, content: bytes, prove: Callable[[], Proof] = proven) -> Proof:
    """Publish a small object."""
    return await sink.publish(transfer("a", len(content), modified_ns=MODIFIED_NS), content, prove)


async def send_large(sink: Sink, content: bytes, error: Exception | None = None) -> None:
    """Publish a large object in two parts, unless an error comes between them and the proof."""
    sent = transfer("a", len(content), modified_ns=MODIFIED_NS)
    middle = len(content) // 2
    async with sink.part_file(sent) as part:
        part.write(range(middle, len(content)), content[middle:])
        part.write(range(middle), content[:middle])
        if error:
            raise error
        await sink.publish_parts(sent, part)


def out_of(held: Held) -> bytes:
    """Return what can be read."""
    stream = BytesIO()
    with held:
        held.copy_to(stream)
    return stream.getvalue()


async def test_file_gets_bytes_and_time(tmp_path: Path) -> None:
    """Its folder is made if it is missing, and nothing is left beside it."""
    for name, send in (("small", send_small), ("large", send_large)):
        path = tmp_path / name / "deep/file"
        await send(SingleFile(path), b"content")
        assert path.read_bytes() == b"content"
        assert path.stat().st_mtime_ns == MODIFIED_NS
        assert os.listdir(path.parent) == ["file"]


async def test_file_is_replaced_only_when_the_new_one_is_proven(tmp_path: Path) -> None:
    """Until then it is as it was, and nothing is left beside it after an error."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(IntegrityError):
        await send_small(SingleFile(path), b"new", damaged)
    with pytest.raises(IntegrityError):
        await send_large(SingleFile(path), b"new", IntegrityError("a", "damaged"))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
    await send_large(SingleFile(path), b"new")
    assert path.read_bytes() == b"new"


async def test_link_is_replaced(tmp_path: Path) -> None:
    """Somebody else may have put it there; a link to the folder is this user's word."""
    (tmp_path / "there").mkdir()
    (tmp_path / "folder").symlink_to("there")
    (tmp_path / "there/file").symlink_to(tmp_path / "elsewhere")
    await send_small(SingleFile(tmp_path / "folder/file"), b"new")
    assert (tmp_path / "folder").is_symlink()
    assert (tmp_path / "there/file").read_bytes() == b"new"
    assert not (tmp_path / "elsewhere").exists()


async def test_folder_that_is_put_in_the_place_of_another_gets_nothing(tmp_path: Path) -> None:
    """Both folders are open: what is written goes to where it was begun."""
    path = tmp_path / "folder/file"
    sent = transfer("a", 3)
    async with (sink := SingleFile(path)).part_file(sent) as part:
        os.rename(tmp_path / "folder", tmp_path / "moved")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "folder").symlink_to("elsewhere")
        part.write(range(3), b"new")
        await sink.publish_parts(sent, part)
    assert os.listdir(tmp_path / "elsewhere") == []
    assert os.listdir(tmp_path / "moved") == ["file"]


async def test_nobody_else_can_enter_the_folder_of_an_unfinished_file(tmp_path: Path) -> None:
    """What arrives is not proven yet."""
    sink = SingleFile(tmp_path / "file")
    async with sink.part_file(transfer("a", 1)):
        [folder] = os.listdir(tmp_path)
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700
    assert os.listdir(tmp_path) == []


async def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The message has the file's path, and not the name that its bytes had for a moment."""
    (tmp_path / "file").touch()
    sink = SingleFile(tmp_path / "file/below")
    with pytest.raises(DestinationError, match=r"file/below: Not a directory|file/below: File ex"):
        await send_small(sink, b"new")
    (tmp_path / "folder/full").mkdir(parents=True)
    with pytest.raises(DestinationError, match="folder: Is a directory"):
        await send_large(SingleFile(tmp_path / "folder"), b"new")


class Disk(NamedTuple):
    """What the system says of a disk."""

    total: int
    used: int
    free: int


@pytest.mark.parametrize("make", [lambda path: SingleFile(path / "file"), lambda _: Held()])
async def test_object_that_does_not_fit_is_refused_before_it_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Sink]
) -> None:
    """The message says what is needed, and where."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(10, 7, 3))
    sink = make(tmp_path)
    with pytest.raises(DiskFullError, match="not enough space: 4 B needed, 3 B free") as caught:
        await send_large(sink, b"1234")
    assert ("set TMPDIR to" in str(caught.value)) == isinstance(sink, Held)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(0, 0, 0))
    await send_large(sink := make(tmp_path), b"1234")  # such a disk does not tell
    assert isinstance(sink, SingleFile) or out_of(sink) == b"1234"


async def test_held_bytes_come_only_when_they_are_proven() -> None:
    """What was refused is never held."""
    held = Held()
    with pytest.raises(IntegrityError):
        await send_small(held, b"bad", damaged)
    with pytest.raises(IntegrityError):
        await send_large(held, b"bad", IntegrityError("a", "damaged"))
    assert out_of(held) == b""


async def test_held_bytes_have_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small object is in memory, and a large one in a file that nobody else can find."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    small, large = Held(), Held()
    assert await send_small(small, b"small") is Proof.MD5
    await send_large(large, b"large")
    assert os.listdir(tmp_path) == []
    assert (out_of(small), out_of(large)) == (b"small", b"large")


async def test_unfinished_file_is_a_new_one_each_time(tmp_path: Path) -> None:
    """Nothing of an attempt that failed is left for the next one."""
    sink = SingleFile(tmp_path / "file")
    for _ in range(2):
        with pytest.raises(IntegrityError):
            await send_large(sink, b"12", IntegrityError("a", "damaged"))
    async with sink.part_file(transfer("a", 2)) as part:
        assert isinstance(part, PartFile)
        assert part.missing(range(2)) == range(2)
