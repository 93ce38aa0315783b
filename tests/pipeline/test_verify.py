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
from tests.rigs.watch import Watcher, snapshot, tree

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
    advice = {key: text.rpartition("; ")[2] for key, text in errors.items()}
    as_it_is = "`--no-parquet-check` accepts it as it is"
    again = "`asyncsync verify --deep --repair` fetches it again"
    assert advice == (
        {"a.parquet": again, "b.parquet": again, "d.parquet": as_it_is} if deep else {}
    )
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


@pytest.mark.row(168)
@pytest.mark.parametrize("deep", [False, True])
async def test_repair_fetches_again_what_is_not_in_order(dest: Path, deep: bool) -> None:
    """And nothing else. What only reading the files shows, only a deep one repairs."""
    whole = parquet(bytes(SMALL + 1))
    objects = {**OBJECTS, "d.parquet": whole, "e.parquet": parquet(b"small")}
    rig = Rig(dest, objects)
    await rig.sync()
    (dest / "root.parquet").unlink()
    (dest / "1hz/b.parquet").write_bytes(b"cut")
    for name in ("d.parquet", "e.parquet"):
        modified_ns = (dest / name).stat().st_mtime_ns
        (dest / name).write_bytes(objects[name].replace(b"a footer", b"A footer"))
        os.utime(dest / name, ns=(modified_ns, modified_ns))
    rig.watcher = Watcher()
    await pipeline.verify(replace(rig.job(), deep=deep, repairs=True, checks=Checks(parquet=False)))
    damaged = {"d.parquet", "e.parquet"} if deep else set()
    assert set(rig.watcher.downloaded) == {"root.parquet", "1hz/b.parquet"} | damaged
    assert rig.watcher.failures == {}
    assert set(rig.watcher.confirmed) == objects.keys() - set(rig.watcher.downloaded)
    left = {"d.parquet", "e.parquet"} - damaged
    assert {key for key, content in tree(dest).items() if content != objects[key]} == left


@pytest.mark.row(168)
async def test_repair_leaves_what_is_not_in_order_in_the_bucket(dest: Path) -> None:
    """It would arrive as it is here already."""
    rig = Rig(dest, {"a.parquet": b"text", "b.parquet": b"b"})
    await rig.sync()
    rig.store.requests.clear()
    rig.store.always("get", "b.parquet", Act(error=VanishedError("b.parquet", "gone")))
    (dest / "b.parquet").unlink()
    rig.watcher = Watcher()
    before = tree(dest)
    await pipeline.verify(replace(rig.job(), deep=True, repairs=True, checks=Checks()))
    assert rig.watcher.failures == {"a.parquet": NotParquetError, "b.parquet": VanishedError}
    assert tree(dest) == before


@pytest.mark.row(168)
async def test_repair_of_a_file_that_cannot_be_read_replaces_it(dest: Path) -> None:
    """As with a bad sector, or where a link has taken its place."""
    rig = Rig(dest, {"a.parquet": b"a", "b.parquet": b"bb"})
    await rig.sync()

    def replace_a() -> None:
        (dest / "a.parquet").unlink()
        (dest / "a.parquet").symlink_to("/etc/hostname")

    rig.watcher = Watcher(on_compared=replace_a)
    await pipeline.verify(replace(rig.job(), deep=True, repairs=True))
    assert (rig.watcher.downloaded, rig.watcher.failures) == (["a.parquet"], {})
    assert not (dest / "a.parquet").is_symlink()
    assert tree(dest) == {"a.parquet": b"a", "b.parquet": b"bb"}
