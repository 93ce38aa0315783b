"""Movers that go wrong: what they had is dealt again, and the run ends as if nothing had been."""

import asyncio
import errno
import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsync.disk.folders.directory import Directory
from asyncsync.model import Transfer
from asyncsync.movers import crew, process
from tests.rigs import odd_mover
from tests.rigs.movers import state_of
from tests.rigs.scripted_s3 import Ran, ScriptedS3, sync
from tests.rigs.watch import Watcher, tree

pytestmark = pytest.mark.anyio

OBJECTS = {
    **{f"1hz/{number:02}.parquet": bytes([number]) * number * 100 for number in range(40)},
    "fft/large.parquet": os.urandom(1_000_003) * 9,
}


async def run_with(
    kind: str,
    dest: Path,
    monkeypatch: pytest.MonkeyPatch,
    processes: int = 2,
    notices: int = 0,
) -> Ran:
    """Sync with movers of which each is of this kind, and check that nothing shows of it.

    Objects are not served before there are so many notices.
    """
    monkeypatch.setattr(process, "_command", lambda: odd_mover.command(kind))
    seen = Steady()
    async with ScriptedS3(OBJECTS) as s3:
        told = asyncio.Event()
        if notices:
            seen.on_noticed = lambda: told.set() if len(seen.notices) == notices else None
            s3.on_object = lambda request: replace(s3.usual(request), until=told)
        ran = await sync(s3, dest, processes=processes, seen=seen)
    assert (ran.code, ran.error, tree(dest)) == (0, None, OBJECTS)
    count = Counter(outcome.remote.key for outcome in seen.outcomes)
    assert count == Counter(list(OBJECTS))
    assert sum(seen.bytes["fft/large.parquet"]) == len(OBJECTS["fft/large.parquet"])
    assert ran.report.kept_bytes == 0
    return ran


class Steady(Watcher):
    """A watcher that insists on progress between nothing and all."""

    on_noticed: Callable[[], object] = int

    def noticed(self, message: str) -> None:
        """Remember."""
        super().noticed(message)
        self.on_noticed()

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Remember, and check."""
        super().advanced(transfer, size)
        assert 0 <= sum(self.bytes[transfer.remote.key]) <= transfer.remote.size


@pytest.mark.row(150)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("dies", "ended with code 3"),
        ("cut", "ended with code 0"),
        ("garbage", "ended with code 0"),
        ("fails", "ended with code 1"),
    ],
)
async def test_mover_that_ends_is_replaced_three_times(
    kind: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Then this process downloads itself; nothing is printed, and the log says how they ended."""
    caplog.set_level(logging.INFO, "asyncsync")
    monkeypatch.setattr(process, "ENDING", 60)  # a busy machine may take longer than it may
    await run_with(kind, tmp_path / "dest", monkeypatch, processes=1)
    ends = [message for message in caplog.messages if "its objects are dealt again" in message]
    assert len(ends) == 1 + crew.REPLACED
    assert all(said in end for end in ends)
    assert "no mover is left; this process downloads itself" in caplog.messages
    assert capfd.readouterr() == ("", "")


async def test_mistake_in_a_mover_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback, as there is nothing else to find it by."""
    caplog.set_level(logging.INFO, "asyncsync")
    await run_with("fails", tmp_path / "dest", monkeypatch)
    (first, *_) = [each for each in caplog.messages if "a mistake in it" in each]
    assert first.startswith("mover ")
    assert "Traceback" in first
    assert "KeyError: 'a mistake'" in first


@pytest.mark.row(150)
async def test_mover_that_hangs_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once it has said nothing for too long while the run waits for it."""
    caplog.set_level(logging.INFO, "asyncsync")
    monkeypatch.setattr(crew, "TICK", 0.01)
    monkeypatch.setattr(
        process.Mover, "has_been_silent", lambda mover: crew.SILENT * (state_of(mover.pid) == "T")
    )
    await run_with("stops", tmp_path / "dest", monkeypatch)
    assert "mover 0 says nothing any more" in caplog.messages
    assert any("was ended by SIGKILL" in message for message in caplog.messages)


async def test_mover_that_never_begins_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Although the run waits for it: it was asked for by number."""
    caplog.set_level(logging.INFO, "asyncsync")
    monkeypatch.setattr(crew, "TICK", 0.01)
    await run_with("deaf", tmp_path / "dest", monkeypatch)
    assert "no mover is left; this process downloads itself" in caplog.messages


async def test_mover_that_can_do_nothing_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another one could do no more."""
    caplog.set_level(logging.INFO, "asyncsync")
    await run_with("unable", tmp_path / "dest", monkeypatch)
    assert "no mover is left; this process downloads itself" in caplog.messages
    assert "mover 0 can do nothing: no room" in caplog.messages
    assert not any("mover 2" in message for message in caplog.messages)


async def test_one_that_is_told_to_slow_down_slows_down_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But itself, as it knows already."""
    ran = await run_with("slow-down", tmp_path / "dest", monkeypatch, processes=3, notices=2)
    assert sorted(ran.seen.notices) == [f"mover {n} slows down for 0.01 s" for n in (1, 2)]


async def test_movers_are_dealt_more_than_this_process_would_fetch_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that each has the next object when one has arrived; here, before any is served."""
    original, told = process.Mover.add, asyncio.Event()

    def add(mover: process.Mover, dealt: process.Dealt, line: bytes, small: int) -> None:
        original(mover, dealt, line, small)
        if len(mover.dealt) == crew.AHEAD_AT_LEAST:
            told.set()

    monkeypatch.setattr(process.Mover, "add", add)
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = lambda request: replace(s3.usual(request), until=told)
        ran = await sync(s3, tmp_path / "dest", workers=1, processes=2)
    assert (ran.code, ran.error, tree(tmp_path / "dest")) == (0, None, OBJECTS)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOENT])
async def test_file_that_cannot_be_taken_at_once_arrives(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more files could be opened for a moment, or it was lost, so that it is fetched again."""
    original, refusals = Directory.move, iter([number] * 2)

    def move(folder: Directory, name: str, there: Directory, new: str) -> None:
        if refusal := next(refusals, 0):
            raise OSError(refusal, os.strerror(refusal))
        original(folder, name, there, new)

    monkeypatch.setattr(Directory, "move", move)
    await run_with("sound", tmp_path / "dest", monkeypatch)
    assert next(refusals, 0) == 0
