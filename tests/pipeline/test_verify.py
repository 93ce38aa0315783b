"""Verify: files are checked, and nothing is changed."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsync import pipeline
from asyncsync.download import proof
from asyncsync.download.download import SMALL
from asyncsync.errors import (
    IntegrityError,
    LocalFileError,
    NotParquetError,
    OutOfStepError,
    RemoteChangedError,
    UnsafeKeyError,
    VanishedError,
)
from asyncsync.model import Checks, Failed, Head, Proof, UpToDate
from tests.rigs.memory_store import Act
from tests.rigs.objects import parquet
from tests.rigs.pipeline import OBJECTS, Rig
from tests.rigs.watch import Watcher, snapshot

pytestmark = pytest.mark.anyio


async def test_verify_confirms_what_is_up_to_date(dest: Path) -> None:
    """It sends one HEAD for each file and no GET, and writes nothing."""
    rig = Rig(dest)
    await rig.sync()
    rig.store.requests.clear()
    rig.watcher = Watcher()
    before = snapshot(dest)
    await pipeline.verify(rig.job())
    assert rig.watcher.confirmed == sorted(OBJECTS)
    assert rig.watcher.failures == {}
    assert rig.store.count("get") == 0
    assert sorted(r.key for r in rig.store.requests if r.verb == "head") == sorted(OBJECTS)
    assert snapshot(dest) == before


async def test_verify_reports_what_is_out_of_date(dest: Path) -> None:
    """Missing, cut, out of date, refused, or replaced or deleted since the listing."""
    rig = Rig(dest, {**OBJECTS, "../x.parquet": b"evil", "z.parquet": b"z"})
    await rig.sync()
    rig.watcher = Watcher()
    (dest / "root.parquet").unlink()
    (dest / "1hz/b.parquet").write_bytes(b"cut")
    rig.store.put("1hz/2026/01/a.parquet", b"A")
    rig.store.always("head", "fft_hub1/c.parquet", Act(head=Head(SMALL + 1, "other")))
    rig.store.always("head", "z.parquet", Act(error=VanishedError("z.parquet", "gone")))
    before = snapshot(dest)
    await pipeline.verify(rig.job())
    assert rig.watcher.failures == {
        "root.parquet": OutOfStepError,
        "1hz/b.parquet": OutOfStepError,
        "1hz/2026/01/a.parquet": OutOfStepError,
        "fft_hub1/c.parquet": RemoteChangedError,
        "z.parquet": VanishedError,
        "../x.parquet": UnsafeKeyError,
    }
    assert rig.watcher.confirmed == ["fft_hub1/empty.parquet"]
    assert snapshot(dest) == before


async def test_verify_without_head_trusts_the_listing(dest: Path) -> None:
    """Without HEAD, it only compares with the listing."""
    rig = Rig(dest)
    await rig.sync()
    rig.store.requests.clear()
    rig.watcher = Watcher()
    await pipeline.verify(replace(rig.job(), checks=Checks(head=False, parquet=False)))
    assert rig.watcher.confirmed == sorted(OBJECTS)
    assert {request.verb for request in rig.store.requests} == {"list"}


async def test_verify_reports_files_without_an_object(dest: Path) -> None:
    """Selected files only; the object of a refused or outdated key does exist."""
    rig = Rig(dest)
    rig.prefixes = ["1hz/", "fft_hub1/"]
    rig.exclude = ["*/left-out.parquet"]
    await rig.sync()
    (dest / "1hz/b.parquet").write_bytes(b"cut")
    for name in ("1hz/mine.parquet", "1hz/\udcff.parquet", "root2.parquet"):
        (dest / name).write_bytes(b"mine")
    for name in ("1hz/notes.txt", "1hz/left-out.parquet", ".asyncsync/x.parquet"):
        (dest / name).write_bytes(b"does not count")
    rig.watcher = Watcher()
    await pipeline.verify(rig.job())
    assert rig.watcher.extra_keys == ["1hz/mine.parquet", "1hz/\udcff.parquet"]
    assert rig.watcher.failures == {"1hz/b.parquet": OutOfStepError}


@pytest.mark.row(101)
async def test_deep_verification_goes_on_where_a_file_cannot_be_read(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a bad sector: its object fails, and the other files are checked."""
    rig = Rig(dest, {"a.parquet": b"aa", "b.parquet": b"bb", "c.parquet": b"cc"})
    await rig.sync()
    really = proof.Prover.prove_file

    async def prove_file(prover: proof.Prover) -> Proof:
        if prover._remote.key == "b.parquet":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return await really(prover)

    monkeypatch.setattr(proof.Prover, "prove_file", prove_file)
    rig.watcher = Watcher()
    await pipeline.verify(replace(rig.job(), deep=True))
    assert rig.watcher.failures == {"b.parquet": LocalFileError}
    assert rig.watcher.confirmed == ["a.parquet", "c.parquet"]


@pytest.mark.row(58)
@pytest.mark.parametrize("deep", [True, False])
async def test_deep_verification_finds_other_content(dest: Path, deep: bool) -> None:
    """A file of the same size and time: only reading it shows the difference."""
    small, large = parquet(b"small"), parquet(bytes(SMALL + 1))
    objects = {"a.parquet": small, "b.parquet": large, "c.parquet": large, "d.parquet": b"text"}
    rig = Rig(dest, objects)
    await rig.sync()
    for name, content in (("a.parquet", small), ("b.parquet", large)):
        modified_ns = (dest / name).stat().st_mtime_ns
        (dest / name).write_bytes(content.replace(b"a footer", b"A footer"))
        os.utime(dest / name, ns=(modified_ns, modified_ns))
    rig.watcher = Watcher()
    before = snapshot(dest)
    await pipeline.verify(replace(rig.job(), checks=Checks(content=False), deep=deep))
    found = {
        "a.parquet": IntegrityError,
        "b.parquet": IntegrityError,
        "d.parquet": NotParquetError,
    }
    assert rig.watcher.failures == (found if deep else {})
    errors = {o.remote.key: str(o.error) for o in rig.watcher.outcomes if isinstance(o, Failed)}
    advice = {key: text.partition("; a sync with ")[2] for key, text in errors.items()}
    again = "`--compare hash` replaces it"
    assert advice == ({"a.parquet": again, "b.parquet": again, "d.parquet": ""} if deep else {})
    assert rig.watcher.confirmed == ["c.parquet"] if deep else sorted(objects)
    assert snapshot(dest) == before
    proven = Proof.SIZE_AND_VERSION | (Proof.MD5 | Proof.PARQUET if deep else Proof(0))
    assert {o.proven for o in rig.watcher.outcomes if isinstance(o, UpToDate)} == {proven}


async def test_deep_verification_of_a_file_that_cannot_be_read_is_a_failure(dest: Path) -> None:
    """As when a file is removed, or replaced by a symbolic link, during the verification."""
    rig = Rig(dest, {"a.parquet": b"a", "b.parquet": b"b"})
    await rig.sync()

    def replace_both() -> None:
        (dest / "a.parquet").unlink()
        (dest / "b.parquet").unlink()
        (dest / "b.parquet").symlink_to("/etc/hostname")

    rig.watcher = Watcher(on_compared=replace_both)
    await pipeline.verify(replace(rig.job(), deep=True))
    assert rig.watcher.failures == {"a.parquet": LocalFileError, "b.parquet": LocalFileError}
