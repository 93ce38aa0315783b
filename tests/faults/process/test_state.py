"""Rows 116 to 119 of the table of faults: two runs on one folder, and changed state."""

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import pytest

from asyncsync.disk import Folder
from asyncsync.disk.state import lock
from asyncsync.errors import LockHeldError
from tests.rigs.child import asyncsync, ended
from tests.rigs.process import (
    LARGE,
    OBJECTS,
    TOTAL,
    check_next_run,
    check_promises,
    stopped_half_way,
)
from tests.rigs.scripted_s3 import Ran, Request, ScriptedS3, sync
from tests.rigs.watch import tree, unfinished

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors are POSIX ones"),
]


@pytest.mark.row(116)
async def test_second_run_on_a_folder_is_refused(dest: Path) -> None:
    """It names the process that holds the lock, and does not disturb that run."""
    async with (
        ScriptedS3(OBJECTS) as s3,
        ScriptedS3(OBJECTS) as other,
        stopped_half_way(s3, dest, TOTAL // 2, "--quiet") as child,
    ):
        began = time.monotonic()
        with pytest.raises(LockHeldError), Folder(dest).writing():
            pass
        assert time.monotonic() - began < lock.ORPHANED  # it waits for nobody
        second = await asyncsync(other.environment, "--quiet", "--dest", str(dest))
        assert second.code == 6
        assert f"process {child.pid} of user " in second.err
        assert other.requests == []
        s3.allowance = None
        s3.hang_up()
        assert (await ended(child)).code == 0
    assert tree(dest) == OBJECTS


LOCKS_NOTHING: Mapping[str, Callable[..., None]] = {
    "without an error": lambda *arguments: None,
    "with an error": lambda *arguments: _fail(errno.ENOLCK),
}


def _fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


@pytest.mark.row(117)
@pytest.mark.parametrize("flock", LOCKS_NOTHING.values(), ids=LOCKS_NOTHING)
@pytest.mark.parametrize("offset", [0, 20, 45])
async def test_two_runs_without_a_working_lock_both_succeed(
    dest: Path, monkeypatch: pytest.MonkeyPatch, offset: int, flock: Callable[..., None]
) -> None:
    """Some file systems have no locks: at worst objects are downloaded twice."""
    monkeypatch.setattr(fcntl, "flock", flock)
    await run_two_at_once(dest, offset)
    assert unfinished(dest) == []


@pytest.mark.row(117)
@pytest.mark.parametrize("offset", [5, 45])
async def test_run_whose_unfinished_files_are_removed_writes_them_again(
    dest: Path, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """If locks of other machines are invisible, a second run takes the first for dead."""
    monkeypatch.setattr(
        lock,
        "hold_lock",
        lambda path, *_: contextlib.nullcontext(path.touch() or lock.Held(True, -1)),
    )
    await run_two_at_once(dest, offset)


async def run_two_at_once(dest: Path, offset: int) -> None:
    """Start a second run after so many requests of the first; both must succeed."""
    go_on = asyncio.Event()
    async with ScriptedS3(OBJECTS) as s3:

        def at_an_offset(request: Request) -> None:
            if s3.count("GET") >= offset:
                go_on.set()

        s3.on_object = at_an_offset
        ran: list[Ran] = []

        async def run() -> None:
            ran.append(await sync(s3, dest, alone=False))

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await go_on.wait()
            group.start_soon(run)
    check_promises(dest)
    assert [(one.code, one.seen.failures) for one in ran] == [(0, {}), (0, {})]
    assert tree(dest) == OBJECTS


TAMPERED: Mapping[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "flipped": lambda data: data[:50] + bytes(byte ^ 1 for byte in data[50:60]) + data[60:],
    "of a newer version": lambda data: b'{"version": 999}\n' + data,
    "not text": lambda data: b"\xff\x00" * 50,
    "longer": lambda data: data * 2,
}


@pytest.mark.row(118)
@pytest.mark.row(119)
async def test_changed_unfinished_files_are_downloaded_again(tmp_path: Path, dest: Path) -> None:
    """If the journal or the bytes of an unfinished file were changed.

    The user is told if a whole unfinished file is useless.
    """
    async with ScriptedS3(OBJECTS) as s3:
        allowance = TOTAL - len(LARGE) // 2
        async with stopped_half_way(s3, dest, allowance, "--quiet") as child:
            child.kill()
            await child.wait()
        assert unfinished(dest)
        for kind, change in TAMPERED.items():
            for journals in (True, False):
                copy = tmp_path / f"{kind}-{journals}" / "dest"
                await asyncio.to_thread(shutil.copytree, dest, copy)
                for path in unfinished(copy):
                    if path.name.endswith(".journal") is journals:
                        path.write_bytes(change(path.read_bytes()))
                notices = await check_next_run(s3, copy)
                if kind in {"empty", "of a newer version", "not text"}:
                    assert notices
                assert all(
                    "fft/" in said and "cannot be used: its journal" in said for said in notices
                )
