"""G20: somebody swaps a folder for a link that leads out of the destination, while files arrive."""

import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from anyio import to_thread

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.disk import Folder
from asyncsync.download.download import SMALL
from asyncsync.errors import KeyCollisionError, LocalFileError
from asyncsync.model import Checks
from tests.rigs.memory_store import MemoryStore
from tests.rigs.watch import Watcher, quick_pace, tree, unfinished
from tests.soak.figure import Figure, Measured, Trial, total

IN_ONE_RUN = 250
LARGE_EACH = 25
"""Every so many objects one comes in parts."""

RACER = """
import ctypes, os, random, select, sys, time

folder, link, seed = sys.argv[1:]
exchange = ctypes.CDLL(None, use_errno=True).renameat2
paths = (-100, os.fsencode(folder), -100, os.fsencode(link), 2)  # AT_FDCWD, RENAME_EXCHANGE
dice, swaps = random.Random(seed), 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0] or swaps % 2:  # an odd one is to be undone
    if exchange(*paths):
        sys.exit(os.strerror(ctypes.get_errno()))
    swaps += 1
    until = time.perf_counter() + dice.uniform(0, 0.0001)
    while time.perf_counter() < until:
        pass
print(swaps, flush=True)
"""
"""A process of its own, so that it really runs beside; it ends when its input does."""


@contextmanager
def _swapping(folder: Path, link: Path, rng: random.Random, swaps: list[int]) -> Iterator[None]:
    """Exchange a folder and a link again and again; at the end each is back at its place."""
    command = [sys.executable, "-SE", "-c", RACER, str(folder), str(link), str(rng.random())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as racer:
        try:
            assert racer.stdout
            assert racer.stdout.readline() == b"ready\n"
            yield
            told, _ = racer.communicate()
        except BaseException:
            racer.kill()
            raise
    swaps.append(int(told))


@asynccontextmanager
async def swapping(folder: Path) -> AsyncIterator[Trial]:
    """Each trial syncs some hundred objects into a folder that is swapped all the time."""
    yield partial(_swapped, folder / "run")


async def _swapped(run: Path, rng: random.Random) -> Measured:
    await to_thread.run_sync(partial(shutil.rmtree, run, ignore_errors=True))
    outside, dest = run / "outside", run / "dest"
    for place in (outside / "e", dest / "d" / "e"):
        place.mkdir(parents=True)
    objects = {
        f"d/e/{number}": rng.randbytes(SMALL + 1 if number % LARGE_EACH == 0 else 100)
        for number in range(IN_ONE_RUN)
    }
    precious = {name.removeprefix("d/"): b"precious" for name in rng.sample(sorted(objects), 100)}
    for name, content in precious.items():
        (outside / name).write_bytes(content)
    swapped = rng.choice([dest / "d", dest / "d" / "e"])
    link = run / "link"
    link.symlink_to(outside if swapped.name == "d" else outside / "e")
    seen, swaps = Watcher(), list[int]()
    with _swapping(swapped, link, rng, swaps):
        await pipeline.sync(
            pipeline.Job(
                store=MemoryStore(objects),
                folder=Folder(dest),
                selection=Selection(["*"], [], ["d/"]),
                pace=quick_pace(workers=8),
                observer=seen,
                checks=Checks(parquet=False),
            )
        )
    assert tree(outside) == precious, "outside is not what it was"
    assert set(seen.failures.values()) <= {LocalFileError, KeyCollisionError}, seen.failures
    assert sorted([*seen.downloaded, *seen.failures]) == sorted(objects)
    assert tree(dest) == {key: objects[key] for key in seen.downloaded}
    assert unfinished(dest) == []
    return {"trials": len(objects), "refused": len(seen.failures), "swaps": swaps[0]}


G20 = Figure(
    "G20",
    "files that get their names while another process swaps a folder on the way for a link that "
    "leads outside, and back",
    "0 bytes outside; each file is published or refused",
    10_000,
    swapping,
    lambda measured: (
        f"{total(measured, 'refused'):,.0f} refused, "
        f"{total(measured, 'swaps'):,.0f} swaps of the folder"
    ),
    lambda measured: 0 < total(measured, "refused") < total(measured, "trials"),
)
