"""Runs whose requests all fail, without real time (row 156)."""

from itertools import count

import anyio
import pytest

from asyncsync.errors import (
    AccessDeniedError,
    AsyncSyncError,
    ConnectionLostError,
    RetriesExhaustedError,
    ServerError,
    StandstillError,
    ThrottledError,
    TransientError,
)
from asyncsync.interfaces import Urgent
from asyncsync.pace import Pace
from asyncsync.pace.standstill import GRACE, LONGEST, LONGEST_GAP, TOLD_AFTER

pytestmark = [pytest.mark.anyio, pytest.mark.row(156)]

BUSY = ThrottledError("the server is busy: 503 SlowDown", 60.0)


class Clock:
    """A clock that moves only, and at once, while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.notices: list[str] = []
        self.told_at: list[float] = []
        self.pace = Pace(4, 4, 1000, self.sleep, lambda: self.now, self.notice)

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.now += seconds

    def notice(self, message: str) -> None:
        """Remember."""
        self.notices.append(message)
        self.told_at.append(self.now)

    async def fail(self, key: str, *errors: TransientError) -> None:
        """Let requests about the key fail, and the one after them find nothing new."""
        left = [*errors]

        async def call() -> None:
            if left:
                raise left.pop(0)

        await self.pace.tries(key).run(call)


@pytest.fixture
def clock() -> Clock:
    """A clock whose pauses take no time."""
    return Clock()


@pytest.mark.parametrize(
    "error",
    [BUSY, ThrottledError("busy"), ServerError("500"), ConnectionLostError("reset")],
    ids=["a minute's pause", "throttled", "failed", "reset"],
)
async def test_run_ends_when_requests_about_several_objects_fail(
    clock: Clock, error: TransientError
) -> None:
    """After the time of an outage, and no sooner, whatever the number of attempts."""
    await clock.fail("a", error)
    with pytest.raises(StandstillError, match="nothing has come for") as caught:
        await clock.fail("b", *[error] * 1000)
    assert LONGEST <= clock.now - 1000 <= LONGEST + 12
    assert caught.value.exit_code == 4
    assert caught.value.__cause__ is error


async def test_no_pause_goes_beyond_the_end(clock: Clock) -> None:
    """If the server asks for a longer one, the run ends before it."""
    await clock.fail("a", *[ThrottledError("busy", 50.0)] * 2)
    with pytest.raises(StandstillError):
        await clock.fail("b", *[ThrottledError("busy", 59.0)] * 1000)
    assert clock.now - 1000 <= LONGEST + GRACE


async def test_single_object_fails_alone(clock: Clock) -> None:
    """The next one is not concerned, if it succeeds."""
    with pytest.raises(RetriesExhaustedError, match="given up: nothing has come for 300 s"):
        await clock.fail("a", *[BUSY] * 1000)
    await clock.fail("b")
    clock.pace.note_object(1)
    await clock.fail("c", BUSY)


@pytest.mark.parametrize("comes", ["an object", "a page or bytes", "an answer"])
async def test_what_comes_meanwhile_ends_the_standstill(clock: Clock, comes: str) -> None:
    """Then all of the time is left again."""

    async def denied() -> None:
        raise AccessDeniedError("x", "denied")

    for _ in range(10):
        await clock.fail("a", *[BUSY] * 2)
        await clock.fail("b", *[BUSY] * 2)
        if comes == "an answer":
            with pytest.raises(AccessDeniedError):
                await clock.pace.tries("x").run(denied)
        elif comes == "an object":
            clock.pace.note_object(0)
        else:
            clock.pace.note_progress()


async def test_answers_that_bring_nothing_do_not_count(clock: Clock) -> None:
    """Such as those to HEAD, of objects whose GET is refused."""

    async def fail_for_ever() -> None:
        for number in count():
            await clock.fail(f"{number}", ServerError("500"))

    with pytest.raises(StandstillError):
        await fail_for_ever()
    assert clock.now - 1000 <= LONGEST + 12


@pytest.mark.parametrize("longest", [LONGEST_GAP, 1e6])
async def test_time_in_which_nothing_was_asked_does_not_count(clock: Clock, longest: float) -> None:
    """A process may be stopped, and a request may wait for `--limit-rate`."""
    for number in range(4):
        await clock.fail(f"{number}", ServerError("500"))
        clock.now += longest
    assert clock.notices
    clock.pace.note_object(1)


async def test_long_wait_for_an_answer_counts_as_a_whole(clock: Clock) -> None:
    """The limit for a run without progress holds whatever each request may take."""
    for number in range(3):
        await clock.fail(f"{number}", ConnectionLostError("sent nothing for 120 s", 120.0))
        clock.now += 120
    with pytest.raises(StandstillError):
        await clock.fail("3", ConnectionLostError("sent nothing for 120 s", 120.0))


@pytest.mark.parametrize("error", [BUSY, ServerError("500")])
async def test_standstill_is_told_in_time_and_once(clock: Clock, error: TransientError) -> None:
    """Also in the middle of a pause, and so is its end; both whatever the verbosity."""
    await clock.fail("a", error)
    await clock.fail("b", *[error] * (3 if error is BUSY else 9))
    clock.pace.note_object(1)
    told, ended = clock.notices
    assert told.startswith(f"nothing has come for 30 s: {error}; retrying for at most ")
    assert ended.startswith("requests succeed again after ")
    assert TOLD_AFTER <= clock.told_at[0] - 1000 <= TOLD_AFTER + 12
    assert all(isinstance(notice, Urgent) for notice in clock.notices)


async def test_standstill_that_ends_in_time_is_not_told(clock: Clock) -> None:
    """Not even if the pause of one request is longer."""
    slept = anyio.Event()

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        slept.set()
        await anyio.lowlevel.checkpoint()

    pace = Pace(4, 4, 8, sleep, lambda: clock.now, clock.notice)

    async def refused() -> None:
        errors: list[AsyncSyncError] = [BUSY]

        async def call() -> None:
            if errors:
                raise errors.pop()

        await pace.tries("a").run(call)

    async with anyio.create_task_group() as group:
        group.start_soon(refused)
        await slept.wait()
        pace.note_object(1)
    assert clock.notices == []


async def test_missing_file_descriptors_are_no_standstill(clock: Clock) -> None:
    """They are this machine's, and no request was sent."""
    errors = [ThrottledError("no file descriptor is left")] * 100

    async def call() -> None:
        if errors:
            raise errors.pop()

    await clock.pace.tries("a").run_locally(call)
    assert clock.notices == []
