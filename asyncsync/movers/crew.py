"""The brain's side: deals transfers to movers, takes their files, and tells what became of each.

    few objects    the brain downloads them itself: movers would start too late
    many           one mover for each processor, started while the listing goes on
    a mover dies   its transfers are dealt again, and another one takes its place, a few times
    none is left   the brain downloads the rest itself

What a mover answers is an outcome only once its file has its name, which the brain gives it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from anyio import CancelScope
from anyio.abc import TaskGroup

from asyncsync.concurrently import task_group
from asyncsync.disk import Folder, Written
from asyncsync.download import SMALL, Downloader
from asyncsync.errors import AsyncSyncError, IntegrityError
from asyncsync.interfaces import Observer
from asyncsync.model import Checks, Downloaded, Transfer
from asyncsync.movers.alone import Alone
from asyncsync.movers.errands import Errands
from asyncsync.movers.hire import Hire, can_move
from asyncsync.movers.lines import (
    Event,
    dealt_line,
    encode,
    parse_downloaded,
    parse_error,
)
from asyncsync.movers.mover import Orders
from asyncsync.movers.process import Dealt, Mover
from asyncsync.pace import LARGE_AT_ONCE, STREAMS_AT_ONCE, Pace

logger = logging.getLogger(__name__)

REPLACED = 3
"""How many movers that died are replaced in a run."""
AHEAD = 2
"""For each request that a mover may have in flight, how many objects it is dealt."""
AHEAD_BYTES = 64 * 1024 * 1024
"""Bytes of large objects that a mover is dealt at least, if there are so many."""
HEARTBEAT = 1.0
"""Seconds between two words to all movers that objects have arrived."""
_ENDS = {"downloaded", "failed", "skipped", "returned"}
_PROGRESS = {"started", "kept", "advanced"}


class Crew:
    """The movers of a run, and the brain's own downloader.

    Args:
        folder: the destination; the run may write there.
        pace: the brain's.
        observer: gets the progress of large objects.
        checks: what to check before a file is published.
        hire: how many movers there may be; None for none.
        own: the brain's downloader.
        group: runs what goes on beside the downloads.
        exact: whether an object that has changed fails.
    """

    def __init__(
        self,
        folder: Folder,
        pace: Pace,
        observer: Observer,
        checks: Checks,
        hire: Hire,
        own: Downloader,
        group: TaskGroup,
        *,
        exact: bool,
    ) -> None:
        self._hire = hire
        self._own = own
        self._folder = folder
        self._pace = pace
        self._observer = observer
        self._checks = checks
        self._group = group
        self._exact = exact
        self._movers: list[Mover] = []
        self._wanted = hire.wanted
        self._is_hired = False
        self._starting = 0
        self._started = 0
        self._replaced = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        """Transfers that wait for a mover with room."""
        self._objects = self._bytes = 0
        self._errands = Errands(hire, observer, group)
        self._told_at = 0.0
        self._limit = hire.limit
        share = hire.wanted
        self._workers = hire.workers and max(1, hire.workers // share)
        self._max_workers = max(1, hire.max_workers // share)
        self._streams = hire.limit.streams if hire.limit else STREAMS_AT_ONCE
        self._large = max(2, LARGE_AT_ONCE // share)
        self._most_dealt = AHEAD * (self._workers or self._max_workers)

    @property
    def most(self) -> int:
        """How many transfers are under way at most."""
        return max(self._pace.most, self._wanted * self._most_dealt)

    # start --------------------------------------------------------------------------------------

    def expect(self, transfers: Iterable[Transfer]) -> None:
        """Count transfers that will come, and start the movers once they pay."""
        if self._is_hired or not self._wanted:
            return
        for transfer in transfers:
            self._objects += 1
            self._bytes += transfer.remote.size - transfer.kept
        if self._hire.is_due(self._objects, self._bytes):
            self._is_hired = True
            logger.info("%d movers are started", self._wanted)
            for _ in range(self._wanted):
                self._start_one()

    def _start_one(self) -> None:
        self._starting += 1
        self._group.start_soon(self._employ, self._started)
        self._started += 1

    async def _employ(self, number: int) -> None:
        """Have one mover, from its start to its end."""
        mover: Mover | None = None
        try:
            if not await self._folder.begin_writing():
                return
            orders = self._orders(number)
            mover = await Mover.start(number, orders.terms.parts, self._folder.taking.locks)
            self._movers.append(mover)
            mover.send(orders.line())
            async for events in mover.events():
                await self._handle(mover, events)
        except (OSError, NotImplementedError) as error:
            self._give_up(f"no mover can be started: {error}")
        except ValueError as error:
            logger.info("mover %d: %s", number, error)
        finally:
            with CancelScope(shield=True):
                await self._dismiss(mover)
        if mover and self._wanted:
            logger.info("mover %d %s; its objects are dealt again", number, mover.describe_end())
            if self._replaced < REPLACED:
                self._replaced += 1
                self._start_one()
            elif not self._movers and not self._starting:
                self._give_up("no mover is left")

    async def _dismiss(self, mover: Mover | None) -> None:
        """Part with a mover: it ends, and what it had is dealt again."""
        if mover is None or not mover.is_ready:
            self._starting -= 1
        if mover:
            if mover in self._movers:
                self._movers.remove(mover)
            await mover.close()
            for key in list(mover.dealt):
                dealt = mover.pop(key, SMALL)
                if dealt and not dealt.outcome.done():
                    if dealt.arrived:
                        self._observer.advanced(dealt.transfer, -dealt.arrived)
                    dealt.outcome.set_result(None)
        self._let_all_in()

    def _give_up(self, why: str) -> None:
        """Go on without movers."""
        if self._wanted:
            logger.info("%s; this process downloads itself", why)
        self._wanted = 0
        self._let_all_in()

    def _orders(self, number: int) -> Orders:
        return Orders(
            settings=self._hire.settings,
            terms=self._folder.taking.terms,
            number=number,
            checks=self._checks,
            exact=self._exact,
            workers=self._workers,
            max_workers=self._max_workers,
            attempts=self._hire.attempts,
            streams=max(1, self._streams // max(self._wanted, 1)),
            large=self._large,
            read_timeout=self._hire.read_timeout,
            is_limited=self._limit is not None,
            has_served=self._pace.refused.has_served,
            log_level=logging.getLogger("asyncsync").getEffectiveLevel(),
        )

    # deal ---------------------------------------------------------------------------------------

    async def download(self, transfer: Transfer) -> Downloaded:
        """Have one object downloaded, validated and published, by a mover or by this process.

        Raises:
            TransferError, SourceError, DestinationError: as for `Downloader.download`.
        """
        while self._is_hired and transfer.remote.is_pinned:
            mover = await self._find_mover()
            if mover is None:
                break
            if done := await self._move(mover, transfer):
                return done
        return await self._own.download(transfer)

    async def _find_mover(self) -> Mover | None:
        """Return a mover that has room, as soon as one has; None if there is none to wait for."""
        while self._wanted:
            ready = [mover for mover in self._movers if mover.is_ready]
            if not ready and (self._hire.number is None or not self._starting):
                return None  # until they are ready, this process does not wait
            free = [mover for mover in ready if self._has_room(mover)]
            if free:
                return min(free, key=_load)
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        return None

    def _has_room(self, mover: Mover) -> bool:
        if len(mover.dealt) >= self._most_dealt:
            return False
        return mover.large_bytes < AHEAD_BYTES or mover.large <= self._large

    def _let_in(self) -> None:
        """Wake one transfer that waits for room."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _let_all_in(self) -> None:
        while self._waiting:
            self._let_in()

    async def _move(self, mover: Mover, transfer: Transfer) -> Downloaded | None:
        """Have one object downloaded by a mover; None if it cannot, and something else may."""
        outcome: asyncio.Future[Downloaded | None] = asyncio.get_running_loop().create_future()
        place = await self._folder.taking.parts_for(transfer)
        if mover not in self._movers:  # it has ended meanwhile
            return None
        dealt = Dealt(transfer, outcome, place[0])
        is_usual = place[0] == mover.parts
        mover.add(dealt, dealt_line(transfer, None if is_usual else place), SMALL)
        try:
            return await outcome
        finally:
            if mover.dealt.get(transfer.remote.key) is dealt:  # the run is being stopped
                mover.pop(transfer.remote.key, SMALL)

    # hear ---------------------------------------------------------------------------------------

    async def _handle(self, mover: Mover, events: Iterable[Event]) -> None:
        """Do what a mover's events ask for; all files that they tell of are taken at once."""
        done: list[tuple[Dealt, Downloaded, Written]] = []
        for event in events:
            name = event["event"]
            if name in _ENDS:
                if dealt := mover.pop(event["key"], SMALL):
                    self._let_in()
                    if name == "downloaded":
                        done.append(self._downloaded(dealt, event))
                    elif name == "returned":
                        self._group.start_soon(self._fetch_self, dealt)
                    else:
                        _end(dealt, parse_error(event))
            elif name in _PROGRESS:
                if dealt := mover.dealt.get(event["key"]):
                    self._progress(dealt, event)
            else:
                self._hear(mover, event)
        if done:
            await self._take(done)

    def _downloaded(self, dealt: Dealt, event: Event) -> tuple[Dealt, Downloaded, Written]:
        outcome = parse_downloaded(event, dealt.transfer, self._folder.paths)
        file = Written(outcome.transfer, dealt.parts, event["file"], event["inode"])
        return dealt, outcome, file

    def _progress(self, dealt: Dealt, event: Event) -> None:
        size = event.get("bytes", 0)
        dealt.arrived += size
        match event["event"]:
            case "started":
                self._observer.started(dealt.transfer)
            case "kept":
                self._observer.kept(dealt.transfer, size)
            case "advanced":
                self._observer.advanced(dealt.transfer, size)

    def _hear(self, mover: Mover, event: Event) -> None:
        """Do what an event asks for that is about no object."""
        match event["event"]:
            case "ready":
                mover.is_ready = True
                self._starting -= 1
                self._let_all_in()
            case "error":
                _end_all(mover, parse_error(event))
            case "unable":
                self._give_up(f"mover {mover.number}: {event['message']}")
            case "throttled":
                self._pace.throttle(event["retry_after"])
                self.throttle(event["retry_after"], but=mover)
            case _:
                self._errands.run(mover, event)

    async def _take(self, done: Iterable[tuple[Dealt, Downloaded, Written]]) -> None:
        """Give files their names, and tell those who wait what became of each."""
        found = list(done)
        errors = await self._folder.taking.take([file for _, _, file in found])
        for (dealt, outcome, _), error in zip(found, errors, strict=True):
            if isinstance(error, IntegrityError):
                self._group.start_soon(self._fetch_self, dealt)
            else:
                _end(dealt, error or outcome)
        self._pace.note_object(sum(outcome.remote.size for _, outcome, _ in found))
        now = asyncio.get_running_loop().time()
        if now - self._told_at > HEARTBEAT:
            self._told_at = now
            for mover in self._movers:
                mover.send(encode({"event": "progress"}))

    async def _fetch_self(self, dealt: Dealt) -> None:
        """Download in this process what a mover cannot."""
        if dealt.arrived:
            self._observer.advanced(dealt.transfer, -dealt.arrived)
        try:
            _end(dealt, await self._own.download(dealt.transfer))
        except AsyncSyncError as error:
            _end(dealt, error)

    def throttle(self, requested: float, but: Mover | None = None) -> None:
        """Let all movers pause, but one that knows."""
        for mover in self._movers:
            if mover is not but:
                mover.send(encode({"event": "throttled", "retry_after": requested}))


def _end(dealt: Dealt, outcome: Downloaded | AsyncSyncError) -> None:
    """Tell who waits for a transfer what became of it, unless nobody does any more."""
    if dealt.outcome.done():
        return
    if isinstance(outcome, AsyncSyncError):
        dealt.outcome.set_exception(outcome)
    else:
        dealt.outcome.set_result(outcome)


def _end_all(mover: Mover, error: AsyncSyncError) -> None:
    """Tell all who wait for a mover's transfers what ends the run."""
    for dealt in list(mover.dealt.values()):
        _end(dealt, error)


def _load(mover: Mover) -> tuple[int, int]:
    return mover.large_bytes, len(mover.dealt)


@asynccontextmanager
async def crew_of(
    folder: Folder,
    pace: Pace,
    observer: Observer,
    checks: Checks,
    hire: Hire | None,
    own: Downloader,
    *,
    exact: bool,
) -> AsyncIterator["Crew | Alone"]:
    """Have a crew, whose movers end at the end; without `hire` it is the brain alone."""
    if hire is None or not hire.wanted or not can_move():
        yield Alone(own, pace)
        return
    async with task_group() as group:
        crew = Crew(folder, pace, observer, checks, hire, own, group, exact=exact)
        pace.throttled = crew.throttle
        yield crew
        group.cancel_scope.cancel()
