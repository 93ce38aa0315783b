"""asyncsync as a child process, as a shell or cron runs it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

SECONDS = 60
"""After so long a child counts as hung."""
PATIENCE = 25
"""Seconds for which something is waited for, however busy the machine is; a stall would end after
30."""
SOON = 4.0
"""Seconds within which a signal must have ended a child: the two that are promised, to which the
soak's G10 holds it, and two more for a machine that has other work to do."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a child."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        """The last of the JSON lines."""
        return self.events[-1]


def interruptible() -> None:
    """Let signals reach what is started from here, also where nohup or a shell's & ignores them."""
    defaults: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    for number, default in defaults.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)


@asynccontextmanager
async def started(
    settings: Mapping[str, str],
    *arguments: str,
    stdout: int = asyncio.subprocess.PIPE,
    wrapper: Sequence[str] = (),
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start asyncsync with these settings, inside a wrapper; afterwards the child is gone."""
    child = await asyncio.create_subprocess_exec(
        *wrapper,
        sys.executable,
        "-m",
        "asyncsync",
        *arguments,
        env={**os.environ, **settings},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def ended(child: asyncio.subprocess.Process) -> Done:
    """Wait for the end of a child, and insist that it was a decent one."""
    async with asyncio.timeout(SECONDS):
        out, err = await child.communicate()
    assert b"Traceback" not in err, err.decode()
    assert child.returncode is not None
    return Done(child.returncode, (out or b"").decode(), err.decode())


async def asyncsync(settings: Mapping[str, str], *arguments: str) -> Done:
    """Run asyncsync to its end."""
    async with started(settings, *arguments) as child:
        return await ended(child)


async def until(condition: Callable[[], object]) -> None:
    """Look again and again until the condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # another process has no event to wait for
            await asyncio.sleep(0.005)
