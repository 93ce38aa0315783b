"""Slots: first come first served, and never more inside than may be."""

import asyncio
from collections.abc import Sequence

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from hypothesis import example, given
from hypothesis import strategies as st

from asyncsync.pace.slots import Slots

pytestmark = pytest.mark.anyio


class Scene:
    """Tasks that come one after the other, numbered from 0, and stay until they are told to go."""

    def __init__(self, total: int) -> None:
        self.slots = Slots(total)
        self.inside: list[int] = []
        """In the order in which they got in."""
        self.tasks: list[asyncio.Task[None]] = []
        self._gone: list[asyncio.Event] = []

    def come(self, number: int = 1) -> None:
        """Let so many tasks come."""
        for _ in range(number):
            self._gone.append(asyncio.Event())
            self.tasks.append(asyncio.ensure_future(self._stay(len(self.tasks))))

    async def _stay(self, name: int) -> None:
        async with self.slots:
            self.inside.append(name)
            try:
                await self._gone[name].wait()
            finally:
                self.inside.remove(name)

    def go(self, name: int) -> None:
        """Let a task leave."""
        self._gone[name].set()

    def cancel(self, name: int) -> None:
        """Cancel a task, wherever it is."""
        self.tasks[name].cancel()

    async def end(self) -> None:
        """Cancel all tasks; nothing may be left of them."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        assert (self.inside, self.slots.used, self.slots.waiting) == ([], 0, 0)


async def test_first_come_is_first_served() -> None:
    """Those for whom there is no room get in one by one, in the order in which they came."""
    scene = Scene(2)
    scene.come(5)
    await wait_all_tasks_blocked()
    assert (scene.inside, scene.slots.used, scene.slots.waiting) == ([0, 1], 2, 3)
    for name in (1, 0, 2):
        scene.go(name)
        await wait_all_tasks_blocked()
    assert (scene.inside, scene.slots.used, scene.slots.waiting) == ([3, 4], 2, 0)
    await scene.end()


async def test_newcomer_does_not_overtake_one_whose_turn_has_come() -> None:
    """The room that was made is that task's, although it does not run yet."""
    scene = Scene(1)
    scene.come(2)
    await wait_all_tasks_blocked()
    scene.go(0)
    scene.come()
    await wait_all_tasks_blocked()
    assert scene.inside == [1]
    await scene.end()


async def test_room_is_taken_without_waiting() -> None:
    """No other task runs meanwhile, which would cost time."""
    slots, ran = Slots(1), False

    async def other() -> None:
        nonlocal ran
        ran = True

    task = asyncio.ensure_future(other())
    async with slots:
        assert not ran
    await task


async def test_error_inside_gives_the_room_back() -> None:
    """It passes through."""
    slots = Slots(1)
    with pytest.raises(ValueError, match="inside"):
        async with slots:
            raise ValueError("inside")
    assert slots.used == 0


async def test_higher_total_lets_those_in_who_wait() -> None:
    """As many as there is more room for."""
    scene = Scene(1)
    scene.come(5)
    await wait_all_tasks_blocked()
    scene.slots.total = 3
    await wait_all_tasks_blocked()
    assert (scene.slots.total, scene.inside, scene.slots.waiting) == (3, [0, 1, 2], 2)
    await scene.end()


async def test_lower_total_puts_nobody_out() -> None:
    """The next one gets in when enough have left."""
    scene = Scene(3)
    scene.come(4)
    await wait_all_tasks_blocked()
    scene.slots.total = 1
    seen = []
    for name in (0, 1, 2):
        await wait_all_tasks_blocked()
        seen.append(list(scene.inside))
        scene.go(name)
    await wait_all_tasks_blocked()
    assert [*seen, scene.inside] == [[0, 1, 2], [1, 2], [2], [3]]
    await scene.end()


async def test_cancelled_task_does_not_hold_up_those_behind_it() -> None:
    """It loses its place in the queue."""
    scene = Scene(1)
    scene.come(3)
    await wait_all_tasks_blocked()
    scene.cancel(1)
    await wait_all_tasks_blocked()
    assert scene.slots.waiting == 1
    scene.go(0)
    await wait_all_tasks_blocked()
    assert scene.inside == [2]
    await scene.end()


@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_turn_of_a_cancelled_task_is_given_on(cancelled_first: bool) -> None:
    """Whether it is cancelled just before its turn comes, or just after."""
    scene = Scene(1)
    scene.come(3)
    await wait_all_tasks_blocked()
    if cancelled_first:
        scene.cancel(1)
    scene.slots.total = 2  # its turn comes at once, while it does not run yet
    scene.slots.total = 1
    if not cancelled_first:
        scene.cancel(1)
    scene.go(0)
    await wait_all_tasks_blocked()
    assert scene.tasks[1].cancelled()
    assert (scene.inside, scene.slots.used) == ([2], 1)
    await scene.end()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["come", "come", "go", "cancel", "total", "wait"]), st.integers(0, 5)
    ),
    max_size=40,
)


@given(total=st.integers(0, 4), steps=STEPS)
def test_queue_is_served_in_order_whatever_happens(
    total: int, steps: Sequence[tuple[str, int]]
) -> None:
    """Who is inside and who waits is what a plain list says, after each of any steps."""

    async def play() -> None:
        scene, room = Scene(total), total
        inside: list[int] = []
        queue: list[int] = []
        for step, number in steps:
            if step == "come":
                scene.come()
                queue.append(len(scene.tasks) - 1)
            elif step == "go" and inside:
                name = inside.pop(number % len(inside))
                scene.go(name)
            elif step == "cancel" and inside + queue:
                name = (inside + queue)[number % len(inside + queue)]
                (inside if name in inside else queue).remove(name)
                scene.cancel(name)
            elif step == "total":
                scene.slots.total = room = number
            while queue and len(inside) < room:
                inside.append(queue.pop(0))
            await wait_all_tasks_blocked()
            assert scene.inside == inside
            assert (scene.slots.used, scene.slots.waiting) == (len(inside), len(queue))
        await scene.end()

    anyio.run(play)


@given(total=st.integers(1, 4), steps=STEPS)
@example(1, [("come", 0)] * 3 + [("wait", 0), ("total", 2), ("cancel", 1), ("total", 1)])
def test_never_more_are_inside_than_may_be(total: int, steps: Sequence[tuple[str, int]]) -> None:
    """However the steps fall between two turns of the event loop; and no room is ever lost."""

    async def play() -> None:
        scene = Scene(total)
        used = 0
        for step, number in steps:
            if step == "come":
                scene.come()
            elif step == "go" and scene.tasks:
                scene.go(number % len(scene.tasks))
            elif step == "cancel" and scene.tasks:
                scene.cancel(number % len(scene.tasks))
            elif step == "total":
                scene.slots.total = number
            elif step == "wait":
                await wait_all_tasks_blocked()
            if number % 2 and step != "total":
                await asyncio.sleep(0)
            assert len(scene.inside) <= scene.slots.used <= max(scene.slots.total, used)
            used = scene.slots.used
        scene.slots.total = total
        await wait_all_tasks_blocked()
        assert scene.slots.used >= total or not scene.slots.waiting
        await scene.end()
        scene.come(total)
        await wait_all_tasks_blocked()
        assert len(scene.inside) == total
        await scene.end()

    anyio.run(play)
