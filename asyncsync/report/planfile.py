"""A plan that `asyncsync plan --json > plan.json` wrote, back to pages of objects.

The file is read twice, line by line, so that its length costs no memory: once to check it as a
whole before anything is done, and once while the sync goes on. Its keys and ETags are not trusted
more than those of a listing; whoever gets the pages finds paths, and puts into a request what fits
there, as usual.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from asyncsync.errors import ConfigError
from asyncsync.keys import shown
from asyncsync.model import LARGEST_SIZE, RemoteObject, Route
from asyncsync.report.events import FORMAT, Json
from asyncsync.times import parse_time

PAGE = 1000
"""Objects in a page, as many as in a listing's."""
MOST_LINE = 256 * 1024 * 1024
"""Bytes; the summary's line is the longest, with 200 of them for each top-level prefix."""


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A file that holds a whole plan. Made by `read_plan`."""

    path: Path
    route: Route
    """What the plan was made for."""

    def pages(self) -> Iterator[list[RemoteObject]]:
        """Yield the planned objects.

        Raises:
            ConfigError: the file is not what it was when it was checked.
        """
        objects = _objects(self.path)
        while page := list(islice(objects, PAGE)):
            yield page


def read_plan(path: Path) -> PlanFile:
    """Check a file from its first line to its last.

    Raises:
        ConfigError: it cannot be read, or does not hold a whole plan; names the line.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"{shown(str(path))}: is not a file; a plan is read twice")
    for _ in _objects(path):
        pass
    return PlanFile(path, _route(path, _events(path)))


def _objects(path: Path) -> Iterator[RemoteObject]:
    """Yield the objects of a plan's transfers."""
    events = _events(path)
    _route(path, events)
    number, found = 1, 0
    for number, event in events:
        match event.get("event"):
            case "transfer":
                found += 1
                yield _remote(path, number, event)
            case "skipped" | "failed":
                pass  # what the plan could do nothing about, a sync of it leaves alone
            case "summary":
                _check_summary(path, number, event, found)
                for behind, _ in events:
                    raise _bad(path, behind, "nothing may follow the summary")
                return
            case _:
                raise _bad(path, number, "is not an event of a plan")
    raise _bad(path, number + 1, "is missing: a whole plan ends with its summary")


def _route(path: Path, events: Iterator[tuple[int, Json]]) -> Route:
    match next(events, (1, {})):
        case _, {"event": "start", "command": "plan", "format": form, **rest}:
            if form != FORMAT:
                raise _bad(path, 1, f"its format is not {FORMAT}, but that of another version")
            match rest:
                case {"endpoint": str(endpoint), "bucket": str(bucket), "dest": str(dest)}:
                    return Route(endpoint, bucket, dest)
    raise _bad(path, 1, "is not the start of a plan")


def _check_summary(path: Path, number: int, event: Json, found: int) -> None:
    match event:
        case {"error": str(error)} if error:
            raise _bad(path, number, f"the plan broke off: {shown(error)}")
        case {"error": "", "total": {"to_download": planned}}:
            if planned != found:
                raise _bad(path, number, f"sums up {planned} transfers, but {found} are here")
        case _:
            raise _bad(path, number, "is not the summary of a plan")


def _remote(path: Path, number: int, event: Json) -> RemoteObject:
    match event:
        case {"key": str(key), "size": int(size), "etag": str(etag), "modified": str(modified)}:
            time = parse_time(modified)
            is_size = 0 <= size <= LARGEST_SIZE and not isinstance(size, bool)
            if is_size and bool(time) == bool(modified):
                return RemoteObject(key, size, etag, time)
    raise _bad(path, number, "is not a transfer with key, size, etag and modified")


def _events(path: Path) -> Iterator[tuple[int, Json]]:
    """Yield each line's number, from 1, and the event on it."""
    try:
        with open(path, "rb") as file:
            for number in count(1):
                line = file.readline(MOST_LINE)
                if not line:
                    return
                if not line.endswith(b"\n"):
                    raise _bad(path, number, "is cut off, or too long")
                try:
                    event = json.loads(line.decode())
                except (ValueError, RecursionError):
                    raise _bad(path, number, "is not JSON") from None
                if not isinstance(event, dict):
                    raise _bad(path, number, "is not an event")
                yield number, event
    except OSError as error:
        raise ConfigError(f"{shown(str(path))}: {error.strerror or error}") from error


def _bad(path: Path, number: int, what: str) -> ConfigError:
    return ConfigError(f"{shown(str(path))}: line {number}: {what}; make the plan again")
