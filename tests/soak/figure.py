"""What a figure is, and how its trials are run.

A trial makes a fault with the dice that it is given, insists on the promises with assertions, and
returns what it measured. Its dice depend on the seed and on its number, so it can be made again.
"""

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import anyio

HANGS = 600.0
"""Seconds after which a trial counts as hung."""
MOST_SHOWN = 5
"""Broken trials that are described."""

Measured = Mapping[str, float]
"""What a trial found. `trials` says for how many it counts, where that is not one."""
Trial = Callable[[random.Random], Awaitable[Measured]]


def nothing_broken(_: Sequence[Measured]) -> str:
    """Say nothing more of trials that only hold or break."""
    return ""


def always(_: Sequence[Measured]) -> bool:
    """Say of figures whose goal is that nothing breaks that it is reached."""
    return True


@dataclass(frozen=True, slots=True)
class Figure:
    """Something to count."""

    name: str
    counts: str
    """One line that says what is counted."""
    goal: str
    trials: int
    play: Callable[[Path], AbstractAsyncContextManager[Trial]]
    """Sets the scene in an empty folder, and takes it down."""
    tell: Callable[[Sequence[Measured]], str] = nothing_broken
    """Puts what was measured into words."""
    reached: Callable[[Sequence[Measured]], bool] = always
    wrapper: Sequence[str] = ()
    """The command that the figure's process is the last argument of."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a figure."""

    name: str
    counts: str
    goal: str
    trials: int
    """That were made."""
    target: int
    result: str
    reached: bool
    """Whether the goal was, in as many trials as there were."""
    seconds: float
    broken: int
    """Trials that broke a promise."""
    described: list[str]
    """The first of them."""


async def run(figure: Figure, seed: int, seconds: float, folder: Path) -> Result:
    """Make trials until there are enough of them or the time is up, one at least."""
    started = time.monotonic()
    measured: list[Measured] = []
    broken: list[str] = []
    trials = 0
    async with figure.play(folder) as trial:
        number = 0
        while trials < figure.trials:
            try:
                with anyio.fail_after(HANGS):
                    found = await trial(random.Random(f"{seed} {figure.name} {number}"))
                measured.append(found)
                trials += int(found.get("trials", 1))
            except Exception as error:  # noqa: BLE001 - whatever it is, it should not have been
                broken.append(f"trial {number}: {_described(error)}")
                trials += 1
            number += 1
            if time.monotonic() - started > seconds:
                break
    return Result(
        name=figure.name,
        counts=figure.counts,
        goal=figure.goal,
        trials=trials,
        target=figure.trials,
        result="; ".join(filter(None, [f"{len(broken)} broken", figure.tell(measured)])),
        reached=not broken and figure.reached(measured),
        seconds=round(time.monotonic() - started, 1),
        broken=len(broken),
        described=broken[:MOST_SHOWN],
    )


def _described(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    place = error.__traceback__
    while place and place.tb_next and "soak" in place.tb_next.tb_frame.f_code.co_filename:
        place = place.tb_next
    line = place.tb_lineno if place else 0
    return f"{type(error).__name__} in line {line}: {error}"[:400].replace("\n", " ")


def total(measured: Sequence[Measured], name: str) -> float:
    """Return the sum of what was measured."""
    return sum(found.get(name, 0) for found in measured)


def most(measured: Sequence[Measured], name: str) -> float:
    """Return the largest that was measured."""
    return max((found[name] for found in measured if name in found), default=0)
