"""One mover, as its brain sees it: a process with two pipes, and what it was dealt."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import CancelScope

from asyncsync.model import Downloaded, Transfer
from asyncsync.movers.lines import Event, Reader, encode

logger = logging.getLogger(__name__)

READ_SIZE = 64 * 1024
POLL = 0.005
"""Seconds between two looks whether a process that is about to end has ended."""
ENDING = 0.8
"""Seconds in which a mover keeps what is under way once its pipe is closed."""
_MAIN = (
    "import gc, sys; gc.set_threshold(100_000, 20, 100); "
    "sys.path[:] = sys.argv[1:2]; import asyncsync; sys.path[:] = sys.argv[3:]; "
    "from asyncsync.moving import main; sys.exit(main(int(sys.argv[2])))"
)
"""What a mover runs: the very package of its brain, which may not be the first of that name.

It searches for cycles as seldom as its brain; see `__main__.py`.
"""
_KEPT_BACK = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
"""Signals that stop a run: a mover ends when its brain does, and not before."""


@dataclass(slots=True)
class Dealt:
    """A transfer that a mover has."""

    transfer: Transfer
    outcome: "asyncio.Future[Downloaded | None]"
    """None: this mover does not fetch it, so that another one may."""
    parts: str
    """The parts folder that its file goes in."""
    arrived: int = 0
    """Bytes of it that the observer knows of."""


class Mover:
    """A running mover. Made by `start`.

    Args:
        number: different for each of a run.
        parts: the usual parts folder.
        process: with pipes as its standard input and output.
    """

    def __init__(self, number: int, parts: str, process: "subprocess.Popen[bytes]") -> None:
        self.number = number
        self.parts = parts
        self.is_ready = False
        """Whether it takes transfers."""
        self.dealt: dict[str, Dealt] = {}
        """What it has not answered yet, by key."""
        self.large_bytes = self.large = 0
        """Bytes and number of the large objects among these."""
        self.is_unable = False
        """Whether it has said that it can do nothing here, so that another one could not either."""
        self._process = process
        self._unsent: list[bytes] = []
        self._stdin: asyncio.WriteTransport | None = None
        self._stdout = asyncio.StreamReader()
        self._reading: asyncio.ReadTransport | None = None
        self._is_heard = False
        """Whether what it says is waited for."""
        self._silent = 0

    @classmethod
    async def start(cls, number: int, parts: str, inherits: Sequence[int]) -> "Mover":
        """Start a mover, which waits for its orders.

        Args:
            number: different for each of a run.
            parts: the usual parts folder.
            inherits: descriptors that it keeps open while it lives.

        Raises:
            OSError, ValueError, SubprocessError: no process can be started.
            RuntimeError: this interpreter, or its event loop, cannot do that.
        """
        with _signals_kept_back():
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - milliseconds; nobody's words
                _command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                pass_fds=inherits,
            )
        mover = cls(number, parts, process)
        try:
            await mover._connect()
        except BaseException:
            await mover.close()
            raise
        return mover

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._stdin, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, self._process.stdin)
        self._reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._stdout), self._process.stdout
        )

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def send(self, line: bytes) -> None:
        """Send a line; all lines of one turn of the loop are sent together."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(line)

    def _flush(self) -> None:
        lines, self._unsent = self._unsent, []
        if self._stdin and not self._stdin.is_closing():
            self._stdin.write(b"".join(lines))

    async def events(self) -> AsyncIterator[list[Event]]:
        """Yield what it says, as much as there is at a time, until it ends or says nonsense."""
        reader = Reader()
        while data := await self._read():
            try:
                found = list(reader.events(data))
            except ValueError as error:
                logger.info("mover %d says what is no event: %s", self.number, error)
                return
            yield found

    async def _read(self) -> bytes:
        self._is_heard, self._silent = True, 0
        try:
            return await self._stdout.read(READ_SIZE)
        finally:
            self._is_heard = False

    def has_been_silent(self) -> int:
        """Return how often this was called since it has said something, if that is waited for."""
        self._silent += self._is_heard
        return self._silent

    # what it was dealt --------------------------------------------------------------------------

    def add(self, dealt: Dealt, line: bytes, small: int) -> None:
        """Deal it a transfer.

        Args:
            dealt: the transfer.
            line: the same, as a line.
            small: bytes of an object up to which it is small.
        """
        remote = dealt.transfer.remote
        self.dealt[remote.key] = dealt
        if remote.size > small:
            self.large += 1
            self.large_bytes += remote.size
        self.send(line)

    def pop(self, key: str, small: int) -> Dealt | None:
        """Take a transfer off it; None if it has none of this key any more."""
        dealt = self.dealt.pop(key, None)
        if dealt and dealt.transfer.remote.size > small:
            self.large -= 1
            self.large_bytes -= dealt.transfer.remote.size
        return dealt

    # the end ------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Let it end: it keeps what is under way. It is killed if it does not."""
        with CancelScope(shield=True):
            self._unsent.append(encode({"event": "end"}))  # another process may hold the pipe, too
            self._flush()
            if self._stdin and self._reading:
                self._stdin.close()
                with anyio.move_on_after(ENDING):
                    while await self._stdout.read(READ_SIZE):
                        pass
                    await self._ended()
                if self._stdin.get_write_buffer_size():  # it does not read any more
                    self._stdin.abort()
                self._reading.close()
            if self._process.poll() is None:
                logger.info("mover %d (process %d) is killed", self.number, self.pid)
                self.kill()
            await self._ended()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()

    def kill(self) -> None:
        """End it at once, and hear nothing more; what it had under way stays as it is."""
        self._process.kill()
        if self._reading:  # another process may hold the pipe, which then has no end
            self._reading.close()

    async def _ended(self) -> None:
        """Wait until it has ended: in no thread, because there may be none left."""
        while self._process.poll() is None:  # noqa: ASYNC110 - no event tells of it
            await anyio.sleep(POLL)

    def describe_end(self) -> str:
        """Return how it ended."""
        code = self._process.poll()
        if code is None:
            return "has closed its pipe"
        if code < 0:
            with suppress(ValueError):
                return f"was ended by {signal.Signals(-code).name}"
        return f"ended with code {code}"


def _command() -> list[str]:
    """Return the command that starts a mover, in a Python that is set up like this one."""
    flags, own = sys.flags, str(Path(__file__).parents[2])
    options = {
        "-I": flags.isolated,
        "-E": flags.ignore_environment,
        "-s": flags.no_user_site,
        "-S": flags.no_site,
    }
    return [
        *(sys.executable, "-P", f"-Xutf8={flags.utf8_mode}"),
        *(option for option, is_set in options.items() if is_set),
        *(f"-W{option}" for option in sys.warnoptions),
        *("-c", _MAIN, own, str(os.getpid()), *filter(None, map(str, sys.path))),
    ]


@contextmanager
def _signals_kept_back() -> Iterator[None]:
    """Start a process in which none of these signals arrives, from its first moment on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _KEPT_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
