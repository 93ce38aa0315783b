"""A worker that does not share the destination, or asyncsync, is named, and what to do."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

import asyncsync.dask
from asyncsync.dask import worker
from asyncsync.disk import Sign
from asyncsync.disk.folders.directory import Directory
from asyncsync.errors import ConfigError, WorkerError
from tests import ROOT
from tests.dask.rigs import OBJECTS
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.users import needs_root

QUIET = ("--no-nanny", "--no-dashboard")
MOUNTING = """
mount -t tmpfs none "$0"
python=$1; shift
exec "$python" -m distributed.cli.dask_worker "$@"
"""
"""A worker with another disk at the destination, which goes with it."""
LACKING = """
import sys
sys.modules["asyncsync"] = None
from distributed.cli.dask_worker import main
main()
"""
"""A worker that cannot import asyncsync."""


@pytest.fixture
def empty() -> Iterator[LocalCluster]:
    """A cluster without workers."""
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as running:
        yield running


@contextmanager
def connected(cluster: LocalCluster, *command: str) -> Iterator[Client]:
    """Have a client of a cluster whose only worker is started by this command.

    What the worker logs has no secret.
    """
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as program:
        try:
            with Client(cluster) as client:
                client.wait_for_workers(1, timeout=60)
                yield client
        finally:
            program.terminate()
            _, logged = program.communicate()
    assert "the-secret" not in logged


def _set(monkeypatch: pytest.MonkeyPatch, s3: ScriptedS3) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.row(204)
@pytest.mark.anyio
async def test_worker_without_asyncsync(
    empty: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends before any request, and the message says what to install."""
    command = [sys.executable, "-c", LACKING, empty.scheduler_address, *QUIET]
    async with ScriptedS3(OBJECTS) as s3:
        _set(monkeypatch, s3)
        with (
            connected(empty, *command) as client,
            pytest.raises(ConfigError, match=r"has no asyncsync .*pip install") as caught,
        ):
            await asyncsync.dask.sync(client, None, tmp_path / "dest")
    assert "on all workers" in str(caught.value)
    assert s3.requests == []


@needs_root
@pytest.mark.row(204)
@pytest.mark.anyio
async def test_worker_on_another_disk(
    empty: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends with an error that names the worker, before anything is downloaded."""
    dest = tmp_path / "dest"
    dest.mkdir()
    inside = ["unshare", "--mount", "sh", "-ec", MOUNTING, str(dest), sys.executable]
    async with ScriptedS3(OBJECTS) as s3:
        _set(monkeypatch, s3)
        with (
            connected(empty, *inside, empty.scheduler_address, *QUIET) as client,
            pytest.raises(WorkerError, match="cannot write in the dest") as caught,
        ):
            await asyncsync.dask.sync(client, None, dest)
    assert "No such file or directory" in str(caught.value)
    assert "mount the destination at the same path" in caught.value.advice
    assert not list(dest.rglob("*.parquet"))
    assert not any(request.verb == "GET" for request in s3.requests)


@pytest.mark.row(204)
def test_folder_is_known_again(tmp_path: Path) -> None:
    """By its inode and by the file in it; a folder that is only like it is refused."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir(0o700)
    with Directory(str(tmp_path / "one")) as folder:
        inode = folder.status().st_ino
        sign = Sign.put(folder, str(tmp_path / "one"), inode, "run")
    sign.check()
    (tmp_path / "one" / sign.name).write_text("another")
    with pytest.raises(OSError, match="another folder"):
        sign.check()
    (tmp_path / "two" / sign.name).write_text(sign.token)
    with pytest.raises(OSError, match="another folder"):
        Sign(str(tmp_path / "two"), inode, sign.name, sign.token).check()


@pytest.mark.row(204)
def test_worker_of_another_version(tmp_path: Path) -> None:
    """It says which versions they are."""
    sign = Sign(str(tmp_path), 0, "sign", "")
    assert worker.check(sign, "0.0.1").endswith("and the client has 0.0.1")
