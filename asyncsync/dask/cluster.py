"""All that is asked of Dask, whose client may have its event loop in this thread or another one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio

from asyncsync import __version__
from asyncsync.errors import ConfigError, missing

if TYPE_CHECKING:
    from distributed import Client
    from tornado.platform.asyncio import BaseAsyncIOLoop

    from asyncsync.dask.batch import Batch

logger = logging.getLogger(__name__)

T = TypeVar("T")

ANSWERING = 10.0
"""Seconds in which the workers answer what is asked at the end of a run."""


class LostError(Exception):
    """A batch comes to no end: all workers that had it have died."""


class GoneError(LostError):
    """No batch comes to an end any more: the scheduler is gone, or the client was closed."""


class ClosedError(ConnectionError):
    """The client was closed, as in another cell of a notebook."""

    def __init__(self) -> None:
        super().__init__("the client was closed")


class Cluster:
    """A Dask cluster, as one run uses it.

    Args:
        client: connected to it.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._loop = cast("BaseAsyncIOLoop", client.loop).asyncio_loop

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Await something in the client's event loop, where all of its calls are asynchronous.

        Raises:
            ClosedError: the client was closed, before or meanwhile.
        """
        from distributed.client import ClosedClientError

        async def asked() -> T:
            if self._client.scheduler is None:
                raise ClosedError
            return await ask()

        question = asked()
        try:
            if self._loop is asyncio.get_running_loop():
                return await question
            return await asyncio.wrap_future(self._in_its_loop(question))
        except ClosedClientError as error:
            raise ClosedError from error
        except AttributeError as error:  # a closed client has no scheduler
            if self._client.scheduler is None:
                raise ClosedError from error
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            raise ClosedError from None  # its loop has ended, and cancelled all that was in it

    def _in_its_loop(self, question: Coroutine[None, None, T]) -> Future[T]:
        """Begin to await something in the client's event loop, which is another thread's."""
        try:
            return asyncio.run_coroutine_threadsafe(question, self._loop)
        except RuntimeError as error:  # the loop is closed
            question.close()
            raise ClosedError from error

    async def fetch(self, batch: "Batch") -> bytes:
        """Have a worker download a batch; return what it says. When it dies, another one does.

        Raises:
            LostError: none can.
            GoneError: there is no cluster any more.
            ConfigError: a worker has another asyncsync, or none.
        """
        from distributed import CancelledError, KilledWorker

        from asyncsync.dask import worker

        async def ask() -> bytes:
            future = self._client.submit(worker.fetch, batch, key=batch.key, pure=False)
            try:
                said: bytes = await future
            finally:
                future.release()
            return said

        try:
            return await self._ask(ask)
        except KilledWorker as error:
            raise LostError(str(error)) from error
        except (CancelledError, OSError) as error:  # the second: a connection was closed
            raise GoneError(str(error)) from error
        except ImportError as error:
            raise _lacking("a worker", error) from error

    async def everywhere(
        self,
        function: Callable[..., object],
        *arguments: object,
        workers: list[str] | None = None,
    ) -> Mapping[str, object]:
        """Call a function in all workers, beside their tasks; return what each says, or raised.

        Args:
            function: what to call.
            *arguments: its arguments.
            workers: the addresses of those to ask; None for all.

        Raises:
            OSError: the scheduler does not answer.
        """

        async def ask() -> Mapping[str, object]:
            said: Mapping[str, object] = await self._client.run(
                function, *arguments, on_error="return", workers=workers
            )
            return said

        return await self._ask(ask)

    async def end(self, run: str) -> None:
        """End what the workers do for a run; those that do not hear of it end by themselves."""
        from asyncsync.dask import worker

        with anyio.move_on_after(ANSWERING):
            try:
                await self._ask(partial(self._forget, run))
                await self.everywhere(worker.stop, run)
            except OSError as error:
                logger.info("the workers cannot be told that the run has ended: %s", error)

    async def _forget(self, topic: str) -> None:
        with suppress(ValueError):  # nobody listens any more
            self._client.unsubscribe_topic(topic)

    async def check_versions(self) -> None:
        """Check that the workers have this asyncsync.

        Raises:
            ConfigError: one has another, or none.
        """
        from asyncsync.dask import worker

        for address, found in (await self.everywhere(worker.version)).items():
            if isinstance(found, OSError):
                continue  # it has just died
            if isinstance(found, Exception):
                raise _lacking(f"the worker {address}", found) from found
            if found != __version__:
                raise ConfigError(
                    f"the worker {address} has asyncsync {found}, and this is {__version__}; "
                    "install the same on all workers"
                )

    async def size(self) -> int:
        """Return how many workers there are now.

        Raises:
            OSError: the scheduler does not answer.
        """

        async def ask() -> int:
            scheduler: Any = self._client.scheduler  # its methods are made when they are called
            return int((await scheduler.identity(n_workers=0))["n_workers"])

        return await self._ask(ask)

    async def listen(self, topic: str, hear: Callable[[str], object]) -> None:
        """Have messages of workers about a topic heard, in this event loop."""
        loop = asyncio.get_running_loop()

        def handle(event: tuple[float, str]) -> None:
            loop.call_soon_threadsafe(hear, event[1])

        async def ask() -> None:
            self._client.subscribe_topic(topic, handle)

        await self._ask(ask)


def _lacking(who: str, error: Exception) -> ConfigError:
    """Return the error about a worker without asyncsync, or without something it needs."""
    return ConfigError(
        f"{who} has no asyncsync {__version__} to work with ({error}): "
        f"{missing('it', 'dask').partition('; ')[2]}, on all workers"
    )
