"""G21: the power fails at random changes that runs make to a disk."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from multiprocessing.context import ForkServerContext
from pathlib import Path

from tests.rigs.child import Done
from tests.rigs.mounted import mounted
from tests.rigs.power import Boot, Machine
from tests.rigs.scripted_s3 import ScriptedS3
from tests.soak.figure import Figure, Measured, Trial, total
from tests.soak.kills import processes, start
from tests.soak.scene import UNSHARED


@asynccontextmanager
async def failing(folder: Path) -> AsyncIterator[Trial]:
    """Two machines, one of which syncs with --durable, and in each trial the power of one fails."""
    boot = Boot(folder / "boot_id")
    with boot.over_the_systems(), ExitStack() as mounts:
        disks = [
            mounts.enter_context(mounted(folder / "plain")),
            mounts.enter_context(mounted(folder / "durable", "--forget-times")),
        ]
        async with ScriptedS3() as plain, ScriptedS3() as durable:
            context = processes()
            machines = [
                Machine(
                    disk,
                    boot,
                    s3,
                    partial(_run, context, s3.environment, folder / "out"),
                    durable=s3 is durable,
                )
                for disk, s3 in zip(disks, (plain, durable), strict=True)
            ]
            yield partial(_failed, machines)


async def _run(
    context: ForkServerContext, settings: dict[str, str], out: Path, *arguments: str
) -> Done:
    process = start(context, settings, out, *arguments)
    await asyncio.to_thread(process.join)
    assert process.exitcode is not None
    return Done(process.exitcode, await asyncio.to_thread(out.read_text), "")


async def _failed(machines: list[Machine], rng: random.Random) -> Measured:
    durable = rng.random() < 0.5
    cuts = await machines[durable].trial(rng)
    return {"trials": cuts, "durable": cuts * durable}


G21 = Figure(
    "G21",
    "power cuts at random changes that runs make to a disk that may lose all that was not synced, "
    "with and without --durable",
    "the next run that ends has exit code 0 and makes the tree equal the bucket; 0 left-overs; "
    "with --durable, 0 torn files after the cut, and all that was reported is there",
    500,
    failing,
    lambda measured: f"{total(measured, 'durable'):.0f} of them with --durable",
    wrapper=UNSHARED,
)
