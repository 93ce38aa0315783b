"""`asyncsync.sync`, with the workers of a Dask cluster to download."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from asyncsync import pipeline
from asyncsync.api import perform_given
from asyncsync.dask.cluster import Cluster
from asyncsync.dask.crew import crew_on
from asyncsync.disk import Folder
from asyncsync.download import Downloader
from asyncsync.errors import ConfigError, missing
from asyncsync.given import Given, GivenToSync, by_keyword, describe
from asyncsync.interfaces import Observer
from asyncsync.model import Checks
from asyncsync.movers import Fetcher, Hire
from asyncsync.pace import Pace
from asyncsync.report import Report

if TYPE_CHECKING:
    from distributed import Client


async def sync(
    client: "Client",
    source: str | None = None,
    dest: Path | str | None = None,
    /,
    **given: Unpack[GivenToSync],
) -> Report:
    """Do what `asyncsync.sync` does, and have the objects downloaded by the workers of a cluster.

    This process lists, compares, gives the files their names, and reports. The workers see the
    destination at the same path, and have the same asyncsync. A worker that dies, or is cut off,
    has its objects dealt again.

    `workers` and `max_workers` are the requests of one worker; `limit_rate` is for all together.
    `processes` does nothing.

    Args:
        client: A `distributed.Client` of the cluster, synchronous or not.
        source: `"s3://bucket/prefix/"`, or a prefix; the same as `prefixes`.
        dest: The folder, shared with the workers; `downloads` by default. Created if missing.
        **given: Keyword arguments: those of `Given`, `plan` and `report`. All are optional.

    Returns:
        Counts of files and bytes, the files that are new, and the failures.

    Raises:
        ConfigError: settings are missing or invalid, or a worker has another asyncsync, or none.
        SourceError: the remote side ended the run: credentials, bucket, listing or network.
        DestinationError: the local side ended the run: a full disk, or a worker that cannot write
            in the destination.
    """
    try:
        import distributed  # noqa: F401 - whoever has a client has it; others are told
    except ImportError as error:
        raise ConfigError(missing("distributed", "dask")) from error
    cluster = Cluster(client)
    try:
        await cluster.check_versions()
    except OSError as error:
        raise ConfigError(f"the Dask cluster does not answer: {error}") from error

    @asynccontextmanager
    async def engine(
        folder: Folder,
        pace: Pace,
        observer: Observer,
        checks: Checks,
        hire: Hire,
        own: Downloader,
        *,
        exact: bool,
    ) -> AsyncIterator[Fetcher]:
        common = (folder, pace, observer, checks, hire, own)
        async with crew_on(cluster, *common, exact=exact) as crew:
            yield crew

    report = Report()
    planned, path = given.pop("plan", None), given.pop("report", None)
    filled = by_keyword(given, source, dest)
    await perform_given(pipeline.sync, report, filled, planned, path, engine)
    return report


describe(sync, Given, GivenToSync)
