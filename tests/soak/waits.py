"""G11 and G12: how long a stall goes unnoticed, and what a busy server is asked."""

import random
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from unittest import mock

from asyncsync import api, pipeline
from asyncsync.model import Settings
from asyncsync.report import Report
from asyncsync.settings import Options
from tests.rigs import fault_proxy
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, FaultProxy, Rule
from tests.rigs.fault_run import Run, synced
from tests.rigs.scripted import response
from tests.rigs.watch import tree
from tests.soak.figure import Figure, Measured, Trial, most, total
from tests.soak.scene import real_bucket, some_parquet

# G11 --------------------------------------------------------------------------------------------

EACH = 100
"""Bodies that stall, and bodies that come byte by byte; all at the same time."""


@asynccontextmanager
async def stalling(folder: Path) -> AsyncIterator[Trial]:
    """All bodies stop or crawl at first; the clock and the limits are the real ones."""
    dice = random.Random(0)
    objects = {f"1hz/{n:03}.parquet": some_parquet(dice, 5000) for n in range(2 * EACH)}
    with real_bucket(folder) as bucket, mock.patch.object(fault_proxy, "TRICKLE", 1.0):
        bucket.put_many(objects)
        yield partial(_stalled, bucket, objects, folder / "dest")


async def _stalled(
    bucket: Bucket, objects: dict[str, bytes], dest: Path, rng: random.Random
) -> Measured:
    begun: dict[str, float] = {}
    found: dict[str, float] = {}

    def note(times: dict[str, float], key: str) -> None:
        times[key] = time.monotonic()

    stalls = set(rng.sample(sorted(objects), EACH))
    rules = []
    for key in objects:
        ending: fault_proxy.Ending = "stall" if key in stalls else "trickle"
        first = Act(do=partial(note, begun, key), stop=rng.randrange(1, 2000), ending=ending)
        rules.append(Rule("GET", key, first, nth={1}))
        rules.append(Rule("GET", key, Act(do=partial(note, found, key)), nth={2}))
    server = bucket.server
    async with FaultProxy(server.endpoint_url, rules) as proxy:
        settings = Settings(
            server.access_key_id, server.secret_access_key, proxy.endpoint, server.bucket
        )
        report = Report()
        options = Options(dest=dest, workers=len(objects))
        await api.perform(pipeline.sync, settings, options, (), report)
    assert (report.exit_code, tree(dest)) == (0, objects)
    shutil.rmtree(dest)
    took = {key: found[key] - begun[key] for key in objects}
    return {
        "trials": len(took),
        "stall": max(seconds for key, seconds in took.items() if key in stalls),
        "trickle": max(seconds for key, seconds in took.items() if key not in stalls),
    }


def _noticed(measured: Sequence[Measured]) -> str:
    stall, trickle = most(measured, "stall"), most(measured, "trickle")
    return f"asked again after {stall:.1f} s and {trickle:.1f} s at most"


G11 = Figure(
    "G11",
    "bodies that stall, and bodies of one byte a second",
    "found within 35 s and 65 s",
    2 * EACH,
    stalling,
    _noticed,
    lambda measured: most(measured, "stall") <= 35 and most(measured, "trickle") <= 65,
)

# G12 --------------------------------------------------------------------------------------------

OBJECTS = 100
RETRY_AFTER = 2


@asynccontextmanager
async def throttling(folder: Path) -> AsyncIterator[Trial]:
    """One answer in twenty is a 503; pauses are counted, and take no time."""
    objects = {f"1hz/{n:03}.parquet": bytes([n % 256]) * n for n in range(OBJECTS)}
    with real_bucket(folder) as bucket:
        bucket.put_many(objects)
        undisturbed = await synced(bucket, folder / "dest")
        fewest = len(undisturbed.proxy.requests)
        yield partial(_throttled, bucket, objects, folder / "dest", fewest)


async def _throttled(
    bucket: Bucket, objects: dict[str, bytes], dest: Path, fewest: int, rng: random.Random
) -> Measured:
    shutil.rmtree(dest)
    runs: list[Run] = []
    refused: dict[str, float] = {}
    early: list[str] = []

    def now() -> float:
        return runs[0].clock.now if runs else 0.0

    async def paused(run: Run) -> None:
        runs.append(run)

    def refuse(request: str) -> None:
        refused[request] = now()

    def check(request: str) -> None:
        if request in refused and now() < refused.pop(request) + RETRY_AFTER:
            early.append(request)

    answer = response(b"", status="503 Slow Down", headers={"Retry-After": str(RETRY_AFTER)})
    rules = []
    for key in objects:
        for verb in ("HEAD", "GET"):
            name = f"{verb} {key}"
            rules.append(
                Rule(verb, key, Act(do=partial(refuse, name), instead=answer), chance=0.05)
            )
            rules.append(Rule(verb, key, Act(do=partial(check, name))))
    rules.append(Rule("LIST", "*", Act(instead=answer), chance=0.05))
    run = await synced(bucket, dest, *rules, seed=rng.randrange(10**9), paused=paused)
    assert run.ended_by == (None, 0)
    assert run.tree == objects
    assert not early, f"asked again before Retry-After: {early}"
    return {"requests": len(run.proxy.requests), "fewest": fewest, "refusals": len(refused)}


def _ratio(measured: Sequence[Measured]) -> float:
    return total(measured, "requests") / max(total(measured, "fewest"), 1)


G12 = Figure(
    "G12",
    f"runs over {OBJECTS} objects in which 5 % of all answers are 503 with Retry-After",
    "at most 1.10 of the fewest requests; no request is repeated before Retry-After",
    20,
    throttling,
    lambda measured: f"{_ratio(measured):.3f} of the fewest requests",
    lambda measured: _ratio(measured) <= 1.10,
)
