"""The Python API: what to sync in, a report out. The command line is built on it.

report = await asyncsync.sync(dest="downloads")          # in async code and in a notebook
report = asyncsync.run(dest="downloads")                 # in a script; in a notebook as well
plan = await asyncsync.plan(prefixes=["1hz/"])
async for outcome in asyncsync.stream(dest="downloads"):
    ...                                                  # each file as it arrives
"""

import asyncio
import importlib.util
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from anyio.from_thread import start_blocking_portal

from asyncsync import pipeline, settings
from asyncsync.compare import Selection
from asyncsync.disk import Folder
from asyncsync.interfaces import Observer, Observers, SilentObserver
from asyncsync.model import Compared, Outcome, Route, Transfer
from asyncsync.pace import Pace
from asyncsync.report import Report
from asyncsync.settings import Options, Settings

Command = Callable[[pipeline.Job], Awaitable[None]]

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None


class Given(TypedDict, total=False):
    """The keyword arguments of every function here; each falls back to the environment.

    An argument beats the environment (`R2_...`, `ASYNCSYNC_...`), which beats the env file.
    """

    prefixes: Sequence[str]
    """Key prefixes to sync, or one as a str; without one, the whole bucket."""
    dest: Path | str
    """The local folder; `downloads` by default."""
    include: Sequence[str]
    """Globs over whole keys; `["*.parquet"]` by default."""
    exclude: Sequence[str]
    workers: int
    """Requests for objects in flight; found while running by default."""
    max_workers: int
    validate: Literal["content", "head", "response"]
    parquet_check: bool
    """Whether `*.parquet` must be Parquet; true by default."""
    attempts: int
    space_check: bool
    """Whether the run ends at once when what it finds does not fit on the disk; it does."""
    strict: bool
    """Whether an env file that others can read is an error; only a warning by default."""
    env_file: Path | str
    """The file with the settings; `./.env` by default."""
    observer: Observer
    """Whoever looks on; nobody by default. `asyncsync.Bars()` draws bars.

    One that is a context manager is opened for the run, and closed with it.
    """


@dataclass
class Plan(Report):
    """What a sync would do. Holds every transfer, so it grows with what is missing."""

    transfers: list[Transfer] = field(default_factory=list)
    free_bytes: int = 0
    """What the destination's disk has left."""

    @property
    def fits(self) -> bool:
        """Whether there is space for all that would be downloaded."""
        return self.growth <= self.free_bytes

    def compared(self, page: Compared) -> None:
        """Take in a page of the listing."""
        super().compared(page)
        self.transfers += page.transfers


async def sync(**given: Unpack[Given]) -> Report:
    """Bring the local folder in step with the bucket.

    What went wrong with single objects is in the report: see its `exit_code` and `failures`.

    Raises:
        ConfigError: settings are missing or malformed; nothing was done.
        SourceError: the remote side ended the run.
        DestinationError: the local side did.
    """
    report = Report()
    await _perform(pipeline.sync, report, given)
    return report


async def plan(**given: Unpack[Given]) -> Plan:
    """Return what `sync` would do. Nothing is downloaded, nothing is written.

    Raises:
        ConfigError, SourceError: as for `sync`.
    """
    found = Plan()
    options = await _perform(pipeline.plan, found, given)
    found.free_bytes = Folder(options.dest).free_bytes()
    return found


async def verify(**given: Unpack[Given]) -> Report:
    """Check the files against what HEAD says of their objects. Nothing is written.

    `Report.verified` counts the files that are in step; all others are failures.

    Raises:
        ConfigError, SourceError: as for `sync`.
    """
    report = Report()
    await _perform(pipeline.verify, report, given)
    return report


def run(**given: Unpack[Given]) -> Report:
    """Do `sync` and wait for it, in a script or in a notebook's cell.

    Raises:
        ConfigError, SourceError, DestinationError: as for `sync`.
    """
    with start_blocking_portal(backend_options={"use_uvloop": HAS_UVLOOP}) as portal:
        future = portal.start_task_soon(partial(sync, **given))
        try:
            # An interrupt that comes just as the wait begins is seen only when it ends.
            while not wait([future], timeout=0.5).done:
                pass
            return future.result()
        except BaseException:
            future.cancel()  # an interrupt reaches this thread, but the work is done in another
            raise


async def stream(**given: Unpack[Given]) -> AsyncGenerator[Outcome, None]:
    """Yield what becomes of each object while `sync` goes on, so that work on the files can begin.

    Files that were in step already come as `UpToDate`, new ones as `Downloaded` once they have
    their final name. Outcomes wait in memory for a slow reader; the sync stops when it leaves.

    Raises:
        ConfigError, SourceError, DestinationError: as for `sync`.
    """
    outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()
    given["observer"] = Observers(_Passing(outcomes), given.get("observer", SilentObserver()))

    async def produce() -> None:
        try:
            await sync(**given)
        finally:
            outcomes.put_nowait(None)

    task = asyncio.create_task(produce())  # not in a group: a generator may be closed anywhere
    try:
        while (outcome := await outcomes.get()) is not None:
            yield outcome
        await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _Passing(SilentObserver):
    """Passes every outcome on."""

    def __init__(self, outcomes: "asyncio.Queue[Outcome | None]") -> None:
        self._outcomes = outcomes

    def compared(self, page: Compared) -> None:
        """Pass on what needs no transfer."""
        for known in page.up_to_date:
            self._outcomes.put_nowait(known)
        for refused in page.refused:
            self._outcomes.put_nowait(refused)

    def ended(self, outcome: Outcome) -> None:
        """Pass on what became of a transfer."""
        self._outcomes.put_nowait(outcome)


async def _perform(command: Command, report: Report, given: Given) -> Options:
    """Do what the keyword arguments say; the report is kept up to the end, whatever that is."""
    if unknown := given.keys() - Given.__annotations__.keys():
        raise TypeError(f"no such argument: {', '.join(sorted(unknown))}")
    prefixes = given.get("prefixes", ())
    if isinstance(prefixes, str):
        prefixes = [prefixes]
    env_file = Path(given["env_file"]) if "env_file" in given else None
    found, options = settings.load(env_file, given=given)
    started = time.monotonic()
    try:
        with Observers(report, given.get("observer", SilentObserver())) as observer:
            await perform(command, found, options, prefixes, observer)
    finally:
        report.seconds = time.monotonic() - started
    return options


def route(found: Settings, options: Options) -> Route:
    """Return from where to where a run with these settings goes."""
    return Route(found.endpoint_url, found.bucket, str(Folder(options.dest).path))


async def perform(
    command: Command,
    found: Settings,
    options: Options,
    prefixes: Sequence[str],
    observer: Observer,
) -> None:
    """Wire the real store and the real disk to a command of the pipeline, and do it.

    Raises:
        SourceError, DestinationError: what ended the run.
    """
    from asyncsync.s3 import open_store  # imports aioboto3: a quarter of a second, not for --help

    async with open_store(found) as store:
        await command(
            pipeline.Job(
                store=store,
                folder=Folder(options.dest),
                prefixes=prefixes,
                selection=Selection(options.include, options.exclude),
                pace=Pace(
                    options.workers,
                    options.max_workers,
                    options.attempts,
                    notice=observer.noticed,
                ),
                observer=observer,
                checks=options.checks,
                checks_space=options.space_check,
            )
        )
