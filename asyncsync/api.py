"""The Python API: settings in, a report out. The command line is built on it.

report = await asyncsync.sync(dest="downloads")          # in async code and in notebooks
report = asyncsync.run(dest="downloads")                 # in scripts and in notebooks
plan = await asyncsync.plan(prefixes=["1hz/"])
report = await asyncsync.sync(plan=plan)                 # downloads exactly what was planned
async for outcome in asyncsync.stream(dest="downloads"):
    ...                                                  # each file as it arrives
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.descriptors import affordable_requests
from asyncsync.disk import Folder
from asyncsync.errors import ConfigError
from asyncsync.interfaces import Observer, ObserverError, Observers, SilentObserver
from asyncsync.keys import escaped
from asyncsync.listing import Scope, Since
from asyncsync.model import Compared, Outcome, Route, Settings
from asyncsync.pace import STREAMS_AT_ONCE, Limit, LimitedStore, Pace
from asyncsync.report import Plan, Report, Verification, read_plan
from asyncsync.settings import Options, load
from asyncsync.threads import in_thread

Command = Callable[[pipeline.Job], Awaitable[None]]


class Given(TypedDict, total=False):
    """The keyword arguments of all functions. Each is optional.

    An argument takes precedence over the environment (`R2_...`, `ASYNCSYNC_...`), and that over the
    env file. None means the same as no argument.

    Attributes:
        prefixes: Key prefixes to sync, as a sequence of str or one str; the whole bucket by
            default.
        dest: The local folder; `downloads` by default. Created if it is missing.
        include: Globs; a key must match one of them as a whole. `["*.parquet"]` by default.
        exclude: Globs; a key that matches one of them is left out. None by default.
        workers: How many requests for objects are in flight; `"auto"`, the default, adapts the
            number to the network.
        max_workers: The highest number that `"auto"` may choose; 256 by default.
        validate: What must agree before a file gets its final name. `"response"`: the headers of
            GET, with the listing. `"head"`: those of a HEAD request as well. `"content"`, the
            default: also the checksum of the bytes, if the answer to HEAD tells one, or their MD5,
            if the ETag has one.
        parquet_check: Whether files named `*.parquet` must begin and end like Parquet files; True
            by default.
        deep: Whether `verify` also reads the files to check their content; False by default.
        attempts: How often a request is tried before its object fails; 8 by default.
        read_timeout: Seconds without a byte after which a request is sent again; 30 by default.
            After each answer that did not begin in time, the next has twice as long, up to 120.
        space_check: Whether the run ends as soon as it finds more than fits on the disk; True by
            default.
        durable: Whether files are written to disk with fsync, to survive a power cut, before they
            count as downloaded; False by default.
        limit_rate: The highest download rate in bytes per second, as a number or a str such as
            `"20M"` (units are powers of 1024); `"off"` by default.
        since: `"auto"` lists only keys that sort after those of the last run, and all keys once a
            day; `"off"`, the default, always lists all. The README says what `"auto"` misses.
        strict: Whether an env file that other users can read is an error; False, the default, only
            warns.
        sign_request: Whether requests are signed; True by default. Public buckets also answer
            requests that are not, for which no credentials are needed.
        request_payer: Whether requests say that their sender pays for them, as buckets demand whose
            owner does not; False by default.
        addressing: Where a request names the bucket: `"path"` behind the host, `"virtual"` in front
            of it, or `"auto"`, the default: in front of AWS's hosts, and behind all others.
        allow_http: Whether the endpoint may be `http://` on another machine, where others can read
            what is sent; False by default.
        env_file: The file with settings; `./.env` by default, if it exists. One that another user
            could have written, or put there, is an error.
        bucket: The bucket's name; that of `R2_BUCKET` by default. Where no `R2_...` is set, the
            other settings are AWS's: `AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `~/.aws` and so on.
        endpoint_url: The S3 endpoint; that of `R2_ENDPOINT_URL` by default, or of AWS's settings.
        region: The region; that of `R2_REGION` by default, or of AWS's settings.
        profile: A profile of `~/.aws`, where no `R2_...` is set; by default that of `AWS_PROFILE`.
        observer: Is notified of what happens; none by default. `asyncsync.Bars()` draws progress
            bars. An observer that is a context manager is open during the run.
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
    read_timeout: int | None
    space_check: bool | None
    durable: bool | None
    limit_rate: float | str | None
    since: Literal["auto", "off"] | None
    strict: bool | None
    sign_request: bool | None
    request_payer: bool | Literal["requester"] | None
    addressing: Literal["auto", "path", "virtual"] | None
    allow_http: bool | None
    env_file: Path | str | None
    bucket: str | None
    endpoint_url: str | None
    region: str | None
    profile: str | None
    observer: Observer | None


class GivenToSync(Given, total=False):
    """The keyword arguments of the functions that download: those of `Given`, and a plan.

    Attributes:
        plan: The result of `plan`, or the path of a file that `asyncsync plan --json` wrote. Only
            the planned objects are fetched, in the planned versions, and nothing is listed. Cannot
            be combined with `prefixes`, `include` or `exclude`. A `Plan` syncs to its own
            destination unless `dest` is given. A file must have been made for the destination that
            is set, unless `dest` is given.
    """

    plan: "Plan | Path | str | None"


async def sync(**given: Unpack[GivenToSync]) -> Report:
    """Download the objects that are missing or out of date, and validate them.

    Errors of single objects are not raised. They are in the report: see its `exit_code` and
    `failures`.

    Args:
        **given: `prefixes`, `dest`, `include`, `exclude`, `workers`, `max_workers`, `validate`,
            `parquet_check`, `deep`, `attempts`, `read_timeout`, `space_check`, `durable`,
            `limit_rate`, `since`, `strict`, `sign_request`, `request_payer`, `addressing`,
            `allow_http`, `env_file`, `bucket`, `endpoint_url`, `region`, `profile`, `observer`,
            and `plan`. All are optional. `help(asyncsync.api.Given)` describes them,
            `help(asyncsync.api.GivenToSync)` describes `plan`.

    Returns:
        Counts of files and bytes, and the failures.

    Raises:
        ConfigError: settings are missing or invalid; no request was sent.
        SourceError: the remote side ended the run: credentials, bucket, listing or network.
        DestinationError: the local side ended the run, such as a full disk.
    """
    report = Report()
    planned = given.pop("plan", None)
    await _perform(pipeline.sync, report, given, planned)
    return report


async def plan(**given: Unpack[Given]) -> Plan:
    """Return what `sync` would download. Downloads nothing and writes nothing.

    Args:
        **given: As for `sync`, without `plan`.

    Raises:
        ConfigError, SourceError: as for `sync`.
    """
    found = Plan()
    found.route, options = await _perform(pipeline.plan, found, given)
    found.free_bytes = Folder(options.dest).free_bytes()
    return found


async def verify(**given: Unpack[Given]) -> Report:
    """Compare the files with the listing and with HEAD requests. Writes nothing.

    With `validate="response"` no HEAD requests are sent. With `deep=True` the files are read, to
    check their content as a download does. `Report.verified` counts the files that are up to date.
    All other objects are failures. `Report.extra_files` counts the files that are not in the
    bucket, which are not failures.

    Args:
        **given: As for `sync`, without `plan`.

    Raises:
        ConfigError, SourceError: as for `sync`.
    """
    report = Verification()
    await _perform(pipeline.verify, report, given)
    return report


def run(**given: Unpack[GivenToSync]) -> Report:
    """Run `sync` and wait for it. For scripts; works in a notebook's cell as well.

    Args:
        **given: As for `sync`.

    Raises:
        ConfigError, SourceError, DestinationError: as for `sync`.
    """
    from anyio.from_thread import start_blocking_portal  # the command line does without it

    with start_blocking_portal() as portal:
        future = portal.start_task_soon(partial(sync, **given))
        try:
            # An interrupt that arrives just before the wait is not handled before the wait ends.
            while not wait([future], timeout=0.5).done:
                pass
            return future.result()
        except BaseException:
            future.cancel()  # an interrupt reaches this thread, but another one does the work
            raise


async def stream(**given: Unpack[GivenToSync]) -> AsyncGenerator[Outcome, None]:
    """Run `sync` and yield the outcome of each object while it goes on.

    Yields `UpToDate` for files that were up to date already, `Downloaded` for new files, which have
    their final name by then, and `Failed`. The outcomes are buffered in memory, without limit, if
    the caller is slow. Closing the generator stops the sync.

    Args:
        **given: As for `sync`.

    Raises:
        ConfigError, SourceError, DestinationError: as for `sync`.
    """
    outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()
    given["observer"] = Observers(_OutcomeQueue(outcomes), _observer(given))

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


class _OutcomeQueue(SilentObserver):
    """Puts every outcome into a queue."""

    def __init__(self, outcomes: "asyncio.Queue[Outcome | None]") -> None:
        self._outcomes = outcomes

    def compared(self, page: Compared) -> None:
        """Put the objects that need no transfer into the queue."""
        for known in page.up_to_date:
            self._outcomes.put_nowait(known)
        for refused in page.refused:
            self._outcomes.put_nowait(refused)

    def ended(self, outcome: Outcome) -> None:
        """Put the outcome of a transfer into the queue."""
        self._outcomes.put_nowait(outcome)


async def _perform(
    command: Command, report: Report, given: Given, planned: Plan | Path | str | None = None
) -> tuple[Route, Options]:
    """Run a command with the keyword arguments. `report` is filled even if the run fails."""
    if unknown := given.keys() - Given.__annotations__.keys():
        raise TypeError(f"no such argument: {', '.join(sorted(unknown))}")
    if isinstance(planned, Plan) and given.get("dest") is None:
        given["dest"] = planned.route.dest
    prefixes = given.get("prefixes") or ()
    prefixes = [prefixes] if isinstance(prefixes, str) else list(prefixes)
    file = given.get("env_file")
    env_file = None if file is None else Path(file)
    found, options = await in_thread(partial(load, env_file, given=given))
    own_route = route(found, options)
    pages = None if planned is None else planned_pages(planned, own_route, given)
    started = time.monotonic()
    try:
        with Observers(report, _observer(given)) as observer:
            await perform(command, found, options, prefixes, observer, pages)
    finally:
        report.seconds = time.monotonic() - started
    return own_route, options


def _observer(given: Given) -> Observer:
    observer = given.get("observer")
    return SilentObserver() if observer is None else observer


def route(found: Settings, options: Options) -> Route:
    """Return where a run with these settings reads from and writes to."""
    return Route(found.endpoint_url, found.bucket, str(Folder(options.dest).path))


def planned_pages(
    plan: Plan | Path | str, own: Route, given: Mapping[str, object]
) -> pipeline.Pages:
    """Return the objects of a plan in pages, after checking that the plan fits the run.

    Args:
        plan: a plan made in this process, or the path of a plan's file.
        own: the route of the run.
        given: the explicit arguments, without those from the environment. If they include `dest`,
            the plan's own destination does not matter.

    Raises:
        ConfigError: the plan is damaged or was made for another route, or prefixes or globs are
            given as well.
    """
    for name in ("prefixes", "include", "exclude"):
        if given.get(name):
            raise ConfigError(f"{name}: a plan already says what to fetch; give one or the other")
    found = plan if isinstance(plan, Plan) else read_plan(Path(plan))
    wanted = own if given.get("dest") is None else replace(own, dest=found.route.dest)
    for part in fields(Route):
        made_for, here = getattr(found.route, part.name), getattr(wanted, part.name)
        if made_for != here:
            hint = "; set --dest to sync elsewhere" if part.name == "dest" else ""
            raise ConfigError(
                f"the plan was made for {part.name} {escaped(made_for)}, not {escaped(here)}{hint}"
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
    """Run a command of the pipeline with the real bucket and the real disk.

    With `planned` pages, a sync fetches these objects and lists nothing.

    Raises:
        SourceError, DestinationError: as for `sync`.
        Exception: what an observer raised.
    """
    from asyncsync.s3 import open_store  # slow to import, and --help does not need it

    if "" in prefixes:  # the whole bucket, as none: `since` then follows each top-level prefix
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
    try:
        async with open_store(found, observer.noticed, options.read_timeout) as store:
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
    except ObserverError as failed:
        raise failed.error from failed.error.__cause__
