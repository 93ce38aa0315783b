"""What becomes of a run on a cluster when a worker dies, its client dies, or it is stopped."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

import asyncsync.dask
from asyncsync.dask import crew
from asyncsync.model import Downloaded
from tests import ROOT
from tests.dask.rigs import (
    LARGE,
    OBJECTS,
    Gate,
    Told,
    busy_residents,
    busy_worker,
    check_all_here,
    kill,
    residents,
    until,
)
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.watch import unfinished

pytestmark = [
    pytest.mark.anyio,
    # Dask leaves a socket open where its client is closed in the middle of a question.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

_PROGRAM = """
import asyncio, sys
from distributed import Client
import asyncsync.dask

with Client(sys.argv[1]) as client:
    asyncio.run(asyncsync.dask.sync(client, None, sys.argv[2]))
"""


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Leave no other test what Dask left open."""
    yield
    gc.collect()


@pytest.mark.row(201)
async def test_worker_that_is_killed(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transfers are dealt again, each object is told of once, and nothing is left over."""
    told, dest = Told(), tmp_path / "dest"
    async with ScriptedS3(OBJECTS) as s3:
        _set(monkeypatch, s3.environment)
        gate = Gate(s3, 6)
        run = asyncio.create_task(asyncsync.dask.sync(client, None, dest, observer=told))
        await gate.is_full.wait()
        process = busy_worker(client)
        kill(process)
        await until(lambda: process not in _processes(client))
        gate.open()
        report = await run
    assert (report.downloaded, report.exit_code) == (len(OBJECTS), 0)
    check_all_here(dest, told)
    assert unfinished(dest) == []


@pytest.mark.row(202)
async def test_client_that_is_killed(
    client: Client, cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers do nothing more for it, and the next run brings everything."""
    told, dest = Told(), tmp_path / "dest"
    async with ScriptedS3(OBJECTS) as s3:
        _set(monkeypatch, s3.environment)
        gate = Gate(s3, 6)
        program = [sys.executable, "-c", _PROGRAM, cluster.scheduler_address, str(dest)]
        with subprocess.Popen(program, cwd=ROOT) as child:  # noqa: ASYNC220 - it is waited for
            await gate.is_full.wait()
            assert sum(client.run(busy_residents).values()) > 0
            child.kill()
        await until(lambda: sum(client.run(busy_residents).values()) == 0)
        gate.open()
        await asyncsync.dask.sync(client, None, dest, observer=told)
    assert {key: (dest / key).read_bytes() for key in OBJECTS} == OBJECTS
    assert unfinished(dest) == []


@pytest.mark.row(203)
async def test_scheduler_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's process downloads the rest itself, and says so."""
    told, dest = Told(), tmp_path / "dest"
    async with ScriptedS3(OBJECTS) as s3:
        _set(monkeypatch, s3.environment)
        gate = Gate(s3, 2)
        with (
            LocalCluster(n_workers=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as alone,
            Client(alone.scheduler_address) as client,
        ):
            run = asyncio.create_task(asyncsync.dask.sync(client, None, dest, observer=told))
            await gate.is_full.wait()
            alone.close()
            gate.open()
            await run
    check_all_here(dest, told)
    assert any("downloads the rest itself" in notice for notice in told.notices)


@pytest.mark.row(203)
@pytest.mark.parametrize("is_owner", [False, True], ids=["of-a-cluster", "of-its-own-cluster"])
async def test_client_that_is_closed(
    is_owner: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in another cell of a notebook: this process downloads the rest itself, and says so."""
    monkeypatch.setattr(crew, "COUNTING", 0.01)
    told, dest = Told(), tmp_path / "dest"
    local: dict[str, object] = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    async with ScriptedS3(OBJECTS) as s3:
        _set(monkeypatch, s3.environment)
        gate = Gate(s3, 2)
        with LocalCluster(n_workers=1, **local) as alone:
            client = Client(n_workers=1, **local) if is_owner else Client(alone.scheduler_address)
            run = asyncio.create_task(asyncsync.dask.sync(client, None, dest, observer=told))
            await gate.is_full.wait()
            await asyncio.to_thread(client.close)
            await until(lambda: any("the rest itself" in notice for notice in told.notices))
            gate.open()
            await run
    check_all_here(dest, told)


async def test_workers_that_come_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that finds none says so, waits, and gives the first its secrets when it comes."""
    monkeypatch.setattr(crew, "COUNTING", 0.05)
    told, dest = Told(), tmp_path / "dest"
    async with ScriptedS3(OBJECTS) as s3:
        _set(monkeypatch, s3.environment)
        with (
            LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as alone,
            Client(alone.scheduler_address) as client,
        ):
            run = asyncio.create_task(asyncsync.dask.sync(client, None, dest, observer=told))
            await until(lambda: "the cluster has no worker; waiting for one" in told.notices)
            alone.scale(1)
            report = await run
    assert report.exit_code == 0
    check_all_here(dest, told)


@pytest.mark.row(205)
async def test_run_that_is_stopped(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker works for it afterwards, and the next run goes on with what has arrived."""
    told, dest = Told(), tmp_path / "dest"
    async with ScriptedS3(OBJECTS) as s3:
        _set(monkeypatch, s3.environment)
        s3.allowance, s3.used_up = len(LARGE) * 4, asyncio.Event()
        before: set[str] = set().union(*client.run(residents).values())
        run = asyncio.create_task(asyncsync.dask.sync(client, "large/", dest))
        await s3.used_up.wait()
        run.cancel()
        await asyncio.wait([run])
        assert set().union(*client.run(residents).values()) <= before
        assert client.processing() == dict.fromkeys(client.processing(), ())
        s3.allowance = None
        await asyncsync.dask.sync(client, None, dest, observer=told)
    assert sum(each.kept for each in told.outcomes if isinstance(each, Downloaded)) > 0
    assert {key: (dest / key).read_bytes() for key in OBJECTS} == OBJECTS
    assert unfinished(dest) == []


def _processes(client: Client) -> Collection[int | Exception]:
    """Return the processes of the workers; an error for one that has just died."""
    found: Mapping[str, int | Exception] = client.run(os.getpid, on_error="return")
    return found.values()


def _set(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
