"""G14: secrets in all that the whole suite tells, and in the frames of its errors."""

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
PLACES = 8
PLANTED = """
import asyncio, logging, subprocess, sys
from asyncsync.errors import ConfigError
from asyncsync.model import Settings

SECRET, TOKEN = "a-planted-secret", "a-planted-token"
SAY = [sys.executable, "-c", f"print({SECRET!r})"]

def test_log_and_streams(capsys):
    Settings("AKID", SECRET, "http://127.0.0.1", "sensors", session_token=TOKEN)
    logging.getLogger("some.library").debug("the key is %s", SECRET)
    logging.getLogger("some.library").log(1, "Signature=" + "0a" * 32)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("some.library").info("failed", exc_info=True)
    print(TOKEN)
    capsys.readouterr()
    print(SECRET)

def test_frames():
    key = f"<{SECRET}>"
    try:
        raise ConfigError("failed")
    except ConfigError:
        pass

def test_processes():
    subprocess.run(SAY, stdout=subprocess.PIPE)

    async def say():
        await (await asyncio.create_subprocess_exec(*SAY, stdout=subprocess.PIPE)).communicate()

    asyncio.run(say())
"""
"""Tests that tell secrets in so many places, all of which have to be found."""


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Trial]:
    """The one trial runs the suite with everything logged, and searches it.

    That the search finds what is there is shown first, with secrets that are planted.
    """
    yield partial(_searched, folder)


async def _searched(folder: Path, rng: random.Random) -> Measured:
    planted = folder / "planted"
    planted.mkdir()
    (planted / "test_planted.py").write_text(PLANTED, encoding="utf-8")
    counts, found = await _suite(planted, str(planted))
    assert counts[1] == PLACES, f"{counts[1]} of {PLACES} planted secrets were found: {found}"
    whole = folder / "whole"
    whole.mkdir()
    arguments = ("-m", "not long", "-n", "2", "--dist", "loadfile")
    counts, found = await _suite(whole, *arguments)
    assert not counts[1], f"{counts[1]} found: {found}"
    return {"tests": counts[2], "characters": counts[0]}


async def _suite(folder: Path, *arguments: str) -> tuple[list[int], list[str]]:
    """Run tests with the plugin that searches; return its counts, and what it found."""
    suite = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "tests.soak.scan", "-p", "no:cacheprovider"),
        *arguments,
        cwd=ROOT,
        env={**os.environ, "SOAK_SCAN": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await suite.communicate()
    finally:
        if suite.returncode is None:
            suite.kill()
    counts, found = await asyncio.to_thread(_read, folder)
    # A test that fails, as one may on a busy machine, tells what it tells all the same.
    assert suite.returncode in {0, 1}, out.decode(errors="replace")[-400:]
    assert counts[2], "no test was run"
    return counts, found


def _read(folder: Path) -> tuple[list[int], list[str]]:
    texts = [path.read_text(encoding="utf-8").splitlines() for path in folder.glob("*.scan")]
    counts = [sum(column) for column in zip(*(map(int, t[0].split()) for t in texts), strict=True)]
    return counts, [line for text in texts for line in text[1:]]


def _told(measured: Sequence[Measured]) -> str:
    tests, characters = total(measured, "tests"), total(measured, "characters")
    return f"{characters:,.0f} characters of {tests:,.0f} tests"


G14 = Figure(
    "G14",
    "secrets, session tokens and signatures in all output of the suite at full verbosity, with "
    "the log of every library at DEBUG, and in the local variables of all errors",
    "0",
    1,
    listening,
    _told,
    hangs=900,
)
