"""S3 servers that serve few connections at a time, and let all others wait."""

import asyncio
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tests.rigs.scripted_s3 import ScriptedS3


class SilentS3(ScriptedS3):
    """Accepts every connection, and reads nothing on it before one of those served is closed."""

    def __init__(self, objects: Mapping[str, bytes], served: int = 4) -> None:
        super().__init__(objects)
        self._free = asyncio.Semaphore(served)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._free:
            await super()._serve(reader, writer)


class FullS3(ScriptedS3):
    """Accepts a connection when one of those served is closed; the system's queue has no room."""

    def __init__(self, objects: Mapping[str, bytes], served: int = 4) -> None:
        super().__init__(objects)
        self._free = asyncio.Semaphore(served)

    @property
    def endpoint(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._queue.getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._queue = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._queue.setblocking(False)
        self._accepting = asyncio.ensure_future(self._accept_few())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._queue.close()
        await self._stop()

    async def _accept_few(self) -> None:
        while True:
            await self._free.acquire()
            accepted, _ = await asyncio.get_running_loop().sock_accept(self._queue)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._accept(*await asyncio.open_connection(sock=accepted))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await super()._serve(reader, writer)
        finally:
            self._free.release()
