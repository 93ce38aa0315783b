"""A mover without the lock of its run may write on: into files that nobody else uses."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsync.disk import PART, Folder, Handover, PartFile, Written, spans
from asyncsync.disk.parts.journal import JOURNAL
from asyncsync.errors import StandstillError
from asyncsync.model import Proof, Reason, RemoteObject, Transfer
from tests.rigs.state import PARTS

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(251)) * (PART // 251 + 7)
REMOTE = RemoteObject("large.parquet", len(CONTENT), "etag", 1_700_000_000_000_000_000)
LARGE = Transfer(REMOTE, ("large.parquet",), Reason.MISSING)
SMALL = Transfer(replace(REMOTE, key="a", size=3), ("a",), Reason.MISSING)


def handover(folder: Folder, attempt: str) -> Handover:
    """Return where an attempt writes, which does not hold the lock."""
    terms = folder.taking.terms
    return Handover(replace(terms, run=f"{terms.run}-{attempt}", holds_lock=False), 0)


def write(part: PartFile, content: bytes = CONTENT) -> None:
    """Write all parts."""
    for span in spans(len(content)):
        part.write(span, content[span.start : span.stop])


def written(folder: Folder, sink: Handover, transfer: Transfer) -> Written:
    """Return what an attempt has written."""
    name, inode = sink.written(transfer.remote.key)
    return Written(transfer, folder.taking.terms.parts, name, inode)


async def nothing() -> None:
    """Do nothing."""


async def stop_half_way(sink: Handover, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Write all parts, but for the end of the run."""
    async with sink.part_file(LARGE) as part:
        write(part)
        await meanwhile()
        raise StandstillError("it was stopped")


@pytest.mark.row(206)
async def test_attempt_that_writes_on_changes_nothing(tmp_path: Path) -> None:
    """The file of the attempt that counts is taken, and what the other one writes goes nowhere."""
    folder = Folder(tmp_path)
    with folder.writing():
        lost, counts = handover(folder, "1"), handover(folder, "2")
        with lost.opened(), counts.opened():
            async with lost.part_file(LARGE) as cut_off:
                async with counts.part_file(LARGE) as part:
                    write(part)
                    await counts.publish_parts(LARGE, part)
                assert await folder.taking.take([written(folder, counts, LARGE)]) == [None]
                write(cut_off, bytes(len(CONTENT)))
            assert (tmp_path / "large.parquet").read_bytes() == CONTENT
            for sink in (lost, counts):
                await sink.publish(SMALL, b"abc", lambda: Proof.SIZE)
            assert await folder.taking.take([written(folder, counts, SMALL)]) == [None]
        await folder.taking.clear_apart()
        assert list((tmp_path / PARTS).iterdir()) == []


@pytest.mark.row(202)
async def test_no_run_goes_on_with_a_file_that_may_be_written(tmp_path: Path) -> None:
    """Only once its writer has closed it, a later run counts what is kept of it."""
    folder, later = Folder(tmp_path), Folder(tmp_path)
    with folder.writing():
        sink = handover(folder, "1")

    async def meanwhile() -> None:
        with later.writing():
            assert await later.kept([REMOTE]) == {}

    with sink.opened(), pytest.raises(StandstillError):
        await stop_half_way(sink, meanwhile)
    latest = Folder(tmp_path)
    with latest.writing():
        assert await latest.kept([REMOTE]) == {REMOTE.key: len(CONTENT)}
        async with latest.part_file(LARGE) as part:
            assert not any(part.missing(span) for span in spans(REMOTE.size))
            await latest.publish_parts(LARGE, part)
    assert (tmp_path / "large.parquet").read_bytes() == CONTENT
    assert list((tmp_path / PARTS).iterdir()) == []


async def test_sign_and_leftovers_are_removed(tmp_path: Path) -> None:
    """At the end of a run; a file that a later run may go on with stays."""
    folder = Folder(tmp_path)
    with folder.writing():
        sign = await folder.taking.put_sign()
        sign.check()
        sink = handover(folder, "1")
        with sink.opened():
            with pytest.raises(StandstillError):
                await stop_half_way(sink, nothing)
            await sink.publish(SMALL, b"abc", lambda: Proof.SIZE)
        await folder.taking.clear_apart()
    left = sorted(path.name for path in (tmp_path / PARTS).iterdir())
    assert len(left) == 2
    assert left[1] == left[0] + JOURNAL
