"""Fixtures for every test."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from asyncsync.demo.seaweed import SeaweedServer, serve
from asyncsync.disk.state import unsynced
from tests.rigs.bucket import Bucket, client_of, new_bucket
from tests.rigs.child import interruptible
from tests.rigs.read_once import read_once
from tests.rigs.servers import Servers

try:
    from hypothesis import HealthCheck, settings
except ModuleNotFoundError:  # tests of an installed package run without it
    pass
else:
    settings.register_profile(
        "patient",  # for busy machines
        settings.default,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("patient")

_HIDDEN = ("AWS_", "R2_", "ASYNCSYNC_", "SSLKEYLOGFILE")


@pytest.fixture
def anyio_backend() -> str:
    """aioboto3 runs on asyncio only, so the tests do."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the user's settings, credentials, proxies, `.env` and home folder from the tests."""
    for name in os.environ:
        if name.startswith(_HIDDEN) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("ASYNCSYNC_PARQUET_CHECK", "no")  # most tests' data is not Parquet
    monkeypatch.setattr(unsynced, "BOOT", tmp_path / "no-boot")  # waiting for the disk takes long
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    interruptible()


@pytest.fixture(scope="session", autouse=True)
def _read_once() -> Iterator[None]:
    with read_once():
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """One real S3 server for all tests. Each test uses its own `bucket`."""
    with (
        serve(tmp_path_factory.mktemp("seaweed"), "shared") as running,
        closing(client_of(running)),
    ):
        yield running


@pytest.fixture(scope="session")
def servers(server: SeaweedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Further real servers; each starts when a test first asks for it."""
    with closing(Servers(tmp_path_factory.mktemp("servers"), server)) as opened:
        yield opened


@pytest.fixture
def bucket(server: SeaweedServer) -> Iterator[Bucket]:
    """A new, empty bucket on the real server."""
    with new_bucket(server) as made:
        yield made
