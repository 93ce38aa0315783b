"""How many requests are in flight, and when to retry.

All requests of a run share one `Pace`, so what one of them learns about the server helps all:

- `slot` limits the objects and parts in flight; unless the number of workers is given, `tuning.py`
  finds how many. `large` also limits the objects in several parts, and `streams` the parts.
- `Tries` retries after a transient error, after a pause that grows and has jitter. When the server
  asks for fewer requests, the slots are halved, all requests pause, and then they are sent one by
  one, as many per second as the server answers (`rate.py`).
- A new connection on which nothing comes while others are served is a sign of load as well: some
  servers have few connections, and let all others wait. Each such request gives up its slot for
  good, waits for another, and has lost no attempt; only once, as it may be to blame itself.
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
    SilentError,
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
from asyncsync.pace.tuning import START, Tuning

logger = logging.getLogger(__name__)

T = TypeVar("T")

LARGE_AT_ONCE = 16
"""Objects in several parts in flight: few enough that some are finished early."""
STREAMS_AT_ONCE = 64
"""Parts in flight: each holds one or two blocks in memory."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
LONGEST_RETRY_AFTER = 60.0


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
        large: objects in several parts in flight at most.
        throttled: called when the server asks for fewer requests, with the seconds that it names.
        share: how many processes there are like this one, at the same server.
    """

    throttled: Callable[[float], object]

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
        large: int = LARGE_AT_ONCE,
        throttled: Callable[[float], object] = float,
        share: int = 1,
    ) -> None:
        self.most = workers or max_workers
        self.attempts = attempts
        self.slot = Slots(workers or max(1, min(START // share, max_workers)))
        self._tuning = Tuning(self.slot, self.most, sleep, clock, worked, share)
        self.large = Slots(large)
        self.streams = Slots(min(streams, STREAMS_AT_ONCE))
        self._adapts = workers is None
        self._sleep = sleep
        self._clock = clock
        self._notice = notice
        self.throttled = throttled
        self._paused_until = 0.0
        self._answered_at = float("-inf")
        self._outage: Outage | None = None
        self._standstill: Standstill | None = None
        self._throttled_at = float("-inf")
        self._refusals = 0
        self.refused = Refused()
        self._rate = RequestRate()

    def tries(self, key: str, slot: Slots | None = None) -> "Tries":
        """Return the retry loop for the requests about one object, or about one prefix.

        Args:
            key: the object's, or the prefix.
            slot: what the requests are sent in, if they are.
        """
        return Tries(self, key, slot)

    def note_bytes(self, size: int, *, is_new: bool = True) -> None:
        """Count bytes of objects that have arrived; new ones are progress."""
        self._tuning.received += size
        self._answered_at = self._clock()
        if self._outage:
            self.note_answer()
        if self.refused.keys:
            self.refused.keys.clear()
        if is_new and self._standstill:
            self.note_progress()

    @property
    def received(self) -> int:
        """Bytes of objects that have arrived so far."""
        return self._tuning.received

    def note_wait(self, seconds: float) -> None:
        """Record how long the head of an answer took to come."""
        if self._adapts:
            self._tuning.note_wait(seconds)

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
        self._tuning.received += size
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
        if standstill.left > 0 and requested_pause(error) <= standstill.left + GRACE:
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
            requested = requested_pause(error)
            wait = max(wait, requested)
            if self.throttle(requested):
                self.throttled(requested)
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

    def throttle(self, requested: float) -> bool:
        """Let all requests pause: at least for the requested seconds, and longer each time.

        Returns whether that is news: all refusals of one burst count once.
        """
        now = self._clock()
        is_news = now >= self._paused_until
        if is_news:
            if self._adapts:
                self._tuning.halve()
            self._throttled_at = now
            self._refusals += 1
            self._rate.refused(now)
            self._paused_until = now + _pause(self._refusals)
        self._paused_until = max(self._paused_until, now + requested)
        return is_news

    def is_left_waiting(self, error: TransientError, sent: float) -> bool:
        """Return whether the server serves others, and has let this request wait; then ask less.

        Args:
            error: the failure of the request.
            sent: when it was sent.
        """
        is_silence = isinstance(error, SilentError | UnreachableError)
        if not is_silence or self._answered_at <= sent:
            return False
        if self._adapts:
            self._tuning.give_up_slot()
        logger.info("%s, while others are served; %d at once now", error, self.slot.total)
        return True

    async def tune(self) -> None:
        """Find the best number of slots; runs until it is cancelled."""
        if self._adapts:
            await self._tuning.run()


def _pause(attempt: int) -> float:
    """Return the seconds to wait after so many attempts, with jitter."""
    return min(FIRST_PAUSE * 2.0 ** min(attempt - 1, 64), LONGEST_PAUSE) * random.uniform(0.8, 1.2)


def requested_pause(error: TransientError) -> float:
    """Return for how many seconds, at most 60, the server wants no request; -1 if it wants some."""
    if not isinstance(error, ThrottledError):
        return -1.0
    return min(error.retry_after or 0.0, LONGEST_RETRY_AFTER)


class Tries:
    """The retry loop for the requests about one key."""

    def __init__(self, pace: Pace, key: str, slot: Slots | None) -> None:
        self._pace = pace
        self._key = key
        self._slot = slot
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
        has_given_way = False
        while True:
            sent = await self._pace.wait_for_turn(requests)
            attempt += 1
            if attempt > self.most:
                self.most = attempt
            try:
                answer = await call()
            except TransientError as error:
                if self._slot and not has_given_way and self._pace.is_left_waiting(error, sent):
                    has_given_way = True
                    await self._slot.requeue()
                elif isinstance(error, UnreachableError):
                    await self._pace.wait_for_endpoint(error, sent)
                else:
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
