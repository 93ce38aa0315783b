"""How many requests for objects to have in flight at once, found by trying.

few      double with each round: when as many answers have come as there are slots, not much
later than the first ones did, while others wait for a slot and the loop is not busy
many     double as well, but look whether that brings more bytes per second, and undo it if not
limited  a server that refuses requests, or lets some wait while it serves others, is near its
limit: add a quarter at a time, and wait each time for as long as it takes to notice
that this was too much
"""

import time
from collections.abc import Awaitable, Callable

from asyncsync.pace.slots import Slots

START = 8
FEWEST = 4
"""Slots that a server which refuses requests is asked with at least."""
FEW = 64
"""Slots up to which a doubling is not judged: so many cost little, and it saves time."""
INTERVAL = 0.1
"""Seconds over which the throughput is measured once."""
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
PATIENCE = 300
"""The same after it has let some wait: it takes so long to notice."""


class Tuning:
    """Changes the total of the slots.

    Args:
        slot: the slots.
        most: how many there may be.
        sleep, clock: times are in seconds.
        worked: returns the processor time of this thread, in seconds.
        share: how many processes there are like this one, at the same server.
    """

    def __init__(
        self,
        slot: Slots,
        most: int,
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
        share: int = 1,
    ) -> None:
        self.received = 0
        """Bytes of objects so far."""
        self._slot = slot
        self._most = most
        self._few = max(1, FEW // share)
        self._sleep = sleep
        self._clock = clock
        self._worked = worked
        self._relief = 0
        """Measurements before each step, once the server has shown a limit."""
        self._hold = 0
        """Measurements before the next step."""
        self._trial: tuple[float, int] | None = None
        """The bytes per second and the slots before the last doubling, until it is judged."""
        self._shortest_wait = float("inf")
        self._waits = 0.0
        self._waited = 0
        self._round = float("inf")
        """Answers that make a round, while there are few slots."""
        self._began = self._worked_before = 0.0

    def note_wait(self, seconds: float) -> None:
        """Record how long the head of an answer took to come."""
        self._waits += seconds
        self._waited += 1
        if seconds < self._shortest_wait:
            self._shortest_wait = seconds
        if self._waited >= self._round:
            if self._is_few and not self._is_full():
                self._set(self._slot.total * 2)
            self._begin(self._clock())
        elif self._waited == 1 and self._is_few:
            self._begin(self._clock() - seconds, seconds, 1)
            self._round = self._slot.total

    def _begin(self, began: float, waits: float = 0.0, waited: int = 0) -> None:
        """Begin a round or a look, with the answers that have come already."""
        self._began, self._worked_before = began, self._worked()
        self._waits, self._waited = waits, waited
        self._round = float("inf")

    def halve(self) -> None:
        """Have half as many slots: the server has asked for fewer requests."""
        total = self._slot.total
        self._limit(min(total, max(total // 2, FEWEST)), RELIEF)

    def give_up_slot(self) -> None:
        """Have one slot less than are in use: the server lets one of these requests wait."""
        self._limit(min(self._slot.total, self._slot.used) - 1, PATIENCE)

    def _limit(self, number: int, relief: int) -> None:
        self._set(number)
        self._relief = self._hold = max(relief, self._relief)
        self._trial = None

    async def run(self) -> None:
        """Find the best number; runs until it is cancelled."""
        while True:
            if self._is_few:
                await self._sleep(INTERVAL)
                continue
            hold, received = self._hold, self.received
            self._begin(self._clock())
            await self._sleep(INTERVAL)
            rate = (self.received - received) / (self._clock() - self._began)
            if self._hold > hold:  # limited meanwhile
                continue
            if self._hold:
                self._hold -= 1
            elif self._trial and rate < self._trial[0] * WORTH_IT:
                self._set(self._trial[1])
                self._trial, self._hold = None, HOLD
            elif not (rate or self._waits) or self._is_full():
                self._trial = None
            elif self._relief:
                self._hold = self._relief
                self._set(self._slot.total + max(1, self._slot.total // 4))
            else:
                self._trial, self._hold = (rate, self._slot.total), SETTLE
                self._set(self._slot.total * 2)

    @property
    def _is_few(self) -> bool:
        return self._slot.total < self._few and not self._relief

    def _is_full(self) -> bool:
        """Return whether more would not help: nobody waits, or the loop or the server is busy."""
        worked = self._worked() - self._worked_before
        return (
            self._slot.total == self._most
            or not self._slot.waiting
            or worked >= BUSY * (self._clock() - self._began)
            or self._waits > CROWDED * self._shortest_wait * max(self._waited, 1)
        )

    def _set(self, number: int) -> None:
        self._slot.total = max(min(number, self._most), 1)
