"""How many requests may be in flight, and when to try again.

One `Pace` serves a whole run, so that what one request learns about the server holds for all:

- `slot` bounds the requests for objects, and `large` the objects in parts. Unless a number is
  given, `tune` doubles the slots while requests wait, the event loop has time to spare and the
  last doubling brought more bytes a second; it steps back when one did not.
- `Tries` repeats what fails for a passing reason, after a pause that grows and is never the same
  for two. When the server asks for fewer requests, the slots are halved and everybody pauses.
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from anyio import CapacityLimiter

from asyncsync.errors import RetriesExhaustedError, ThrottledError, TransientError

logger = logging.getLogger(__name__)

T = TypeVar("T")

START = 32
FEWEST = 4
LARGE_AT_ONCE = 16
"""Objects in parts under way: few enough that some are finished early."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
LONGEST_RETRY_AFTER = 60.0
INTERVAL = 0.2
"""Seconds between two looks at the throughput."""
WORTH_IT = 1.1
"""How much more throughput a doubling must bring to be kept."""
BUSY = 0.9
"""Share of its time that the event loop may work before more requests cannot help."""
HOLD = 10
"""Looks before another doubling is tried after one that did not help."""


class Pace:
    """The shared pace of a run's requests."""

    def __init__(
        self,
        workers: int | None,
        max_workers: int,
        attempts: int,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = workers or max_workers
        self.attempts = attempts
        self.slot = CapacityLimiter(workers or min(START, max_workers))
        self.large = CapacityLimiter(LARGE_AT_ONCE)
        self._adapts = workers is None
        self._sleep = sleep
        self._clock = clock
        self._paused_until = 0.0
        self._throttled_at = float("-inf")
        self._received = 0

    def tries(self, key: str) -> "Tries":
        """Return the attempts at the requests about one object, or about one prefix."""
        return Tries(self, key)

    def received(self, size: int) -> None:
        """Count bytes of objects that have arrived."""
        self._received += size

    async def ready(self) -> None:
        """Wait while everybody pauses."""
        while (wait := self._paused_until - self._clock()) > 0:
            await self._sleep(wait)

    async def pause(self, error: TransientError, attempt: int) -> None:
        """Wait before the attempt after the failed one; everybody does when the server is busy."""
        wait = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
        if isinstance(error, ThrottledError):
            wait = min(max(wait, error.retry_after or 0.0), LONGEST_RETRY_AFTER)
            self._throttle(wait)
        logger.info("attempt %d failed: %s; the next in %.1f s", attempt, error, wait)
        await self._sleep(wait)

    def _throttle(self, wait: float) -> None:
        now = self._clock()
        if now >= self._paused_until:  # answers to requests of one burst count once
            if self._adapts:
                self.slot.total_tokens = max(FEWEST, int(self.slot.total_tokens) // 2)
            self._throttled_at = now
        self._paused_until = max(self._paused_until, now + wait)

    async def tune(self) -> None:
        """Find the best number of slots; runs until it is cancelled."""
        if not self._adapts:
            return
        before = 0.0  # bytes a second ahead of the doubling that is on trial
        hold = 0
        while True:
            throttled_at, received = self._throttled_at, self._received
            wall, busy = self._clock(), time.thread_time()
            await self._sleep(INTERVAL)
            wall, busy = self._clock() - wall, time.thread_time() - busy
            rate = (self._received - received) / wall
            if throttled_at != self._throttled_at:
                before, hold = 0.0, HOLD
            elif before and rate < before * WORTH_IT:
                self.slot.total_tokens = max(FEWEST, int(self.slot.total_tokens) // 2)
                before, hold = 0.0, HOLD
            elif hold:
                hold -= 1
            elif busy < wall * BUSY and self.slot.statistics().tasks_waiting:
                before = rate
                self.slot.total_tokens = min(self.most, int(self.slot.total_tokens) * 2)


class Tries:
    """The attempts at the requests about one key."""

    def __init__(self, pace: Pace, key: str) -> None:
        self._pace = pace
        self._key = key
        self.most = 1
        """Attempts of the request that needed most of them."""

    async def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until it succeeds.

        Raises:
            RetriesExhaustedError: the attempts have run out; the last error is the cause.
        """
        attempt = 1
        while True:
            await self._pace.ready()
            try:
                return await call()
            except TransientError as error:
                if attempt >= self._pace.attempts:
                    raise RetriesExhaustedError(
                        self._key, f"given up after {attempt} attempts: {error}"
                    ) from error
                await self._pace.pause(error, attempt)
            attempt += 1
            self.most = max(self.most, attempt)
