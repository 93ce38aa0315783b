"""Files that a power cut may have damaged are unsure in the next run, and fetched again."""

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.disk.folder import Folder
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state import unsynced
from asyncsync.download.download import SMALL
from asyncsync.errors import MachineError, OutOfStepError
from asyncsync.model import Checks, Outcome, Reason
from tests import ROOT
from tests.rigs.memory_store import MemoryStore
from tests.rigs.scarce_files import each_refused
from tests.rigs.state import STATE
from tests.rigs.watch import Watcher, quick_pace, tree

pytestmark = pytest.mark.anyio

OBJECTS: Mapping[str, bytes] = {"1hz/a": b"a", "1hz/b": b"bb", "large": bytes(SMALL + 1)}


class Machine:
    """A machine with a destination, whose power can fail."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dest = tmp_path / "dest"
        self.mark = self.dest / STATE / "unsynced"
        self.store = MemoryStore(OBJECTS)
        self.boot = tmp_path / "boot_id"
        self._boots = 0
        self._patch = monkeypatch
        monkeypatch.setattr(unsynced, "BOOT", self.boot)
        self.restart()

    def restart(self) -> None:
        """Start another boot."""
        self._boots += 1
        self.boot.write_text(f"00000000-0000-4000-8000-{self._boots:012}\n", encoding="ascii")
        began = self.boot.stat().st_ctime_ns
        while self.boot.stat().st_ctime_ns == began:  # until the disk's clock has ticked
            self.boot.touch()

    async def run(
        self,
        command: Callable[[pipeline.Job], object] = pipeline.sync,
        *,
        durable: bool = False,
        prefixes: tuple[str, ...] = (),
        on_ended: Callable[[Outcome], object] = type,
    ) -> Watcher:
        """Run one of the pipeline's commands, and return the observer."""
        watcher = Watcher(on_ended=on_ended)
        folder = Folder(self.dest, durable=durable, notice=watcher.noticed)
        job = pipeline.Job(
            store=self.store,
            folder=folder,
            selection=Selection(["*"], [], prefixes),
            pace=quick_pace(workers=2),
            observer=watcher,
            checks=Checks(parquet=False),
        )
        with anyio.fail_after(25):
            await command(job)  # type: ignore[misc]
        return watcher

    async def sync_and_kill(self, **given: object) -> None:
        """Sync, and leave behind what a kill would leave after the last file."""
        with self._patch.context() as patch:
            patch.setattr(Folder, "settle", skip_settle)
            await self.run(**given)  # type: ignore[arg-type]


async def skip_settle(folder: Folder) -> None:
    """Do not wait for the disk."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that was just started, with an empty destination."""
    return Machine(tmp_path, monkeypatch)


def reasons(seen: Watcher) -> dict[str, Reason]:
    return {
        transfer.remote.key: transfer.reason for page in seen.pages for transfer in page.transfers
    }


@pytest.mark.row(120)
async def test_unsure_files_are_fetched_again_and_that_once(machine: Machine) -> None:
    """Even those that the power cut filled with zeros; the next run has nothing to report."""
    await machine.sync_and_kill()
    status = (machine.dest / "1hz/b").stat()
    (machine.dest / "1hz/b").write_bytes(bytes(2))
    os.utime(machine.dest / "1hz/b", ns=(status.st_mtime_ns, status.st_mtime_ns))
    machine.restart()
    seen = await machine.run()
    assert reasons(seen) == dict.fromkeys(OBJECTS, Reason.UNSURE)
    assert tree(machine.dest) == OBJECTS
    assert ["are unsure, and a sync fetches them again" in said for said in seen.notices] == [True]
    assert not machine.mark.exists()
    machine.restart()
    seen = await machine.run()
    assert (reasons(seen), seen.notices) == ({}, [])


@pytest.mark.row(120)
async def test_older_files_are_not_unsure(machine: Machine) -> None:
    """Files of a run that ended on its own are on the disk."""
    await machine.run()
    machine.restart()
    machine.store.put("1hz/new", b"new")
    await machine.sync_and_kill()
    machine.restart()
    assert reasons(await machine.run()) == {"1hz/new": Reason.UNSURE}


@pytest.mark.row(120)
async def test_killed_run_leaves_its_mark_and_the_next_in_the_same_boot_removes_it(
    machine: Machine,
) -> None:
    """Even if it writes nothing itself; no file is unsure while the machine keeps running."""
    await machine.sync_and_kill()
    assert machine.mark.exists()
    seen = await machine.run()
    assert (reasons(seen), seen.notices) == ({}, [])
    assert not machine.mark.exists()


PUBLISH_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from asyncsync.disk.state import unsynced
from asyncsync.disk import Folder
from tests.rigs.publishing import publish_large, publish_small, transfer_of

unsynced.BOOT = Path(sys.argv[2])
folder = Folder(Path(sys.argv[1]))
publish = {"small": publish_small, "large": publish_large}[sys.argv[3]]
with folder.writing():
    asyncio.run(publish(folder, transfer_of("k"), b"data"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.row(120)
@pytest.mark.parametrize("way", ["small", "large"])
async def test_file_of_a_process_that_was_killed_is_unsure_after_a_restart(
    machine: Machine, way: str
) -> None:
    """Whichever way it was published."""
    command = [sys.executable, "-c", PUBLISH_AND_DIE, str(machine.dest), str(machine.boot), way]
    done = await anyio.run_process(command, check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    machine.restart()
    paths = [("k",), ("missing",)]
    found = await Folder(machine.dest).look_up(paths)
    assert [file and file.is_unsure for file in found] == [True, None]


async def test_mark_is_there_before_the_first_file(machine: Machine) -> None:
    """And as long as files may be unsynced; further runs keep the first one's mark."""
    there: list[bool] = []
    await machine.sync_and_kill(
        prefixes=("1hz/",), on_ended=lambda _: there.append(machine.mark.exists())
    )
    assert there == [True, True]
    before = machine.mark.read_bytes()
    await machine.sync_and_kill()
    assert machine.mark.read_bytes() == before


async def test_run_that_writes_nothing_leaves_nothing(machine: Machine) -> None:
    """It writes no mark and does not wait for the disk."""
    await machine.run()
    before = (machine.dest / ".asyncsync").stat().st_mtime_ns
    await machine.run()
    assert (machine.dest / ".asyncsync").stat().st_mtime_ns == before


@pytest.mark.row(120)
async def test_durable_run_leaves_no_mark(machine: Machine) -> None:
    """Its files are on the disk when they get their names."""
    await machine.sync_and_kill(durable=True)
    assert not machine.mark.exists()


@pytest.mark.row(120)
async def test_file_that_a_run_does_not_cover_stays_unsure(machine: Machine) -> None:
    """For later runs, in whichever boot; what was fetched again is sure."""
    await machine.sync_and_kill()
    machine.restart()
    assert reasons(await machine.run(prefixes=("1hz/",))).keys() == {"1hz/a", "1hz/b"}
    machine.restart()
    assert reasons(await machine.run()) == {"large": Reason.UNSURE}
    assert reasons(await machine.run()) == {}


@pytest.mark.row(120)
async def test_second_power_cut_adds_to_the_first(machine: Machine) -> None:
    """Files that were fetched again, and are not on the disk yet, are unsure once more."""
    await machine.sync_and_kill()
    machine.restart()
    await machine.sync_and_kill(prefixes=("1hz/",))
    machine.restart()
    assert reasons(await machine.run()) == dict.fromkeys(OBJECTS, Reason.UNSURE)
    assert reasons(await machine.run()) == {}


@pytest.mark.row(120)
async def test_no_power_cut_is_forgotten_after_many(machine: Machine) -> None:
    """Neither the first nor the last, although only so many periods are read."""
    await machine.run(prefixes=("1hz/a",))
    long_ago = 10**18
    lines = [f"{long_ago} {time.time_ns()}\n", *[f"{long_ago} {long_ago + 1}\n"] * 1637]
    (machine.dest / STATE / "doubtful").write_text("".join(lines), encoding="ascii")
    await machine.sync_and_kill(prefixes=("large",))
    machine.restart()
    await machine.run(prefixes=("1hz/b",))
    wanted = {"1hz/a": Reason.UNSURE, "large": Reason.UNSURE}
    assert reasons(await machine.run(pipeline.plan)) == wanted


@pytest.mark.row(120)
async def test_plan_and_verify_report_unsure_files_and_change_nothing(machine: Machine) -> None:
    """The mark stays for the next sync."""
    await machine.sync_and_kill()
    machine.restart()
    planned = await machine.run(pipeline.plan)
    assert reasons(planned) == dict.fromkeys(OBJECTS, Reason.UNSURE)
    verified = await machine.run(pipeline.verify)
    assert verified.failures == dict.fromkeys(OBJECTS, OutOfStepError)
    assert len(planned.notices) == len(verified.notices) == 1
    assert machine.mark.exists()


async def test_file_of_another_tool_is_trusted(machine: Machine) -> None:
    """It does not have its object's LastModified, so no sync has written it."""
    await machine.sync_and_kill(prefixes=("1hz/",))
    (machine.dest / "large").write_bytes(bytes(SMALL + 1))
    machine.restart()
    assert reasons(await machine.run()).keys() == {"1hz/a", "1hz/b"}


@pytest.mark.row(120)
@pytest.mark.parametrize("content", [b"x", b"\xff", bytes(50), b"0" * 36 + b" 1"])
async def test_damaged_mark_is_reported_and_removed(machine: Machine, content: bytes) -> None:
    """It makes no file unsure."""
    await machine.sync_and_kill()
    machine.mark.write_bytes(content)
    machine.restart()
    seen = await machine.run()
    assert ["is damaged" in said for said in seen.notices] == [True]
    assert reasons(seen) == {}
    assert not machine.mark.exists()


async def test_link_in_the_place_of_the_mark_is_not_followed(machine: Machine) -> None:
    """What it leads to is neither read, written nor removed."""
    precious = machine.dest.parent / "precious"
    precious.write_text("00000000-0000-4000-8000-000000000000 1\n", encoding="ascii")
    machine.mark.parent.mkdir(parents=True)
    machine.mark.symlink_to(precious)
    seen = await machine.run()
    assert seen.notices == []
    assert tree(machine.dest) == OBJECTS
    assert precious.read_text(encoding="ascii").endswith(" 1\n")


async def test_clock_that_was_ahead_makes_no_file_unsure_for_ever(machine: Machine) -> None:
    """A time in the future is replaced by the current time, and saved."""
    await machine.run()
    ahead = time.time_ns() + 10**18
    (machine.dest / STATE / "doubtful").write_text(f"1 {ahead}\n", encoding="ascii")
    assert reasons(await machine.run()) == dict.fromkeys(OBJECTS, Reason.UNSURE)
    assert reasons(await machine.run()) == {}


@pytest.mark.row(120)
async def test_clock_that_was_set_back_makes_no_unsure_file_sure(machine: Machine) -> None:
    """A period that begins in the future stays as it is until the clock has passed its start."""
    await machine.run()
    ahead, began = time.time_ns() + 3600 * 10**9, time.time_ns()
    machine.mark.write_text(f"00000000-0000-4000-8000-000000000000 {ahead}\n", encoding="ascii")
    doubtful = machine.dest / STATE / "doubtful"
    for _ in range(2):  # a later run reads it from the file
        await machine.run()
        assert doubtful.read_text(encoding="ascii") == f"{ahead} {unsynced.NO_END}\n"
    doubtful.write_text(f"{began} {unsynced.NO_END}\n", encoding="ascii")
    await machine.run()
    start, end = map(int, doubtful.read_text(encoding="ascii").split())
    assert start == began < end < time.time_ns()


@pytest.mark.row(120)
async def test_system_without_boot_ids_has_no_mark(machine: Machine) -> None:
    """Files are trusted there."""
    machine.boot.unlink()
    await machine.sync_and_kill()
    assert not machine.mark.exists()
    assert reasons(await machine.run()) == {}


async def test_folder_that_locks_nothing_has_no_mark(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs may work there at once, and one would remove the other's mark."""
    monkeypatch.setattr("asyncsync.disk.state.lock._lock", lambda _, **__: True)
    await machine.sync_and_kill()
    assert not machine.mark.exists()
    machine.mark.write_text(f"{'0' * 36} 1\n", encoding="ascii")
    assert reasons(await machine.run()) == {}


async def test_mark_that_cannot_be_written_fails_no_object(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are complete; only a power cut would go unnoticed."""

    def sync(directory: Directory) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Directory, "sync", sync)
    assert (await machine.run()).failures == {}
    assert tree(machine.dest) == OBJECTS


@pytest.mark.row(120)
@pytest.mark.parametrize(
    "error",
    [OSError(errno.EIO, os.strerror(errno.EIO)), MachineError("no thread can be started")],
    ids=["disk", "thread"],
)
async def test_mark_stays_when_the_disk_fails_at_the_end(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The run says so, and after a restart its files are fetched again."""

    def sync_disk(folder: Path) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(unsynced, "sync_disk", sync_disk)
        seen = await machine.run()
    assert ["cannot confirm that all files are" in said for said in seen.notices] == [True]
    machine.restart()
    assert reasons(await machine.run()) == dict.fromkeys(OBJECTS, Reason.UNSURE)


@pytest.mark.row(120)
async def test_interrupted_run_waits_for_the_disk_too(machine: Machine) -> None:
    """So an ordinary restart makes no file unsure."""
    with anyio.CancelScope() as run:
        await machine.run(on_ended=lambda _: run.cancel())
    assert run.cancelled_caught
    assert tree(machine.dest)
    assert not machine.mark.exists()


async def test_event_loop_runs_while_the_disk_is_waited_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars are redrawn meanwhile, and the rest of the program goes on."""
    waited_for, written = anyio.Event(), threading.Event()

    def sync_disk(folder: Path) -> None:
        anyio.from_thread.run_sync(waited_for.set)
        assert written.wait(60)

    async def write() -> None:
        await waited_for.wait()
        assert machine.mark.exists()
        written.set()

    monkeypatch.setattr(unsynced, "sync_disk", sync_disk)
    async with anyio.create_task_group() as group:
        group.start_soon(write)
        seen = await machine.run()
    assert seen.notices == []
    assert not machine.mark.exists()


async def test_failed_sync_of_a_disk_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the system's error; a healthy disk is waited for."""
    unsynced.sync_disk(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_: -1)
        patch.setattr(os, "close", lambda _: None)
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            unsynced.sync_disk(tmp_path)


async def test_system_without_syncfs_syncs_all_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some C libraries do not have the call."""
    synced: list[None] = []
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    monkeypatch.setattr(os, "sync", lambda: synced.append(None))
    unsynced.sync_disk(tmp_path)
    assert len(synced) == 1


@pytest.mark.row(105, 120)
async def test_mark_that_finds_no_descriptor_is_not_lost(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file cannot be opened for a moment when a run begins: the files stay unsure."""
    await machine.sync_and_kill()
    machine.restart()
    mark, doubtful = machine.mark.read_bytes(), machine.mark.with_name("doubtful")

    for scarce in each_refused(monkeypatch):
        machine.mark.write_bytes(mark)
        doubtful.unlink(missing_ok=True)
        with scarce, suppress(MachineError), (folder := Folder(machine.dest)).writing():
            assert folder._unsynced.unsure_periods()
        with (folder := Folder(machine.dest)).reading():
            assert folder._unsynced.unsure_periods()
