"""A run on a Dask cluster, against a real server: the same files and the same report as without."""

import os
from collections import Counter
from pathlib import Path

import pytest
from distributed import Client

import asyncsync.dask
from asyncsync.interfaces import SilentObserver
from asyncsync.model import Downloaded, Outcome, Transfer
from tests.rigs.bucket import Bucket

pytestmark = pytest.mark.anyio

LARGE = os.urandom(1_000_003) * 20  # its period does not divide a part's size
OBJECTS = {
    **{f"1hz/{number:03}.parquet": bytes([number]) * number for number in range(200)},
    "large/a.parquet": LARGE,
    "large/b.parquet": LARGE[:9_000_000],
}


class Told(SilentObserver):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.arrived: Counter[str] = Counter()

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Count it."""
        self.arrived[transfer.remote.key] += size

    def ended(self, outcome: Outcome) -> None:
        """Remember it."""
        self.outcomes.append(outcome)


async def test_workers_bring_the_same_files(
    client: Client, bucket: Bucket, tmp_path: Path
) -> None:
    """Each object is told of once, and its file has the bytes and the time of the object."""
    bucket.put_many(OBJECTS)
    told, dest = Told(), tmp_path / "dest"
    env_file = _env_file(tmp_path, bucket.server.environment())
    report = await asyncsync.dask.sync(client, None, dest, observer=told, env_file=env_file)
    assert (report.downloaded, report.failed, report.exit_code) == (len(OBJECTS), 0, 0)
    assert {key: (dest / key).read_bytes() for key in OBJECTS} == OBJECTS
    assert Counter(outcome.remote.key for outcome in told.outcomes) == Counter([*OBJECTS])
    for outcome in told.outcomes:
        assert isinstance(outcome, Downloaded)
        assert outcome.file.stat().st_mtime_ns == outcome.remote.modified_ns
    assert told.arrived == {key: len(OBJECTS[key]) for key in OBJECTS if key.startswith("large/")}
    assert not list(next(dest.glob(".asyncsync/*/parts")).iterdir())
    again = await asyncsync.dask.sync(client, None, dest, env_file=env_file)
    assert (again.downloaded, again.up_to_date) == (0, len(OBJECTS))


def _env_file(folder: Path, given: dict[str, str]) -> Path:
    path = folder / ".env"
    path.touch(0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    return path
