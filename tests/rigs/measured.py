"""A run in a child process: how much memory it took, and how long it was by a faster clock.

ran = await measured(s3.environment, "--quiet", "--dest", str(dest), speed=100)
assert (ran.code, ran.peak < 300, ran.seconds < 600) == (4, True, True)
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.rigs import child

SCRIPT = """
import sys, time
from functools import partial
import anyio
from asyncsync import api
from asyncsync.cli import main
from asyncsync.pace import Pace
speed = float(sys.argv[1])
if speed > 1:
    clock, sleep = lambda: time.monotonic() * speed, lambda seconds: anyio.sleep(seconds / speed)
    api.Pace = partial(Pace, clock=clock, sleep=sleep)
code = main(sys.argv[2:])
with open("/proc/self/status") as file:  # ru_maxrss counts the parent as well
    print(dict(line.split(":", 1) for line in file)["VmHWM"].split()[0])
sys.exit(code)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of the child."""

    code: int
    out: str
    err: str
    peak: float
    """MiB."""
    seconds: float
    """By its clock."""


async def measured(
    settings: Mapping[str, str], *arguments: str, speed: float = 1, seconds: float = child.SECONDS
) -> Measured:
    """Run asyncsync to its end.

    Args:
        settings: where the bucket is.
        arguments: of the command line.
        speed: how much faster than time its pauses pass.
        seconds: after which it counts as hung.
    """
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT, str(speed), *arguments),
        env={**os.environ, **settings},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    took = (time.monotonic() - started) * speed
    assert b"Traceback" not in err, err[-2000:].decode()
    assert process.returncode is not None
    *lines, peak = out.decode().splitlines(keepends=True)
    return Measured(process.returncode, "".join(lines), err.decode(), int(peak) / 1024, took)
