"""Runs that exclude each other do so as well where the locks of others cannot be looked at."""

from pathlib import Path

import pytest

from asyncsync.disk import Folder
from asyncsync.disk.state import lock, shardstates
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
