"""Clocks that move only while somebody sleeps, or when a test moves them."""

import anyio
from anyio import wait_all_tasks_blocked

from asyncsync.pace import Pace

MOST = 256
"""Slots that a pace of such a clock may have."""


class Clock:
    """A clock that moves only, and at once, while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.slept.append(seconds)
        self.now += seconds

    def pace(self, workers: int | None = None, most: int = MOST, attempts: int = 8) -> Pace:
        """Return a pace with this clock."""
        return Pace(workers, most, attempts, self.sleep, lambda: self.now, worked=float)


class StandingClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait until the time has come."""
        self.slept.append(seconds)
        until = self.now + seconds
        while self.now < until:
            await self._moved.wait()

    async def move(self, seconds: float) -> None:
        """Let the time pass, and all go on whose time has come."""
        self.now += seconds
        self._moved.set()
        self._moved = anyio.Event()
        await wait_all_tasks_blocked()
