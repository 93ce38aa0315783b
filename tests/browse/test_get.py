"""One object out of a bucket."""

import os
from io import BytesIO
from pathlib import Path

import anyio
import pytest

from asyncsync import browse
from asyncsync.browse import file_for
from asyncsync.disk import PART, Held, SingleFile
from asyncsync.errors import (
    ArchivedError,
    AuthError,
    ConfigError,
    ConnectionLostError,
    IntegrityError,
    ListingError,
    NoSuchKeyError,
    NotParquetError,
    VanishedError,
)
from asyncsync.model import UNKNOWN_SIZE, Downloaded, Failed, Head, Page, Proof, RemoteObject
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import Rig

pytestmark = pytest.mark.anyio

KEY = "1hz/2026/a.bin"
SMALL = b"content"
LARGE = os.urandom(PART + 1000)
OBJECTS = {KEY: SMALL, "1hz/2026/b.bin": b"bb", "1hz/large.bin": LARGE, "root.bin": b"root"}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A bucket, and a destination that nothing goes to."""
    return Rig(tmp_path / "dest", OBJECTS)


async def held(rig: Rig, key: str) -> bytes:
    """Fetch an object for who reads it once, and return its bytes; none after an error."""
    stream = BytesIO()
    with Held() as sink:
        try:
            with anyio.fail_after(25):
                await browse.get(rig.job(), key=key, sink=sink)
        except Exception:
            sink.copy_to(stream)
            assert stream.getvalue() == b""
            raise
        sink.copy_to(stream)
    return stream.getvalue()


@pytest.mark.parametrize("key", OBJECTS)
async def test_object_is_fetched_and_proven(rig: Rig, tmp_path: Path, key: str) -> None:
    """To a file, or to who reads it; small or in parts. The observer gets its outcome."""
    assert await held(rig, key) == OBJECTS[key]
    file = tmp_path / "file"
    await browse.get(rig.job(), key=key, sink=SingleFile(file))
    assert file.read_bytes() == OBJECTS[key]
    assert file.stat().st_mtime_ns == rig.store.remote(key).modified_ns
    assert os.listdir(tmp_path) == ["file"]
    for outcome in rig.watcher.outcomes:
        assert isinstance(outcome, Downloaded)
        assert outcome.proven == Proof.SIZE_AND_VERSION | Proof.MD5


@pytest.mark.parametrize("key", [KEY, "1hz/large.bin"])
async def test_damaged_bytes_go_nowhere(rig: Rig, tmp_path: Path, key: str) -> None:
    """Not a byte of them, and the file that was there stays."""
    rig.store.set_etag(key, "0" * 32)
    with pytest.raises(IntegrityError, match="MD5 of its bytes"):
        await held(rig, key)
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with pytest.raises(IntegrityError, match="MD5 of its bytes"):
        await browse.get(rig.job(), key=key, sink=SingleFile(file))
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
    assert {type(outcome) for outcome in rig.watcher.outcomes} == {Failed}


async def test_answer_that_breaks_off_is_requested_again(rig: Rig) -> None:
    """As in a sync."""
    rig.store.on("get", "1hz/large.bin", Act(cut=1000), Act(error=ConnectionLostError("cut")))
    assert await held(rig, "1hz/large.bin") == LARGE


async def test_object_that_is_replaced_meanwhile_comes_in_its_new_version(rig: Rig) -> None:
    """Both versions would be right, but no mixture of them."""
    rig.store.on("get", KEY, Act(before=lambda: rig.store.put(KEY, b"second")))
    assert await held(rig, KEY) == b"second"


async def test_parquet_is_checked(rig: Rig) -> None:
    """By its name, and as in a sync."""
    rig.store.put("a.parquet", b"no such thing")
    job = rig.job()
    object.__setattr__(job.checks, "parquet", True)
    with pytest.raises(NotParquetError):
        await browse.get(job, key="a.parquet", sink=Held())


# no such key ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("1hz/2026/c.bin", "; did you mean 1hz/2026/b.bin?"),
        ("1hx/2026/a.bin", "; did you mean 1hz/?"),
        ("1hz/2025/a.bin", "; did you mean 1hz/2026/?"),
        ("rot.bin", "; did you mean root.bin?"),
        ("/root.bin", "; did you mean root.bin?"),
        ("1hz/2026", "; keys begin with it, such as 1hz/2026/a.bin: `asyncsync ls` lists them"),
        ("something else", ""),
        ("\x1b[2J", ""),
    ],
)
async def test_missing_key_brings_the_nearest(rig: Rig, key: str, hint: str) -> None:
    """If anything is like it."""
    with pytest.raises(NoSuchKeyError) as raised:
        await held(rig, key)
    assert str(raised.value) == f"no such key{hint}"
    assert raised.value.exit_code == 3
    assert rig.store.count("get") == 0


async def test_hint_is_left_out_where_it_cannot_be_found(rig: Rig) -> None:
    """What is wrong is said all the same."""
    rig.store.on("list", "1hz/2026/", Act(error=ListingError("broken")))
    with pytest.raises(NoSuchKeyError, match=r"^no such key$"):
        await held(rig, "1hz/2026/c.bin")


async def test_bucket_that_may_not_be_listed_gives_its_objects(rig: Rig) -> None:
    """HEAD tells what is needed then."""
    rig.store.always("list", KEY, Act(error=AuthError("no permission")))
    assert await held(rig, KEY) == SMALL
    rig.store.always("list", "zzz", Act(error=AuthError("no permission")))
    with pytest.raises(VanishedError):
        await held(rig, "zzz")


async def test_time_of_an_object_that_is_not_listed_is_that_of_head(
    rig: Rig, tmp_path: Path
) -> None:
    """To the second."""
    rig.store.always("list", KEY, Act(error=AuthError("no permission")))
    etag = rig.store.remote(KEY).etag
    head = Head(len(SMALL), etag, "Fri, 02 Jan 2026 03:04:05 GMT")
    rig.store.always("head", KEY, Act(head=head))
    await browse.get(rig.job(), key=KEY, sink=SingleFile(tmp_path / "file"))
    assert (tmp_path / "file").stat().st_mtime == 1767323045


async def test_object_that_cannot_be_fetched_is_refused_at_once(rig: Rig) -> None:
    """An archived one, and one without a size."""
    for remote, error in (
        (RemoteObject(KEY, 7, "etag", 0, "GLACIER"), ArchivedError),
        (RemoteObject(KEY, UNKNOWN_SIZE, "etag", 0), IntegrityError),
    ):
        rig.store.always("list", KEY, Act(page=Page([remote], [], "")))
        with pytest.raises(error):
            await held(rig, KEY)
    assert rig.store.count("get") == 0


# where to ---------------------------------------------------------------------------------------


def test_file_is_called_like_the_end_of_the_key(tmp_path: Path) -> None:
    """Unless it has a path; a folder is where it goes into."""
    assert file_for(KEY, None) == Path("a.bin")
    assert file_for(KEY, "b.bin") == Path("b.bin")
    assert file_for(KEY, tmp_path) == tmp_path / "a.bin"
    assert file_for(KEY, "new/") == Path("new/a.bin")


@pytest.mark.parametrize("key", ["1hz/", "a/..", "a/.", "x/.asyncsync", "a/\0", "a/" + "n" * 300])
def test_file_must_have_a_name(key: str, tmp_path: Path) -> None:
    """A key that ends in none needs a path."""
    with pytest.raises(ConfigError, match=r"no file can be called|name of a folder"):
        file_for(key, None)
    with pytest.raises(ConfigError, match=r"no file can be called|name of a folder"):
        file_for(key, tmp_path)
    assert file_for(key, "name") == Path("name")


def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    """No device, no pipe, no folder in the file's place, and no link."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.bin").mkdir()
    for path in ("/dev/null", tmp_path / "pipe", tmp_path):
        with pytest.raises(ConfigError, match="is no file; name another, or -"):
            file_for(KEY, path)
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(ConfigError, match="link is a link; name what it leads to"):
        file_for(KEY, tmp_path / "link")
