"""The Python API: what to sync in, a report out. The command line is built on it.

report = await asyncsync.sync(dest="downloads")          # in async code and in a notebook
report = asyncsync.run(dest="downloads")                 # in a script; in a notebook as well
plan = await asyncsync.plan(prefixes=["1hz/"])
report = await asyncsync.sync(plan=plan)                 # just that
async for outcome in asyncsync.stream(dest="downloads"):
    ...                                                  # each file as it arrives
"""

import asyncio
import importlib.util
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from anyio.from_thread import start_blocking_portal

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.descriptors import affordable_requests
from asyncsync.disk import Folder
from asyncsync.errors import ConfigError
from asyncsync.interfaces import Observer, Observers, SilentObserver
from asyncsync.keys import shown
from asyncsync.listing import Scope, Since
from asyncsync.model import Compared, Outcome, Route, Settings
from asyncsync.pace import STREAMS_AT_ONCE, Limit, LimitedStore, Pace
from asyncsync.report import Plan, Report, Verification, read_plan
from asyncsync.settings import Options, load

Command = Callable[[pipeline.Job], Awaitable[None]]

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None


class Given(TypedDict, total=False):
    """The keyword arguments of every function here; each falls back to the environment.

    An argument beats the environment (`R2_...`, `ASYNCSYNC_...`), which beats the env file. None
    is as good as no argument.

    Attributes:
        prefixes: Key prefixes to sync, or one as a str; without one, the whole bucket.
        dest: The local folder; `downloads` by default.
        include: Globs over whole keys, one of which must match; `["*.parquet"]` by default.
        exclude: Globs of keys that do not count.
        workers: Requests for objects in flight; `auto`, the default, finds the number.
        max_workers: The most that may be found.
        validate: What must agree with the listing: `content` (the default) or `head` or `response`.
        parquet_check: Whether `*.parquet` must be Parquet; true by default.
        deep: Whether `verify` reads the files and proves their content; it does not by default.
        attempts: Tries of a request before its object fails.
        space_check: Whether the run ends at once when what it finds does not fit on the disk; true
            by default.
        durable: Whether a file counts only when it would survive a power cut; it need not by
            default.
        limit_rate: Bytes of objects a second at most, or a str such as `20M`; `off` by default.
        since: `auto` lists from the last keys on, `off` all; the README says what that misses.
        strict: Whether an env file that others can read is an error; only a warning by default.
        env_file: The file with the settings; `./.env` by default.
        observer: Whoever looks on; nobody by default. `asyncsync.Bars()` draws bars. One that is a
            context manager is opened for the run, and closed with it.
    """

    prefixes: Sequence[str] | None
    dest: Path | str | None
    include: Sequence[str] | None
    exclude: Sequence[str] | None
    workers: int | Literal["auto"] | None
    max_workers: int | None
    validate: Literal["content", "head", "response"] | None
    parquet_check: bool | None
    deep: bool | None
    attempts: int | None
    space_check: bool | None
    durable: bool | None
    limit_rate: float | str | None
    since: Literal["auto", "off"] | None
    strict: bool | None
    env_file: Path | str | None
    observer: Observer | None


class GivenToSync(Given, total=False):
    """The keyword arguments of what downloads: those of `Given`, and a plan.

    Attributes:
        plan: What `plan` returned, or a file that `asyncsync plan --json` wrote: nothing is listed,
            and just the planned objects are fetched, in the planned versions. Prefixes and globs
            don't go with it. A `Plan` leads to its own destination unless another is given; a file
            has to be for the one that is set.
    """

    plan: "Plan | Path | str | None"


async def sync(**given: Unpack[GivenToSync]) -> Report:
    """Bring the local folder in step with the bucket.

    What went wrong with single objects is in the report: see its `exit_code` and `failures`.

    Args:
        **given: `prefixes`, `dest`, `include`, `exclude`, `workers`, `max_workers`, `validate`,
            `parquet_check`, `deep`, `attempts`, `space_check`, `durable`, `limit_rate`, `since`,
            `strict`, `env_file`, `observer`, and `plan`,
            which is what `plan()` returned or a file of it. None has to be given:
            `help(asyncsync.api.Given)` says what each means and stands for.

    Raises:
        ConfigError: settings are missing or malformed; nothing was done.
        SourceError: the remote side ended the run.
        DestinationError: the local side did.
    """
    report = Report()
    planned = given.pop("plan", None)
    await _perform(pipeline.sync, report, given, planned)
    return report


async def plan(**given: Unpack[Given]) -> Plan:
    """Return what `sync` would do. Nothing is downloaded, nothing is written.

    Args:
        **given: As for `sync`, less `plan`.

    Raises:
        ConfigError, SourceError: as for `sync`.
    """
    found = Plan()
    found.route, options = await _perform(pipeline.plan, found, given)
    found.free_bytes = Folder(options.dest).free_bytes()
    return found


async def verify(**given: Unpack[Given]) -> Report:
    """Check the files against the listing and what HEAD says of their objects. Nothing is written.

    With `validate="response"` HEAD is not asked; with `deep=True` the files are read, and their
    content is proven. `Report.verified` counts the files that are in step; all others are failures.
    `Report.extra_files` counts those that are not in the bucket, which is no failure.

    Args:
        **given: As for `sync`, less `plan`.

    Raises:
        ConfigError, SourceError: as for `sync`.
    """
    report = Verification()
    await _perform(pipeline.verify, report, given)
    return report


def run(**given: Unpack[GivenToSync]) -> Report:
    """Do `sync` and wait for it, in a script or in a notebook's cell.

    Args:
        **given: As for `sync`.

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


async def stream(**given: Unpack[GivenToSync]) -> AsyncGenerator[Outcome, None]:
    """Yield what becomes of each object while `sync` goes on, so that work on the files can begin.

    Files that were in step already come as `UpToDate`, new ones as `Downloaded` once they have
    their final name. Outcomes wait in memory for a slow reader; the sync stops when it leaves.

    Args:
        **given: As for `sync`.

    Raises:
        ConfigError, SourceError, DestinationError: as for `sync`.
    """
    outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()
    given["observer"] = Observers(_Passing(outcomes), _observer(given))

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


async def _perform(
    command: Command, report: Report, given: Given, planned: Plan | Path | str | None = None
) -> tuple[Route, Options]:
    """Do what the keyword arguments say; the report is kept up to the end, whatever that is."""
    if unknown := given.keys() - Given.__annotations__.keys():
        raise TypeError(f"no such argument: {', '.join(sorted(unknown))}")
    if isinstance(planned, Plan) and given.get("dest") is None:
        given["dest"] = planned.route.dest
    prefixes = given.get("prefixes") or ()
    prefixes = [prefixes] if isinstance(prefixes, str) else list(prefixes)
    file = given.get("env_file")
    env_file = None if file is None else Path(file)
    found, options = load(env_file, given=given)
    way = route(found, options)
    pages = None if planned is None else planned_pages(planned, way, given)
    started = time.monotonic()
    try:
        with Observers(report, _observer(given)) as observer:
            await perform(command, found, options, prefixes, observer, pages)
    finally:
        report.seconds = time.monotonic() - started
    return way, options


def _observer(given: Given) -> Observer:
    observer = given.get("observer")
    return SilentObserver() if observer is None else observer


def route(found: Settings, options: Options) -> Route:
    """Return from where to where a run with these settings goes."""
    return Route(found.endpoint_url, found.bucket, str(Folder(options.dest).path))


def planned_pages(
    plan: Plan | Path | str, own: Route, given: Mapping[str, object]
) -> pipeline.Pages:
    """Return the objects of a plan, once it is sure that they are what is wanted.

    Args:
        plan: one that was made in this process, or the file of one.
        own: from where to where the run goes.
        given: what was said in so many words, and not by the environment. A destination that was
            is right for every plan.

    Raises:
        ConfigError: the plan is damaged, or for another route, or something else was given that
            would choose the objects.
    """
    for name in ("prefixes", "include", "exclude"):
        if given.get(name):
            raise ConfigError(
                f"{name}: a plan says itself what to fetch; give the one or the other"
            )
    found = plan if isinstance(plan, Plan) else read_plan(Path(plan))
    wanted = own if given.get("dest") is None else replace(own, dest=found.route.dest)
    for part in fields(Route):
        made_for, here = getattr(found.route, part.name), getattr(wanted, part.name)
        if made_for != here:
            hint = "; name the destination that you want" if part.name == "dest" else ""
            raise ConfigError(
                f"the plan was made for {part.name} {shown(made_for)}, not {shown(here)}{hint}"
            )
    return found.pages()


async def perform(
    command: Command,
    found: Settings,
    options: Options,
    prefixes: Sequence[str],
    observer: Observer,
    planned: pipeline.Pages | None = None,
) -> None:
    """Wire the real store and the real disk to a command of the pipeline, and do it.

    With `planned` pages, a sync fetches these and lists nothing.

    Raises:
        SourceError, DestinationError: what ended the run.
    """
    from asyncsync.s3 import open_store  # not for --help

    if "" in prefixes:  # stands for the whole bucket, which has prefixes of its own
        prefixes = ()
    limit = Limit(options.limit_rate) if options.limit_rate else None
    folder = Folder(options.dest, durable=options.durable, notice=observer.noticed)
    since = None
    if options.since and planned is None and command is not pipeline.verify:
        scope = Scope(
            found.endpoint_url,
            found.bucket,
            sorted(set(prefixes)),
            options.include,
            options.exclude,
        )
        since = Since(folder, scope, observer.noticed)
        observer = Observers(observer, since)
    async with open_store(found, observer.noticed) as store:
        await command(
            pipeline.Job(
                store=LimitedStore(store, limit) if limit else store,
                folder=folder,
                selection=Selection(options.include, options.exclude, prefixes),
                pace=Pace(
                    options.workers and affordable_requests(options.workers),
                    affordable_requests(options.max_workers),
                    options.attempts,
                    notice=observer.noticed,
                    streams=limit.streams if limit else STREAMS_AT_ONCE,
                ),
                observer=observer,
                checks=options.checks,
                deep=options.deep,
                checks_space=options.space_check,
                planned=planned,
                since=since,
            )
        )
