"""Whether a run needs movers: only where the processor is what it waits for, and others are free.

A mover takes a fifth of a second of processor time to start, and as much again for connections of
its own. A run that waits for the network or the server would gain nothing by it, nor would one on a
machine whose processors are all at work. So it is not the size of a run that decides, but one look
at it after the other, each half a second long:

    the process is busy       for at least 0.9 of the look; its threads count as well
    a processor is free       half of one, of those that the process may use
    much is left to deal      two seconds of work, at the rate of this look, if it has one
"""

import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import anyio

from asyncsync.download import SMALL
from asyncsync.model import Downloaded, Transfer
from asyncsync.pace import Pace, Slots

LOOK = 0.5
"""Seconds."""
BUSY = 0.9
"""The share of a look for which a process is at work whose one loop, or the interpreter's lock, is
what it waits for. Measured: 0.95 to 1.2 with nothing in the way, 0.3 to 0.9 with a far bucket."""
FREE = 0.5
"""Processors that have to be idle: with less to share, two movers took longer than none."""
WORTH = 2.0
"""Seconds of work that have to be left, four times as much as it takes until movers bring more."""
OBJECT = 256 * 1024
"""Bytes of a large object that take as much work as an object does beside its own bytes."""
ALONE = 1 << 30
"""Bytes of large objects that are still to come to this process, at most, while movers may come:
what it has begun, it ends.

As many as fill all streams twice, so that none is idle while an object ends.
"""
_STAT = Path("/proc/stat")


def idle_seconds() -> float | None:
    """Return how long the processors that this process may use have been idle, all together.

    None where the system does not tell.
    """
    try:
        usable = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        lines = [line.split() for line in _STAT.read_text(encoding="ascii").splitlines()]
        times = [list(map(int, line[1:6])) for line in lines if line[0] in usable]
        ticks = sum(idle + waiting for *_, idle, waiting in times)
    except (AttributeError, OSError, ValueError, IndexError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else None


@dataclass(frozen=True, slots=True)
class _Look:
    """What there is to see of a run at a moment; times are in seconds."""

    at: float
    worked: float
    idle: float | None
    done: int
    """Work, in bytes."""


class Need:
    """Watches a run that has no movers yet.

    Args:
        pace: counts the bytes that arrive.
        let_in: called when this process may have room for an object that waits.
        sleep, clock: times are in seconds.
        worked: returns the processor time of this process, in seconds.
        idle: as `idle_seconds`.
    """

    def __init__(
        self,
        pace: Pace,
        let_in: Callable[[], object],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.process_time,
        idle: Callable[[], float | None] = idle_seconds,
    ) -> None:
        self._pace = pace
        self._at_once = Slots(pace.most)
        """What this process downloads: each may hold a file open, and there are more workers."""
        self._let_in = let_in
        self._sleep = sleep
        self._clock = clock
        self._worked = worked
        self._idle = idle
        self._to_deal = 0
        """Work that nobody has begun, in bytes; see `OBJECT`."""
        self._under_way = 0
        """Objects that this process has begun, and not ended."""
        self._begun = 0
        """What `pace.received` will be when all of their bytes have arrived."""
        self._ended = 0
        """Objects that it has ended."""

    def expect(self, transfers: Iterable[Transfer]) -> None:
        """Count transfers that will come."""
        self._to_deal += sum(map(_work, transfers))

    async def alone(
        self, download: Callable[[Transfer], Awaitable[Downloaded]], transfer: Transfer
    ) -> Downloaded:
        """Download an object in this process; raises what that raises."""
        size = transfer.remote.size - transfer.kept
        self._to_deal -= _work(transfer)
        if not self._under_way:
            self._begun = self._pace.received
        self._under_way += 1
        self._begun += size
        self._let_in_one()
        try:
            async with self._at_once:
                return await download(transfer)
        except BaseException:
            self._begun -= size  # they do not come
            raise
        finally:
            self._under_way -= 1
            self._ended += 1
            self._let_in()

    def has_room_for(self, transfer: Transfer) -> bool:
        """Return whether this process may begin an object, although movers may come for it.

        A small one never waits for large ones, which may take long, or fail again and again.
        """
        return transfer.remote.size <= SMALL or self._has_room

    @property
    def _has_room(self) -> bool:
        return not self._under_way or self._begun - self._pace.received < ALONE

    def _let_in_one(self) -> None:
        if self._has_room:
            self._let_in()

    async def arises(self) -> None:
        """Return as soon as movers pay."""
        before = self._look()
        while True:
            await self._sleep(LOOK)
            now = self._look()
            if self._is_due(before, now):
                return
            before = now
            self._let_in_one()  # bytes have arrived meanwhile

    def _look(self) -> "_Look":
        done = self._pace.received + OBJECT * self._ended
        return _Look(self._clock(), self._worked(), self._idle(), done)

    def _is_due(self, before: "_Look", now: "_Look") -> bool:
        seconds = now.at - before.at
        is_busy = now.worked - before.worked >= BUSY * seconds
        is_told = now.idle is not None and before.idle is not None
        is_free = not is_told or (now.idle or 0) - (before.idle or 0) >= FREE * seconds
        done, left = now.done - before.done, self._to_deal
        # Where nothing is done, the process is busy with what no mover does: the listing, or files.
        is_much = min(done, left) > 0 and left * seconds >= WORTH * done
        return is_busy and is_free and is_much


def _work(transfer: Transfer) -> int:
    return transfer.remote.size - transfer.kept + OBJECT
