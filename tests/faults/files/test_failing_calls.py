"""Rows 101 and 102 of the table of faults: system calls that fail or are interrupted."""

import errno
import os
from pathlib import Path

import pytest

from asyncsync.download.download import SMALL
from asyncsync.errors import LocalFileError
from tests.faults.files.scene import LARGE, OBJECTS, run
from tests.rigs.failing_disk import FailingDisk, FailingFile, failing_call
from tests.rigs.scripted_s3 import ScriptedS3, sync
from tests.rigs.state import PARTS, STATE
from tests.rigs.watch import tree, unfinished
from tests.rigs.wrapped import injected

pytestmark = pytest.mark.anyio


@pytest.mark.row(101)
@pytest.mark.parametrize("size", [3, SMALL + 1], ids=["small", "in parts"])
@pytest.mark.parametrize("call", ["write", "close"])
async def test_failing_disk_fails_its_object(
    dest: Path, monkeypatch: pytest.MonkeyPatch, call: str, size: int
) -> None:
    """The unfinished file is removed, the old file stays, all other objects are downloaded."""
    FailingDisk(monkeypatch, errno.EIO, call, times=1)
    key = "a/1.parquet"
    async with ScriptedS3({key: bytes(size)}) as s3:
        ran = await sync(s3, dest)
        assert (ran.code, ran.error, ran.seen.failures) == (1, None, {key: LocalFileError})
        assert "Input/output error" in str(ran.report.failures[0].error)
        assert tree(dest) == {key: b"old one"}
        s3.objects |= {other: data for other, data in OBJECTS.items() if other != key}
        again = await sync(s3, dest)
    assert (again.code, tree(dest)) == (0, {**OBJECTS, key: bytes(size)})


@pytest.mark.row(93, 101)
@pytest.mark.parametrize(("name", "when"), [("lock", "2+"), ("published", "1+")])
@pytest.mark.parametrize("error", ["EDQUOT", "EIO"])
async def test_notes_that_cannot_be_closed_end_no_run(
    dest: Path, name: str, when: str, error: str
) -> None:
    """All files are complete; a network file system may report its quota only on close."""
    wrapper = injected(f"close:error={error}:when={when}", paths=[dest / STATE / name])
    async with ScriptedS3(OBJECTS) as s3:
        done = await run(wrapper, s3, dest)
        assert (done.code, done.err) == (0, "")
        assert (await sync(s3, dest)).code == 0
    assert tree(dest) == OBJECTS


@pytest.mark.row(101)
@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOENT])
async def test_unfinished_files_that_cannot_be_looked_through_stay(
    dest: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """All objects are complete by then; a notice says so, and the next run removes the files."""
    left = dest / PARTS / "0.killed"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"unfinished")
    left.with_name("0.killed.journal").write_bytes(b"damaged")
    async with ScriptedS3(OBJECTS) as s3:
        with monkeypatch.context() as failing:
            failing.setattr("asyncsync.disk.parts.leftovers.Path.glob", failing_call(number))
            ran = await sync(s3, dest, alone=False)
        assert (ran.code, ran.error, tree(dest)) == (0, None, OBJECTS)
        stays = f"unfinished files of earlier runs are kept for now: {os.strerror(number)}"
        assert ran.seen.notices == [stays]
        assert (await sync(s3, dest)).code == 0
    assert unfinished(dest) == []


@pytest.mark.row(102)
@pytest.mark.parametrize(
    "fault",
    [
        "recvfrom,recvmsg,sendto,sendmsg,epoll_wait,epoll_pwait:error=EINTR:when=2+3",
        "recvfrom,recvmsg,sendto,sendmsg:error=EAGAIN:when=1+3",
    ],
    ids=["EINTR", "EAGAIN"],
)
async def test_interrupted_calls_are_made_again(dest: Path, fault: str) -> None:
    """The run succeeds without a message.

    Other threads send nothing but the byte that wakes the event loop. asyncio sends it once: the
    system refuses it only while the loop has others to read, and is about to wake up.
    """
    async with ScriptedS3({**OBJECTS, "large.parquet": LARGE}) as s3:
        done = await run(injected(fault, in_threads="EAGAIN" not in fault), s3, dest)
    assert (done.code, done.err) == (0, "")
    assert tree(dest) == {**OBJECTS, "large.parquet": LARGE}


@pytest.mark.row(102)
async def test_interrupted_writes_are_made_again(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one write leaves, the next one writes."""

    class Reluctant(FailingDisk):
        def before(self, call: str) -> None:
            """Never fail."""

    Reluctant(monkeypatch, 0)
    original = os.write
    monkeypatch.setattr(os, "write", lambda file, block: original(file, block[:4001]))
    monkeypatch.setattr(
        FailingFile, "write", lambda file, block: original(file.fileno(), block[:4001])
    )
    async with ScriptedS3({"small.parquet": LARGE[:9000], "large.parquet": LARGE}) as s3:
        ran = await sync(s3, dest)
        assert ran.code == 0
        assert tree(dest) == {**s3.objects, "a/1.parquet": b"old one"}
