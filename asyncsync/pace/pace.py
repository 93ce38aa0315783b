"""How many requests are in flight, and when to retry.

All requests of a run share one `Pace`, so what one of them learns about the server helps all:

- `slot` limits the objects and parts in flight. `large` also limits the objects in several parts,
  and `streams` the parts. Unless the number of workers is given, `tune` doubles the slots while
  requests wait, the event loop is not busy, answers come not much later than the first ones did,
  and the last doubling brought more bytes per second; it undoes a doubling that did not. A server
  that has asked for fewer requests is near its limit, and asks again when the limit is reached:
  from then on `tune` adds a quarter at a time.
- `Tries` retries after a transient error, after a pause that grows and has jitter. When the server
  asks for fewer requests, the slots are halved, all requests pause, and then they are sent one by
  one, as many per second as the server answers (`rate.py`).
- If no connection can be opened, this concerns the whole run, not one object: what counts is the
  time since the last answer to any request. When it is too long, the run ends; the first answer
  lets all requests go on. A connection that is opened, and reset before the first byte of an
  answer, is a failed attempt of its object instead: a middlebox may reject only this request, which
  must not delay all others for minutes and end the run. (With TLS, a connection that is reset
  during the handshake was not opened.)
- If requests fail and none brings anything new for minutes, the run stands still (`standstill.py`),
  and it ends. If they are all about one object, only this one fails.
- What is refused for good is the failure of its object, until too many are alike (`refused.py`).
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio

from asyncsync.concurrently import run_until_first
from asyncsync.errors import (
    NetworkError,
    RefusedError,
    RetriesExhaustedError,
    StandstillError,
    ThrottledError,
    TransferError,
    TransientError,
    UnreachableError,
)
from asyncsync.interfaces import CONNECT_TIMEOUT, Urgent
from asyncsync.pace.outage import FIRST_ANSWER, LONGEST_OUTAGE, NOTICE_AFTER, Outage
from asyncsync.pace.rate import RequestRate
from asyncsync.pace.refused import Refused
from asyncsync.pace.slots import Slots
from asyncsync.pace.standstill import GRACE, LONGEST, TOLD_AFTER, Standstill

logger = logging.getLogger(__name__)

T = TypeVar("T")

START = 8
FEWEST = 4
FEW = 64
"""Slots up to which a doubling is not judged: so many cost little, and it saves time."""
LARGE_AT_ONCE = 16
"""Objects in several parts in flight: few enough that some are finished early."""
STREAMS_AT_ONCE = 64
"""Parts in flight: each holds one or two blocks in memory."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
LONGEST_RETRY_AFTER = 60.0
INTERVAL = 0.1
"""Seconds over which `tune` measures the throughput once."""
SETTLE = 1
"""Measurements to skip after a doubling, while its connections are being opened."""
WORTH_IT = 1.1
"""The factor by which a doubling must raise the throughput to be kept."""
BUSY = 0.9
"""The share of time for which the event loop is busy when more requests cannot help."""
CROWDED = 3.0
"""How many times the shortest wait for an answer the mean one may last: then answers queue."""
HOLD = 10
"""Measurements before the next doubling after one that did not help."""
RELIEF = 3
"""Measurements before a quarter is added after the server has asked for fewer requests."""


class Pace:
    """The shared pace of a run's requests.

    Args:
        workers: requests for objects in flight; found by `tune` if None.
        max_workers: the most that `tune` may find.
        attempts: of one request, before it fails for good.
        sleep, clock: for tests; times are in seconds.
        notice: gets messages for the user.
        worked: returns the processor time of this thread, in seconds.
        streams: parts in flight at most.
    """

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
        self.slot = Slots(workers or min(START, max_workers))
        self.large = Slots(LARGE_AT_ONCE)
        self.streams = Slots(min(streams, STREAMS_AT_ONCE))
        self._adapts = workers is None
        self._sleep = sleep
        self._clock = clock
        self._notice = notice
        self._worked = worked
        self._paused_until = 0.0
        self._answered_at = float("-inf")
        self._outage: Outage | None = None
        self._standstill: Standstill | None = None
        self._throttled_at = float("-inf")
        self._refusals = 0
        self.refused = Refused()
        self._rate = RequestRate()
        self._received = 0
        self._waits = 0.0
        self._waited = 0
        self._shortest_wait = float("inf")

    def tries(self, key: str) -> "Tries":
        """Return the retry loop for the requests about one object, or about one prefix."""
        return Tries(self, key)

    def note_bytes(self, size: int, *, is_new: bool = True) -> None:
        """Count bytes of objects that have arrived; new ones are progress."""
        self._received += size
        self.note_answer()
        if self.refused.keys:
            self.refused.keys.clear()
        if is_new and self._standstill:
            self.note_progress()

    def note_wait(self, seconds: float) -> None:
        """Record how long the head of an answer took to come."""
        self._waits += seconds
        self._waited += 1
        self._shortest_wait = min(self._shortest_wait, seconds)

    def note_answer(self) -> None:
        """Record that the endpoint has answered, even if with an error."""
        self._answered_at = self._clock()
        if outage := self._outage:
            self._outage = None
            outage.over.set()
            if outage.is_reported:
                self._notice(f"connected again after {self._answered_at - outage.since:.0f} s")

    def note_object(self, size: int) -> None:
        """Count the bytes of an object that has arrived as a whole, or 0 for an answer about it."""
        self._received += size
        if self.refused.keys:
            self.refused.keys.clear()
        self.note_progress()

    def note_progress(self) -> None:
        """Record that something new has come: a page, bytes, or what becomes of an object."""
        if standstill := self._standstill:
            self._standstill = None
            if standstill.is_reported:
                self._notice(Urgent(f"requests succeed again after {standstill.lasted:.0f} s"))

    def note_failure(self, key: str, error: TransientError) -> None:
        """Record that a request about this key has failed.

        Raises:
            StandstillError: requests have failed for too long, and none brought anything new.
            RetriesExhaustedError: so they have, but only those about this key.
        """
        now = self._clock()
        standstill = self._standstill = self._standstill or Standstill(key, now)
        standstill.add(key, now, error)
        if standstill.left > 0 and _requested(error) <= standstill.left + GRACE:
            return
        said = standstill.describe(error)
        if standstill.is_of_one:
            raise RetriesExhaustedError(key, f"given up: {said}") from error
        raise StandstillError(said) from error

    async def wait_for_endpoint(self, error: UnreachableError, sent: float) -> None:
        """Wait before the next attempt to connect: half as long as the outage has taken so far.

        An answer to another request ends the wait early, but never at once: if old connections
        answer and no new one can be opened, there would be many attempts per second.

        Args:
            error: the failure of the last attempt.
            sent: when the attempt started.

        Raises:
            NetworkError: the outage has taken too long.
        """
        now = self._clock()
        # The attempt may have started long ago: the request may have waited for `--limit-rate`, or
        # the process may have been stopped. That was not an outage.
        since = max(sent, self._answered_at, now - CONNECT_TIMEOUT)
        outage = self._outage = self._outage or Outage(since)
        lasted = now - outage.since
        has_answered = self._answered_at > float("-inf")
        left = (LONGEST_OUTAGE if has_answered else FIRST_ANSWER) - lasted
        if left <= 0:
            raise NetworkError(f"{error}; tried for {lasted:.0f} s") from error
        if lasted >= NOTICE_AFTER and not outage.is_reported:
            outage.is_reported = True
            self._notice(f"{error}; retrying for at most {left:.0f} s")
        wait = min(max(lasted / 2, FIRST_PAUSE), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
        logger.info("%s; the next attempt in %.1f s", error, wait)
        at_least = min(FIRST_PAUSE, wait, left)
        await self._sleep(at_least)
        await run_until_first(partial(self._sleep, min(wait, left) - at_least), outage.over.wait)

    def note_success(self, requests: int = 1) -> None:
        """Record that the server has done what so many requests asked for."""
        self.note_answer()
        self._refusals = 0
        self.refused.has_served = True
        self._rate.answered(self._answered_at, requests)

    async def wait_for_turn(self, requests: int = 1) -> float:
        """Wait until so many more requests may be sent; return the time then, in seconds."""
        while True:
            while (wait := self._paused_until - (now := self._clock())) > 0:
                await self._sleep(wait)
            throttled_at = self._throttled_at
            if (wait := self._rate.reserve(now, requests)) <= 0:
                return now
            await self._sleep(wait)
            if throttled_at == self._throttled_at:
                return self._clock()

    async def pause(self, error: TransientError, attempt: int) -> None:
        """Wait before the next attempt; if the server is busy, let all requests wait."""
        wait = _pause(attempt)
        if isinstance(error, ThrottledError):
            requested = _requested(error)
            wait = max(wait, requested)
            self._throttle(requested)
        logger.info("attempt %d failed: %s; the next attempt in %.1f s", attempt, error, wait)
        standstill = self._standstill
        if standstill and not standstill.is_reported:
            before = max(TOLD_AFTER - standstill.lasted, 0.0)
            if before <= wait:
                wait -= before
                await self._sleep(before)
                self._report(standstill, error)
        await self._sleep(wait)

    def _report(self, standstill: Standstill, error: TransientError) -> None:
        """Tell the user that nothing has come for a while, if that is still so."""
        if standstill is self._standstill and not standstill.is_reported:
            standstill.is_reported = True
            self._notice(
                Urgent(
                    f"nothing has come for {TOLD_AFTER:.0f} s: {error}; retrying for at most "
                    f"{LONGEST - TOLD_AFTER:.0f} s"
                )
            )

    def _throttle(self, requested: float) -> None:
        """Let all requests pause: at least for the requested seconds, and longer each time."""
        now = self._clock()
        if now >= self._paused_until:  # all refusals of one burst count once
            if self._adapts:
                self._set_slots(self.slot.total // 2)
            self._throttled_at = now
            self._refusals += 1
            self._rate.refused(now)
            self._paused_until = now + _pause(self._refusals)
        self._paused_until = max(self._paused_until, now + requested)

    def _set_slots(self, number: int) -> None:
        self.slot.total = max(min(number, self.most), min(FEWEST, self.most))

    async def tune(self) -> None:
        """Find the best number of slots; runs until it is cancelled."""
        trial: tuple[float, int] | None = None  # the rate and the slots before the last doubling
        hold = 0
        while self._adapts:
            throttled_at = self._throttled_at
            rate, busy, wait = await self._measure()
            if throttled_at != self._throttled_at:
                trial, hold = None, RELIEF
            elif hold:
                hold -= 1
            elif trial and rate < trial[0] * WORTH_IT:
                self._set_slots(trial[1])
                trial, hold = None, HOLD
            else:
                trial = None
                is_full = busy >= BUSY or wait > CROWDED * self._shortest_wait
                is_idle = not (rate or wait) or not self.slot.waiting
                if is_idle or is_full or self.slot.total == self.most:
                    continue
                if self._throttled_at > float("-inf"):
                    hold = RELIEF
                    self._set_slots(self.slot.total + max(1, self.slot.total // 4))
                else:
                    if self.slot.total >= FEW:
                        trial, hold = (rate, self.slot.total), SETTLE
                    self._set_slots(self.slot.total * 2)

    async def _measure(self) -> tuple[float, float, float]:
        """Measure one interval.

        Returns:
            The bytes per second, the share of the time this thread was busy, and the mean wait for
            an answer in seconds, 0 without one.
        """
        received, start, worked = self._received, self._clock(), self._worked()
        self._waits, self._waited = 0.0, 0
        await self._sleep(INTERVAL)
        seconds = self._clock() - start
        wait = self._waits / max(self._waited, 1)
        return (self._received - received) / seconds, (self._worked() - worked) / seconds, wait


def _pause(attempt: int) -> float:
    """Return the seconds to wait after so many attempts, with jitter."""
    return min(FIRST_PAUSE * 2.0 ** min(attempt - 1, 64), LONGEST_PAUSE) * random.uniform(0.8, 1.2)


def _requested(error: TransientError) -> float:
    """Return for how many seconds the server asks to send nothing, at most a minute."""
    asked = error.retry_after if isinstance(error, ThrottledError) else None
    return min(asked or 0.0, LONGEST_RETRY_AFTER)


class Tries:
    """The retry loop for the requests about one key."""

    def __init__(self, pace: Pace, key: str) -> None:
        self._pace = pace
        self._key = key
        self.most = 1
        """The attempts of the request that needed most of them."""

    async def run(self, call: Callable[[], Awaitable[T]], requests: int = 1) -> T:
        """Return what the call returns, which sends so many requests; retry after transient errors.

        Raises:
            SourceError: the endpoint refuses all objects, or credentials or bucket from the start.
            NetworkError: no request can connect to the endpoint.
            StandstillError: all requests have failed, for too long.
            RetriesExhaustedError: all attempts have failed; the last error is the cause.
        """
        attempt = failed = 0
        while True:
            sent = await self._pace.wait_for_turn(requests)
            attempt += 1
            if attempt > self.most:
                self.most = attempt
            try:
                answer = await call()
            except UnreachableError as error:
                await self._pace.wait_for_endpoint(error, sent)
            except TransientError as error:
                self._pace.note_answer()
                self._pace.note_failure(self._key, error)
                failed += 1
                await self._pause(error, failed)
            except TransferError as error:
                self._pace.note_answer()
                self._pace.note_progress()
                if isinstance(error, RefusedError):
                    self._pace.refused.check(error)
                raise
            else:
                self._pace.note_success(requests)
                return answer

    async def run_locally(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what a call that sends no request returns; retry while file descriptors run out.

        Raises:
            RetriesExhaustedError: all attempts have failed.
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
