"""G16: anything in any order, against a dict."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.rigs.state_machine import Sync
from tests.soak.figure import Figure, Measured, Trial

AT_ONCE = 20
STEPS = 20


@asynccontextmanager
async def imagining(folder: Path) -> AsyncIterator[Trial]:
    """Each trial makes up some sequences."""
    yield _imagined


async def _imagined(rng: random.Random) -> Measured:
    await to_thread.run_sync(_run, rng.randrange(2**32))
    return {"trials": AT_ONCE}


def _run(number: int) -> None:
    class Seeded(Sync):
        """A machine that has a seed of its own."""

    run_state_machine_as_test(
        seed(number)(Seeded),
        settings=settings(
            max_examples=AT_ONCE,
            stateful_step_count=STEPS,
            database=None,
            deadline=None,
            print_blob=False,
            phases=[Phase.generate],  # a shorter example takes minutes to find
            suppress_health_check=list(HealthCheck),
        ),
    )


G16 = Figure(
    "G16",
    "sequences of put, replace, delete, fault, kill, sync and tamper, against a dict as model",
    "0 failures; 200 sequences of them are in the suite",
    20_000,
    imagining,
)
