"""Calls in threads, where the system lets the process have as many as are wanted or not."""

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
    """Lets the system refuse so many threads."""
    monkeypatch.setattr(threads, "PAUSE", 0)
    really, left = threading.Thread.start, 0

    def start(thread: threading.Thread) -> None:
        nonlocal left
        if left:
            left -= 1
            raise RuntimeError("can't start new thread")
        really(thread)

    def refuse(number: int) -> None:
        nonlocal left
        left = number

    monkeypatch.setattr(threading.Thread, "start", start)
    return refuse


async def test_call_gets_its_arguments_and_its_result_comes_back() -> None:
    """From another thread."""
    assert await in_thread(divmod, 7, 3) == (2, 1)
    assert await in_thread(threading.get_ident) != threading.get_ident()


async def test_call_waits_for_a_thread(refuse: Callable[[int], None]) -> None:
    """One that is refused is asked for again."""
    refuse(threads.LOOKS - 1)
    assert await in_thread(divmod, 7, 3) == (2, 1)


async def test_call_takes_a_thread_that_others_are_done_with(
    refuse: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No new one can be had while they are at work, and none is needed then."""
    may_end, order = threading.Event(), []

    def first() -> None:
        may_end.wait()
        order.append("first")

    monkeypatch.setattr(threads, "LOOKS", FOR_EVER)
    async with anyio.create_task_group() as group:
        group.start_soon(in_thread, first)
        await anyio.wait_all_tasks_blocked()
        refuse(FOR_EVER)
        group.start_soon(in_thread, order.append, "second")
        may_end.set()
    assert order == ["first", "second"]


async def test_call_without_a_thread_ends_the_run(refuse: Callable[[int], None]) -> None:
    """With what can be done about it."""
    refuse(threads.LOOKS)
    with pytest.raises(MachineError, match="no thread is to be had: can't start") as caught:
        await in_thread(divmod, 7, 3)
    assert "ulimit" in caught.value.advice


async def test_what_a_call_raises_is_not_taken_for_a_refusal() -> None:
    """The call is made once."""
    calls = []

    def fail() -> None:
        calls.append(1)
        raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError):
        await in_thread(fail)
    assert calls == [1]


async def test_executor_takes_a_thread_that_others_are_done_with(
    refuse: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that wants an executor gets results and errors as from any other."""
    monkeypatch.setattr(threads, "LOOKS", FOR_EVER)
    await in_thread(int)
    refuse(FOR_EVER)
    loop, executor = asyncio.get_running_loop(), Threads()
    calls = [loop.run_in_executor(executor, divmod, 7, number) for number in (1, 2, 0)]
    *found, error = await asyncio.gather(*calls, return_exceptions=True)
    assert found == [(7, 0), (3, 1)]
    assert isinstance(error, ZeroDivisionError)
