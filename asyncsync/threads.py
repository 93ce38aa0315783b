"""Blocking calls in threads, so that the event loop goes on.

The system may refuse to start another thread: each needs memory, and their number may be limited.
The call then waits for one of the existing threads, as it does when all are busy.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import ParamSpec, TypeVar, TypeVarTuple

import anyio
from anyio import CapacityLimiter, to_thread

from asyncsync.errors import MachineError

ATTEMPTS = 80
"""How often a call asks for a thread before it fails: for less time than a connection has, whose
host name is looked up in one, or that would be what fails."""
PAUSE = 0.1
"""Seconds between two attempts."""

T = TypeVar("T")
P = ParamSpec("P")
Arguments = TypeVarTuple("Arguments")


async def in_thread(
    call: Callable[[*Arguments], T], *arguments: *Arguments, limiter: CapacityLimiter | None = None
) -> T:
    """Call in a thread and return the result. Cancellation waits until the call has ended.

    Args:
        call: the blocking function.
        arguments: its positional arguments.
        limiter: limits how many calls run at once; anyio's default limiter (40) without one.

    Raises:
        MachineError: no thread could be started for about 8 seconds.
    """
    has_begun = False

    def begin() -> T:
        nonlocal has_begun
        has_begun = True
        return call(*arguments)

    attempts = 0
    while True:
        try:
            return await to_thread.run_sync(begin, limiter=limiter)
        except RuntimeError as error:  # also raised by Python if a thread cannot be started
            attempts += 1
            if has_begun:
                raise
            if attempts == ATTEMPTS:
                raise MachineError(f"no thread can be started: {error}") from error
        await anyio.sleep(PAUSE)


class Threads(Executor):
    """The same threads as an executor, for libraries that want one. Needs a running event loop.

    `ThreadPoolExecutor` would queue the call before it starts a thread. If that fails, nobody runs
    the call.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Schedule the call and return its future."""
        future = Future[T]()

        async def run() -> None:
            try:
                future.set_result(await in_thread(partial(fn, *args, **kwargs)))
            except BaseException as error:
                future.set_exception(error)
                if not isinstance(error, Exception):
                    raise

        task = asyncio.get_running_loop().create_task(run())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        return future


_tasks: set[asyncio.Task[None]] = set()
"""Keeps the tasks alive: the event loop itself has only weak references to them."""
