"""What blocks is called in a thread, and the event loop goes on.

The system may let the process have no more threads: each takes memory, and their number may be
limited. Then the call waits for one of those that there are, as it would when all were at work.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import ParamSpec, TypeVar, TypeVarTuple

import anyio
from anyio import CapacityLimiter, to_thread

from asyncsync.errors import MachineError

LOOKS = 100
"""How often it is tried to have a thread."""
PAUSE = 0.1
"""Seconds between two of these."""

T = TypeVar("T")
P = ParamSpec("P")
Arguments = TypeVarTuple("Arguments")


async def in_thread(
    call: Callable[[*Arguments], T], *arguments: *Arguments, limiter: CapacityLimiter | None = None
) -> T:
    """Return what the call returns, made in a thread; it is waited for whatever happens.

    Args:
        call: what blocks.
        arguments: of the call.
        limiter: how many of these may be under way; 40 of all together without one.

    Raises:
        MachineError: there is no thread to be had, for seconds on end.
    """
    has_begun = False

    def begun() -> T:
        nonlocal has_begun
        has_begun = True
        return call(*arguments)

    looks = 0
    while True:
        try:
            return await to_thread.run_sync(begun, limiter=limiter)
        except RuntimeError as error:  # what Python says of a thread that cannot be started
            looks += 1
            if has_begun:
                raise
            if looks == LOOKS:
                raise MachineError(f"no thread is to be had: {error}") from error
        await anyio.sleep(PAUSE)


class Threads(Executor):
    """The same threads for a library that wants an executor; belongs to the running event loop.

    Python's own would be left with a call that it has taken, and that nobody makes, where a thread
    is refused.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return what is going to be done when the call is."""
        future = Future[T]()

        async def make() -> None:
            try:
                future.set_result(await in_thread(partial(fn, *args, **kwargs)))
            except BaseException as error:
                future.set_exception(error)
                if not isinstance(error, Exception):
                    raise

        task = asyncio.get_running_loop().create_task(make())
        _made.add(task)
        task.add_done_callback(_made.discard)
        return future


_made: set[asyncio.Task[None]] = set()
"""Keeps the tasks, which the event loop does not."""
