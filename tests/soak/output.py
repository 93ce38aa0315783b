"""G14: secrets in all that the whole suite tells."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from tests.soak.figure import Figure, Measured, Trial, total

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Trial]:
    """The one trial runs the suite with everything logged, and searches it."""
    yield partial(_searched, folder)


async def _searched(folder: Path, rng: random.Random) -> Measured:
    suite = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-m", "not long", "-p", "tests.soak.scan"),
        *("-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider"),
        cwd=ROOT,
        env={**os.environ, "SOAK_SCAN": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await suite.communicate()
    counts, found = await asyncio.to_thread(_read, folder)
    assert counts[2], out.decode(errors="replace")[-400:]
    assert not counts[1], f"{counts[1]} found: {found}"
    return {"tests": counts[2], "characters": counts[0]}


def _read(folder: Path) -> tuple[list[int], list[str]]:
    texts = [path.read_text(encoding="utf-8").splitlines() for path in folder.iterdir()]
    counts = [sum(column) for column in zip(*(map(int, t[0].split()) for t in texts), strict=True)]
    return counts, [line for text in texts for line in text[1:]]


def _told(measured: Sequence[Measured]) -> str:
    tests, characters = total(measured, "tests"), total(measured, "characters")
    return f"{characters:,.0f} characters of {tests:,.0f} tests"


G14 = Figure(
    "G14",
    "secrets, session tokens and signatures in all output of the suite at full verbosity, with "
    "the log of every library at DEBUG",
    "0",
    1,
    listening,
    _told,
)
