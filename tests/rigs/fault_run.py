"""A sync through the fault proxy, in this process, with pauses that take no time.

run = await synced(bucket, dest, Rule("GET", "a.parquet", Act(stop=9, ending="fin"), nth={1}))
assert run.exit_code == 0
assert run.tree == {"a.parquet": DATA}
assert run.proxy.spans("a.parquet") == ["", "bytes=9-99"]
"""

import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from asyncsync import api, pipeline
from asyncsync.errors import AsyncSyncError, RetriesExhaustedError
from asyncsync.http import HttpClient
from asyncsync.interfaces import Observers
from asyncsync.model import Settings
from asyncsync.pace import Pace
from asyncsync.report import Report
from asyncsync.s3 import store as s3
from asyncsync.settings import Options
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import FaultProxy, Rule
from tests.rigs.watch import Clock, Watcher, tree, unfinished

SECONDS = 20
"""Seconds after which a run is considered hung."""


@dataclass(frozen=True, slots=True)
class Run:
    """A sync and its results."""

    dest: Path
    proxy: FaultProxy
    report: Report = field(default_factory=Report)
    watcher: Watcher = field(default_factory=Watcher)
    clock: Clock = field(default_factory=Clock)
    errors: list[AsyncSyncError] = field(default_factory=list)

    @property
    def error(self) -> AsyncSyncError | None:
        """The error that ended the run."""
        return self.errors[0] if self.errors else None

    @property
    def exit_code(self) -> int:
        """The exit code of the command line."""
        return self.error.exit_code if self.error else self.report.exit_code

    @property
    def ended_by(self) -> tuple[type[AsyncSyncError] | None, int]:
        """The class of the error that ended the run, and the exit code."""
        return type(self.error) if self.error else None, self.exit_code

    @property
    def message(self) -> str:
        """The message of the only error."""
        (error,) = self.errors or [failed.error for failed in self.report.failures]
        return str(error)

    @property
    def failures(self) -> dict[str, type[Exception]]:
        """The classes of the errors by key."""
        return self.watcher.failures

    @property
    def waited(self) -> float:
        """Seconds that the pauses would have taken, one after the other."""
        return self.clock.now

    @property
    def tree(self) -> dict[str, bytes]:
        """The published files by key."""
        return tree(self.dest)


@contextmanager
def emptied(bucket: Bucket) -> Iterator[None]:
    """Delete all objects afterwards."""
    try:
        yield
    finally:
        for key in bucket.keys():  # noqa: SIM118 - a bucket is no dict
            bucket.delete(key)


async def synced(
    bucket: Bucket,
    dest: Path,
    *rules: Rule,
    attempts: int = 8,
    parquet_check: bool = False,
    limit_rate: int | None = None,
    seed: int = 0,
    tls: ssl.SSLContext | None = None,
    settings: Mapping[str, Any] | None = None,
    transport: Mapping[str, Any] | None = None,
    prefixes: Sequence[str] = (),
    paused: Callable[[Run], Awaitable[object]] | None = None,
) -> Run:
    """Sync the bucket through a proxy with these rules.

    Asserts what is true of every run: it ends, it leaves no unfinished file unless a later run can
    continue it, and it counts every failure.

    Args:
        bucket: on the real server.
        dest: the local folder.
        rules: of the proxy.
        attempts: of one request.
        parquet_check: whether `*.parquet` must be Parquet; the data of most tests is not.
        limit_rate: bytes of objects per second.
        seed: of the proxy.
        tls: the TLS context of the proxy.
        settings: fields of `Settings` to change.
        transport: arguments of `HttpClient`, such as shorter timeouts.
        prefixes: to sync; by default everything.
        paused: called after every pause of the run.
    """
    server = bucket.server
    async with FaultProxy(server.endpoint_url, rules, seed=seed, tls=tls) as proxy:
        run = Run(dest, proxy)

        async def sleep(seconds: float) -> None:
            await run.clock.sleep(seconds)
            if paused is not None:
                await paused(run)

        found = Settings(
            server.access_key_id, server.secret_access_key, proxy.endpoint, server.bucket
        )
        with pytest.MonkeyPatch.context() as patch, anyio.fail_after(SECONDS):
            patch.setattr(api, "Pace", partial(Pace, sleep=sleep, clock=run.clock))
            # Each run has a proxy of its own, and all of them lead to one bucket.
            patch.setattr(api, "bucket_identity", lambda endpoint, bucket: bucket)
            patch.setattr(
                s3,
                "HttpClient",
                lambda endpoint, **given: HttpClient(endpoint, **given | (transport or {})),
            )
            try:
                await api.perform(
                    pipeline.sync,
                    replace(found, **(settings or {})),
                    Options(
                        dest=dest,
                        workers=8,
                        attempts=attempts,
                        parquet_check=parquet_check,
                        limit_rate=limit_rate,
                    ),
                    prefixes,
                    Observers(run.report, run.watcher),
                )
            except AsyncSyncError as error:
                run.errors.append(error)
    can_continue = run.error or RetriesExhaustedError in run.failures.values()
    assert can_continue or unfinished(dest) == []
    assert len(run.failures) == run.report.failed + run.report.skipped
    return run
