"""A mover that lives in a Dask worker: a thread with an event loop of its own.

It is told of the transfers of all batches of a run that the process gets, and hands out what the
mover says to those who wait for it. It ends when it is told to, and when no batch has come for a
while.
"""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from asyncsync.dask.batch import Batch, Enlistment
from asyncsync.movers import Event, Reader, encode, move
from asyncsync.pace import Limit
from asyncsync.s3 import open_store, redact_libraries

logger = logging.getLogger(__name__)

IDLE = 60.0
"""Seconds without a batch after which it ends: its run may have lost it out of sight."""
LOOK = 1.0
"""Seconds between two looks whether a batch is still wanted."""
ENDING = 5.0
"""Seconds that it may take to end."""
_ENDS = {"downloaded", "failed", "skipped", "returned"}
_ENDS_ALL = {"error", "unable"}


@dataclass(slots=True)
class _UnderWay:
    """A batch that somebody waits for."""

    batch: Batch
    left: int
    """Objects of which nothing is told yet."""
    lines: list[bytes] = field(default_factory=list)
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Object:
    """An object that is under way."""

    of: _UnderWay
    at: int
    """Its place in the batch."""
    arrived: int = 0
    """Bytes of it."""
    told: int = 0
    """Bytes that the brain knows of."""
    is_started: bool = False


class Resident:
    """A mover in a Dask worker.

    Args:
        enlistment: for which run, and with which credentials.
        tell: sends the brain a message at once, in any thread; what it sends may be lost.
        may_end: returns whether this resident may end for want of work.
        ended: called when it has ended.
    """

    def __init__(
        self,
        enlistment: Enlistment,
        tell: Callable[[str], object],
        may_end: Callable[["Resident"], bool],
        ended: Callable[["Resident"], object],
    ) -> None:
        self.generation = enlistment.generation
        self.has_ended = False
        self.users = 0
        self._enlistment = enlistment
        self._tell = tell
        self._may_end = may_end
        self._ended = ended
        self._limit = Limit(int(enlistment.rate)) if enlistment.rate else None
        self._objects: dict[str, _Object] = {}
        """By key."""
        self._last = b""
        """The line that ended the mover, if one did."""
        self._taking: set[asyncio.Task[None]] = set()
        self._fetching: set[asyncio.Task[object] | None] = set()
        self._loop: asyncio.AbstractEventLoop
        self._events: asyncio.Queue[Event | None]
        self._has_begun = threading.Event()
        self._thread = threading.Thread(target=self._live, name="asyncsync", daemon=True)
        self._thread.start()
        self._has_begun.wait()

    # from other threads -------------------------------------------------------------------------

    def fetch(self, batch: Batch, is_wanted: Callable[[], bool]) -> bytes:
        """Download a batch; return a line for each object. Blocks.

        If it is not wanted any more, the run has ended, and so does this resident.
        """
        coroutine = self._fetch(batch)
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # it has just ended
            coroutine.close()
            return self._last
        while True:
            try:
                return future.result(LOOK)
            except CancelledError:  # it has ended meanwhile
                return self._last
            except TimeoutError:
                if not self._thread.is_alive():
                    return self._last
                if not is_wanted():
                    logger.info("nobody waits for the objects of this run any more")
                    self.leave()

    def pause(self, seconds: float) -> None:
        """Let all requests pause."""
        self._say({"event": "throttled", "retry_after": seconds})

    def leave(self) -> None:
        """Begin to end."""
        self._say(None)

    def end(self) -> None:
        """End, and wait for that. Blocks for some seconds at most."""
        self.leave()
        self._thread.join(ENDING)

    def _say(self, event: Event | None) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    # in its own thread --------------------------------------------------------------------------

    def _live(self) -> None:
        try:
            asyncio.run(self._work())
        finally:
            self.has_ended = True
            self._has_begun.set()
            self._ended(self)

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events = asyncio.Queue()
        self._has_begun.set()
        redact_libraries()
        telling = asyncio.create_task(self._keep_telling())
        try:
            await move(self._said(), self._hear, open_store)
        finally:
            self.has_ended = True
            telling.cancel()
            self._end_all(self._last)
            await asyncio.gather(*filter(None, self._fetching))

    async def _said(self) -> AsyncIterator[Event]:
        """Yield the orders and what is said, until this is to end."""
        yield _own_orders(self._enlistment)
        while True:
            try:
                async with asyncio.timeout(IDLE):
                    event = await self._events.get()
            except TimeoutError:
                if self._may_end(self):
                    return
            else:
                if event is None:
                    return
                yield event

    async def _fetch(self, batch: Batch) -> bytes:
        events = list(Reader().events(batch.lines))
        under_way = _UnderWay(batch, len(events))
        if self.has_ended:
            return self._last
        if self._limit:
            self._limit.rate = batch.rate
        for at, event in enumerate(events):
            if event["key"] in self._objects:  # of another task, that was lost out of sight
                under_way.lines.append(encode({"event": "returned", "key": event["key"]}))
                under_way.left -= 1
            else:
                self._objects[event["key"]] = _Object(under_way, at)
                self._events.put_nowait(event)
        if under_way.left:
            task = asyncio.current_task()
            self._fetching.add(task)
            await under_way.has_ended.wait()
            self._fetching.discard(task)
        return b"".join(under_way.lines)

    def _hear(self, line: bytes) -> None:
        """Hand on what the mover says."""
        event: Event = json.loads(line)
        name = event["event"]
        if name in _ENDS:
            self._end(event["key"], line)
        elif name in _ENDS_ALL:
            self._last = line
            self._end_all(line)
        elif name == "take":
            task = asyncio.create_task(self._take(event["bytes"]))
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)
        elif name in ("throttled", "notice"):
            self._tell(line.decode())
        elif found := self._objects.get(event.get("key", "")):
            found.is_started = True
            found.arrived += event.get("bytes", 0)

    def _end(self, key: str, line: bytes) -> None:
        if found := self._objects.pop(key, None):
            of = found.of
            if found.is_started:
                of.lines.append(encode({"event": "arrived", "key": key, "bytes": found.arrived}))
            of.lines.append(line)
            of.left -= 1
            if not of.left:
                of.has_ended.set()

    def _end_all(self, line: bytes) -> None:
        """End all batches with the line of what ended the mover."""
        for of in {id(each.of): each.of for each in self._objects.values()}.values():
            of.lines.append(line)
            of.has_ended.set()
        self._objects.clear()

    async def _take(self, size: int) -> None:
        if self._limit:
            await self._limit.take(size)
        self._events.put_nowait({"event": "taken"})

    async def _keep_telling(self) -> None:
        """Tell the brain how much of each large object is here, now and then."""
        while True:
            await asyncio.sleep(self._enlistment.telling)
            news: list[list[int]] = []
            for each in self._objects.values():
                if each.arrived != each.told:
                    each.told = each.arrived
                    news.append([each.of.batch.number, each.at, each.arrived])
            if news:
                self._tell(json.dumps({"event": "advanced", "objects": news}))


def _own_orders(enlistment: Enlistment) -> Event:
    """Return the orders of a run as those of this process, whose files have names of their own."""
    orders: dict[str, Any] = json.loads(enlistment.orders.reveal())
    terms = {**orders["terms"], "run": f"{enlistment.run}-{token_hex(4)}"}
    return {**orders, "terms": terms}
