"""G9, G17, G18 and G19: few descriptors, full disks, two runs at once, and power cuts."""

import asyncio
import fcntl
import os
import random
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from unittest import mock

import anyio

from asyncsync.disk import PART
from asyncsync.errors import DiskFullError, LockHeldError
from tests.rigs.child import ended, started
from tests.rigs.scripted_s3 import Hook, Ran, Request, ScriptedS3, sync
from tests.rigs.watch import tree
from tests.rigs.wrapped import limited, wrapped
from tests.soak.figure import Figure, Measured, Trial, most, total
from tests.soak.scene import UNSHARED, disk, some_parquet


def parquets(rng: random.Random, *sizes: int) -> dict[str, bytes]:
    """Return objects of these sizes."""
    return {
        f"{n % 4}hz/{n:05}.parquet": some_parquet(rng, 20 + size) for n, size in enumerate(sizes)
    }


# G9 ---------------------------------------------------------------------------------------------

WORKERS = 16


@asynccontextmanager
async def opening(folder: Path) -> AsyncIterator[Trial]:
    """Each trial syncs once with few descriptors allowed, and once with as many as it wants."""
    rng = random.Random(0)
    objects = parquets(rng, *[20_000] * 600, PART + 9, 2 * PART)
    async with ScriptedS3(objects) as s3:
        yield partial(_opened, s3, folder)


async def _opened(s3: ScriptedS3, folder: Path, rng: random.Random) -> Measured:
    few, many = folder / "few", folder / "many"
    done = await wrapped(limited("-n", 64), s3.environment, "--quiet", "--dest", str(few))
    assert (done.code, done.err) == (0, ""), f"ulimit -n 64: exit code {done.code}, {done.err}"
    assert tree(few) == s3.objects
    arguments = ("--quiet", "--workers", str(WORKERS), "--dest", str(many))
    opened = 0
    async with started(s3.environment, *arguments) as child:
        over = asyncio.ensure_future(child.wait())
        while not over.done():
            with suppress(OSError):
                opened = max(opened, len(os.listdir(f"/proc/{child.pid}/fd")))
            await asyncio.sleep(0.002)
        done = await ended(child)
    assert (done.code, tree(many)) == (0, s3.objects)
    shutil.rmtree(few)
    shutil.rmtree(many)
    return {"opened": opened}


G9 = Figure(
    "G9",
    f"runs with `ulimit -n 64`, and descriptors that are open at most with --workers {WORKERS}",
    "exit code 0; bounded by the settings: sockets for GET and HEAD, a file and its "
    "journal for each, 20 more",
    10,
    opening,
    lambda measured: f"{most(measured, 'opened'):.0f} open at most",
    lambda measured: most(measured, "opened") <= 4 * WORKERS + 20,
)

# G17 --------------------------------------------------------------------------------------------


@asynccontextmanager
async def filling(folder: Path) -> AsyncIterator[Trial]:
    """Each trial syncs to a disk of a random size, in a name space of its own for mounts."""
    async with ScriptedS3() as s3:
        yield partial(_filled, s3, folder / "disk")


async def _filled(s3: ScriptedS3, folder: Path, rng: random.Random) -> Measured:
    sizes = [rng.randrange(60_000) for _ in range(20)] + [rng.randrange(300_000, PART + 300_000)]
    s3.objects = parquets(rng, *sizes)
    size = rng.randrange(100_000, 11_000_000)
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    s3.on_object = _somebody_else(rng, folder) if rng.random() < 0.7 else lambda _: None
    with disk(folder, f"size={size}"):
        ran = await sync(s3, folder / "dest")
        found = tree(folder / "dest")
    for key, data in found.items():
        assert s3.objects[key] == data, f"{key} is wrong on a disk of {size} bytes"
    is_whole = found == s3.objects
    assert (ran.code == 0) == is_whole, f"exit code {ran.code}"
    assert is_whole or isinstance(ran.error, DiskFullError), f"{ran.error!r}"
    return {"fits": is_whole}


def _somebody_else(rng: random.Random, folder: Path) -> Hook:
    """Return what takes most of the space that is left when a run is half-way."""
    number, left = rng.randrange(1, 30), rng.randrange(50_000)

    def write(request: Request) -> None:
        if request.number == number and request.verb == "GET":
            free = shutil.disk_usage(folder).free
            (folder / "somebody-else").write_bytes(bytes(max(free - left, 0)))

    return write


G17 = Figure(
    "G17",
    "disks of random sizes, most of them too small for the bucket",
    "0 wrong final files; exit code 5, or 0 where all fits",
    200,
    filling,
    lambda measured: f"{total(measured, 'fits'):.0f} were large enough",
    wrapper=UNSHARED,
)

# G18 --------------------------------------------------------------------------------------------


@asynccontextmanager
async def pairing(folder: Path) -> AsyncIterator[Trial]:
    """Each trial begins two runs on one folder, at a random distance."""
    yield partial(_paired, folder / "dest")


async def _paired(dest: Path, rng: random.Random) -> Measured:
    locks = rng.random() < 0.5
    objects = parquets(rng, *[rng.randrange(3000) for _ in range(30)], 300_000, PART + 100_000)
    shutil.rmtree(dest, ignore_errors=True)
    ran: list[Ran] = []

    async def run(delay: float) -> None:
        await anyio.sleep(delay)
        ran.append(await sync(s3, dest, alone=False))

    async with ScriptedS3(objects) as s3:
        nothing = mock.patch.object(fcntl, "flock", return_value=None)
        with nullcontext() if locks else nothing:
            async with anyio.create_task_group() as group:
                group.start_soon(run, 0)
                group.start_soon(run, rng.uniform(0, 0.15))
        for key, data in tree(dest).items():
            assert objects[key] == data, f"{key} is wrong, locks: {locks}"
        if locks:
            refused = [one for one in ran if isinstance(one.error, LockHeldError)]
            assert len(refused) <= 1
            assert {one.code for one in ran if one not in refused} == {0}
        else:
            assert {one.code for one in ran} <= {0, 1}, f"{[one.error for one in ran]}"
        again = await sync(s3, dest)
        assert (again.code, tree(dest)) == (0, objects)
    return {"locks": locks, "refused": locks and any(one.error for one in ran)}


def _pairs(measured: Sequence[Measured]) -> str:
    locks, refused = total(measured, "locks"), total(measured, "refused")
    return f"{len(measured) - locks:.0f} without locks; {refused:.0f} of {locks:.0f} were refused"


G18 = Figure(
    "G18",
    "pairs of runs on one destination at random distances, half of them without file locks",
    "0 corrupt in both",
    400,
    pairing,
    _pairs,
)

# G19 --------------------------------------------------------------------------------------------

IN_ONE_RUN = 500
TRACED = "rename,renameat,renameat2,fsync,fdatasync,write,pwrite64,writev"
CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$")
UNFINISHED = "<unfinished ...>"


@asynccontextmanager
async def cutting(folder: Path) -> AsyncIterator[Trial]:
    """Each trial syncs five hundred objects with --durable, and reads the calls of the system."""
    async with ScriptedS3() as s3:
        yield partial(_durable, s3, folder)


async def _durable(s3: ScriptedS3, folder: Path, rng: random.Random) -> Measured:
    s3.objects = parquets(rng, *[rng.randrange(1, 9000) for _ in range(IN_ONE_RUN - 1)], 400_000)
    dest, trace = folder / "dest", folder / "trace"
    shutil.rmtree(dest, ignore_errors=True)
    wrapper = ["strace", "-f", "-qq", "-y", "-s", "0", "-o", str(trace), "-e", f"trace={TRACED}"]
    done = await wrapped(wrapper, s3.environment, "--quiet", "--durable", "--dest", str(dest))
    assert done.code == 0, done.err
    text = await asyncio.to_thread(trace.read_text, errors="replace")
    return {"trials": _in_order(text, dest)}


def _in_order(trace: str, dest: Path) -> int:
    """Insist on write, sync, rename, and sync of the folder; return how many renames there were."""
    unsynced: set[str] = set()
    waiting: set[str] = set()
    renames = 0
    syncing: dict[str, str] = {}  # by thread: a sync counts when it returns, a rename as it begins
    for line in trace.splitlines():
        found = CALL.match(line)
        if not found:
            continue
        thread, call, rest = found.groups()
        opened = re.search(r"<(/[^>]+)>", rest)
        path = opened[1] if opened else syncing.pop(thread, "")
        if "sync" in call:
            if rest.endswith(UNFINISHED):
                syncing[thread] = path
            else:
                unsynced.discard(path)
                waiting.discard(path)
        elif "write" in call:
            if path.startswith(str(dest)):
                unsynced.add(path)
        elif ".parquet" in rest and str(dest) in rest:
            source = Path(re.findall(r'"([^"]+)"', rest)[0]).name  # the path may be /proc/self/fd/9
            renames += 1
            assert not any(Path(path).name == source for path in unsynced), f"not synced: {source}"
            waiting.add(re.findall(r"<(/[^>]+)>", rest)[-1])
    assert renames, "no rename was seen"
    assert not waiting, f"folders not synced: {sorted(waiting)[:3]}"
    return renames


G19 = Figure(
    "G19",
    "renames with --durable: write, sync, rename, sync of the folder, as the system saw them",
    "0 violations",
    10_000,
    cutting,
    on_disk=True,
)
