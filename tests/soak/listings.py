"""G7, G8 and G13: listings without an end, long ones, and runs that find nothing to do."""

import asyncio
import json
import os
import random
import shutil
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from asyncsync.errors import ListingError
from tests.rigs.bucket import Bucket
from tests.rigs.fault_run import synced
from tests.rigs.scripted_s3 import Answer, Hook, Request, ScriptedS3, sync
from tests.rigs.watch import snapshot
from tests.soak.figure import Figure, Measured, Trial, most
from tests.soak.scene import UNSHARED, disk, real_bucket, some_parquet

# G7 ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def misleading(folder: Path) -> AsyncIterator[Trial]:
    """Each trial meets a listing that would go on for ever."""
    yield partial(_misled, folder / "dest")


async def _misled(dest: Path, rng: random.Random) -> Measured:
    async with ScriptedS3({"1hz/a.parquet": b"a"}) as s3:
        s3.on_list = rng.choice([_repeats, _takes_turns, _has_no_token, _is_empty, _is_the_same])(
            s3
        )
        started = time.monotonic()
        ran = await sync(s3, dest, *rng.choice([["1hz/"], []]))
        seconds = time.monotonic() - started
    assert isinstance(ran.error, ListingError), f"{ran.error!r}, exit code {ran.code}"
    return {"seconds": seconds}


def _repeats(s3: ScriptedS3) -> Hook:
    return lambda request: Answer(s3.page("1hz/a.parquet", token="A"))


def _takes_turns(s3: ScriptedS3) -> Hook:
    return lambda request: Answer(s3.page("1hz/a.parquet", token="AB"[request.number % 2]))


def _has_no_token(s3: ScriptedS3) -> Hook:
    return lambda request: Answer(s3.page("1hz/a.parquet", truncated=True))


def _is_empty(s3: ScriptedS3) -> Hook:
    return lambda request: Answer(s3.page(token=str(request.number)))


def _is_the_same(s3: ScriptedS3) -> Hook:
    return lambda request: Answer(s3.page("1hz/a.parquet", token=str(request.number)))


G7 = Figure(
    "G7",
    "listings whose tokens repeat, take turns or are missing, without news or without objects",
    "ended by a ListingError within 2 s",
    100,
    misleading,
    lambda measured: f"{most(measured, 'seconds'):.2f} s at most",
    lambda measured: most(measured, "seconds") <= 2,
    is_timed=True,
)

# G8 ---------------------------------------------------------------------------------------------

SIZES = (10_000, 100_000, 1_000_000)
PAGE = 1000
IN_A_FOLDER = 10_000
PEAK = """
import sys
from asyncsync.cli import main
code = main(sys.argv[1:])
with open("/proc/self/status") as file:  # ru_maxrss counts the parent as well
    status = dict(line.split(":", 1) for line in file)
print('{"peak":', int(status["VmHWM"].split()[0]), '}')
sys.exit(code)
"""


@asynccontextmanager
async def remembering(folder: Path) -> AsyncIterator[Trial]:
    """Each trial syncs a folder that is in step already, and that holds more keys than before.

    The folder is a disk that may hold so many files, and that is gone at once. The server is one
    for all: files that were synced from another would be proven by their hashes.
    """
    dest = folder / "dest"
    dest.mkdir()
    async with ScriptedS3() as s3:
        with disk(dest, "nr_inodes=0"):
            yield partial(_remembered, s3, dest, iter([0, *SIZES]), iter(SIZES))


async def _remembered(
    s3: ScriptedS3, dest: Path, before: Iterator[int], sizes: Iterator[int], rng: random.Random
) -> Measured:
    size = next(sizes)
    await asyncio.to_thread(_fill, dest, next(before), size)
    return {str(size): await _peak(s3, dest, size)}


def _name(number: int) -> str:
    return f"{number // IN_A_FOLDER:04}/{number:08}.parquet"


def _fill(dest: Path, start: int, stop: int) -> None:
    """Make files of one byte, which take no space."""
    for number in range(start, stop):
        if number % IN_A_FOLDER == 0:
            (dest / _name(number)).parent.mkdir(parents=True, exist_ok=True)
        file = os.open(dest / _name(number), os.O_CREAT | os.O_WRONLY, 0o600)
        os.ftruncate(file, 1)
        os.close(file)


async def _peak(s3: ScriptedS3, dest: Path, total: int) -> float:
    """Return the peak of a run over so many objects, in MiB."""
    s3.on_list = _small_objects(s3, total)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PEAK, "--json", "--no-progress", "--dest", str(dest)),
        env={**os.environ, **s3.environment},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await child.communicate()
    assert child.returncode == 0, out[-300:]
    assert s3.count("GET") == 0
    return float(json.loads(out.splitlines()[-1])["peak"]) / 1024


def _small_objects(s3: ScriptedS3, total: int) -> Hook:
    """Return the listings of so many objects of one byte, in folders."""

    def listed(request: Request) -> Answer:
        if request.delimiter:
            names = [f"{number:04}/" for number in range(-(-total // IN_A_FOLDER))]
            return Answer(s3.page(prefixes=names))
        after = request.token or request.start_after
        start = max(
            bisect_right(range(total), after, key=_name),
            bisect_left(range(total), request.key, key=_name),
        )
        names = [_name(number) for number in range(start, min(start + PAGE, total))]
        below = [name for name in names if name.startswith(request.key)]
        goes_on = len(below) == len(names) and start + PAGE < total
        return Answer(s3.page(*below, token=below[-1] if goes_on else ""))

    return listed


def _peaks(measured: Sequence[Measured]) -> str:
    peaks = {size: peak for found in measured for size, peak in found.items()}
    return ", ".join(f"{peak:.0f} MiB with {int(size):,}" for size, peak in peaks.items())


def _is_flat(measured: Sequence[Measured]) -> bool:
    _, some, many = (most(measured, str(size)) for size in SIZES)
    return 0 < many <= min(150, some * 1.2)


G8 = Figure(
    "G8",
    "peak memory of runs that find nothing to do among 10 thousand, 100 thousand and 1 million "
    "keys",
    "at most 150 MiB, and flat",
    len(SIZES),
    remembering,
    _peaks,
    _is_flat,
    wrapper=UNSHARED,
    hangs=600,
)

# G13 --------------------------------------------------------------------------------------------


@asynccontextmanager
async def repeating(folder: Path) -> AsyncIterator[Trial]:
    """Each trial syncs some more objects, and then all of them again."""
    with real_bucket(folder) as bucket:
        yield partial(_repeated, bucket, folder / "dest")


async def _repeated(bucket: Bucket, dest: Path, rng: random.Random) -> Measured:
    for _ in range(3):
        name = f"{rng.randrange(9)}hz/{rng.randrange(10**9)}.parquet"
        bucket.put(name, some_parquet(rng, rng.choice([20, 100, 300_000])))
    first = await synced(bucket, dest)
    assert first.exit_code == 0
    shutil.rmtree(dest / ".asyncsync", ignore_errors=True) if rng.random() < 0.2 else None
    before = _without_state(dest)
    again = await synced(bucket, dest)
    assert again.exit_code == 0
    verbs = {request.verb for request in again.proxy.requests}
    assert verbs == {"LIST"}, f"requests: {verbs}"
    assert _without_state(dest) == before
    return {}


def _without_state(dest: Path) -> dict[str, tuple[int, int, int]]:
    """Return all but the state folder, which holds the lock, and but the root that holds it."""
    state = str(dest / ".asyncsync")
    found = snapshot(dest)
    return {n: s for n, s in found.items() if not n.startswith(state) and n != str(dest)}


G13 = Figure(
    "G13",
    "second runs on a tree that is in step",
    "listing pages only: no GET, no HEAD, no file written",
    100,
    repeating,
)
