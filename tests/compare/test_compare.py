"""The table of the comparison, row by row."""

import os
import time
from pathlib import Path

import pytest

from asyncsync.compare.compare import compare_page, reason_to_download
from asyncsync.disk import Folder, LocalFile
from asyncsync.errors import (
    IntegrityError,
    KeyCollisionError,
    LocalFileError,
    TransferError,
    UnsafeKeyError,
)
from asyncsync.model import UNKNOWN_SIZE, Compared, Reason, RemoteObject, Transfer, UpToDate

SECOND = 1_000_000_000
NOW = 1_767_225_601 * SECOND + 123_000_000  # an odd second, and milliseconds as S3 has them


def remote(key: str = "a", size: int = 4, modified_ns: int = NOW) -> RemoteObject:
    return RemoteObject(key, size, "etag", modified_ns)


async def never(prefix: str) -> bool:
    """Return that no key needs a folder."""
    return False


def make(path: Path, size: int = 4, modified_ns: int = NOW) -> None:
    path.write_bytes(bytes(size))
    os.utime(path, ns=(modified_ns, modified_ns))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ("nothing", Reason.MISSING),
        ("a link", Reason.MISSING),
        ("a link to nowhere", Reason.MISSING),
        ("a larger file", Reason.SIZE_DIFFERS),
        ("an empty file", Reason.SIZE_DIFFERS),
        ("an older file", Reason.NEWER),
        ("a file as old", None),
        ("a younger file", None),
    ],
)
async def test_object_is_downloaded_or_up_to_date(
    tmp_path: Path, there: str, reason: Reason | None
) -> None:
    """Missing, of another size or older: it is downloaded; otherwise the file is up to date."""
    path = tmp_path / "a"
    match there:
        case "a link":
            make(tmp_path / "target")
            path.symlink_to("target")
        case "a link to nowhere":
            path.symlink_to("nowhere")
        case "a larger file":
            make(path, size=5)
        case "an empty file":
            make(path, size=0)
        case "an older file":
            make(path, modified_ns=NOW - 1000 * SECOND)
        case "a file as old":
            make(path)
        case "a younger file":
            make(path, modified_ns=NOW + 1)
    found = await compare_page([remote()], Folder(tmp_path), never)
    if reason:
        size = {"a larger file": 5, "an older file": 4}.get(there, 0)
        assert found == Compared([Transfer(remote(), ("a",), reason, size)], [], [])
    else:
        assert found == Compared([], [UpToDate(remote())], [])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("key", "kind"),
    [("folder", LocalFileError), ("fifo", LocalFileError), ("../x", UnsafeKeyError)],
)
async def test_object_without_a_path_is_refused(
    tmp_path: Path, key: str, kind: type[TransferError]
) -> None:
    """What is at its path is not a file and stays, or its key has no safe path."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    found = await compare_page([remote(key, size=0)], Folder(tmp_path), never)
    assert (found.transfers, found.up_to_date) == ([], [])
    (refused,) = found.refused
    assert refused.remote == remote(key, size=0)
    assert type(refused.error) is kind
    assert refused.error.key == key


@pytest.mark.anyio
async def test_folder_that_other_keys_need_is_a_collision(tmp_path: Path) -> None:
    """Only somebody who renames a key can solve it."""

    async def always(prefix: str) -> bool:
        return prefix == "x/"

    (tmp_path / "x").mkdir()
    found = await compare_page([remote("x"), remote("x/y")], Folder(tmp_path), always)
    assert [type(refused.error) for refused in found.refused] == [KeyCollisionError]
    assert [transfer.path for transfer in found.transfers] == [("x", "y")]


@pytest.mark.anyio
async def test_every_object_of_a_page_gets_its_own_result(tmp_path: Path) -> None:
    """Refused keys in between shift nothing, and the order of the page is kept."""
    (tmp_path / "1hz").mkdir()
    make(tmp_path / "1hz" / "b")
    make(tmp_path / "1hz" / "c", size=9)
    keys = ["", "1hz/a", "1hz//a", "1hz/b", "/x", "1hz/c", "1hz/b/below", "root"]
    found = await compare_page([remote(key) for key in keys], Folder(tmp_path), never)
    assert [failed.remote.key for failed in found.refused] == ["", "1hz//a", "/x", "1hz/b/below"]
    assert [known.remote.key for known in found.up_to_date] == ["1hz/b"]
    assert [(transfer.path, transfer.reason) for transfer in found.transfers] == [
        (("1hz", "a"), Reason.MISSING),
        (("1hz", "c"), Reason.SIZE_DIFFERS),
        (("root",), Reason.MISSING),
    ]


@pytest.mark.parametrize(
    "kept",
    [
        NOW,
        NOW // 10_000_000 * 10_000_000,
        NOW // SECOND * SECOND,
        NOW // (2 * SECOND) * (2 * SECOND),
    ],
    ids=["to the nanosecond", "to 10 ms", "to the second", "to two seconds"],
)
def test_time_of_a_coarse_file_system_is_the_objects_time(kept: int) -> None:
    """exFAT, HFS+ and FAT round times down: such a file is not downloaded in every run."""
    assert reason_to_download(remote(), LocalFile(4, kept)) is None


@pytest.mark.parametrize("older", [1, 1_000_000, SECOND, 2 * SECOND, 3600 * SECOND])
def test_time_that_no_rounding_explains_is_older(older: int) -> None:
    """An object that was replaced soon after its download is noticed."""
    assert reason_to_download(remote(), LocalFile(4, NOW - older)) is Reason.NEWER


def test_replacement_within_two_seconds_is_noticed_where_times_are_exact() -> None:
    """Even if the old version's time equals the new one's as FAT would round it."""
    replaced = remote(modified_ns=7 * SECOND)
    assert (
        reason_to_download(replaced, LocalFile(4, 6 * SECOND, changed_ns=NOW // SECOND * SECOND))
        is None
    )
    assert reason_to_download(replaced, LocalFile(4, 6 * SECOND, changed_ns=NOW)) is Reason.NEWER


def test_missing_time_decides_nothing() -> None:
    """Without a LastModified only the size counts."""
    assert reason_to_download(remote(modified_ns=0), LocalFile(4, 1)) is None
    assert reason_to_download(remote(modified_ns=0), LocalFile(5, 1)) is Reason.SIZE_DIFFERS


def test_future_time_decides_nothing() -> None:
    """No file can get such a time, so the object would be downloaded in every run."""
    future = RemoteObject("a", 1, "etag", time.time_ns() + 10 * 86_400 * 10**9)
    assert reason_to_download(future, LocalFile(1, 1)) is None


@pytest.mark.anyio
async def test_object_without_a_size_is_refused(tmp_path: Path) -> None:
    """Whatever is at its path; an unsafe key is refused as unsafe."""
    make(tmp_path / "a")
    objects = [remote("a", UNKNOWN_SIZE), remote("b"), remote("../c", UNKNOWN_SIZE)]
    page = await compare_page(objects, Folder(tmp_path), never)
    assert [transfer.remote.key for transfer in page.transfers] == ["b"]
    assert [type(refused.error) for refused in page.refused] == [IntegrityError, UnsafeKeyError]
