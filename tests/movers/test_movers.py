"""A run with movers, against a real server: the same files and the same report as without."""

import os
from collections import Counter
from pathlib import Path

import pytest

import asyncsync
from asyncsync.interfaces import SilentObserver
from asyncsync.model import Downloaded, Outcome
from tests.rigs.bucket import Bucket
from tests.rigs.movers import env_file

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

    def ended(self, outcome: Outcome) -> None:
        """Remember it."""
        self.outcomes.append(outcome)


async def test_movers_bring_the_same_files(bucket: Bucket, tmp_path: Path) -> None:
    """Each object is told of once, and its file has the bytes and the time of the object."""
    bucket.put_many(OBJECTS)
    told, dest = Told(), tmp_path / "dest"
    found = env_file(tmp_path, bucket.server.environment())
    report = await asyncsync.sync(
        dest=dest,
        processes=2,
        observer=told,
        bucket=bucket.server.bucket,
        env_file=found,
    )
    assert (report.downloaded, report.failed, report.exit_code) == (len(OBJECTS), 0, 0)
    assert {key: (dest / key).read_bytes() for key in OBJECTS} == OBJECTS
    assert Counter(outcome.remote.key for outcome in told.outcomes) == Counter([*OBJECTS])
    for outcome in told.outcomes:
        assert isinstance(outcome, Downloaded)
        assert outcome.file.stat().st_mtime_ns == outcome.remote.modified_ns
    again = await asyncsync.sync(dest=dest, processes=2, env_file=found)
    assert (again.downloaded, again.up_to_date) == (0, len(OBJECTS))
