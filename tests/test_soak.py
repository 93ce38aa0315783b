"""How trials are counted, and that no figure goes on for ever; `make soak` makes the trials."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import anyio
import pytest

from tests.soak.document import table
from tests.soak.figure import Figure, Measured, Result, Trial, run
from tests.soak.figures import FIGURES

pytestmark = pytest.mark.anyio


def figure(trial: Trial, *, hangs: float = 60) -> Figure:
    """Return a figure of ten such trials."""

    @asynccontextmanager
    async def play(folder: Path) -> AsyncIterator[Trial]:
        yield trial

    return Figure("G1", "trials", "0 broken", 10, play, hangs=hangs)


async def results(
    made: Figure, tmp_path: Path, *, seconds: float = 60, limit: float = 60
) -> list[Result]:
    """Run a figure; return all that it told, the last one being what became of it."""
    told: list[Result] = []
    await run(made, 1, seconds, limit, tmp_path, told.append)
    return told


async def stays_whole(rng: random.Random) -> Measured:
    return {"trials": 4}


async def never_ends(rng: random.Random) -> Measured:
    await anyio.sleep_forever()
    return {}


async def test_trials_are_made_until_there_are_enough(tmp_path: Path) -> None:
    """A trial may count for several."""
    *_, last = await results(figure(stays_whole), tmp_path)
    assert (last.trials, last.broken, last.reached, last.result) == (12, 0, True, "0 broken")


async def test_no_trial_begins_when_the_time_is_up(tmp_path: Path) -> None:
    """But the first, and the result says so."""
    *_, last = await results(figure(stays_whole), tmp_path, seconds=0)
    assert (last.trials, last.reached) == (4, True)
    assert last.result == "0 broken; then the time was up"


async def test_trial_under_way_at_the_limit_is_given_up(tmp_path: Path) -> None:
    """It is not counted, and nothing is reached without trials."""
    *_, last = await results(figure(never_ends), tmp_path, limit=0.01)
    assert (last.trials, last.broken, last.reached) == (0, 0, False)


async def test_trial_that_hangs_breaks_a_promise(tmp_path: Path) -> None:
    """And the next one begins."""
    *_, last = await results(figure(never_ends, hangs=0.001), tmp_path)
    assert (last.trials, last.broken, last.reached) == (10, 10, False)
    assert last.described[0].startswith("trial 0: TimeoutError")


async def test_broken_trial_is_told_with_its_number(tmp_path: Path) -> None:
    """With the dice of the same seed, the same ones are broken again."""

    async def breaks(rng: random.Random) -> Measured:
        rolled = rng.random()  # outside of what pytest explains: with a call, by addresses
        assert rolled < 0.5, "the dice say so"
        return {}

    *_, last = await results(figure(breaks), tmp_path)
    *_, again = await results(figure(breaks), tmp_path)
    assert 0 < last.broken < last.trials == 10
    assert again.described == last.described
    assert "the dice say so" in last.described[0]


async def test_missed_goal_is_in_bold(tmp_path: Path) -> None:
    """In the table of the document."""
    stamp = {"seed": 1, "date": "2026-01-02"}
    *_, reached = await results(figure(stays_whole), tmp_path)
    *_, missed = await results(figure(never_ends), tmp_path, limit=0.01)
    assert "| 12 of 10 trials: 0 broken |" in table({"G1": asdict(reached) | stamp})
    text = table({"G1": asdict(missed) | stamp})
    assert "| 0 of 10 trials: **0 broken; then the time was up** |" in text


def test_every_figure_of_the_goals_is_measured() -> None:
    """Each by its own name."""
    assert FIGURES.keys() >= {f"G{number}" for number in range(1, 23)}
    assert all(made.name == name for name, made in FIGURES.items())
