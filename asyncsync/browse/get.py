"""One object, with the proof of a download, to a file or to who reads it."""

from functools import partial
from pathlib import Path

from asyncsync.browse.nearest import nearest
from asyncsync.concurrently import task_group
from asyncsync.disk import SingleFile
from asyncsync.download import Downloader, Sink
from asyncsync.errors import (
    ArchivedError,
    AuthError,
    ConfigError,
    IntegrityError,
    NoSuchKeyError,
    TransferError,
)
from asyncsync.keys import escaped, shown
from asyncsync.listing import Paging
from asyncsync.model import (
    UNKNOWN_SIZE,
    Compared,
    Downloaded,
    Failed,
    Reason,
    RemoteObject,
    Transfer,
)
from asyncsync.paths import PLAIN
from asyncsync.pipeline import Job
from asyncsync.times import parse_http_date


async def get(job: Job, *, key: str, sink: Sink) -> None:
    """Download one object to a sink; the observer gets its progress and its outcome.

    Raises:
        NoSuchKeyError: there is none of this key; the message says what may have been meant.
        TransferError: it cannot be downloaded, or its bytes are not proven.
        SourceError: the endpoint or the credentials failed.
        DestinationError: the sink cannot take it.
    """
    remote = await _find(job, key)
    name = sink.path.name if isinstance(sink, SingleFile) else remote.key.rpartition("/")[2]
    transfer = Transfer(remote, (name,), Reason.MISSING)
    downloader = Downloader(job.store, sink, job.pace, job.observer, job.checks)
    job.observer.counted({})
    job.observer.compared(Compared([transfer], [], []))
    job.observer.listed()
    try:
        async with task_group() as run:
            run.start_soon(job.pace.tune)
            outcome: Downloaded | Failed = await downloader.download(transfer)
            run.cancel_scope.cancel()
    except TransferError as error:
        job.observer.ended(Failed(remote, error))
        raise
    downloader.report_unpinned()
    job.observer.ended(outcome)


def file_for(key: str, path: str | Path | None) -> Path:
    """Return the file that an object goes to: a path, or the last part of the key.

    If there is a folder at the path, or it ends in a slash, the file is in that folder. Without a
    path it is in the current one.

    Raises:
        ConfigError: no file can be called so, or something else than a file is there.
    """
    name = key.rpartition("/")[2]
    folder = Path() if path is None else Path(path)
    if path is not None and not (folder.is_dir() or str(path).endswith("/")):
        file = folder
    elif PLAIN.has(name):
        file = folder / name
    elif not name:
        raise ConfigError(
            f"get: {shown(key)} is the name of a folder; `asyncsync ls {shown(key)}` lists its "
            "objects, and a sync fetches them"
        )
    else:
        raise ConfigError(
            f"get: no file can be called {shown(name)!r}; name the file: get KEY PATH"
        )
    if file.is_symlink():
        raise ConfigError(f"get: {escaped(str(file))} is a link; name what it leads to")
    if file.exists() and not file.is_file():
        raise ConfigError(
            f"get: {escaped(str(file))} is no file; name another, or - for standard output"
        )
    return file


async def _find(job: Job, key: str) -> RemoteObject:
    """Return the object as it is listed, or if the bucket may not be listed, as HEAD tells it."""
    try:
        page = await Paging(job.store, job.pace).first_page(key)
    except AuthError:
        return await _ask(job, key)
    found = next((remote for remote in page.objects if remote.key == key), None)
    if found is None:
        hint = await nearest(job, key, page.objects)
        raise NoSuchKeyError(key, f"no such key{hint}")
    if found.size == UNKNOWN_SIZE:
        raise IntegrityError(key, "the listing shows no valid size for it")
    if found.archive:
        raise ArchivedError(key, found.archive)
    return found


async def _ask(job: Job, key: str) -> RemoteObject:
    head = await job.pace.tries(key).run(partial(job.store.head, key))
    return RemoteObject(key, head.size, head.etag, int(parse_http_date(head.modified) or 0) * 10**9)
