"""Locks that runs share, and those of others that cannot be looked at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncsync.disk import Folder
from asyncsync.disk.state import lock, shardstates
from asyncsync.disk.state.lock import hold_lock
from asyncsync.errors import DestinationError, LockHeldError, MachineError
from asyncsync.shards import Shard
from tests.rigs.scarce_files import each_refused

ONE, OTHER = Shard(1, 2), Shard(1, 3)


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "dest"


@pytest.mark.row(105, 191)
@pytest.mark.parametrize("after", [OTHER, None], ids=["another count", "whole"])
def test_lock_that_finds_no_descriptor_is_not_taken_for_a_free_one(
    dest: Path, monkeypatch: pytest.MonkeyPatch, after: Shard | None
) -> None:
    """Whichever files cannot be opened for a moment: the run does not work beside the other."""
    monkeypatch.setattr(lock, "CHECK", 0)
    with Folder(dest, shard=ONE).writing():
        for scarce in each_refused(monkeypatch, times=3):
            with (
                pytest.raises((LockHeldError, MachineError)),
                scarce,
                Folder(dest, shard=after).writing(),
            ):
                pytest.fail("both work on one folder")


@pytest.mark.row(191)
@pytest.mark.parametrize("after", [OTHER, None], ids=["another count", "whole"])
def test_too_many_locks_to_look_at_keep_a_run_out(
    dest: Path, monkeypatch: pytest.MonkeyPatch, after: Shard | None
) -> None:
    """Another user may have planted them, and one may hide a run; those of its count hide none."""
    monkeypatch.setattr(shardstates, "MOST_STATES", 4)
    with Folder(dest, shard=after).writing():
        pass
    for number in range(1, 5):
        (dest / ".asyncsync" / f"lock-{number}-of-4").touch()
        (dest / ".asyncsync" / f"lock-{number}-of-3").touch()
    last = dest / ".asyncsync" / "lock-4-of-4"
    if after:
        with Folder(dest, shard=after).writing():
            pass
        last = dest / ".asyncsync" / "lock-1-of-2"
        last.touch()
    with (
        pytest.raises(DestinationError, match=r"holds more than 4 locks of shards.* find .*/dest"),
        Folder(dest, shard=after).writing(),
    ):
        pytest.fail("nobody knows whether a shard works here")


def test_lock_that_is_shared_keeps_out_who_wants_it_alone(tmp_path: Path) -> None:
    """And the other way round; the one that shares it is named."""
    path = tmp_path / "state" / "lock"
    path.parent.mkdir()
    with hold_lock(path, is_shared=True, holder="shard 1/2, "):
        with hold_lock(path, is_shared=True, holder="shard 2/2, ") as held:
            assert held.is_exclusive
        with pytest.raises(LockHeldError, match=r"\(shard 2/2, process \d+ "), hold_lock(path):
            pytest.fail("it is shared")
    with (
        hold_lock(path),
        pytest.raises(LockHeldError),
        hold_lock(path, is_shared=True),
    ):
        pytest.fail("it is held")


def test_lock_that_others_share_with_one_that_has_ended_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file names the last that began, and no movers of its have to be looked for."""
    monkeypatch.setattr(lock, "ORPHANED", 0)
    path = tmp_path / "state" / "lock"
    path.parent.mkdir()
    with hold_lock(path, is_shared=True, holder="shard 1/2, "):
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        named = path.read_text("utf-8").replace("shard 1/2", "shard 2/2")
        path.write_text(named.replace(str(os.getpid()), str(ended.pid)), "utf-8")
        with (
            pytest.raises(LockHeldError, match=r"shard 2/2, .*, which has ended, but not other"),
            hold_lock(path),
        ):
            pytest.fail("it is shared")
