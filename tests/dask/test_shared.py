"""A worker that does not share the destination, or the version, is named, and what to do."""

import subprocess
import sys
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

import asyncsync.dask
from asyncsync.dask import worker
from asyncsync.disk import Sign
from asyncsync.disk.directory import Directory
from asyncsync.errors import WorkerError
from tests import ROOT
from tests.dask.rigs import OBJECTS
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.users import needs_root

WORKER = (
    "mount -t tmpfs none $0 && exec $1 -m distributed.cli.dask_worker $2 --no-nanny --no-dashboard"
)


@needs_root
@pytest.mark.row(204)
@pytest.mark.anyio
async def test_worker_on_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends with an error that names the worker, before anything is downloaded."""
    dest = tmp_path / "dest"
    dest.mkdir()
    async with ScriptedS3(OBJECTS) as s3:
        for name, value in s3.environment.items():
            monkeypatch.setenv(name, value)
        with LocalCluster(
            n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster:
            address = cluster.scheduler_address
            inside = ["unshare", "--mount", "sh", "-ec", WORKER, str(dest), sys.executable, address]
            with subprocess.Popen(inside, cwd=ROOT, stderr=subprocess.PIPE) as program:  # noqa: ASYNC220
                try:
                    with Client(cluster) as client:
                        client.wait_for_workers(1, timeout=60)
                        with pytest.raises(WorkerError, match="cannot write in the dest") as caught:
                            await asyncsync.dask.sync(client, None, dest)
                finally:
                    program.terminate()
                    program.communicate()
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
