"""A run on a Dask cluster: the same files and the same report as without."""

from pathlib import Path

import pytest
from distributed import Client, LocalCluster

import asyncsync.dask
from asyncsync.errors import AccessDeniedError
from asyncsync.model import Failed
from tests.dask.rigs import OBJECTS, Told, check_all_here
from tests.rigs.bucket import Bucket
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3
from tests.rigs.watch import unfinished

pytestmark = pytest.mark.anyio


async def test_workers_bring_the_same_files(
    client: Client, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each object is told of once; its file has its bytes and its time; the next run has none."""
    bucket.put_many(OBJECTS)
    _set(monkeypatch, bucket.server.environment())
    told, dest = Told(), tmp_path / "dest"
    report = await asyncsync.dask.sync(client, None, dest, observer=told)
    assert (report.downloaded, report.failed, report.exit_code) == (len(OBJECTS), 0, 0)
    check_all_here(dest, told)
    assert unfinished(dest) == []
    again = await asyncsync.dask.sync(client, None, dest)
    assert (again.downloaded, again.up_to_date) == (0, len(OBJECTS))


async def test_asynchronous_client(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client in the event loop of the run does as well."""
    told = Told()
    async with (
        ScriptedS3(OBJECTS) as s3,
        Client(cluster.scheduler_address, asynchronous=True) as client,
    ):
        _set(monkeypatch, s3.environment)
        await asyncsync.dask.sync(client, None, tmp_path / "dest", observer=told)
    check_all_here(tmp_path / "dest", told)


async def test_object_that_is_refused(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails with the error that it would have without a cluster, and the others come."""

    def refuse(request: Request) -> Answer | None:
        body = b"<Error><Code>AccessDenied</Code></Error>"
        return Answer(body, 403) if request.key == "1hz/007.parquet" else None

    told = Told()
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = refuse
        _set(monkeypatch, s3.environment)
        report = await asyncsync.dask.sync(client, None, tmp_path / "dest", observer=told)
    assert (report.downloaded, report.failed, report.exit_code) == (len(OBJECTS) - 1, 1, 1)
    [failed] = [outcome for outcome in told.outcomes if isinstance(outcome, Failed)]
    assert (failed.remote.key, type(failed.error)) == (
        "1hz/007.parquet",
        AccessDeniedError,
    )


async def test_server_that_asks_for_fewer_requests(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All workers pause, and all objects come."""

    def slow_down(request: Request) -> Answer | None:
        body = b"<Error><Code>SlowDown</Code></Error>"
        return Answer(body, 503) if request.verb == "GET" and request.number < 3 else None

    few = {key: data for key, data in OBJECTS.items() if key.startswith("1hz/00")}
    async with ScriptedS3(few) as s3:
        s3.on_object = slow_down
        _set(monkeypatch, s3.environment)
        report = await asyncsync.dask.sync(client, None, tmp_path / "dest")
    assert (report.downloaded, report.failed) == (10, 0)


async def test_credentials_that_expire(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client reads them again for all workers, and what was refused is dealt again."""
    env_file, new = tmp_path / ".env", tmp_path / "new"
    env_file.touch(0o600)
    new.touch(0o600)

    def expire(request: Request) -> Answer | None:
        if "Credential=NEW/" in request.headers["authorization"]:
            return None
        if "OLD" in env_file.read_text():
            new.write_text("R2_ACCESS_KEY_ID=NEW\nR2_SECRET_ACCESS_KEY=another-secret\n")
            new.replace(env_file)
        return Answer(b"<Error><Code>ExpiredToken</Code></Error>", 400)

    told = Told()
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = expire
        _set(monkeypatch, {"R2_ENDPOINT_URL": s3.endpoint, "R2_BUCKET": "sensors"})
        env_file.write_text("R2_ACCESS_KEY_ID=OLD\nR2_SECRET_ACCESS_KEY=the-secret\n")
        await asyncsync.dask.sync(client, None, tmp_path / "dest", observer=told)
    check_all_here(tmp_path / "dest", told)


async def test_limit_of_the_rate(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers take no more than their shares of it, and all objects come."""
    told = Told()
    async with ScriptedS3(OBJECTS) as s3:
        _set(monkeypatch, s3.environment)
        dest = tmp_path / "dest"
        report = await asyncsync.dask.sync(client, None, dest, observer=told, limit_rate="40M")
    check_all_here(dest, told)
    total = sum(map(len, OBJECTS.values()))
    assert report.seconds > total / (40 << 20) * 0.9


def _set(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
