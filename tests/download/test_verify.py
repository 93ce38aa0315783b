"""Verify one file against the listing, HEAD and its own bytes; nothing is changed."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncsync.disk import Folder
from asyncsync.download import Verifier
from asyncsync.download.proof import STEP, Prover
from asyncsync.errors import (
    AccessDeniedError,
    AuthError,
    IntegrityError,
    LocalFileError,
    NotParquetError,
    OutOfStepError,
    RemoteChangedError,
    RetriesExhaustedError,
    ServerError,
    TransferError,
    VanishedError,
)
from asyncsync.model import Checks, Head, Proof, Reason, RemoteObject, Transfer, UpToDate
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.objects import parquet
from tests.rigs.watch import quick_pace, snapshot

pytestmark = pytest.mark.anyio

KEY = "1hz/a.parquet"
DATA = parquet(b"data")
LARGE = parquet(os.urandom(1_000_003) * (STEP // 1_000_003 + 1))


class Rig:
    """A verifier between a bucket in memory and a folder that is in sync with it."""

    def __init__(self, dest: Path, data: bytes = DATA, key: str = KEY) -> None:
        self.dest = dest
        self.store = MemoryStore({key: data})
        self.pace = quick_pace()
        self.remote = self.store.remote(key)
        self.path = dest / key
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(data)

    async def verify(
        self,
        found: UpToDate | Transfer | None = None,
        *,
        deep: bool = False,
        head: bool = True,
        parquet: bool = True,
    ) -> UpToDate:
        """Verify the file, which was found up to date unless said otherwise."""
        checks = Checks(head=head, content=False, parquet=parquet)
        verifier = Verifier(self.store, Folder(self.dest), self.pace, checks, deep=deep)
        before = snapshot(self.dest)
        try:
            with anyio.fail_after(25):
                return await verifier.verify(found or UpToDate(self.remote))
        finally:
            assert snapshot(self.dest) == before
            assert self.pace.slot.used == 0
            assert self.store.count("get") == self.store.count("list") == 0


# The listing and HEAD ---------------------------------------------------------------------------


async def test_head_confirms_size_and_version(tmp_path: Path) -> None:
    """One request, and the file is not read."""
    rig = Rig(tmp_path)
    rig.path.write_bytes(b"other bytes")
    assert await rig.verify() == UpToDate(rig.remote, Proof.SIZE_AND_VERSION)
    assert rig.store.count("head") == 1


async def test_without_head_only_the_size_is_confirmed(tmp_path: Path) -> None:
    """The listing has said so, and no request is sent."""
    rig = Rig(tmp_path)
    assert await rig.verify(head=False) == UpToDate(rig.remote, Proof.SIZE)
    assert rig.store.requests == []


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
async def test_head_confirms_no_version_without_a_strong_etag(tmp_path: Path, etag: str) -> None:
    """There is nothing that identifies it."""
    rig = Rig(tmp_path)
    rig.remote = replace(rig.remote, etag=etag)
    rig.store.on("head", KEY, Act(head=Head(len(DATA), etag)))
    assert await rig.verify() == UpToDate(rig.remote, Proof.SIZE)


@pytest.mark.parametrize("reason", [r for r in Reason if r is not Reason.UNPROVEN])
async def test_outdated_file_fails_without_a_request(tmp_path: Path, reason: Reason) -> None:
    """For whatever reason a sync would download it."""
    rig = Rig(tmp_path)
    with pytest.raises(OutOfStepError) as caught:
        await rig.verify(Transfer(rig.remote, ("1hz", "a.parquet"), reason), deep=True)
    assert caught.value.key == KEY
    assert rig.store.requests == []


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (Act(head=Head(len(DATA), "other")), RemoteChangedError),
        (Act(head=Head(len(DATA), "")), IntegrityError),
        (Act(error=VanishedError(KEY, "404")), VanishedError),
        (Act(error=AccessDeniedError(KEY, "403")), AccessDeniedError),
        (Act(error=ServerError("500")), RetriesExhaustedError),
    ],
    ids=["replaced", "no version", "deleted", "denied", "server error"],
)
async def test_head_that_does_not_agree_fails_the_object(
    tmp_path: Path, act: Act, kind: type[TransferError]
) -> None:
    """The file is not read then, even in a deep verification."""
    rig = Rig(tmp_path)
    rig.store.always("head", KEY, act)
    with pytest.raises(kind) as caught:
        await rig.verify(deep=True)
    assert caught.value.key == KEY


async def test_transient_error_of_head_is_retried(tmp_path: Path) -> None:
    """As in a download."""
    rig = Rig(tmp_path)
    rig.store.on("head", KEY, Act(error=ServerError("500")))
    assert (await rig.verify()).proven == Proof.SIZE_AND_VERSION
    assert rig.store.count("head") == 2


async def test_error_about_the_source_is_raised(tmp_path: Path) -> None:
    """No other file can be verified either."""
    rig = Rig(tmp_path)
    rig.store.always("head", KEY, Act(error=AuthError("expired")))
    with pytest.raises(AuthError, match="expired"):
        await rig.verify()


async def test_head_requests_keep_to_the_slots(tmp_path: Path) -> None:
    """However many files are verified at the same time."""
    rig = Rig(tmp_path)
    rig.pace = quick_pace(workers=2)
    in_flight: list[float] = []
    look = Act(before=lambda: in_flight.append(rig.pace.slot.used))
    rig.store.always("head", KEY, look)
    verifier = Verifier(rig.store, Folder(tmp_path), rig.pace, Checks(), deep=True)
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(verifier.verify, UpToDate(rig.remote))
    assert len(in_flight) == 10
    assert max(in_flight) == 2


# The bytes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("head", [True, False])
async def test_deep_verification_proves_the_bytes(tmp_path: Path, data: bytes, head: bool) -> None:
    """By the MD5 in the ETag and as Parquet, although the checks do not ask for the MD5."""
    rig = Rig(tmp_path, data)
    base = Proof.SIZE_AND_VERSION if head else Proof.SIZE
    found = await rig.verify(deep=True, head=head)
    assert Proof.MD5 | Proof.PARQUET | base in found.proven


@pytest.mark.row(58)
@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
async def test_other_bytes_fail_and_the_error_says_what_to_do(tmp_path: Path, data: bytes) -> None:
    """A sync would not notice, because it reads no files."""
    rig = Rig(tmp_path, data)
    rig.path.write_bytes(data.replace(b"a footer", b"A footer"))
    with pytest.raises(IntegrityError, match="--repair` fetches it again") as caught:
        await rig.verify(deep=True)
    assert caught.value.key == KEY


@pytest.mark.parametrize("checked", [True, False])
async def test_file_that_is_not_parquet_fails_unless_that_is_not_checked(
    tmp_path: Path, checked: bool
) -> None:
    """Its bytes are the object's."""
    rig = Rig(tmp_path, b"text")
    if checked:
        with pytest.raises(NotParquetError):
            await rig.verify(deep=True)
    else:
        found = await rig.verify(deep=True, parquet=False)
        assert found.proven == Proof.SIZE_AND_VERSION | Proof.MD5


def _replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "change",
    [Path.unlink, _replace_by_link, _replace_by_folder],
    ids=["removed", "a symbolic link", "a folder"],
)
async def test_file_that_cannot_be_read_fails(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """As one that is removed or replaced after the comparison; no link is followed."""
    rig = Rig(tmp_path)
    change(rig.path)
    with pytest.raises(LocalFileError) as caught:
        await rig.verify(deep=True)
    assert caught.value.key == KEY


@pytest.mark.row(101)
async def test_error_of_the_disk_fails_the_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at a bad sector; the error names the reason."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Prover, "_hash", fail)
    rig = Rig(tmp_path)
    with pytest.raises(LocalFileError, match="the file cannot be read: Input/output error"):
        await rig.verify(deep=True)


async def test_object_that_was_not_hashed_proves_no_bytes(tmp_path: Path) -> None:
    """Its ETag identifies a version only, so there is nothing to compare with."""
    rig = Rig(tmp_path)
    rig.remote = RemoteObject(KEY, len(DATA), "opaque", rig.remote.modified_ns)
    rig.store.on("head", KEY, Act(head=Head(len(DATA), "opaque")))
    found = await rig.verify(deep=True)
    assert found.proven == Proof.SIZE_AND_VERSION | Proof.PARQUET


@pytest.mark.row(131)
@pytest.mark.parametrize("head", [True, False])
async def test_etag_that_is_no_hash_fails_no_deep_verification(tmp_path: Path, head: bool) -> None:
    """HEAD says that it is none; it is asked at the latest when the hash is another one."""
    rig = Rig(tmp_path)
    rig.remote = replace(rig.remote, etag="0" * 32)
    encrypted = Head(len(DATA), rig.remote.etag, has_hash=False)
    rig.store.always("head", KEY, Act(head=encrypted))
    found = await rig.verify(deep=True, head=head)
    assert not found.proven & Proof.CONTENT
    assert rig.store.count("head") == 1


@pytest.mark.row(52)
async def test_etag_that_is_a_hash_fails_a_deep_verification_without_head(tmp_path: Path) -> None:
    """HEAD is asked once about it, and says nothing else."""
    rig = Rig(tmp_path)
    rig.remote = replace(rig.remote, etag="0" * 32)
    rig.store.always("head", KEY, Act(head=Head(len(DATA), rig.remote.etag)))
    with pytest.raises(IntegrityError, match="--repair"):
        await rig.verify(deep=True, head=False)
    assert rig.store.count("head") == 1


async def test_unproven_file_is_read_although_only_deep_verifications_read_files(
    tmp_path: Path,
) -> None:
    """It is up to date if its bytes have the hash, and fails if they have not or none is told."""
    rig = Rig(tmp_path)
    unproven = Transfer(rig.remote, ("1hz", "a.parquet"), Reason.UNPROVEN)
    assert (await rig.verify(unproven)).proven & Proof.MD5
    opaque = replace(rig.remote, etag="opaque")
    rig.store.always("head", KEY, Act(head=Head(len(DATA), "opaque")))
    with pytest.raises(OutOfStepError, match="no hash proves"):
        await rig.verify(replace(unproven, remote=opaque))
    rig.store.behave()
    rig.path.write_bytes(parquet(b"atad"))
    with pytest.raises(IntegrityError, match="MD5"):
        await rig.verify(unproven)
