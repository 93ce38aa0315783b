"""Structured concurrency: one plain error, and no task left running."""

import traceback
from collections.abc import Callable, Coroutine

import anyio
import anyio.lowlevel
import pytest

from asyncsync.concurrently import run_all, run_until_first, task_group

pytestmark = pytest.mark.anyio


class Calls:
    """Makes calls that record when they end."""

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
        """Return a call that ends after some turns of the event loop."""

        async def call() -> None:
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            self.ended.append(name)

        return call


async def fails_as_well() -> None:
    """Fail two turns later."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    raise TypeError("later")


async def fails() -> None:
    """Fail after one turn of the event loop, with a cause."""
    await anyio.lowlevel.checkpoint()
    raise ValueError("failed") from KeyError("cause")


async def test_run_all_waits_for_all() -> None:
    """It returns when the last call has ended."""
    calls = Calls()
    await run_all(calls.turns("slow", 5), calls.turns("fast", 1))
    assert calls.ended == ["fast", "slow"]
    await run_all()


async def test_run_all_raises_the_first_error_by_itself() -> None:
    """It is in no exception group, keeps its cause, and cancels the other calls."""
    calls = Calls()
    with pytest.raises(ValueError, match="failed") as caught:
        await run_all(calls.waits("a"), fails, calls.waits("b"), fails_as_well)
    assert sorted(calls.ended) == ["a", "b"]
    assert isinstance(caught.value.__cause__, KeyError)


async def test_task_group_raises_an_error_of_its_body_by_itself() -> None:
    """Even if it passes through several groups."""
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


async def test_error_has_no_group_in_its_context() -> None:
    """However many groups it passes through: IPython prints those of a group in full."""

    async def nested() -> None:
        await run_all(fails)

    with pytest.raises(ValueError, match="failed") as caught:
        await run_all(nested, Calls().waits("other"))
    found: BaseException | None = caught.value
    while found is not None:
        assert not isinstance(found, BaseExceptionGroup)
        found = found.__context__


async def test_cancellation_is_not_an_error() -> None:
    """It passes through, whether it comes from outside or from inside."""
    calls = Calls()
    with anyio.move_on_after(0) as scope:
        await run_all(calls.waits("a"))
    assert scope.cancelled_caught
    async with task_group() as group:
        group.start_soon(calls.waits("b"))
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert calls.ended[-1] == "b"


async def test_run_until_first_ends_with_the_first() -> None:
    """It cancels the others."""
    calls = Calls()
    await run_until_first(calls.waits("slow"), calls.turns("fast", 3))
    assert calls.ended == ["fast", "slow"]


async def test_run_until_first_raises_an_error_by_itself() -> None:
    """It cancels the others as well."""
    calls = Calls()
    with pytest.raises(ValueError, match="failed"):
        await run_until_first(calls.waits("other"), fails)
    assert calls.ended == ["other"]


async def test_cancelled_run_until_first_leaves_nothing_running() -> None:
    """A cancellation from outside does not count as the end of a call."""
    calls = Calls()
    with anyio.move_on_after(0) as scope:
        await run_until_first(calls.waits("one"), calls.waits("other"))
    assert scope.cancelled_caught
    assert sorted(calls.ended) == ["one", "other"]
