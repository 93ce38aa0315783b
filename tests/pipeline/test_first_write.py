"""When a run begins to write: not before there is something to do."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsync import pipeline
from asyncsync.disk import Folder
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state.place import Components, Place, user
from asyncsync.errors import DestinationError, LockHeldError
from asyncsync.model import RemoteObject
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import OBJECTS, Rig
from tests.rigs.state import PARTS, STATE
from tests.rigs.watch import Watcher, snapshot, tree

pytestmark = pytest.mark.anyio
KEY = "root.parquet"


@pytest.fixture
async def rig(dest: Path) -> Rig:
    """A folder that a sync has brought in step."""
    rig = Rig(dest)
    await rig.sync()
    rig.store.requests.clear()
    rig.watcher = Watcher()
    return rig


async def test_run_with_nothing_to_do_writes_nothing(rig: Rig) -> None:
    """Not even the lock file, so a folder that cannot be written will do."""
    before = snapshot(rig.dest)
    seen = await rig.again()
    assert (seen.downloaded, seen.notices) == ([], [])
    assert snapshot(rig.dest) == before


@pytest.mark.parametrize("name", ["case", "parts/0.left"])
async def test_state_that_waits_for_a_run_gets_one(rig: Rig, name: str) -> None:
    """What is missing is made, and what an earlier run left is removed, with nothing to do too."""
    path = rig.dest / STATE / name
    path.unlink() if path.exists() else path.touch()
    assert (await rig.again()).downloaded == []
    assert path.exists() == (name == "case")
    assert os.listdir(rig.dest / PARTS) == []


@pytest.mark.row(151)
async def test_state_that_others_can_write_is_not_used(rig: Rig) -> None:
    """Not by a run with nothing to do either: it makes one beside it, and says so."""
    (rig.dest / STATE).chmod(0o777)
    [notice] = (await rig.again()).notices
    assert "cannot be used" in notice
    assert (rig.dest / f".asyncsync-{user()}").is_dir()


@pytest.mark.row(105)
async def test_descriptors_that_requests_have_used_up_are_waited_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that begins to write among them takes the lock as soon as it can."""
    original, refusals = Place.open_state, [errno.EMFILE, errno.ENFILE]

    def scarce(place: Place, parents: Components) -> Directory:
        if refusals:
            number = refusals.pop()
            raise OSError(number, os.strerror(number))
        return original(place, parents)

    monkeypatch.setattr(Place, "open_state", scarce)
    monkeypatch.setattr("asyncsync.disk.folder.PAUSE", 0)
    rig.store.put(KEY, b"second")
    assert (await rig.again()).downloaded == [KEY]
    assert refusals == []


async def test_lock_is_probed_before_a_request(rig: Rig) -> None:
    """A run that would have nothing to do ends at once as well, while another one is at work."""
    with Folder(rig.dest).writing(), pytest.raises(LockHeldError, match=f"process {os.getpid()}"):
        await rig.sync()
    assert rig.store.requests == []


async def test_lock_that_another_run_takes_meanwhile_ends_the_run(rig: Rig) -> None:
    """It has looked at the folder by then, and writes nothing."""
    rig.store.put(KEY, b"second")
    other = Folder(rig.dest).writing()
    rig.store.on("list", "", Act(before=other.__enter__))
    with pytest.raises(LockHeldError):
        await rig.sync()
    other.__exit__(None, None, None)
    assert rig.store.count("get") == 0
    assert tree(rig.dest) == OBJECTS


async def test_probing_runs_keep_nobody_out(rig: Rig) -> None:
    """Two with nothing to do may work side by side; a third that writes is not disturbed."""
    with Folder(rig.dest).syncing():
        assert (await rig.again()).downloaded == []
        rig.store.put(KEY, b"second")
        assert (await rig.again()).downloaded == [KEY]


class Overtaken(Folder):
    """A destination in which something happens just before the lock is taken."""

    happens: Callable[[], object]

    async def begin_writing(self) -> bool:
        """Let it happen, once."""
        if not self.is_writing:
            self.happens()
        return await super().begin_writing()


def overtaken(rig: Rig, happens: Callable[[], object]) -> pipeline.Job:
    folder = Overtaken(rig.dest)
    folder.happens = happens
    return replace(rig.job(), folder=folder)


def arrive(dest: Path, remote: RemoteObject, content: bytes) -> None:
    """Do what another run does."""
    path = dest / remote.key
    path.write_bytes(content)
    os.utime(path, ns=(remote.modified_ns, remote.modified_ns))


async def test_folder_is_looked_at_again_once_the_lock_is_held(rig: Rig) -> None:
    """What another run has brought meanwhile is not fetched once more."""
    rig.store.put(KEY, b"second")
    await pipeline.sync(overtaken(rig, lambda: arrive(rig.dest, rig.store.remote(KEY), b"second")))
    assert rig.watcher.downloaded == []
    assert rig.store.count("get") == 0
    assert tree(rig.dest) == {**OBJECTS, KEY: b"second"}


async def test_folder_that_is_replaced_meanwhile_ends_the_run(rig: Rig) -> None:
    """Before the first GET, and nothing is written into what has its name now."""
    rig.store.put(KEY, b"second")

    def swap() -> None:
        rig.dest.rename(rig.dest.with_name("old"))
        rig.dest.mkdir()

    with pytest.raises(DestinationError, match="was moved, replaced or removed"):
        await pipeline.sync(overtaken(rig, swap))
    assert rig.store.count("get") == 0
    assert os.listdir(rig.dest) == []
