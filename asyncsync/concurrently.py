"""Structured concurrency with plain errors.

A task group raises what went wrong in a group of exceptions. Whoever waits for the work wants to
know what went wrong, not how the work was divided, so here the first error is raised by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
from anyio.abc import TaskGroup

T = TypeVar("T")


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """Open a task group; the first error cancels its tasks and is raised by itself."""
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


async def run_beside(
    other: Coroutine[object, object, object], one: Coroutine[object, object, T]
) -> T:
    """Return what `one` returns, when `other` has ended as well; an error ends both.

    Only `other` gets a task of its own: for two short coroutines a task group costs as much as
    what they do.
    """
    task = asyncio.create_task(other)
    try:
        result = await one
        await task
    except BaseException:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
    return result


async def run_all(*calls: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run the calls side by side until all have ended; the first error cancels the others."""
    async with task_group() as group:
        for call in calls:
            group.start_soon(call)


async def run_until_first(*calls: Callable[[], Awaitable[object]]) -> None:
    """Run the calls side by side until one of them has ended, and cancel the others."""
    async with task_group() as group:

        async def run(call: Callable[[], Awaitable[object]]) -> None:
            await call()
            group.cancel_scope.cancel()

        for call in calls:
            group.start_soon(run, call)
