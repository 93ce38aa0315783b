"""Reads a plan that `asyncsync plan --json > plan.json` wrote, as pages of objects.

The file is read twice: first to check all of it before anything is done, then while the sync goes
on. It is read line by line, so its length costs no memory. Its keys and ETags are as untrusted as
those of a listing, and go through the same checks.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from asyncsync.errors import ConfigError
from asyncsync.keys import escaped
from asyncsync.model import LARGEST_SIZE, RemoteObject, Route
from asyncsync.paths import OddKeys
from asyncsync.report.events import FORMAT
from asyncsync.report.naming import Json
from asyncsync.times import parse_time

PAGE = 1000
"""Objects per page, as in a listing."""
LONGEST_LINE = 256 * 1024 * 1024
"""Bytes. The summary is the longest line, with about 200 bytes for each top-level prefix."""


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A file with a complete plan. Made by `read_plan`."""

    path: Path
    route: Route
    """The endpoint, bucket and destination that the plan was made for."""

    def pages(self) -> Iterator[list[RemoteObject]]:
        """Yield the planned objects in pages.

        Raises:
            ConfigError: the file has changed since it was checked, and is no longer valid.
        """
        objects = _objects(self.path)
        while page := list(islice(objects, PAGE)):
            yield page


def read_plan(path: Path) -> PlanFile:
    """Check the whole file and return its plan.

    Raises:
        ConfigError: it cannot be read, or is not a complete plan; the message names the line.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"{escaped(str(path))}: is not a regular file; it must be read twice")
    for _ in _objects(path):
        pass
    return PlanFile(path, _route(path, _events(path)))


def _objects(path: Path) -> Iterator[RemoteObject]:
    """Yield the objects of the plan's transfers."""
    events = _events(path)
    number, found = 1, 0
    stripped = _route(path, events).stripped
    for number, event in events:
        match event.get("event"):
            case "transfer":
                found += 1
                remote = _remote(path, number, event)
                if not remote.key.startswith(stripped):
                    raise _invalid(path, number, "its key lacks the prefix that the plan strips")
                yield remote
            case "skipped" | "failed" | "delete" | "extra":
                pass  # not part of the plan
            case "summary":
                _check_summary(path, number, event, found)
                for extra, _ in events:
                    raise _invalid(path, extra, "nothing may follow the summary")
                return
            case _:
                raise _invalid(path, number, "is not an event of a plan")
    raise _invalid(path, number + 1, "is missing: a complete plan ends with a summary")


def _route(path: Path, events: Iterator[tuple[int, Json]]) -> Route:
    match next(events, (1, {})):
        case _, {"event": "start", "command": "plan", "format": form, **rest}:
            if form != FORMAT:
                raise _invalid(path, 1, f"its format is not {FORMAT}: another version wrote it")
            match {"stripped": "", "odd_keys": OddKeys.SKIP.value, "shard": "", **rest}:
                case {
                    "endpoint": str(endpoint),
                    "bucket": str(bucket),
                    "dest": str(dest),
                    "stripped": str(stripped),
                    "odd_keys": str(odd_keys),
                    "shard": str(shard),
                } if f"/{stripped}".endswith("/") and odd_keys in set(OddKeys):
                    return Route(endpoint, bucket, dest, stripped, OddKeys(odd_keys), shard)
    raise _invalid(path, 1, "is not the start of a plan")


def _check_summary(path: Path, number: int, event: Json, found: int) -> None:
    match event:
        case {"error": str(error)} if error:
            raise _invalid(path, number, f"the plan ended with an error: {escaped(error)}")
        case {"error": "", "total": {"to_download": planned}}:
            if planned != found:
                raise _invalid(
                    path, number, f"counts {planned} transfers, but the file has {found}"
                )
        case _:
            raise _invalid(path, number, "is not the summary of a plan")


def _remote(path: Path, number: int, event: Json) -> RemoteObject:
    match event:
        case {"key": str(key), "size": int(size), "etag": str(etag), "modified": str(modified)}:
            time = parse_time(modified)
            is_size = 0 <= size <= LARGEST_SIZE and not isinstance(size, bool)
            if is_size and bool(time) == bool(modified):
                return RemoteObject(key, size, etag, time)
    raise _invalid(path, number, "is not a valid transfer with key, size, etag and modified")


def _events(path: Path) -> Iterator[tuple[int, Json]]:
    """Yield the number of each line, from 1, and its event."""
    try:
        with open(path, "rb") as file:
            for number in count(1):
                line = file.readline(LONGEST_LINE)
                if not line:
                    return
                if not line.endswith(b"\n"):
                    raise _invalid(path, number, "is incomplete or too long")
                try:
                    event = json.loads(line.decode())
                except (ValueError, RecursionError):
                    raise _invalid(path, number, "is not JSON") from None
                if not isinstance(event, dict):
                    raise _invalid(path, number, "is not an event")
                yield number, event
    except OSError as error:
        raise ConfigError(f"{escaped(str(path))}: {error.strerror or error}") from error


def _invalid(path: Path, number: int, what: str) -> ConfigError:
    return ConfigError(f"{escaped(str(path))}: line {number}: {what}; make the plan again")
