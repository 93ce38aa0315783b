"""A TCP relay in front of a server: it counts requests, holds answers, and may speak TLS.

async with Relay(server.endpoint_url) as relay:
    held = relay.hold("large.parquet", after=1000)  # its answers stop after 1,000 bytes
    ...  # send requests to relay.endpoint
    assert relay.requests == ["GET /bucket/large.parquet"]
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_BLOCK = 256 * 1024


@dataclass(slots=True)
class Hold:
    """Answers that stop half-way."""

    text: str
    """Requests whose line contains it are meant."""
    after: int
    """Bytes of an answer that pass, its head included."""
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when an answer has stopped."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to let all of them go on."""


class Relay:
    """Passes requests without bodies on to the server, and the answers back."""

    def __init__(self, target: str, *, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._tls = tls
        self._holds: list[Hold] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[str] = []
        """Method and target of all requests in the order of arrival."""
        self.sent = 0
        """Bytes of all answers that were passed on."""

    @property
    def endpoint(self) -> str:
        """Scheme, host and port."""
        port = self._server.sockets[0].getsockname()[1]
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{port}"

    def hold(self, text: str, *, after: int) -> Hold:
        """Stop the answers to requests whose line contains the text, after so many bytes."""
        hold = Hold(text, after)
        self._holds.append(hold)
        return hold

    def verbs(self) -> set[str]:
        """Return what kinds of requests came: LIST, HEAD, GET."""
        return {"LIST" if "list-type=2" in r else r.partition(" ")[0] for r in self.requests}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, server = await asyncio.open_connection(*self._target, limit=_BLOCK)
            try:
                await self._pass_on(reader, writer, answers, server)
            finally:
                await _gone(server)
        finally:
            await _gone(writer)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        server: asyncio.StreamWriter,
    ) -> None:
        """Pass bytes both ways until one side has closed its connection."""
        passed = 0
        hold: Hold | None = None

        async def pass_requests() -> None:
            nonlocal passed, hold
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                line = request.partition(b" HTTP/1.1\r\n")[0].decode()
                self.requests.append(line)
                passed, hold = 0, next((hold for hold in self._holds if hold.text in line), None)
                server.write(request)

        async def pass_answers() -> None:
            nonlocal passed
            while block := await answers.read(_BLOCK):
                if hold is not None and passed + len(block) > hold.after:
                    writer.write(block[: max(hold.after - passed, 0)])
                    block = block[max(hold.after - passed, 0) :]
                    hold.stopped.set()
                    await hold.released.wait()
                passed += len(block)
                self.sent += len(block)
                writer.write(block)
                await writer.drain()

        ways = [asyncio.ensure_future(pass_requests()), asyncio.ensure_future(pass_answers())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _gone(writer: asyncio.StreamWriter) -> None:
    """Close a connection at once, and return when it is gone."""
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
