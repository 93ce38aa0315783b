"""How many requests may be in flight, and when to try again.

One `Pace` serves a whole run, so that what one request learns about the server holds for all:

- `slot` bounds the objects and parts under way; `large` and `streams` bound objects in several
  parts, and parts, by themselves. Unless a number is given, `tune` doubles the slots while requests
  wait, the event loop has time to spare and the last doubling brought more bytes a second; it steps
  back when one did not. A server that has asked for fewer requests is near its limit, and says
  itself when that is reached again: from then on a quarter is added at a time.
- `Tries` repeats what fails for a passing reason, after a pause that grows and is never the same
  for two. When the server asks for fewer requests, the slots are halved, everybody pauses, and then
  requests leave one after the other, as many a second as it takes (`rate.py`).
- That no connection comes about is the matter of the run and not of one object: all count the time
  since the last answer, and when it is too long, the run ends; the first answer is the sign for all
  to go on. A connection that comes about and is
  reset before a byte of an answer counts as an attempt of the object: what stands in between may
  dislike just this request, and would then hold up all others for minutes, and end the run. (With
  TLS, one that is reset at once has not come about.)
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio
from anyio import CapacityLimiter

from asyncsync.concurrently import run_until_first
from asyncsync.errors import (
    NetworkError,
    RetriesExhaustedError,
    ThrottledError,
    TransferError,
    TransientError,
    UnreachableError,
)
from asyncsync.interfaces import CONNECT_TIMEOUT
from asyncsync.pace.rate import RequestRate

logger = logging.getLogger(__name__)

T = TypeVar("T")

START = 32
FEWEST = 4
LARGE_AT_ONCE = 16
"""Objects in several parts under way: few enough that some are finished early."""
STREAMS_AT_ONCE = 64
"""Parts under way: each holds a block or two in memory."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
LONGEST_RETRY_AFTER = 60.0
FIRST_ANSWER = 20.0
"""Seconds that an endpoint has for its first answer while no connection comes about."""
LONGEST_OUTAGE = 300.0
"""Seconds that one which has answered before may be away."""
NOTICE_AFTER = 3.0
"""Seconds of an outage after which somebody may wonder why nothing happens."""
INTERVAL = 0.1
"""Seconds between two looks at the throughput."""
SETTLE = 1
"""Looks after a doubling that only sees its connections being opened."""
WORTH_IT = 1.1
"""How much more throughput a doubling must bring to be kept."""
BUSY = 0.9
"""Share of the time that the event loop may be at work before more requests cannot help."""
HOLD = 10
"""Looks before another doubling is tried after one that did not help."""
RELIEF = 3
"""Looks before a quarter is added after the server has asked for fewer requests."""


class _Outage:
    """A time in which nobody gets an answer."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.is_told = False
        self.over = anyio.Event()


class Pace:
    """The shared pace of a run's requests."""

    def __init__(
        self,
        workers: int | None,
        max_workers: int,
        attempts: int,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
        notice: Callable[[str], object] = logger.info,
        worked: Callable[[], float] = time.thread_time,
        streams: int = STREAMS_AT_ONCE,
    ) -> None:
        self.most = workers or max_workers
        self.attempts = attempts
        self.slot = CapacityLimiter(workers or min(START, max_workers))
        self.large = CapacityLimiter(LARGE_AT_ONCE)
        self.streams = CapacityLimiter(min(streams, STREAMS_AT_ONCE))
        self._adapts = workers is None
        self._sleep = sleep
        self._clock = clock
        self._notice = notice
        self._worked = worked
        self._paused_until = 0.0
        self._answered_at = float("-inf")
        self._outage: _Outage | None = None
        self._throttled_at = float("-inf")
        self._refusals = 0
        self._rate = RequestRate()
        self._received = 0

    def tries(self, key: str) -> "Tries":
        """Return the attempts at the requests about one object, or about one prefix."""
        return Tries(self, key)

    def received(self, size: int) -> None:
        """Count bytes of objects that have arrived."""
        self._received += size
        self.answered()

    def answered(self) -> None:
        """Take note that the endpoint is there, whatever it says."""
        self._answered_at = self._clock()
        if outage := self._outage:
            self._outage = None
            outage.over.set()
            if outage.is_told:
                self._notice(f"it goes on after {self._answered_at - outage.since:.0f} s")

    async def away(self, error: UnreachableError, asked: float) -> None:
        """Wait before the next connection is tried: half as long as there has been no answer.

        Not that long when somebody gets one meanwhile. But nobody tries again at once: where old
        connections answer and no new one comes about, that would be many times a second.

        Args:
            error: what became of the last one.
            asked: when that was tried.

        Raises:
            NetworkError: the endpoint has been away for too long.
        """
        now = self._clock()
        # Since it was asked for, the request may have waited for a limit of bytes, or the process
        # have been stopped: nobody was away then.
        since = max(asked, self._answered_at, now - CONNECT_TIMEOUT)
        outage = self._outage = self._outage or _Outage(since)
        away = now - outage.since
        has_answered = self._answered_at > float("-inf")
        left = (LONGEST_OUTAGE if has_answered else FIRST_ANSWER) - away
        if left <= 0:
            raise NetworkError(f"{error}; tried for {away:.0f} s") from error
        if away >= NOTICE_AFTER and not outage.is_told:
            outage.is_told = True
            self._notice(f"{error}; trying again for {left:.0f} s")
        wait = min(max(away / 2, FIRST_PAUSE), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
        logger.info("%s; the next attempt in %.1f s", error, wait)
        at_least = min(FIRST_PAUSE, wait, left)
        await self._sleep(at_least)
        await run_until_first(partial(self._sleep, min(wait, left) - at_least), outage.over.wait)

    def served(self) -> None:
        """Take note that the server has done what it was asked for."""
        self.answered()
        self._refusals = 0
        self._rate.answered(self._clock())

    async def ready(self) -> float:
        """Wait while everybody pauses, and for the moment of the next request; return the time."""
        while True:
            while (wait := self._paused_until - (now := self._clock())) > 0:
                await self._sleep(wait)
            throttled_at = self._throttled_at
            if (wait := self._rate.wait(now)) <= 0:
                return now
            await self._sleep(wait)
            if throttled_at == self._throttled_at:
                return self._clock()

    async def pause(self, error: TransientError, attempt: int) -> None:
        """Wait before the attempt after the failed one; everybody does when the server is busy."""
        wait = _pause(attempt)
        if isinstance(error, ThrottledError):
            asked = min(error.retry_after or 0.0, LONGEST_RETRY_AFTER)
            wait = max(wait, asked)
            self._throttle(asked)
        logger.info("attempt %d failed: %s; the next in %.1f s", attempt, error, wait)
        await self._sleep(wait)

    def _throttle(self, asked: float) -> None:
        """Let everybody pause: as long as was asked for, and longer with each burst in vain."""
        now = self._clock()
        if now >= self._paused_until:  # answers to requests of one burst count once
            if self._adapts:
                self._set_slots(self._slots // 2)
            self._throttled_at = now
            self._refusals += 1
            self._rate.refused(now)
            self._paused_until = now + _pause(self._refusals)
        self._paused_until = max(self._paused_until, now + asked)

    @property
    def _slots(self) -> int:
        return int(self.slot.total_tokens)

    def _set_slots(self, number: int) -> None:
        self.slot.total_tokens = max(min(number, self.most), min(FEWEST, self.most))

    async def tune(self) -> None:
        """Find the best number of slots; runs until it is cancelled."""
        trial: tuple[float, int] | None = None  # the rate and the slots before the last doubling
        hold = 0
        while self._adapts:
            throttled_at = self._throttled_at
            rate, busy = await self._look()
            if throttled_at != self._throttled_at:
                trial, hold = None, RELIEF
            elif hold:
                hold -= 1
            elif trial and rate < trial[0] * WORTH_IT:
                self._set_slots(trial[1])
                trial, hold = None, HOLD
            else:
                trial = None
                full = self.slot.statistics().tasks_waiting > 0
                if not full or busy >= BUSY or self._slots == self.most:
                    continue
                if self._throttled_at > float("-inf"):
                    hold = RELIEF
                    self._set_slots(self._slots + max(1, self._slots // 4))
                else:
                    trial, hold = (rate, self._slots), SETTLE
                    self._set_slots(self._slots * 2)

    async def _look(self) -> tuple[float, float]:
        """Return the bytes a second of an interval, and the share of it this thread was at work."""
        received, start, worked = self._received, self._clock(), self._worked()
        await self._sleep(INTERVAL)
        seconds = self._clock() - start
        return (self._received - received) / seconds, (self._worked() - worked) / seconds


def _pause(attempt: int) -> float:
    """Return the seconds to wait after so many attempts: never the same for two."""
    return min(FIRST_PAUSE * 2.0 ** min(attempt - 1, 64), LONGEST_PAUSE) * random.uniform(0.8, 1.2)


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
            NetworkError: no connection comes about, for nobody.
            RetriesExhaustedError: the attempts have run out; the last error is the cause.
        """
        attempt = failed = 0
        while True:
            asked = await self._pace.ready()
            attempt += 1
            self.most = max(self.most, attempt)
            try:
                answer = await call()
            except UnreachableError as error:
                await self._pace.away(error, asked)
            except TransientError as error:
                self._pace.answered()
                failed += 1
                await self._pause(error, failed)
            except TransferError:
                self._pace.answered()
                raise
            else:
                self._pace.served()
                return answer

    async def locally(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call what asks no server until it finds enough descriptors.

        Raises:
            RetriesExhaustedError: the attempts have run out.
        """
        failed = 0
        while True:
            try:
                return await call()
            except ThrottledError as error:
                failed += 1
                await self._pause(error, failed)

    async def _pause(self, error: TransientError, failed: int) -> None:
        if failed >= self._pace.attempts:
            times = f"{failed} attempt{'s' if failed > 1 else ''}"
            raise RetriesExhaustedError(self._key, f"given up after {times}: {error}") from error
        await self._pace.pause(error, failed)
