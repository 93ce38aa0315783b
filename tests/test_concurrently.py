"""Structured concurrency: one plain error, and nobody left behind."""

import traceback
from collections.abc import Callable, Coroutine

import anyio
import anyio.lowlevel
import pytest

from asyncsync.concurrently import run_all, run_beside, run_until_first, task_group

pytestmark = pytest.mark.anyio


class Calls:
    """Calls that note how they end."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def waits(self, name: str) -> Callable[[], Coroutine[object, object, None]]:
        """Return a call that ends only when it is cancelled."""

        async def call() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                self.ended.append(name)

        return call

    def turns(self, name: str, turns: int) -> Callable[[], Coroutine[object, object, None]]:
        """Return a call that ends after some turns of the loop."""

        async def call() -> None:
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            self.ended.append(name)

        return call


async def fails() -> None:
    """Fail after a turn of the loop, for a reason."""
    await anyio.lowlevel.checkpoint()
    raise ValueError("failed") from KeyError("cause")


async def fails_as_well() -> None:
    """Fail two turns later."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    raise TypeError("later")


async def test_together_waits_for_all() -> None:
    """It ends with the last call."""
    calls = Calls()
    await run_all(calls.turns("slow", 5), calls.turns("fast", 1))
    assert calls.ended == ["fast", "slow"]
    await run_all()


async def test_first_error_comes_by_itself_and_ends_the_others() -> None:
    """Not in a group of exceptions, and with the cause it had."""
    calls = Calls()
    with pytest.raises(ValueError, match="failed") as caught:
        await run_all(calls.waits("a"), fails, calls.waits("b"), fails_as_well)
    assert sorted(calls.ended) == ["a", "b"]
    assert isinstance(caught.value.__cause__, KeyError)


async def test_error_of_the_body_comes_by_itself() -> None:
    """As does one that passes through several groups."""
    calls = Calls()

    async def nested() -> None:
        async with task_group() as outer:
            outer.start_soon(calls.waits("outer"))
            async with task_group() as inner:
                inner.start_soon(calls.waits("inner"))
                await anyio.lowlevel.checkpoint()
                raise ValueError("body")

    with pytest.raises(ValueError, match="body") as caught:
        await nested()
    assert calls.ended == ["inner", "outer"]
    assert "Group" not in "".join(traceback.format_exception(caught.value))


async def test_cancellation_passes() -> None:
    """A stop from outside is no error of the group's."""
    calls = Calls()
    with anyio.move_on_after(0) as scope:
        await run_all(calls.waits("a"))
    assert scope.cancelled_caught
    async with task_group() as group:
        group.start_soon(calls.waits("b"))
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert calls.ended[-1] == "b"


async def one(turns: int) -> str:
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    return "result"


@pytest.mark.parametrize(("first", "second"), [(1, 5), (5, 1)])
async def test_beside_returns_when_both_have_ended(first: int, second: int) -> None:
    """The result is that of the one; the other one is waited for as well."""
    calls = Calls()
    assert await run_beside(calls.turns("other", first)(), one(second)) == "result"
    assert calls.ended == ["other"]


async def test_error_on_either_side_is_raised_beside() -> None:
    """By itself; the other side has ended then."""
    calls = Calls()
    with pytest.raises(ValueError, match="failed"):
        await run_beside(fails(), one(5))
    with pytest.raises(ValueError, match="failed"):
        await run_beside(calls.waits("other")(), fails())
    assert calls.ended == ["other"]
    with pytest.raises(ValueError, match="failed"):
        await run_beside(fails_as_well(), fails())


async def test_cancelled_beside_leaves_nothing_running() -> None:
    """Both sides end."""
    calls = Calls()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: run_beside(calls.waits("other")(), calls.waits("one")()))
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert sorted(calls.ended) == ["one", "other"]


async def test_either_ends_with_the_first() -> None:
    """The others are cancelled."""
    calls = Calls()
    await run_until_first(calls.waits("slow"), calls.turns("fast", 3))
    assert calls.ended == ["fast", "slow"]


async def test_error_of_either_comes_by_itself() -> None:
    """It ends the others as well."""
    calls = Calls()
    with pytest.raises(ValueError, match="failed"):
        await run_until_first(calls.waits("other"), fails)
    assert calls.ended == ["other"]


async def test_cancelled_either_leaves_nothing_running() -> None:
    """A stop from outside is not taken for an end of one of them."""
    calls = Calls()
    with anyio.move_on_after(0) as scope:
        await run_until_first(calls.waits("one"), calls.waits("other"))
    assert scope.cancelled_caught
    assert sorted(calls.ended) == ["one", "other"]
