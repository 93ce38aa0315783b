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

HANGS = 150.0
"""Seconds after which a trial counts as hung, unless its figure says otherwise."""
TELLS_EVERY = 1.0
"""Seconds between two results so far."""
OUT_OF_TIME = "then the time was up"
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
    hangs: float = HANGS
    """Seconds after which a trial counts as hung, which breaks a promise."""
    is_timed: bool = False
    """Whether its goal is so short a time that nothing else may run meanwhile."""
    on_disk: bool = False
    """Whether its folder is to be on a real disk, and not in memory."""


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


class Count:
    """What has become of a figure so far."""

    def __init__(self, figure: Figure) -> None:
        self._figure = figure
        self._started = time.monotonic()
        self._measured: list[Measured] = []
        self._broken: list[str] = []
        self.trials = 0

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._started

    def add(self, found: Measured) -> None:
        """Count a trial that kept the promises."""
        self._measured.append(found)
        self.trials += int(found.get("trials", 1))

    def add_broken(self, described: str) -> None:
        """Count a trial that broke one."""
        self._broken.append(described)
        self.trials += 1

    def result(self, why_ended: str = "") -> Result:
        """Put it into words, with the reason if it ends before there were enough trials."""
        figure, broken = self._figure, self._broken
        told = figure.tell(self._measured) if self._measured else ""
        return Result(
            name=figure.name,
            counts=figure.counts,
            goal=figure.goal,
            trials=self.trials,
            target=figure.trials,
            result="; ".join(filter(None, [f"{len(broken)} broken", told, why_ended])),
            reached=self.trials > 0 and not broken and figure.reached(self._measured),
            seconds=round(self.seconds, 1),
            broken=len(broken),
            described=broken[:MOST_SHOWN],
        )


async def run(
    figure: Figure,
    seed: int,
    seconds: float,
    limit: float,
    folder: Path,
    show: Callable[[Result], object],
) -> None:
    """Make trials until there are enough of them or the time is up.

    Args:
        figure: whose trials they are.
        seed: of the dice.
        seconds: after which no other trial begins.
        limit: seconds after which the trial that is under way is given up, and not counted.
        folder: an empty one.
        show: told the result, now and then the one so far.
    """
    count = Count(figure)
    with anyio.move_on_after(limit):
        async with figure.play(folder) as trial:
            number, shown = 0, 0.0
            while count.trials < figure.trials and (not number or count.seconds < seconds):
                try:
                    with anyio.fail_after(figure.hangs):
                        count.add(await trial(random.Random(f"{seed} {figure.name} {number}")))
                except Exception as error:  # noqa: BLE001 - whatever it is, it should not have been
                    count.add_broken(f"trial {number}: {_described(error)}")
                number += 1
                if count.seconds - shown >= TELLS_EVERY:
                    shown = count.seconds
                    show(count.result(OUT_OF_TIME))
    show(count.result("" if count.trials >= figure.trials else OUT_OF_TIME))


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
