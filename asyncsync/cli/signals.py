"""What ends a run from outside: signals, and that there is no memory left.

The first signal stops it, a later one ends the process at once. Two that come together count as
one: `timeout` sends its signal to the process and to its group, and a terminal that is closed does
much the same.

A disk that hangs can hold up any thread, that of the event loop as well. So a thread of its own
waits for signals, and when a stopped run has not ended after some time, it ends the process.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from asyncsync.errors import MachineError

TOGETHER = 0.3
"""Seconds behind the first signal in which others say the same: nobody is in such a hurry."""
GRACE = 1.2
"""Seconds that a stopped run gets to end by itself."""
LAST_WORDS = 0.3
"""Seconds that the summary of one that does not gets: the screen may hang as well."""


@contextmanager
def stopping(
    stop: Callable[[], object], last_words: Callable[[signal.Signals], object]
) -> Iterator[list[signal.Signals]]:
    """Call `stop` on the first signal, end the process on a later one.

    Yields the signals that were caught, a list that fills when one comes. On Windows none is: an
    interrupt ends the process there.

    Args:
        stop: ends the run; called from another thread.
        last_words: tells that the run was stopped; called from another thread when it has not
            ended in time, just before the process is ended.
    """
    watch = _Watch(stop, last_words)
    if not hasattr(signal, "sigwait"):
        yield watch.caught
        return
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    # What was ignored before stays so: under nohup, or behind a shell's &, the run is to go on.
    numbers = {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
    if not numbers:
        yield watch.caught
        return
    # A signal may still reach a thread that was here before; its handler then does the same.
    handlers = {number: signal.signal(number, watch.take) for number in numbers}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    watcher = threading.Thread(target=watch.wait, args=(numbers,), daemon=True)
    try:
        watcher.start()
    except RuntimeError:  # no thread is to be had; the handlers do, unless something hangs
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        yield watch.caught
    finally:
        watch.over.set()
        if watcher.ident:
            with suppress(ProcessLookupError):  # it has just ended, by a signal that came now
                signal.pthread_kill(watcher.ident, min(numbers))
            watcher.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def ending_without_memory(last_words: Callable[[], object]) -> Iterator[None]:
    """End the process when there is no memory left for what nobody can be told of.

    In a callback of the event loop or in the workings of a thread, that leaves somebody waiting
    for ever. Nothing is lost but the time: the next run goes on, as after a kill.

    Args:
        last_words: tells of it, just before the process is ended.
    """

    def end() -> None:
        try:
            last_words()
        finally:
            os._exit(MachineError.exit_code)

    def in_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), MemoryError):
            end()
        loop.default_exception_handler(context)

    def in_thread(told: threading.ExceptHookArgs) -> None:
        if issubclass(told.exc_type, MemoryError):
            end()
        usual(told)

    loop, usual = asyncio.get_running_loop(), threading.excepthook
    loop.set_exception_handler(in_loop)
    threading.excepthook = in_thread
    try:
        yield
    finally:
        loop.set_exception_handler(None)
        threading.excepthook = usual


class _Watch:
    """What is done about the signals."""

    def __init__(
        self, stop: Callable[[], object], last_words: Callable[[signal.Signals], object]
    ) -> None:
        self.caught: list[signal.Signals] = []
        self.over = threading.Event()
        """Set when the run has ended."""
        self._together_until = 0.0
        self._stop = stop
        self._last_words = last_words

    def wait(self, numbers: Iterable[signal.Signals]) -> None:
        """Take one signal after the other until the run is over."""
        while not self.over.is_set():
            number = signal.sigwait(numbers)
            if not self.over.is_set():
                self.take(number)

    def take(self, number: int, _: object = None) -> None:
        """Stop the run; end the process if that was done a while before."""
        now = time.monotonic()
        if self.caught:
            if now >= self._together_until:
                os._exit(128 + number)  # somebody is in a hurry; the next run finds what is there
            return
        self._together_until = now + TOGETHER
        self.caught.append(signal.Signals(number))
        with suppress(RuntimeError):  # no thread is to be had
            threading.Thread(target=self._leave, daemon=True).start()
        self._stop()

    def _leave(self) -> None:
        """End the process if the run does not end by itself."""
        if not self.over.wait(GRACE):
            telling = threading.Thread(target=self._last_words, args=self.caught, daemon=True)
            telling.start()
            telling.join(LAST_WORDS)
            os._exit(128 + self.caught[0])
