"""The Python API of `ls`, `du` and `get`: a look into the bucket, and one object out of it.

async for entry in asyncsync.ls("1hz/"):
    ...                                                  # objects and folders, in order
usages = await asyncsync.du()                            # figures by folder
path = await asyncsync.get("1hz/a.parquet")              # one object, proven
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Unpack

import anyio

from asyncsync import browse
from asyncsync.api import perform_given
from asyncsync.browse import MOST_LEVELS, Entry, Usage
from asyncsync.disk import SingleFile
from asyncsync.errors import ConfigError
from asyncsync.given import Given, by_keyword, describe
from asyncsync.report import Report
from asyncsync.settings import split_source


async def ls(
    source: str | None = None,
    dest: Path | str | None = None,
    /,
    *,
    depth: int | None = 1,
    **given: Unpack[Given],
) -> AsyncGenerator[Entry, None]:
    """Yield what the bucket holds, and what of it is here; writes nothing.

    Yields a `ListedObject` for each object, and a `ListedFolder` for those that are rolled up, in
    the order of the bucket. A listing of any length takes the memory of a page or two.

    Args:
        source: `"s3://bucket/prefix/"`, or a prefix; the same as `prefixes`.
        dest: The local folder; `downloads` by default.
        depth: So many levels below a prefix, folders are rolled up. None yields all objects.
        **given: Keyword arguments: those of `Given`. All are optional.

    Raises:
        ConfigError, SourceError: as for `sync`.
    """
    if depth is not None:
        _check(depth)
    send, receive = anyio.create_memory_object_stream[Sequence[Entry]](1)

    async def produce() -> None:
        with send:
            command = partial(browse.ls, depth=depth, show=send.send)
            await perform_given(command, Report(), _looking(by_keyword(given, source, dest)))

    task = asyncio.create_task(produce())  # not in a group: a generator may be closed anywhere
    try:
        async for page in receive:
            for entry in page:
                yield entry
        await task
    finally:
        task.cancel()
        receive.close()
        with suppress(asyncio.CancelledError):
            await task


async def du(
    source: str | None = None,
    dest: Path | str | None = None,
    /,
    *,
    depth: int = 1,
    **given: Unpack[Given],
) -> dict[str, Usage]:
    """Return how much the bucket holds, and how much of it is here; writes nothing.

    Args:
        source: `"s3://bucket/prefix/"`, or a prefix; the same as `prefixes`.
        dest: The local folder; `downloads` by default.
        depth: So many levels below a prefix, folders are counted as one.
        **given: Keyword arguments: those of `Given`. All are optional.

    Returns:
        The figures by folder; those of objects outside of any under "".

    Raises:
        ConfigError, SourceError: as for `sync`.
    """
    _check(depth)
    usages = dict[str, Usage]()
    command = partial(browse.du, depth=depth, usages=usages)
    await perform_given(command, Report(), _looking(by_keyword(given, source, dest)))
    return usages


describe(ls, Given)
describe(du, Given)


async def get(key: str, path: Path | str | None = None, /, **given: Unpack[Given]) -> Path:
    """Download one object with the proof of a sync, and return the path of its file.

    A file that exists is replaced only when the new one is complete and proven.

    Args:
        key: The object's key, or `"s3://bucket/key"`.
        path: The file, or a folder for it; by default the last part of the key, in the current
            folder.
        **given: As for `sync`, without `plan` and what selects objects.

    Raises:
        ConfigError, SourceError, DestinationError: as for `sync`.
        TransferError: there is no such object, or it cannot be downloaded and proven.
    """
    _, keys = split_source([key])
    if not keys or not keys[0]:
        raise ConfigError(f"get: {key!r} names no object")
    sink = SingleFile(browse.file_for(keys[0], path))
    command = partial(browse.get, key=keys[0], sink=sink)
    given = {**_looking(given), "prefixes": [key], "strip_prefix": False}
    await perform_given(command, Report(), given)
    return sink.path


def _looking(given: Given) -> Given:
    """Return the arguments of a run that shows everything, and deletes nothing."""
    return {**given, "incremental": False, "delete": False, "shard": "off"}


def _check(depth: int) -> None:
    if not 1 <= depth <= MOST_LEVELS:
        raise ConfigError(f"depth: {depth!r} is not a number from 1 to {MOST_LEVELS}")
