"""What a typed program does with the API. Checked by mypy with the tests, and never run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import assert_never, assert_type

import asyncsync
from asyncsync import (
    Downloaded,
    Failed,
    NewFile,
    Outcome,
    Plan,
    Reason,
    Report,
    SilentObserver,
    Tally,
    TransferError,
    UpToDate,
)


class Printing(SilentObserver):
    """An observer says what it wants to hear."""

    def ended(self, outcome: Outcome) -> None:
        """Take an outcome apart; there are no other kinds."""
        match outcome:
            case Downloaded(transfer, attempts, seconds):
                assert_type(outcome.file, Path)
                assert_type(outcome.remote.key, str)
                assert_type(outcome.modified, datetime | None)
                assert_type(transfer.remote.key, str)
                assert_type((attempts, seconds), tuple[int, float])
            case UpToDate(remote):
                assert_type(outcome.file, Path)
                assert_type(remote.size, int)
            case Failed(_, error):
                assert_type(error, TransferError)
            case _:
                assert_never(outcome)


async def commands() -> None:
    """Every argument, of every kind that it may have."""
    assert_type(await asyncsync.sync(), Report)
    assert_type(await asyncsync.verify(dest="downloads"), Report)
    plan = assert_type(await asyncsync.plan(dest=Path("downloads"), prefixes=("1hz/",)), Plan)
    assert_type(plan.fits, bool)
    assert_type(plan.total, Tally)
    assert_type([transfer.reason for transfer in plan], list[Reason])
    assert_type([(transfer.kept, transfer.is_edited) for transfer in plan], list[tuple[int, bool]])
    assert_type(plan.total.bytes_kept, int)
    assert_type(await asyncsync.sync(plan=plan), Report)
    small = plan.filter(lambda transfer: transfer.remote.size < 1000).only("1hz/", "*.json")
    assert_type(small, Plan)
    assert_type(await asyncsync.sync("s3://bucket/1hz/", Path("1hz"), strip_prefix=True), Report)
    assert_type(await asyncsync.sync(odd_keys="encode"), Report)
    assert_type(await asyncsync.plan("1hz/", "downloads", deep=False), Plan)
    assert_type(asyncsync.run(plan="plan.json", dest="downloads"), Report)
    async for outcome in asyncsync.stream(observer=Printing(), env_file="my.env"):
        assert_type(outcome, Outcome)
    report = asyncsync.run(
        prefixes=["1hz/"],
        include=["*.parquet"],
        exclude=["*/tmp/*"],
        workers=8,
        max_workers=64,
        validate="response",
        attempts=3,
        read_timeout=60,
        limit_rate=20 << 20,
        since="auto",
        backup_dir=Path("replaced"),
        incremental=True,
        newer_than=timedelta(days=30),
        older_than=datetime(2026, 11, 1, tzinfo=UTC),
        min_size=1,
        max_size="20M",
        report="new.parquet",
        env_file=Path("my.env"),
    )
    assert_type(report.failures, list[Failed])
    assert_type([file.path for file in report.files], list[Path])
    assert_type(report.files[0], NewFile)
    assert_type(report.files[:10], list[NewFile])
    assert_type([asyncsync.shown(failed.remote.key) for failed in report.failures], list[str])


async def looks() -> None:
    """A look into the bucket, and one object out of it."""
    async for entry in asyncsync.ls("1hz/", depth=None, include=["*"]):
        assert_type(entry, asyncsync.Entry)
        if isinstance(entry, asyncsync.ListedObject) and entry.state == "missing":
            assert_type(entry.remote, asyncsync.RemoteObject)
    usages = assert_type(await asyncsync.du(depth=2), dict[str, asyncsync.Usage])
    assert_type([usage.here for usage in usages.values()], list[int])
    assert_type(await asyncsync.get("s3://bucket/key", "folder/", limit_rate="20M"), Path)


async def words() -> None:
    """What the command line has words for, as against what the environment says."""
    await asyncsync.sync(workers="auto", limit_rate="20M", since="off", max_size=2e6)
    await asyncsync.sync(limit_rate=20e6)
    await asyncsync.sync(delete=True, max_delete="10%", allow_empty=False)
    await asyncsync.sync(delete=True, max_delete=12)


async def mistakes() -> None:
    """What mypy must refuse; an ignore that is not needed is an error."""
    await asyncsync.sync(destination="downloads")  # type: ignore[call-arg]  # no such argument
    await asyncsync.sync(validate="md5")  # type: ignore[arg-type]  # no such way
    await asyncsync.verify(plan="plan.json")  # type: ignore[call-arg]  # only downloads take one
    await asyncsync.plan(report="new.csv")  # type: ignore[call-arg]  # and have new files
    await asyncsync.plan(workers="many")  # type: ignore[arg-type]  # a number, or auto
