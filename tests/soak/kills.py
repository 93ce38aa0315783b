"""G1, G2 and G10: runs that are killed or interrupted at random moments."""

import asyncio
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from asyncsync.disk import PART
from asyncsync.disk.parts.partfile import PIECE
from tests.rigs.child import started
from tests.rigs.movers import movers_of
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3
from tests.rigs.watch import noted, tree, unfinished
from tests.soak.figure import Figure, Measured, Trial, most, total
from tests.soak.scene import ShortLived, real_buckets, some_parquet

PRELOADED = ["asyncsync.cli.running", "asyncsync.s3", "asyncsync.progress", "tests.soak.kills"]


def processes() -> ForkServerContext:
    """Return what starts processes that have asyncsync imported already, in milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def run_quietly(settings: dict[str, str], arguments: Sequence[str], out: str) -> None:
    """Be a process of asyncsync: its standard output and its exit code are a program's."""
    from asyncsync.cli import main

    os.environ |= settings
    with open(out, "w") as file:
        os.dup2(file.fileno(), 1)
    os._exit(main(arguments))


def start(
    context: ForkServerContext, settings: dict[str, str], out: Path, *arguments: str
) -> ForkServerProcess:
    """Start a process of asyncsync."""
    process = context.Process(target=run_quietly, args=(settings, arguments, str(out)))
    process.start()
    return process


def with_movers(rng: random.Random) -> tuple[str, str]:
    """Return the option that says, by the dice, that a run has two movers, or none."""
    return "--processes", rng.choice(["0", "2"])


def kill_a_mover(brain: int, rng: random.Random) -> None:
    """Kill one of the movers of a run, if it has any."""
    if movers := movers_of(brain):
        with suppress(ProcessLookupError):
            os.kill(rng.choice(movers), signal.SIGKILL)


# G1 ---------------------------------------------------------------------------------------------

LARGE = 8
SMALL = 192


@asynccontextmanager
async def killing(folder: Path) -> AsyncIterator[Trial]:
    """A bucket whose objects are replaced whenever a run has come to its end."""
    with real_buckets(folder) as buckets:
        yield _Killing(buckets, folder).trial


class _Killing:
    """One folder that is synced, killed and synced again."""

    def __init__(self, buckets: ShortLived, folder: Path) -> None:
        self._buckets = buckets
        self._bucket = buckets.new()
        self._dest = folder / "work" / "dest"
        self._out = folder / "out"
        self._context = processes()
        self._objects: dict[str, bytes] = {}
        self._older: dict[str, bytes] = {}
        self._longest = 1.0
        """Seconds that a whole run takes."""

    async def trial(self, rng: random.Random) -> Measured:
        """Kill a run, or let it end if it is faster than the dice."""
        if not self._objects:
            self._replace(rng, share=1.0)
        process = start(
            self._context,
            self._bucket.server.environment(),
            self._out,
            *("--quiet", "--dest", str(self._dest), *with_movers(rng)),
        )
        begun = time.monotonic()
        if rng.random() < 0.3 and process.pid:
            await asyncio.to_thread(process.join, rng.uniform(0.02, 0.8 * self._longest))
            kill_a_mover(process.pid, rng)
        await asyncio.to_thread(process.join, rng.uniform(0.02, 0.8 * self._longest))
        killed = process.exitcode is None
        process.kill()
        await asyncio.to_thread(process.join)
        self._check()
        if not killed:
            self._longest = 0.8 * self._longest + 0.2 * (time.monotonic() - begun)
            assert process.exitcode == 0, f"exit code {process.exitcode}"
            assert tree(self._dest) == self._objects, "the tree is not the bucket"
            assert unfinished(self._dest) == [], "something is left over"
            if anew := rng.random() < 0.3:
                await asyncio.to_thread(shutil.rmtree, self._dest.parent)
                self._bucket = self._buckets.new()
            self._replace(rng, share=1.0 if anew else 0.3)
        else:
            self._longest = min(self._longest * 1.05, 8.0)
        return {"trials": int(killed), "ended": not killed}

    def _check(self) -> None:
        """Insist that every file is one version, and that nothing lies beside the folder."""
        found = tree(self._dest)
        for key, data in found.items():
            versions = (self._objects.get(key), self._older.get(key))
            assert data in versions, f"{key} is no version of its object"
        assert not self._dest.exists() or os.listdir(self._dest.parent) == ["dest"]

    def _replace(self, rng: random.Random, share: float) -> None:
        """Put new versions of some objects into the bucket."""
        sizes = {f"{n % 4}hz/{n:03}.parquet": rng.randrange(50_000) for n in range(SMALL)}
        sizes |= {f"fft/{n}.parquet": rng.randrange(300_000, 3_000_000) for n in range(LARGE // 2)}
        sizes |= {f"fft/{n}.parquet": PART + rng.randrange(2_000_000) for n in range(4, LARGE)}
        new = {
            key: some_parquet(rng, 20 + size) for key, size in sizes.items() if rng.random() < share
        }
        self._older = dict(self._objects)
        self._objects |= new
        self._bucket.put_many(new)


G1 = Figure(
    "G1",
    f"kills (SIGKILL) at random moments of runs over {SMALL + LARGE} objects, {LARGE} of them "
    "large, which are replaced whenever a run ends",
    "every final file is one version of its object after each kill; the tree equals the bucket "
    "after each run that ends; 0 left-overs",
    1000,
    killing,
    lambda measured: f"{total(measured, 'ended'):.0f} runs ended in between",
)

# G2 ---------------------------------------------------------------------------------------------

UNFINISHED = 16 * PART


@asynccontextmanager
async def keeping(folder: Path) -> AsyncIterator[Trial]:
    """Each trial kills a run over one large object, and lets the next one go on with it."""
    data = some_parquet(random.Random(0), UNFINISHED)
    async with ScriptedS3({"fft/large.parquet": data}) as s3:
        yield partial(_kept, s3, processes(), folder)


async def _arrived(dest: Path, received: int) -> None:
    """Return when all that has left the server is here: nothing has been noted for a while."""
    least = received - UNFINISHED // PART * 2 * PIECE  # of each part some is not noted yet
    before, now = -1, 0
    while now == 0 or now < least or now != before:
        await asyncio.sleep(0.2)
        before, now = now, noted(dest)


async def _kept(
    s3: ScriptedS3, context: ForkServerContext, folder: Path, rng: random.Random
) -> Measured:
    (data,) = s3.objects.values()
    dest, out = folder / "dest", folder / "out"
    shutil.rmtree(dest, ignore_errors=True)
    arguments = ("--json", "--no-progress", "--dest", str(dest), *with_movers(rng))
    s3.allowance = rng.randrange(len(data) // 2, len(data))
    received = s3.allowance
    s3.used_up = asyncio.Event()
    process = start(context, s3.environment, out, *arguments)
    try:
        async with asyncio.timeout(30):
            await s3.used_up.wait()
            await _arrived(dest, received)
    finally:
        process.kill()
        await asyncio.to_thread(process.join)
    s3.allowance = None
    asked: list[int] = []

    def note(request: Request) -> Answer | None:
        if request.verb == "GET":
            first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
            asked.append(int(last) - int(first) + 1)
        return None

    s3.on_object = note
    process = start(context, s3.environment, out, *arguments)
    await asyncio.to_thread(process.join)
    assert process.exitcode == 0, await asyncio.to_thread(out.read_text)
    assert tree(dest) == s3.objects
    return {"received": received, "kept": len(data) - sum(asked)}


def _share(measured: Sequence[Measured]) -> float:
    return total(measured, "kept") / max(total(measured, "received"), 1)


G2 = Figure(
    "G2",
    f"bytes kept across a kill of those received of an unfinished object of {UNFINISHED >> 20} MiB",
    "at least 95 %",
    50,
    keeping,
    lambda measured: f"{_share(measured):.1%} kept",
    lambda measured: _share(measured) >= 0.95,
)

# G10 --------------------------------------------------------------------------------------------


@asynccontextmanager
async def interrupting(folder: Path) -> AsyncIterator[Trial]:
    """Each trial sends a signal to a run, from the start of its process on."""
    objects = {f"{n % 4}hz/{n}.parquet": bytes([n]) * 20_000 for n in range(250)}
    objects |= {f"fft/{n}.parquet": bytes(3 * PART) for n in range(2)}
    async with ScriptedS3(objects) as s3:
        yield partial(_interrupted, s3, folder / "dest")


async def _interrupted(s3: ScriptedS3, dest: Path, rng: random.Random) -> Measured:
    shutil.rmtree(dest, ignore_errors=True)
    s3.requests.clear()
    number = rng.choice([signal.SIGINT, signal.SIGTERM])
    s3.allowance, s3.used_up = rng.randrange(1, 40_000_000), asyncio.Event()
    arguments = ("--quiet", "--dest", str(dest), *with_movers(rng))
    async with started(s3.environment, *arguments) as child:
        with suppress(TimeoutError):
            async with asyncio.timeout(rng.uniform(0, 2)):
                await s3.used_up.wait()
        sent = time.monotonic()
        with suppress(ProcessLookupError):
            child.send_signal(number)
        _, err = await child.communicate()
        seconds = time.monotonic() - sent
    traced = b"Traceback" in err
    assert child.returncode in {128 + number, -number} or traced, f"exit code {child.returncode}"
    assert not (traced and s3.requests), f"a traceback behind the imports: {err[-300:]!r}"
    for key, data in tree(dest).items():
        assert s3.objects[key] == data
    return {"seconds": seconds, "late": seconds > 2, "traced": traced}


def _stopped(measured: Sequence[Measured]) -> str:
    late = total(measured, "late")
    traced, longest = total(measured, "traced"), most(measured, "seconds")
    return f"{late:.0f} took longer than 2 s, {longest:.2f} s at most; {traced:.0f} tracebacks"


G10 = Figure(
    "G10",
    "SIGINT or SIGTERM at random moments, from the start of the process on, until its exit",
    "99 % within 2 s, 0 tracebacks",
    200,
    interrupting,
    _stopped,
    lambda measured: (
        total(measured, "late") <= 0.01 * len(measured) and not total(measured, "traced")
    ),
)
