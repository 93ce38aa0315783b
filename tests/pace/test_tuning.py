"""How many slots are found to be best, without real time."""

import anyio
import pytest
from anyio import create_task_group, wait_all_tasks_blocked

from asyncsync.errors import SilentError
from asyncsync.pace import Pace
from asyncsync.pace.tuning import FEW, HOLD, PATIENCE, RELIEF, SETTLE, START
from tests.rigs.clocks import MOST, Clock

pytestmark = pytest.mark.anyio


class Over(Exception):  # noqa: N818  # it is no error
    """The script of a test has ended."""


class Looks(Clock):
    """Plays what `tune` sees: so many bytes a second in each look.

    If `throttled`, the server is busy in the first one; if `silent`, it lets a request wait then.
    """

    def __init__(
        self,
        *rates: int,
        start: int = FEW,
        most: int = MOST,
        throttled: bool = False,
        silent: bool = False,
    ) -> None:
        super().__init__()
        self.under = self.pace(most=most)
        self.under.slot.total = start
        self.tokens: list[int] = []
        """The slots during each look."""
        self._rates = list(rates)
        self.waits: list[float] = []
        """How long the answers of each look took to come, in seconds."""
        self._throttled = throttled
        self._silent = silent

    async def sleep(self, seconds: float) -> None:
        """Let a look's time pass."""
        await super().sleep(seconds)
        if self._throttled:
            self.under.throttle(seconds)
            self._throttled = False
        if self._silent:
            self.under._answered_at = self.now
            assert self.under.is_left_waiting(SilentError("silent"), self.now - seconds)
            self._silent = False
        await wait_all_tasks_blocked()
        self.tokens.append(self.under.slot.total)
        if not self._rates:
            raise Over
        self.under.note_bytes(round(self._rates.pop(0) * seconds))
        if self.waits:
            self.under.note_wait(self.waits.pop(0))

    async def run(self, waiting: int = 2 * MOST) -> list[int]:
        """Tune while so many requests want a slot for ever; return the slots at each look."""

        async def request() -> None:
            async with self.under.slot:
                await anyio.sleep_forever()

        async with create_task_group() as group:
            for _ in range(waiting):
                group.start_soon(request)
            await wait_all_tasks_blocked()
            with pytest.raises(Over):
                await self.under.tune()
            group.cancel_scope.cancel()
        return self.tokens


def looks(*rates: int) -> list[int]:
    """Return the rates of looks in which a doubling settles before each that counts."""
    return [rate for rate in rates for _ in range(SETTLE + 1)][SETTLE:]


async def test_slots_double_while_the_throughput_grows() -> None:
    """After each doubling that raised the throughput follows another, up to the limit."""
    assert await Looks(*looks(1000, 2000, 4000)).run() == [*looks(64, 128, 256), 256]


@pytest.mark.parametrize("share", [1, 2, 4, 8])
async def test_processes_at_one_server_begin_together_as_one_alone_does(share: int) -> None:
    """Each begins with its share of the slots, and has each doubling judged from its share on."""
    pace = Pace(None, 256 // share, 3, share=share)
    assert pace.slot.total * share == START
    assert pace._tuning._is_few
    pace.slot.total = FEW // share
    assert not pace._tuning._is_few


async def test_doubling_without_effect_is_undone() -> None:
    """After a while it is tried again, because the network may have changed."""
    rates = [*looks(1000, 2000, 2000), *[2000] * HOLD, *looks(2000, 2000)]
    tokens = await Looks(*rates).run()
    settled = 1 + 2 * (SETTLE + 1)
    assert tokens[:settled] == looks(64, 128, 256)
    assert tokens[settled:] == [128] * (HOLD + 1) + [256] * (SETTLE + 1) + [128]


async def test_doubling_is_judged_when_its_connections_are_open() -> None:
    """The throughput while they are being opened does not count."""
    rates = [1000, *[0] * SETTLE, 2000, *[0] * SETTLE, 4000]
    assert await Looks(*rates).run() == [*looks(64, 128, 256), 256]


async def test_slots_stay_the_same_without_bytes_or_answers() -> None:
    """Nothing is known of the server yet."""
    assert await Looks(0, 0, 1000).run() == [FEW] * 3 + [2 * FEW]


async def test_slots_double_without_bytes_while_answers_come() -> None:
    """As in a verification, which asks for no content."""
    asking = Looks(0, *[1000] * SETTLE)
    asking.waits = [0.06]
    assert await asking.run() == [FEW] + [2 * FEW] * (SETTLE + 1)


async def test_slots_stay_the_same_while_answers_queue() -> None:
    """Where answers come much later than the first did, more requests would only wait as well."""
    crowd = Looks(1000, *[1000] * SETTLE, 2000, 2000, 2000)
    crowd.waits = [0.01, *[0.01] * SETTLE, 0.031, 0.031, 0.02]
    assert await crowd.run() == [FEW] + [2 * FEW] * (SETTLE + 3) + [4 * FEW]


async def test_slots_stay_the_same_while_no_request_waits() -> None:
    """More slots than requests have no effect."""
    assert await Looks(1000, 2000, 4000).run(waiting=FEW) == [FEW] * 4


@pytest.mark.row(20, 21)
async def test_throttled_run_gets_a_quarter_more_at_a_time() -> None:
    """After the server has asked for fewer requests, the slots never double again."""
    looks = Looks(*[1000] * (2 * RELIEF + 3), start=START, throttled=True)
    assert await looks.run() == [
        *[START // 2] * (RELIEF + 2),
        *[START // 2 * 5 // 4] * (RELIEF + 1),
        START // 2 * 5 // 4 * 5 // 4,
    ]


async def test_throughput_does_not_reduce_the_slots_of_a_throttled_run() -> None:
    """Throughput shows nothing if the server limits requests."""
    looks = Looks(*[1000, 500, 100] * RELIEF, start=START, throttled=True)
    tokens = await looks.run()
    assert tokens == sorted(tokens)
    assert tokens[-1] > START // 2


@pytest.mark.row(135)
async def test_run_that_was_left_waiting_gets_a_quarter_more_as_slowly_as_it_notices() -> None:
    """Whether the server serves more is known only when it has not let them wait."""
    looks = Looks(*[1000] * (PATIENCE + 2), silent=True)
    assert await looks.run() == [FEW - 1] * (PATIENCE + 2) + [(FEW - 1) * 5 // 4]


async def test_most_slots_are_kept_once_they_are_reached() -> None:
    """At the limit no doubling is tried, and none is undone."""
    assert await Looks(*[1000] * 5, most=FEW).run() == [FEW] * 6
    rates = looks(1000, 2000, 2000, 2000)
    assert await Looks(*rates, most=2 * FEW).run() == [FEW] + [2 * FEW] * len(rates)


async def test_undone_step_restores_the_slots_before_it() -> None:
    """Even if the limit made the last step smaller than a doubling."""
    assert await Looks(*looks(1000, 1000), most=100).run() == [*looks(64, 100), 64]


# the first rounds


class Rounds:
    """Plays the answers of the first rounds while many requests want a slot."""

    def __init__(self, waiting: int = 2 * MOST, most: int = MOST) -> None:
        self.worked = 0.0
        self._clock = Clock()
        self._waiting = waiting
        self.under = Pace(
            *(None, most, 8, self._clock.sleep, lambda: self._clock.now),
            worked=lambda: self.worked,
        )

    async def play(self, *rounds: tuple[int, float, float]) -> list[int]:
        """Return the slots after rounds of so many answers that took so long each.

        Args:
            rounds: answers, the seconds that each took, and those for which the loop worked.
        """

        async def request() -> None:
            async with self.under.slot:
                await anyio.sleep_forever()

        found: list[int] = []
        async with create_task_group() as group:
            for _ in range(self._waiting):
                group.start_soon(request)
            await wait_all_tasks_blocked()
            for answers, wait, worked in rounds:
                self._clock.now += wait
                for number in range(answers):
                    self.under.note_wait(wait)
                    self.worked += 0 if number else worked
                found.append(self.under.slot.total)
            group.cancel_scope.cancel()
        return found


async def test_slots_double_with_each_round_of_answers() -> None:
    """As soon as as many have come as there are slots, until a doubling has to be judged."""
    rounds = [(7, 0.1, 0.0), (1, 0.1, 0.0), (16, 0.1, 0.0), (32, 0.1, 0.0), (64, 0.1, 0.0)]
    assert await Rounds().play(*rounds) == [8, 16, 32, 64, 64]
    assert await Rounds(most=20).play((8, 0.1, 0.0), (16, 0.1, 0.0), (20, 0.1, 0.0)) == [16, 20, 20]


async def test_round_whose_answers_queue_brings_no_more_slots() -> None:
    """Where they come much later than the first did, more requests would only wait as well."""
    rounds = [(8, 0.01, 0.0), (16, 0.031, 0.0), (16, 0.02, 0.0)]
    assert await Rounds().play(*rounds) == [16, 16, 32]


async def test_round_brings_no_more_slots_while_the_event_loop_is_busy() -> None:
    """If the processor is the bottleneck, more requests cannot help."""
    assert await Rounds().play((8, 0.1, 0.095), (8, 0.1, 0.05)) == [8, 16]


async def test_round_brings_no_more_slots_while_no_request_waits() -> None:
    """More slots than requests have no effect."""
    assert await Rounds(waiting=START).play((8, 0.1, 0.0), (8, 0.1, 0.0)) == [START, START]


async def test_round_brings_no_more_slots_to_a_server_that_is_near_its_limit() -> None:
    """From then on only looks do, a quarter at a time."""
    rounds = Rounds()
    rounds.under.throttle(1.0)
    assert await rounds.play((8, 0.1, 0.0), (8, 0.1, 0.0)) == [START // 2] * 2
