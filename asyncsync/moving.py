"""The door of a mover: its standard input and output, and the real bucket.

`movers/process.py` starts it. It ends with its brain: when the pipe is closed, it has a moment to
keep what is under way, and then it is gone, whatever hangs.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

from asyncsync.movers import Event, Reader, move
from asyncsync.s3 import open_store, redact_libraries

STDIN, STDOUT = 0, 1
READ_SIZE = 64 * 1024
GRACE = 2.0
"""Seconds that a mover may take to end."""


def main() -> int:
    """Work for the brain at the other end of the pipes; return the exit code."""
    redact_libraries()
    with suppress(BrokenPipeError):  # the brain is gone
        asyncio.run(_work())
    return 0


async def _work() -> None:
    output = _Output(os.dup(STDOUT))
    os.dup2(2, STDOUT)  # what a library prints is no line for the brain
    try:
        await move(_events(), output.send, open_store)
    finally:
        output.flush()


async def _events() -> AsyncIterator[Event]:
    """Yield what the brain says, until it is gone."""
    loop = asyncio.get_running_loop()
    stream, reader = asyncio.StreamReader(), Reader()
    with os.fdopen(STDIN, "rb", buffering=0, closefd=False) as pipe:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        while data := await stream.read(READ_SIZE):
            for event in reader.events(data):
                yield event
    _exit_soon()


def _exit_soon() -> None:
    """End the process a little later, even if something hangs."""
    timer = threading.Timer(GRACE, os._exit, [1])
    timer.daemon = True
    timer.start()


class _Output:
    """Writes lines to the brain: all of one turn of the loop at once.

    Args:
        descriptor: of the pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lines: list[bytes] = []

    def send(self, line: bytes) -> None:
        """Send a line; may be called in any thread."""
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self.send, line)
            return
        if not self._lines:
            self._loop.call_soon(self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what was sent. Blocks while the brain does not read."""
        rest, self._lines = memoryview(b"".join(self._lines)), []
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
