"""Calls in threads, also where the system refuses to start more of them."""

import asyncio
import threading
from collections.abc import Callable

import anyio
import pytest

from asyncsync import threads
from asyncsync.errors import MachineError
from asyncsync.threads import Threads, in_thread

pytestmark = pytest.mark.anyio

FOR_EVER = 1 << 62


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A function that makes the system refuse the next threads."""
    monkeypatch.setattr(threads, "PAUSE", 0)
    start_thread, left = threading.Thread.start, 0

    def start(thread: threading.Thread) -> None:
        nonlocal left
        if left:
            left -= 1
            raise RuntimeError("can't start new thread")
        start_thread(thread)

    def refuse(number: int) -> None:
        nonlocal left
        left = number

    monkeypatch.setattr(threading.Thread, "start", start)
    return refuse


async def test_call_runs_in_another_thread() -> None:
    """It gets its arguments, and its result is returned."""
    assert await in_thread(divmod, 7, 3) == (2, 1)
    assert await in_thread(threading.get_ident) != threading.get_ident()


async def test_call_waits_for_a_thread(refuse: Callable[[int], None]) -> None:
    """If one is refused, the call asks again."""
    refuse(threads.ATTEMPTS - 1)
    assert await in_thread(divmod, 7, 3) == (2, 1)


async def test_call_uses_a_thread_that_is_free_again(
    refuse: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No new one can be started while it is busy, and none is needed afterwards."""
    may_end, order = threading.Event(), []

    def first() -> None:
        may_end.wait()
        order.append("first")

    monkeypatch.setattr(threads, "ATTEMPTS", FOR_EVER)
    async with anyio.create_task_group() as group:
        group.start_soon(in_thread, first)
        await anyio.wait_all_tasks_blocked()
        refuse(FOR_EVER)
        group.start_soon(in_thread, order.append, "second")
        may_end.set()
    assert order == ["first", "second"]


async def test_call_without_a_thread_ends_the_run(refuse: Callable[[int], None]) -> None:
    """The error says what to do about it."""
    refuse(threads.ATTEMPTS)
    with pytest.raises(MachineError, match="no thread can be started: can't start") as caught:
        await in_thread(divmod, 7, 3)
    assert "ulimit" in caught.value.advice


async def test_error_of_the_call_is_not_a_refused_thread() -> None:
    """The same error raised by the call itself is not retried."""
    calls = []

    def fail() -> None:
        calls.append(1)
        raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError):
        await in_thread(fail)
    assert calls == [1]


async def test_executor_uses_a_thread_that_is_free_again(
    refuse: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It returns results and raises errors as any executor does."""
    monkeypatch.setattr(threads, "ATTEMPTS", FOR_EVER)
    await in_thread(int)
    refuse(FOR_EVER)
    loop, executor = asyncio.get_running_loop(), Threads()
    calls = [loop.run_in_executor(executor, divmod, 7, number) for number in (1, 2, 0)]
    *found, error = await asyncio.gather(*calls, return_exceptions=True)
    assert found == [(7, 0), (3, 1)]
    assert isinstance(error, ZeroDivisionError)
