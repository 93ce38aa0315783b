"""The brain's side: deals transfers to movers, and replaces those that have ended.

    at first       the brain downloads itself, and sees whether movers would help (`need.py`)
    where they do  one mover for each processor, started while the listing goes on
    a mover dies   its transfers are dealt again, and another one takes its place, a few times
    one hangs      it is killed once it has said nothing for a minute
    none is left   the brain downloads the rest itself

What becomes of what a mover was dealt is in `outcomes.py`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from subprocess import SubprocessError

import anyio
from anyio import CancelScope
from anyio.abc import TaskGroup

from asyncsync.concurrently import task_group
from asyncsync.disk import Folder
from asyncsync.download import SMALL, Downloader
from asyncsync.interfaces import Observer
from asyncsync.model import Checks, Downloaded, Transfer
from asyncsync.movers.alone import Alone
from asyncsync.movers.errands import Errands
from asyncsync.movers.hire import Fetcher, Hire, can_move
from asyncsync.movers.lines import Event, dealt_line, encode
from asyncsync.movers.mover import Orders
from asyncsync.movers.need import Need
from asyncsync.movers.outcomes import Outcomes, end_all
from asyncsync.movers.process import Dealt, Mover
from asyncsync.pace import LARGE_AT_ONCE, STREAMS_AT_ONCE, Pace

logger = logging.getLogger(__name__)

REPLACED = 3
"""How many movers that died are replaced in a run."""
AHEAD = 2
"""For each request that a mover may have in flight, how many objects it is dealt."""
AHEAD_AT_LEAST = 16
"""Objects that it is dealt if it may have few: it gathers what it tells for some milliseconds."""
AHEAD_BYTES = 64 * 1024 * 1024
"""Bytes of large objects that a mover is dealt at least, if there are so many."""
TICK = 1.0
"""Seconds between two looks at who has said nothing, and two words that objects have arrived."""
SILENT = 60
"""Looks after which a mover that has said nothing is killed; it says something each second."""


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
        self._need = Need(pace, self._let_in)
        self._is_hired = False
        self._starting = 0
        self._started = 0
        self._replaced = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        """Transfers that wait for a mover with room."""
        self._has_news = False
        """Whether objects have arrived that the movers were not told of."""
        self._errands = Errands(hire, group)
        self._outcomes = Outcomes(folder, pace, observer, own, group, self._let_in)
        self._limit = hire.limit
        share = hire.wanted
        self._workers = hire.workers and max(1, hire.workers // share)
        self._max_workers = max(1, hire.max_workers // share)
        self._streams = hire.limit.streams if hire.limit else STREAMS_AT_ONCE
        self._large = max(2, LARGE_AT_ONCE // share)
        requests = self._workers or self._max_workers
        self._most_dealt = max(AHEAD_AT_LEAST, AHEAD * requests)
        self.most = pace.most

    # start --------------------------------------------------------------------------------------

    def expect(self, transfers: Iterable[Transfer]) -> None:
        """Count transfers that will come, and start the movers once they pay."""
        self._need.expect(transfers)
        if self._hire.number is not None:
            self._start_all()

    async def start_when_needed(self) -> None:
        """Start the movers as soon as they pay."""
        await self._need.arises()
        self._start_all()

    def _start_all(self) -> None:
        if not self._is_hired:
            self._is_hired = True
            self.most = max(self.most, self._wanted * self._most_dealt)
            logger.info("%d movers are started", self._wanted)
            self._group.start_soon(self._watch)
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
            mover = await self._start(number)
            if mover:
                await self._listen(mover)
        finally:
            with CancelScope(shield=True):
                await self._dismiss(mover)
        if mover:
            logger.info("mover %d %s; its objects are dealt again", number, mover.describe_end())
        if mover and not mover.is_unable and self._replaced < REPLACED:
            self._replaced += 1
            self._start_one()
            return
        self._wanted -= 1
        if not self._wanted:
            logger.info("no mover is left; this process downloads itself")
        self._let_all_in()

    async def _start(self, number: int) -> Mover | None:
        """Start a mover; None if that cannot be."""
        if not await self._folder.begin_writing():
            return None
        orders = self._orders(number)
        try:
            mover = await Mover.start(number, orders.terms.parts, self._folder.taking.locks)
        except (OSError, RuntimeError, ValueError, SubprocessError) as error:
            logger.info("mover %d cannot be started: %s", number, error)
            return None
        self._movers.append(mover)
        mover.send(orders.line())
        return mover

    async def _dismiss(self, mover: Mover | None) -> None:
        """Part with a mover: it ends, and what it had is dealt again."""
        if mover is None or not mover.is_ready:
            self._starting -= 1
        if mover:
            self._movers.remove(mover)
            await mover.close()
            await self._folder.taking.clear(mover.number)
            self._outcomes.give_back(mover)
        self._let_all_in()

    async def _watch(self) -> None:
        """Kill movers that hang, and tell the others when objects have arrived elsewhere.

        Looks are counted, and no time: this process may have been stopped meanwhile.
        """
        while True:
            await anyio.sleep(TICK)
            for mover in self._movers:
                if mover.has_been_silent() == SILENT:
                    logger.info("mover %d says nothing any more", mover.number)
                    mover.kill()
                elif self._has_news:
                    mover.send(encode({"event": "progress"}))
            self._has_news = False

    def _orders(self, number: int) -> Orders:
        return Orders(
            settings=self._errands.settings,
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
            share=self._hire.wanted,
        )

    # deal ---------------------------------------------------------------------------------------

    async def download(self, transfer: Transfer) -> Downloaded:
        """Have one object downloaded, validated and published, by a mover or by this process.

        Raises:
            TransferError, SourceError, DestinationError: as for `Downloader.download`.
        """
        is_again = False
        while self._wanted and (self._is_hired or not self._need.has_room_for(transfer)):
            if not transfer.remote.is_pinned:
                break
            place = await self._find_place(transfer)
            mover = await self._find_mover(transfer)
            if mover is None:
                break
            if done := await self._move(mover, transfer, place):
                return _as_kept_before(done) if is_again else done
            is_again = True
        done = await self._need.alone(self._own.download, transfer)
        return _as_kept_before(done) if is_again else done

    async def _find_place(self, transfer: Transfer) -> tuple[str, int]:
        """Return the parts folder that a mover is to write an object's file in, and its inode."""
        find = partial(self._folder.taking.parts_for, transfer)
        if transfer.remote.size <= SMALL:
            return await find()
        return await self._pace.tries(transfer.remote.key).run_locally(find)

    async def _find_mover(self, transfer: Transfer) -> Mover | None:
        """Return a mover that has room, as soon as one has; None if there is none to wait for."""
        while self._wanted:
            free = [mover for mover in self._movers if mover.is_ready and self._has_room(mover)]
            if free:
                return min(free, key=_load)
            # Until they are ready this process goes on, but not with all that is there to deal.
            is_ready = any(mover.is_ready for mover in self._movers)
            is_alone = not is_ready and (self._hire.number is None or not self._starting)
            if is_alone and self._need.has_room_for(transfer):
                return None
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

    async def _move(
        self, mover: Mover, transfer: Transfer, place: tuple[str, int]
    ) -> Downloaded | None:
        """Have one object downloaded by a mover; None if it cannot, and something else may."""
        outcome: asyncio.Future[Downloaded | None] = asyncio.get_running_loop().create_future()
        dealt = Dealt(transfer, outcome, place[0])
        is_usual = place[0] == mover.parts
        mover.add(dealt, dealt_line(transfer, None if is_usual else place), SMALL)
        if self._waiting and self._has_room(mover):
            self._let_in()
        try:
            return await outcome
        finally:
            if mover.dealt.get(transfer.remote.key) is dealt:  # the run is being stopped
                mover.pop(transfer.remote.key, SMALL)

    # hear ---------------------------------------------------------------------------------------

    async def _listen(self, mover: Mover) -> None:
        """Do what a mover's events ask for, until it has ended."""
        async for events in mover.events():
            done = []
            for event in events:
                if "key" not in event:
                    self._hear(mover, event)
                elif file := self._outcomes.hear(mover, event):
                    done.append(file)
            if done:
                self._has_news = True
                await self._outcomes.take(done)

    def _hear(self, mover: Mover, event: Event) -> None:
        """Do what an event asks for that is about no object."""
        match event["event"]:
            case "ready":
                mover.is_ready = True
                self._starting -= 1
                self._let_all_in()
            case "error":
                end_all(mover, event)
            case "unable":
                logger.info("mover %d can do nothing: %s", mover.number, event["message"])
                mover.is_unable = True
            case "throttled":
                self._pace.throttle(event["retry_after"])
                self.throttle(event["retry_after"], but=mover)
            case _:
                self._errands.run(mover, event)

    def throttle(self, requested: float, but: Mover | None = None) -> None:
        """Let all movers pause, but one that knows."""
        for mover in self._movers:
            if mover is not but:
                mover.send(encode({"event": "throttled", "retry_after": requested}))


def _load(mover: Mover) -> tuple[int, int]:
    return mover.large_bytes, len(mover.dealt)


def _as_kept_before(done: Downloaded) -> Downloaded:
    """Return the outcome without the bytes that a mover had brought in this run before it ended."""
    return replace(done, kept=min(done.kept, done.transfer.kept))


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
) -> AsyncIterator[Fetcher]:
    """Have a crew, whose movers end at the end; without `hire` it is the brain alone."""
    if hire and hire.engine:
        async with hire.engine(folder, pace, observer, checks, hire, own, exact=exact) as fetcher:
            yield fetcher
        return
    if hire is None or not hire.wanted or not can_move():
        yield Alone(own, pace)
        return
    async with task_group() as group:
        crew = Crew(folder, pace, observer, checks, hire, own, group, exact=exact)
        pace.throttled = crew.throttle
        if hire.number is None:
            group.start_soon(crew.start_when_needed)
        yield crew
        group.cancel_scope.cancel()
