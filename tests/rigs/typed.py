"""A program in a terminal of its own, at which somebody types."""

import asyncio
import codecs
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from asyncsync.console import HIDE_CURSOR, SHOW_CURSOR
from tests.rigs.child import SECONDS, until

COLUMNS, LINES = 100, 24


class Typist:
    """Types at a terminal, and sees all that is written there."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._decode = codecs.getincrementaldecoder("utf-8")().decode  # a read may cut a character
        self.seen = ""

    def type(self, keys: str) -> None:
        """Press keys; a control character is Ctrl and a letter."""
        os.write(self._terminal, keys.encode())

    async def sees(self, text: str) -> None:
        """Wait until the text has been written."""
        try:
            await until(lambda: text in self.seen)
        except TimeoutError:
            pytest.fail(f"{text!r} was not written, but {self.seen!r}")

    @property
    def has_cursor(self) -> bool:
        """Whether the cursor is visible."""
        return self.seen.rfind(SHOW_CURSOR) >= self.seen.rfind(HIDE_CURSOR)

    def read(self) -> None:
        """See what was written since."""
        with suppress(OSError):  # how Linux says that the other side is closed
            self.seen += self._decode(os.read(self._terminal, 65536))


@asynccontextmanager
async def on_its_terminal(
    script: str, settings: Mapping[str, str], *arguments: str
) -> AsyncIterator[Typist]:
    """Run a script of the shell, in which `"$@"` is asyncsync; its end is waited for."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    path = {"PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm"}
    child = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'exec <"$0" >"$0" 2>&1; {script}', os.ttyname(theirs)),
        *(sys.executable, "-m", "asyncsync", *arguments),
        env={**os.environ, **path, **settings},
        start_new_session=True,  # so the terminal that it opens is its own
    )
    typist, loop = Typist(ours), asyncio.get_running_loop()
    loop.add_reader(ours, typist.read)
    try:
        yield typist
        async with asyncio.timeout(SECONDS):
            await child.wait()
    finally:
        loop.remove_reader(ours)
        if child.returncode is None:
            child.kill()
            await child.wait()
        os.close(ours)
        os.close(theirs)
