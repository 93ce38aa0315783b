"""Pauses, attempts and the number of requests in flight, without real time."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest
from anyio import create_task_group, wait_all_tasks_blocked

from asyncsync.errors import (
    AsyncSyncError,
    ConnectionLostError,
    NetworkError,
    RetriesExhaustedError,
    ServerError,
    SilentError,
    ThrottledError,
    TransferError,
    UnreachableError,
)
from asyncsync.interfaces import CONNECT_TIMEOUT
from asyncsync.pace.outage import FIRST_ANSWER, LONGEST_OUTAGE
from asyncsync.pace.pace import (
    FIRST_PAUSE,
    LARGE_AT_ONCE,
    LONGEST_PAUSE,
    Pace,
)
from asyncsync.pace.tuning import FEWEST, START
from tests.rigs.clocks import MOST, Clock, StandingClock

pytestmark = pytest.mark.anyio

SHORTEST, LONGEST = 0.8, 1.2
"""The factors between which a pause is multiplied at random."""


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Make the jitter of the pauses the same in every run."""
    random.seed(20260101)


@pytest.fixture
def clock() -> Clock:
    """A clock whose pauses take no time."""
    return Clock()


def failing(*errors: AsyncSyncError) -> Callable[[], Awaitable[str]]:
    """Return a call that raises these errors, one each time, and then returns."""
    left = list(errors)

    async def call() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return call


# attempts


async def test_answer_at_once_needs_no_pause(clock: Clock) -> None:
    """One attempt, and no time."""
    tries = clock.pace().tries("k")
    assert await tries.run(failing()) == "answer"
    assert (tries.most, clock.slept) == (1, [])


async def test_transient_errors_are_retried_until_the_attempts_run_out(clock: Clock) -> None:
    """The last error is the cause; there is no pause after the last attempt."""
    tries = clock.pace(attempts=3).tries("1hz/a")
    assert await tries.run(failing(ServerError("1"), ConnectionLostError("2"))) == "answer"
    clock.slept.clear()
    last = ConnectionLostError("cut off")
    with pytest.raises(RetriesExhaustedError, match="after 3 attempts: cut off") as caught:
        await tries.run(failing(ServerError("1"), ServerError("2"), last, ServerError("4")))
    assert caught.value.__cause__ is last
    assert caught.value.key == "1hz/a"
    assert len(clock.slept) == 2


async def test_one_attempt_means_no_retry(clock: Clock) -> None:
    """The first error is the last."""
    with pytest.raises(RetriesExhaustedError):
        await clock.pace(attempts=1).tries("k").run(failing(ServerError("1")))
    assert clock.slept == []


async def test_other_errors_are_not_retried(clock: Clock) -> None:
    """A permanent error stays."""
    calls: list[None] = []

    async def denied() -> None:
        calls.append(None)
        raise TransferError("k", "denied")

    with pytest.raises(TransferError, match="denied"):
        await clock.pace().tries("k").run(denied)
    assert len(calls) == 1


async def test_attempts_are_those_of_the_request_that_needed_most(clock: Clock) -> None:
    """Each request of an object has all attempts."""
    tries = clock.pace(attempts=3).tries("k")
    for errors in (1, 2, 0, 1):
        await tries.run(failing(*[ServerError("busy")] * errors))
    assert tries.most == 3


async def test_pauses_grow_up_to_a_limit(clock: Clock) -> None:
    """Each is twice as long as the last, up to a limit, with jitter."""
    tries = clock.pace(attempts=40).tries("k")
    await tries.run_locally(failing(*[ThrottledError("down")] * 39))
    planned = [min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE) for doublings in range(39)]
    assert all(
        plan * SHORTEST <= slept <= plan * LONGEST
        for plan, slept in zip(planned, clock.slept, strict=True)
    )
    assert planned[0] < planned[1] < planned[4] < planned[-1]
    assert len(set(clock.slept)) == len(clock.slept)


async def test_error_of_one_request_delays_no_other(clock: Clock) -> None:
    """A cut connection says nothing about the server."""
    pace = clock.pace()
    await pace.pause(ConnectionLostError("cut"), 1)
    assert pace.slot.total == START
    clock.slept.clear()
    await pace.wait_for_turn()
    assert clock.slept == []


# an unreachable endpoint


def unreachable(times: int) -> list[AsyncSyncError]:
    return [UnreachableError("no connection to h:1: refused") for _ in range(times)]


async def test_connection_that_cannot_be_opened_costs_no_attempt(clock: Clock) -> None:
    """The object is not to blame; other errors are counted as usual."""
    tries = clock.pace(attempts=2).tries("k")
    await tries.run(failing())
    assert await tries.run(failing(*unreachable(20), ServerError("1"), *unreachable(5))) == "answer"
    assert tries.most == 27
    with pytest.raises(RetriesExhaustedError, match="after 2 attempts"):
        await tries.run(
            failing(*unreachable(3), ServerError("1"), *unreachable(3), ServerError("2"))
        )


@pytest.mark.parametrize(
    ("answers", "limit"), [(0, FIRST_ANSWER), (1, LONGEST_OUTAGE)], ids=["never", "once"]
)
async def test_endpoint_that_stays_unreachable_ends_the_run(
    clock: Clock, answers: int, limit: float
) -> None:
    """Exactly at its limit, which is longer if it has answered before."""
    tries = clock.pace(attempts=1).tries("k")
    for _ in range(answers):
        await tries.run(failing())
    started = clock.now
    with pytest.raises(NetworkError, match=f"h:1: refused; tried for {limit:.0f} s"):
        await tries.run(failing(*unreachable(1000)))
    assert clock.now - started == pytest.approx(limit)
    assert len(clock.slept) / 2 < 60  # each pause is of two parts


async def test_answer_to_any_request_ends_an_outage(clock: Clock) -> None:
    """Even an error is an answer, and so are bytes that arrive."""
    pace = clock.pace()
    error = UnreachableError("refused")
    signs: list[Callable[[], Awaitable[object]]] = [
        failing(),
        failing(ServerError("busy")),
        failing(TransferError("k", "denied")),
    ]
    for sign in signs:
        await pace.wait_for_endpoint(error, clock.now)
        clock.now += LONGEST_OUTAGE
        with suppress(TransferError):
            await pace.tries("k").run(sign)
        await pace.wait_for_endpoint(error, clock.now)
        pace.note_bytes(1)
    clock.now += LONGEST_OUTAGE
    await pace.wait_for_endpoint(error, clock.now)


async def test_long_outage_and_its_end_are_reported_once(clock: Clock) -> None:
    """A short one is not reported."""
    notices: list[str] = []
    pace = Pace(None, MOST, 8, clock.sleep, lambda: clock.now, notices.append)
    tries = pace.tries("k")
    await tries.run(failing(*unreachable(3)))
    assert notices == []
    await tries.run(failing(*unreachable(20)))
    away, again = notices
    assert away.startswith("no connection to h:1: refused; retrying for at most ")
    assert again.startswith("connected again after ")


@pytest.mark.parametrize("answers", [False, True], ids=["stopped", "others are answered"])
async def test_wait_before_an_attempt_is_no_outage(clock: Clock, answers: bool) -> None:
    """As for `--limit-rate`, or in a process that was stopped meanwhile."""
    pace = clock.pace()
    await pace.tries("list").run(failing())
    errors = unreachable(1)

    async def get() -> str:
        await clock.sleep(2 * LONGEST_OUTAGE)
        if answers:
            pace.note_bytes(1)
        if errors:
            raise errors.pop()
        return "answer"

    assert await pace.tries("k").run(get) == "answer"


async def test_no_outage_is_reported_while_other_requests_are_answered(clock: Clock) -> None:
    """Although no new connection can be opened."""
    notices: list[str] = []
    pace = Pace(None, MOST, 8, clock.sleep, lambda: clock.now, notices.append)
    errors = unreachable(5)

    async def get() -> str:
        await clock.sleep(CONNECT_TIMEOUT)
        pace.note_bytes(1)
        if errors:
            raise errors.pop()
        return "answer"

    assert await pace.tries("k").run(get) == "answer"
    assert notices == []


async def test_answer_to_one_request_wakes_all_others() -> None:
    """The pauses of an outage end with it."""
    clock = StandingClock()
    pace = clock.pace()
    answers: list[str] = []

    async def ask(*errors: AsyncSyncError) -> None:
        answers.append(await pace.tries("k").run(failing(*errors)))

    await pace.tries("k").run(failing())
    async with create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask, *unreachable(2))
        await wait_all_tasks_blocked()
        await clock.move(LONGEST_PAUSE)
        await clock.move(FIRST_PAUSE)
        assert answers == []
        await ask()
        await wait_all_tasks_blocked()
        assert answers == ["answer"] * 4


async def test_attempts_to_connect_are_limited_while_old_connections_answer() -> None:
    """An answer shortens the pause of another request, but never to nothing."""
    clock = StandingClock()
    pace = clock.pace()
    async with create_task_group() as group:
        group.start_soon(pace.tries("k").run, failing(*unreachable(1000)))
        for _ in range(100):
            await wait_all_tasks_blocked()
            pace.note_answer()
            await clock.move(FIRST_PAUSE / 10)
        assert 5 <= len(clock.slept) / 2 <= 11
        group.cancel_scope.cancel()


# a busy server


@pytest.mark.row(20, 21)
@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (60.0, 60.0), (86400.0, 60.0)])
async def test_retry_after_is_honoured_up_to_a_minute(
    clock: Clock, asked: float, waited: float
) -> None:
    """A server cannot stop a run for a day."""
    await clock.pace().pause(ThrottledError("busy", asked), 1)
    assert clock.slept == [waited]


@pytest.mark.parametrize("asked", [None, 0.0, 0.001])
async def test_short_retry_after_does_not_shorten_the_pause(
    clock: Clock, asked: float | None
) -> None:
    """The pause still grows with each attempt."""
    await clock.pace().pause(ThrottledError("busy", asked), 4)
    assert clock.slept[0] >= FIRST_PAUSE * 2**3 * SHORTEST


async def test_all_requests_pause_when_the_server_is_busy() -> None:
    """Requests that were not refused wait as well, and no longer."""
    clock = StandingClock()
    pace = clock.pace()
    answers: list[str] = []

    async def ask() -> None:
        answers.append(await pace.tries("other").run(failing()))

    async with create_task_group() as group:
        group.start_soon(pace.pause, ThrottledError("busy", 30.0), 1)
        await wait_all_tasks_blocked()
        group.start_soon(ask)
        await clock.move(20)
        group.start_soon(pace.pause, ThrottledError("busy", 1.0), 1)
        await wait_all_tasks_blocked()
        await clock.move(5)
        assert answers == []  # a shorter pause does not shorten it
        group.start_soon(pace.pause, ThrottledError("busy", 10.0), 1)
        await wait_all_tasks_blocked()
        await clock.move(5)
        assert answers == []  # a longer one makes it longer
        await clock.move(5)
        assert answers == ["answer"]


@pytest.mark.row(20, 21)
async def test_slots_are_halved_once_for_a_burst() -> None:
    """Refusals of the same moment count once; those of the next burst count again."""
    clock = StandingClock()
    pace = clock.pace()
    pace.slot.total = 32
    async with create_task_group() as group:
        for _ in range(32):
            group.start_soon(pace.pause, ThrottledError("busy", 5.0), 1)
        await wait_all_tasks_blocked()
        assert pace.slot.total == 16
        await clock.move(5)
        group.start_soon(pace.pause, ThrottledError("busy", 5.0), 1)
        await wait_all_tasks_blocked()
        assert pace.slot.total == 8
        await clock.move(5)


async def test_some_slots_are_always_left(clock: Clock) -> None:
    """However often the server is busy, the run goes on."""
    pace = clock.pace()
    for _ in range(10):
        await pace.pause(ThrottledError("busy"), 1)
    assert pace.slot.total == FEWEST


async def test_given_number_of_workers_is_kept(clock: Clock) -> None:
    """Nothing halves it, nothing tunes it."""
    pace = clock.pace(workers=100)
    await pace.pause(ThrottledError("busy"), 1)
    await pace.tune()
    assert (pace.slot.total, pace.most) == (100, 100)


@pytest.mark.parametrize(("most", "start"), [(256, START), (START, START), (5, 5), (1, 1)])
async def test_first_number_of_slots_is_limited(clock: Clock, most: int, start: int) -> None:
    """No more slots than allowed; objects in parts have their own limit."""
    pace = clock.pace(most=most)
    assert (pace.slot.total, pace.most) == (start, most)
    assert pace.large.total == LARGE_AT_ONCE


async def test_busy_server_never_raises_the_number_of_slots(clock: Clock) -> None:
    """Not even if fewer are allowed than the usual minimum, or were left by silence."""
    pace = clock.pace(most=2)
    await pace.pause(ThrottledError("busy"), 1)
    assert pace.slot.total <= 2
    pace = clock.pace()
    pace.slot.total = 1
    await pace.pause(ThrottledError("busy"), 1)
    assert pace.slot.total == 1


# connections that are left waiting


async def asked(pace: Pace, *errors: AsyncSyncError, served: bool = True) -> int:
    """Return how many attempts a request needs whose first ones fail, in a slot."""
    tries = pace.tries("k", pace.slot)
    left = list(errors)

    async def call() -> None:
        await anyio.lowlevel.checkpoint()
        await pace._sleep(1)
        if served:
            pace.note_answer()
        await pace._sleep(1)
        if left:
            raise left.pop(0)

    async with pace.slot:
        await tries.run(call)
    assert pace.slot.used == 0
    return tries.most


@pytest.mark.row(135)
@pytest.mark.parametrize("error", [SilentError("silent"), UnreachableError("timed out")])
async def test_request_that_is_left_waiting_loses_no_attempt(
    clock: Clock, error: AsyncSyncError
) -> None:
    """The server serves others, so it has too many; but only once, as it may be the object."""
    pace = clock.pace(attempts=1)
    assert await asked(pace, error) == 2
    assert pace.slot.total == 1  # one less than the one in use, but not none
    with pytest.raises(RetriesExhaustedError):
        await asked(pace, error, SilentError("again"))


async def test_silence_while_nobody_is_served_is_a_failed_attempt(clock: Clock) -> None:
    """It says nothing about how many requests are too many."""
    pace = clock.pace(attempts=1)
    with pytest.raises(RetriesExhaustedError):
        await asked(pace, SilentError("silent"), served=False)
    assert pace.slot.total == START


@pytest.mark.row(135)
async def test_those_that_are_left_waiting_give_up_their_slots(clock: Clock) -> None:
    """At once, and wait behind others; those that are served go on."""
    pace = clock.pace()
    pace.slot.total = 16
    order: list[str] = []
    failed: list[str] = []
    is_full, have_failed = anyio.Event(), anyio.Event()

    async def ask(name: str, *errors: AsyncSyncError) -> None:
        left = list(errors)

        async def call() -> None:
            if pace.slot.used == 16:
                is_full.set()
            await (is_full if left else have_failed).wait()
            pace._answered_at = clock.now = clock.now + 1
            if left:
                failed.append(name)
                if len(failed) == 12:
                    have_failed.set()
                raise left.pop(0)
            order.append(name)

        async with pace.slot:
            await pace.tries(name, pace.slot).run(call)

    async with create_task_group() as group:
        for _ in range(4):
            group.start_soon(ask, "served")
        for _ in range(12):
            group.start_soon(ask, "waiting", SilentError("silent"))
        for _ in range(4):
            group.start_soon(ask, "new")
    assert pace.slot.total == 4
    assert order == ["served"] * 4 + ["new"] * 4 + ["waiting"] * 12
