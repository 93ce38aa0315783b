"""Counts the calls and the turns of the event loop that a sync in this process takes.

A call belongs to the room of the package that makes it: what http/ calls counts for http, whoever
wrote what is called. What the loop calls, and what libraries call, is `other`. Calls in threads are
counted for the rooms as well, and once more on their own. Turns, and what the loop calls in them,
are counted in a run of their own.
"""

import asyncio
import cProfile
import os
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Unpack

import anyio

import asyncsync
from asyncsync import api
from benchmarks.measure import clear

ROOMS = ("http", "s3", "download", "pace", "disk", "report")
"""The rooms that are told one by one; all others are `rest`."""
IN_THREADS = "in threads"
"""Stands among the rooms for the calls that threads make."""
_PACKAGE = f"{Path(asyncsync.__file__).parent}{os.sep}"


@dataclass(frozen=True, slots=True)
class Counts:
    """What a sync takes for each object or MiB."""

    rooms: Mapping[str, float]
    """Calls by the room that makes them."""
    in_threads: float
    """Those of them that other threads than the loop's make."""
    callbacks: float
    """What the event loop calls: steps of tasks, and what sockets, timers and threads wake."""
    turns: float
    """Of the event loop. The more is ready at once, the fewer are needed."""

    @property
    def calls(self) -> float:
        """All calls."""
        return sum(self.rooms.values())


def count(destination: Path, units: float, **given: Unpack[api.GivenToSync]) -> Counts:
    """Sync into `destination`, and return what it took for each of `units`.

    The bucket is that of the environment.

    Args:
        destination: a folder that is emptied first, several times.
        units: how many objects or MiB the bucket has.
        **given: arguments of `asyncsync.sync`.
    """

    async def sync() -> None:
        ended = await asyncsync.sync(**given)
        assert not ended.exit_code

    settings = destination.with_suffix(".env")  # an empty one: nobody's own settings take part
    settings.touch(mode=0o600)
    given["dest"], given["env_file"] = destination, settings
    clear(destination)
    anyio.run(sync)  # imports what is imported late
    clear(destination)
    fetched, known = calls_by_room(sync), calls_by_room(sync)
    clear(destination)
    loop = [many - few for many, few in zip(_of_loop(sync), _of_loop(sync), strict=True)]
    rooms = {
        room: (fetched[room] - known[room]) / units
        for room in (*ROOMS, "rest", "other", IN_THREADS)
    }
    return Counts(rooms, rooms.pop(IN_THREADS), *(figure / units for figure in loop))


def count_plain(move: Callable[[], Awaitable[None]], destination: Path, units: float) -> Counts:
    """Fill `destination`, emptied before, with something else than asyncsync; count as above."""
    clear(destination)
    calls = calls_by_room(move)
    clear(destination)
    loop = _of_loop(move)
    in_threads = calls.pop(IN_THREADS, 0)
    rooms = {"other": calls.total() / units}
    return Counts(rooms, in_threads / units, *(figure / units for figure in loop))


def calls_by_room(sync: Callable[[], Awaitable[object]]) -> Counter[str]:
    """Return the calls of a sync by room, those in threads once more as `in threads`."""
    profiles = [cProfile.Profile()]

    def begin(*_: object) -> None:
        """Profile a new thread with a profile of its own, which takes the place of this one."""
        profiles.append(cProfile.Profile())
        profiles[-1].enable()

    threading.setprofile(begin)
    try:
        with profiles[0]:
            anyio.run(sync)
    finally:
        threading.setprofile(None)
    own, *others = map(_by_room, profiles)
    threads = sum(others, Counter[str]())
    return own + threads + Counter({IN_THREADS: threads.total()})


def _by_room(profile: cProfile.Profile) -> Counter[str]:
    found: Counter[str] = Counter()
    for entry in profile.getstats():
        found["other"] += entry.callcount  # of those, what has a caller in a room is moved there
        room = _room(entry.code)
        for called in entry.calls or ():
            found[room] += called.callcount
            found["other"] -= called.callcount
    return found


def _room(code: CodeType | str) -> str:
    """Return the room of a function; C functions have only names."""
    if isinstance(code, str) or not code.co_filename.startswith(_PACKAGE):
        return "other"
    room = code.co_filename.removeprefix(_PACKAGE).partition(os.sep)[0]
    return room if room in ROOMS else "rest"


class _Ready(deque[asyncio.Handle]):
    """What the event loop has to call; it counts what is taken out."""

    taken = 0

    def popleft(self) -> asyncio.Handle:
        self.taken += 1
        return super().popleft()


class _CountingLoop(asyncio.SelectorEventLoop):
    """The event loop of asyncio, which counts its turns and what it calls."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self._ready = _Ready()

    @property
    def callbacks(self) -> int:
        """What it has called."""
        return self._ready.taken

    def _run_once(self) -> None:
        self.turns += 1
        super()._run_once()  # type: ignore[misc]  # asyncio's own, which no stub describes


def _of_loop(sync: Callable[[], Awaitable[None]]) -> tuple[int, int]:
    """Return the callbacks and the turns of a sync."""
    loops: list[_CountingLoop] = []

    def make() -> _CountingLoop:
        loops.append(_CountingLoop())
        return loops[0]

    anyio.run(sync, backend_options={"loop_factory": make})
    return loops[0].callbacks, loops[0].turns
