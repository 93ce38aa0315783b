"""python -m benchmarks.brain: what an object costs the brain of a run with movers.

The brain is the real one: it lists, compares, deals, publishes and reports. Its movers are
simulated (`simulated.py`): they fetch nothing, so that two cores are enough for what a machine with
many would do. Two tables are printed:

    the cost    processor time and calls for each object, with movers that answer at once
    the curve   objects a second, with so many movers that take a fixed time for each, beside the
                model: each mover adds its share, until the brain is busy

The first can be measured beside other work as well. The second needs quiet cores.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import anyio

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.disk import Folder
from asyncsync.interfaces import Body, Observers, SilentObserver
from asyncsync.model import Checks, Fetched, Head, Outcome, Page, RemoteObject, Settings
from asyncsync.movers import Hire, process
from asyncsync.pace import Pace
from asyncsync.report import Report
from benchmarks import measure, report, works
from benchmarks.counting import IN_THREADS, calls_by_room
from benchmarks.listing import list_page
from benchmarks.simulated import SECONDS

_MAIN = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from benchmarks.simulated import main; sys.exit(main())"
)
_PREFIX = "1hz/"
_AT_ONCE = 256
"""Requests in flight of all movers together, as `--max-workers` has it."""
_MIDDLE = 0.3, 0.9
"""The share of the objects between which the rate is measured: neither start nor end."""


@dataclass(frozen=True, slots=True)
class Fed:
    """A run that was fed."""

    movers: int
    cpu: float
    """Seconds of the brain's processor time, of which the listing is a part."""
    rate: float
    """Objects a second in the middle of the run."""
    busy: float
    """The share of that time for which the brain was at work."""


class Bucket:
    """A store that lists keys out of memory, and gives nothing away."""

    def __init__(self, count: int) -> None:
        work = works.listed("fed", count)
        self._keys = sorted(work.objects)
        self._objects = {
            key: RemoteObject(key, 100_000, "0" * 32, 1_700_000_000_000_000_000)
            for key in self._keys
        }

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return a page."""
        page = list_page(self._keys, prefix, delimiter, token or start_after, 1000)
        return Page([self._objects[key] for key in page.keys], page.prefixes, page.next_after)

    async def head(self, key: str) -> Head:
        """Fail: movers do that."""
        raise NotImplementedError(key)

    async def first_part(self, remote: RemoteObject) -> int:
        """Fail: movers do that."""
        raise NotImplementedError(remote.key)

    async def fetch(self, remote: RemoteObject, *, asks: bool, as_stored: bool = False) -> Fetched:
        """Fail: movers do that."""
        raise NotImplementedError(remote.key)

    @asynccontextmanager
    async def get(
        self,
        remote: RemoteObject,
        span: range | None = None,  # noqa: ARG002 - the protocol names it
        *,
        as_stored: bool = False,  # noqa: ARG002
    ) -> AsyncIterator[Body]:
        """Fail: movers do that."""
        raise NotImplementedError(remote.key)
        yield


class _Clocked(SilentObserver):
    """Notes when the middle of a run begins and ends."""

    def __init__(self, count: int) -> None:
        self._bounds = [int(count * share) for share in _MIDDLE]
        self._ended = 0
        self.times: list[tuple[int, float, float]] = []

    def ended(self, outcome: Outcome) -> None:  # noqa: ARG002 - the protocol names it
        """Count it."""
        self._ended += 1
        if self._ended in self._bounds:
            self.times.append((self._ended, time.perf_counter(), time.process_time()))


def job(bucket: Bucket, dest: Path, observer: Observers, movers: int) -> pipeline.Job:
    """Return a run into `dest` with so many movers."""
    found = Settings("simulated", "simulated", "https://127.0.0.1:1", "simulated")
    return pipeline.Job(
        store=bucket,
        folder=Folder(dest),
        selection=Selection(["*"], [], [_PREFIX]),
        pace=Pace(None, _AT_ONCE, 1),
        observer=observer,
        checks=Checks(),
        hire=Hire(movers, found, 30.0, None, _AT_ONCE, 1),
    )


async def run(
    command: Callable[[pipeline.Job], Awaitable[None]],
    bucket: Bucket,
    count: int,
    dest: Path,
    movers: int,
) -> Fed:
    """Run a command of the pipeline into an empty folder."""
    measure.clear(dest)
    told, clocked, began = Report(), _Clocked(count), time.process_time()
    await command(job(bucket, dest, Observers(told, clocked), movers))
    cpu = time.process_time() - began
    if command is pipeline.plan:
        return Fed(0, cpu, 0.0, 0.0)
    assert told.downloaded == count, told.failures
    (first, then, worked), (last, now, works_until) = clocked.times
    return Fed(movers, cpu, (last - first) / (now - then), (works_until - worked) / (now - then))


@contextlib.contextmanager
def simulated(seconds: float) -> Iterator[None]:
    """Start simulated movers in the place of real ones, which take so long for an object."""
    with mock.patch.object(process, "_MAIN", _MAIN), mock.patch.dict(os.environ):
        os.environ[SECONDS] = str(seconds)
        yield


def cost(bucket: Bucket, count: int, dest: Path, movers: int) -> tuple[float, dict[str, float]]:
    """Return what an object costs the brain in seconds, and in calls by room.

    What listing and comparing cost is taken off: that of a plan of the same.
    """
    with simulated(0):
        sync = partial(run, pipeline.sync, bucket, count, dest, movers)
        plan = partial(run, pipeline.plan, bucket, count, dest, movers)
        seconds = (anyio.run(sync).cpu - anyio.run(plan).cpu) / count
        many, few = calls_by_room(sync), calls_by_room(plan)
    return seconds, {room: (many[room] - few[room]) / count for room in many}


def curve(bucket: Bucket, count: int, dest: Path, movers: Sequence[int], ms: float) -> list[Fed]:
    """Return a run for each number of movers, which take so many milliseconds for an object."""
    with simulated(ms / 1000):
        return [asyncio.run(run(pipeline.sync, bucket, count, dest, number)) for number in movers]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the tables; return the exit code."""
    options = _parser().parse_args(argv)
    bucket = Bucket(options.objects)
    with tempfile.TemporaryDirectory(prefix="asyncsync-brain-", dir=works.memory()) as directory:
        dest = Path(directory, "destination")
        seconds, calls = cost(bucket, options.objects, dest, 2)
        print(_cost_table(seconds, calls))
        fed = curve(bucket, options.objects, dest, options.movers, options.ms)
        print(f"\n{_curve_table(fed, options.ms, seconds)}")
    return 0


def model(movers: int, seconds: float, brain: float) -> float:
    """Return the objects a second of so many movers, by what an object costs each and the brain."""
    return min(movers / seconds, 1 / brain)


def _cost_table(seconds: float, calls: dict[str, float]) -> str:
    rows = [("the brain, for each object", "")]
    threads = calls.pop(IN_THREADS)
    rows += [(f"calls: {room}", f"{number:.1f}") for room, number in sorted(calls.items())]
    rows += [
        ("calls, all", f"{sum(calls.values()):.1f}"),
        ("of those in threads", f"{threads:.1f}"),
    ]
    rows += [("processor time, us", f"{seconds * 1e6:.0f}")]
    return report.aligned(rows)


def _curve_table(fed: Sequence[Fed], ms: float, brain: float) -> str:
    rows: list[tuple[str, ...]] = [
        ("movers", f"objects a second, {ms:g} ms each", "model", "the brain is busy for")
    ]
    rows += [
        (
            *(f"{one.movers}", f"{one.rate:,.0f}", f"{model(one.movers, ms / 1000, brain):,.0f}"),
            f"{one.busy:.0%}",
        )
        for one in fed
    ]
    return report.aligned(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.brain",
        description="What an object costs the brain of a run with movers that fetch nothing.",
    )
    add = parser.add_argument
    add("--objects", type=int, default=20_000, metavar="N", help="default %(default)s")
    add("--movers", type=int, nargs="+", default=[1, 2, 4, 8, 16], metavar="N")
    add("--ms", type=float, default=0.6, help="of a mover for an object; default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
