"""The door of a mover: its standard input and output, and the real bucket.

`movers/process.py` starts it. It ends with its brain: when that says so, when the pipe is closed,
and when its parent is another process, as a brain that has died may have forked one that still
holds the pipe. It then has a moment to keep what is under way, and is gone, whatever hangs.
"""

import asyncio
import gc
import logging
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from asyncsync.movers import Event, Reader, move
from asyncsync.s3 import open_store, redact_libraries

logger = logging.getLogger(__name__)

STDIN, STDOUT, STDERR = 0, 1, 2
READ_SIZE = 64 * 1024
GATHERING = 0.005
"""Seconds for which lines are gathered: each write costs the brain a read and a hop to a thread."""
LOOK = 1.0
"""Seconds without a word after which it looks whether its brain is still there."""
GRACE = 2.0
"""Seconds that a mover may take to end."""


def main(brain: int) -> int:
    """Work for the brain at the other end of the pipes, a process; return the exit code."""
    redact_libraries()
    exit_code = asyncio.run(_work(brain))
    gc.freeze()  # nothing is taken apart at the end
    return exit_code


async def _work(brain: int) -> int:
    output = _Output(os.dup(STDOUT))
    try:  # what a library prints is no line for the brain
        os.dup2(STDERR, STDOUT)
    except OSError:  # the brain has closed its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
    try:
        async with aclosing(_events(brain)) as events:
            await move(events, output.send, open_store)
    except Exception:
        logger.info("this mover ends by a mistake in it", exc_info=True)
        return 1
    finally:
        output.flush()
    return 0


async def _events(brain: int) -> AsyncGenerator[Event, None]:
    """Yield what the brain says, until it is gone."""
    loop = asyncio.get_running_loop()
    stream, reader = asyncio.StreamReader(), Reader()
    with os.fdopen(STDIN, "rb", buffering=0, closefd=False) as pipe:
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), pipe
        )
        try:
            while data := await _read(stream, brain):
                for event in reader.events(data):
                    if event["event"] == "end":
                        return
                    yield event
        finally:
            transport.close()
            _exit_soon()


async def _read(stream: asyncio.StreamReader, brain: int) -> bytes:
    """Return what there is; nothing once the brain is gone."""
    while os.getppid() == brain:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                return await stream.read(READ_SIZE)
    return b""


def _exit_soon() -> None:
    """End the process a little later, even if something hangs."""
    timer = threading.Timer(GRACE, os._exit, [1])
    timer.daemon = True
    timer.start()


class _Output:
    """Writes lines to the brain: all of some milliseconds at once.

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
            self._loop.call_later(GATHERING, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what was sent. Blocks while the brain does not read."""
        rest, self._lines = memoryview(b"".join(self._lines)), []
        with suppress(BrokenPipeError):  # the brain is gone, which ends the events as well
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
