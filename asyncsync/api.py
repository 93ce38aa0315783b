"""The Python API: settings in, a report out. The command line is built on it.

report = await asyncsync.sync(dest="downloads")          # in async code and in notebooks
report = asyncsync.run(dest="downloads")                 # in scripts and in notebooks
plan = await asyncsync.plan(prefixes=["1hz/"])
report = await asyncsync.sync(plan=plan)                 # downloads exactly what was planned
report = await asyncsync.sync("s3://bucket/1hz/", "1hz") # as other tools write it
async for outcome in asyncsync.stream(dest="downloads"):
    ...                                                  # each file as it arrives
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Unpack

from asyncsync import pipeline
from asyncsync.compare import NamedSelection, OtherDisks, Selection
from asyncsync.console import is_in_notebook
from asyncsync.descriptors import affordable_requests
from asyncsync.disk import Backup, Folder, free_bytes
from asyncsync.errors import ConfigError
from asyncsync.given import Given as Given
from asyncsync.given import GivenToSync as GivenToSync
from asyncsync.given import by_keyword, check_names, describe
from asyncsync.interfaces import Observer, ObserverError, Observers, SilentObserver
from asyncsync.listing import Incremental, Scope
from asyncsync.mirror import Mirror
from asyncsync.model import Compared, Outcome, Route, Settings
from asyncsync.movers import Engine, Hire
from asyncsync.notices import Once
from asyncsync.pace import STREAMS_AT_ONCE, Deadline, Limit, LimitedStore, Pace
from asyncsync.progress import Notices
from asyncsync.report import Plan, PlanFile, Report, Verification, checked_plan, reporting
from asyncsync.settings import (
    Named,
    Options,
    bucket_identity,
    check_backup_dir,
    load,
    named_keys,
    named_source,
    split_source,
    stripped_prefix,
)
from asyncsync.threads import in_thread

Command = Callable[[pipeline.Job], Awaitable[None]]


async def sync(
    source: str | None = None, dest: Path | str | None = None, /, **given: Unpack[GivenToSync]
) -> Report:
    """Download the objects that are missing or out of date, and validate them.

    Errors of single objects are not raised. They are in the report: see its `exit_code` and
    `failures`.

    Args:
        source: `"s3://bucket/prefix/"`, or a prefix; the same as `prefixes`.
        dest: The local folder; `downloads` by default. Created if it is missing.
        **given: Keyword arguments: those of `Given`, `plan` and `report`. All are optional.

    Returns:
        Counts of files and bytes, the files that are new, and the failures.

    Raises:
        ConfigError: settings are missing or invalid; no request was sent.
        SourceError: the remote side ended the run: credentials, bucket, listing or network.
        DestinationError: the local side ended the run, such as a full disk.
    """
    report = Report()
    planned, path = given.pop("plan", None), given.pop("report", None)
    await perform_given(pipeline.sync, report, by_keyword(given, source, dest), planned, path)
    return report


async def plan(
    source: str | None = None, dest: Path | str | None = None, /, **given: Unpack[Given]
) -> Plan:
    """Return what `sync` would download. Downloads nothing and writes nothing.

    Args:
        source: `"s3://bucket/prefix/"`, or a prefix; the same as `prefixes`.
        dest: The local folder; `downloads` by default.
        **given: Keyword arguments: those of `Given`. All are optional.

    Raises:
        ConfigError, SourceError: as for `sync`.
    """
    found, others = Plan(), OtherDisks()
    given["observer"] = Observers(others, _observer(given))
    found.route, options = await perform_given(
        pipeline.plan, found, by_keyword(given, source, dest)
    )
    found.checks_space = options.space_check
    found.free_bytes = free_bytes(options.dest)
    if not found.fits:
        found.note_other_disks(others.folders(options.dest))
    return found


async def verify(
    source: str | None = None, dest: Path | str | None = None, /, **given: Unpack[Given]
) -> Report:
    """Compare the files with the listing and with HEAD requests.

    Writes nothing, unless `repair=True`: then what is not in order is downloaded again, and
    `Report.downloaded` counts that.

    With `validate="response"` no HEAD requests are sent. With `deep=True` the files are read, to
    check their content as a download does. `Report.verified` counts the files that are up to date.
    All other objects are failures. `Report.extra_files` counts the files that are not in the
    bucket, which are not failures.

    Args:
        source: `"s3://bucket/prefix/"`, or a prefix; the same as `prefixes`.
        dest: The local folder; `downloads` by default.
        **given: Keyword arguments: those of `Given`. All are optional.

    Raises:
        ConfigError, SourceError: as for `sync`.
    """
    report = Verification()
    _, options = await perform_given(pipeline.verify, report, by_keyword(given, source, dest))
    report.deep = options.deep
    return report


def run(
    source: str | None = None, dest: Path | str | None = None, /, **given: Unpack[GivenToSync]
) -> Report:
    """Run `sync` and wait for it. For scripts; works in a notebook's cell as well.

    Args:
        source: `"s3://bucket/prefix/"`, or a prefix; the same as `prefixes`.
        dest: The local folder; `downloads` by default. Created if it is missing.
        **given: Keyword arguments: those of `sync`. All are optional.

    Raises:
        ConfigError, SourceError, DestinationError: as for `sync`.
    """
    from anyio.from_thread import start_blocking_portal  # the command line does without it

    with start_blocking_portal() as portal:
        future = portal.start_task_soon(partial(sync, source, dest, **given))
        try:
            # An interrupt that arrives just before the wait is not handled before the wait ends.
            while not wait([future], timeout=0.5).done:
                pass
            return future.result()
        except BaseException:
            future.cancel()  # an interrupt reaches this thread, but another one does the work
            raise


async def stream(
    source: str | None = None, dest: Path | str | None = None, /, **given: Unpack[GivenToSync]
) -> AsyncGenerator[Outcome, None]:
    """Run `sync` and yield the outcome of each object while it goes on.

    Yields `UpToDate` for files that were up to date already, `Downloaded` for new files, which have
    their final name by then, and `Failed`. The outcomes are buffered in memory, without limit, if
    the caller is slow. Closing the generator stops the sync.

    Args:
        source: `"s3://bucket/prefix/"`, or a prefix; the same as `prefixes`.
        dest: The local folder; `downloads` by default. Created if it is missing.
        **given: Keyword arguments: those of `sync`. All are optional.

    Raises:
        ConfigError, SourceError, DestinationError: as for `sync`.
    """
    outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()
    given["observer"] = Observers(_OutcomeQueue(outcomes), _observer(given))

    async def produce() -> None:
        try:
            await sync(source, dest, **given)
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


describe(sync, Given, GivenToSync)
describe(run, Given, GivenToSync)
describe(stream, Given, GivenToSync)
describe(plan, Given)
describe(verify, Given)


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


async def perform_given(
    command: Command,
    report: Report,
    given: Given,
    planned: Plan | Path | str | None = None,
    path: Path | str | None = None,
    engine: Engine | None = None,
) -> tuple[Route, Options]:
    """Run a command with the keyword arguments. `report` is filled even if the run fails.

    So is the file at `path`, if there is one. With an engine, a sync downloads elsewhere.
    """
    check_names(given)
    if isinstance(planned, Plan) and given.get("dest") is None:
        given["dest"] = planned.route.dest
    name = given.get("named")
    source = Named() if name is None else await in_thread(named_source, name)
    prefixes = given.get("prefixes") or source.prefixes
    prefixes = [prefixes] if isinstance(prefixes, str) else list(prefixes)
    file = given.get("env_file") or source.env_file
    env_file = None if file is None else Path(file)
    with source.naming():
        bucket, prefixes = split_source(prefixes)
        filled = {**source.under(given), "source": bucket}
        found, options = await in_thread(partial(load, env_file, given=filled))
        own_route = route(found, options, prefixes)
    keys = await in_thread(partial(named_keys, given, prefixes))
    checked = None if planned is None else checked_plan(planned, own_route, given)
    chosen = selection(options, prefixes, own_route, keys, checked)
    started = time.monotonic()
    try:
        told = [Notices()] if is_in_notebook() else []
        with (
            reporting(path, own_route.paths, chosen) as written,
            Observers(report, report.files, *written, _observer(given), *told) as observer,
        ):
            await perform(command, found, options, prefixes, observer, checked, keys, engine)
    finally:
        report.seconds = time.monotonic() - started
    return own_route, options


def _observer(given: Given) -> Observer:
    observer = given.get("observer")
    return SilentObserver() if observer is None else observer


def route(
    found: Settings,
    options: Options,
    prefixes: Sequence[str],
    planned: Plan | PlanFile | None = None,
) -> Route:
    """Return where a run reads from and writes to.

    Raises:
        ConfigError: its prefixes cannot be stripped, although the options say so, or backups would
            count as its files.
    """
    stripped = stripped_prefix(prefixes) if options.strip_prefix else ""
    dest, odd_keys = str(Folder(options.dest).path), options.odd_keys
    if planned is not None:
        stripped, odd_keys = planned.route.stripped, planned.route.odd_keys
    shard = str(options.shard or "")
    own = Route(found.endpoint_url, found.bucket, dest, stripped, odd_keys, shard)
    if options.backup_dir:
        exclude = options.exclude if planned is None else ()  # a plan's are not selected again
        check_backup_dir(options.backup_dir, Path(dest), own.paths, exclude)
    return own


async def perform(
    command: Command,
    found: Settings,
    options: Options,
    prefixes: Sequence[str],
    observer: Observer,
    planned: Plan | PlanFile | None = None,
    keys: Sequence[str] | None = None,
    engine: Engine | None = None,
) -> None:
    """Run a command of the pipeline with the real bucket and the real disk.

    With a plan, a sync fetches its objects and lists nothing. With keys, a run looks up only these.

    Raises:
        SourceError, DestinationError: as for `sync`.
        Exception: what an observer raised.
    """
    from asyncsync.s3 import open_store  # slow to import, and --help does not need it

    if "" in prefixes:  # the whole bucket, as none: each top-level prefix then has its last key
        prefixes = ()
    limit = Limit(options.limit_rate) if options.limit_rate else None
    own = route(found, options, prefixes, planned)
    folder = Folder(
        options.dest,
        durable=options.durable,
        notice=observer.noticed,
        paths=own.paths,
        source=bucket_identity(found.endpoint_url, found.bucket),
        follows_links=options.follow_links,
        backup=Backup(at, durable=options.durable) if (at := options.backup_dir) else None,
        shard=options.shard,
    )
    incremental = None
    if keys == []:
        observer.noticed("the list of keys is empty, so that nothing is to do")
    lists = planned is None and keys is None
    if options.incremental and lists and command is not pipeline.verify:
        listed = (found.endpoint_url, found.bucket, sorted(set(prefixes)))
        scope = Scope(*listed, options.include, options.exclude, own.stripped, own.odd_keys)
        if options.limits:  # what they leave out today may be within them tomorrow
            observer.noticed("everything is listed: --incremental does not go with sizes and times")
        else:
            incremental = Incremental(folder, scope, observer.noticed)
            observer = Observers(observer, incremental)
    chosen = selection(options, prefixes, own, keys, planned)
    mirror = None
    if options.delete and command is not pipeline.verify:
        if not lists:
            why = "a plan lists nothing" if keys is None else "a list of keys tells of no others"
            raise ConfigError(f"delete: {why}, so nothing is known to be gone")
        mirror = Mirror(folder, chosen, observer, options.max_delete, options.allow_empty)
        observer = Observers(observer, mirror)
    workers, most = options.workers, options.max_workers
    timeout, notice = options.read_timeout, Once(observer.noticed)
    shares = (workers, most, options.attempts, limit)
    hire = Hire(options.processes, found, timeout, *shares, notice, engine)
    try:
        async with open_store(found, notice, timeout) as store:
            await command(
                pipeline.Job(
                    store=LimitedStore(store, limit) if limit else store,
                    folder=folder,
                    selection=chosen,
                    pace=Pace(
                        workers and affordable_requests(workers),
                        affordable_requests(most),
                        options.attempts,
                        notice=observer.noticed,
                        streams=limit.streams if limit else STREAMS_AT_ONCE,
                    ),
                    observer=observer,
                    checks=options.checks,
                    compare=options.compare,
                    deep=options.deep,
                    repairs=options.repair,
                    checks_space=options.space_check,
                    planned=None if planned is None else planned.pages(),
                    incremental=incremental,
                    mirror=mirror,
                    hire=hire,
                    # A plan that is cut is none, and it takes no longer than a listing.
                    deadline=Deadline(None if command is pipeline.plan else options.max_duration),
                )
            )
    except ObserverError as failed:
        raise failed.error from failed.error.__cause__


def selection(
    options: Options,
    prefixes: Sequence[str],
    own: Route,
    keys: Sequence[str] | None,
    planned: Plan | PlanFile | None,
) -> Selection:
    """Return which keys a run takes; any, if a plan has decided that."""
    if planned is not None:
        return Selection(["*"], [], shard=options.shard)
    if keys is not None:
        return NamedSelection(keys, prefixes, own.paths, options.limits, options.shard)
    shared = (prefixes, own.paths, options.limits, options.shard)
    return Selection(options.include, options.exclude, *shared)
