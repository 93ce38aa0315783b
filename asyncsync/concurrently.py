"""Structured concurrency whose errors are not wrapped in exception groups.

A task group raises its tasks' errors as an exception group. Callers want to know what went wrong,
not how the work was split into tasks. So these helpers raise the first error by itself.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """Open a task group. The first error cancels its tasks, and is raised by itself.

    It keeps no group as its context, which IPython would search for, and print in full.
    """
    first: BaseException | None = None
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
    if first is not None:
        raise first from first.__cause__


async def run_all(*calls: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run the calls concurrently until all have ended. The first error cancels the others."""
    async with task_group() as group:
        for call in calls:
            group.start_soon(call)


async def run_until_first(*calls: Callable[[], Awaitable[object]]) -> None:
    """Run the calls concurrently until the first one ends, and cancel the others."""
    async with task_group() as group:

        async def run(call: Callable[[], Awaitable[object]]) -> None:
            await call()
            group.cancel_scope.cancel()

        for call in calls:
            group.start_soon(run, call)
