"""Fixtures for tests of faults between asyncsync and a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncsync.demo.seaweed import SeaweedServer
from tests.rigs.bucket import Bucket, new_bucket
from tests.rigs.fault_run import emptied


@pytest.fixture(scope="session")
def shared_bucket(server: SeaweedServer) -> Iterator[Bucket]:
    """One bucket for many tests: creating it takes longer than most of them."""
    with new_bucket(server) as made:
        yield made


@pytest.fixture
def empty_bucket(shared_bucket: Bucket) -> Iterator[Bucket]:
    """The shared bucket, empty at the start of each test."""
    with emptied(shared_bucket):
        yield shared_bucket


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """The local folder."""
    return tmp_path / "dest"
