"""What ends a run from outside: signals, and a machine without free memory.

The first signal stops the run, a later one ends the process at once. Two that arrive together count
as one: `timeout` sends its signal to the process and to its group, and a terminal that is closed
does much the same.

A disk that hangs can block any thread, also the event loop's. So a separate thread waits for
signals, and ends the process when a stopped run has not ended after some time.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from asyncsync.console import show_cursors
from asyncsync.errors import MachineError

TOGETHER = 0.3
"""Seconds after the first signal in which others count as the same one: nobody is that fast."""
GRACE = 1.2
"""Seconds in which a stopped run may end by itself."""
LAST_WORDS = 0.3
"""Seconds for the summary of a run that did not end by itself: the screen may hang as well."""


@contextmanager
def watch_signals() -> Iterator["Watch"]:
    """Catch signals, so that the first one stops what is under way, and a later one the process.

    On Windows no signal is caught: an interrupt ends the process there.
    """
    watch = Watch()
    if not hasattr(signal, "sigwait"):
        yield watch
        return
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    # Ignored signals stay ignored: under nohup, or behind a shell's &, the run should go on.
    numbers = {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
    if not numbers:
        yield watch
        return
    # A signal may still reach a thread that was started before; its handler then does the same.
    handlers = {number: signal.signal(number, watch.handle) for number in numbers}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    watcher = threading.Thread(target=watch.wait, args=(numbers,), daemon=True)
    try:
        watcher.start()
    except RuntimeError:  # no thread can be started; the handlers work unless something hangs
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        yield watch
    finally:
        watch.over.set()
        if watcher.ident:
            with suppress(ProcessLookupError):  # it has just ended because of another signal
                signal.pthread_kill(watcher.ident, min(numbers))
            watcher.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def exit_without_memory(report: Callable[[], object]) -> Iterator[None]:
    """End the process when memory runs out where the error could not be raised to anybody.

    In a callback of the event loop or at a thread's start, a MemoryError would leave something
    waiting forever. Only time is lost: the next run goes on, as after a kill.

    Args:
        report: reports it, just before the process is ended.
    """

    def end() -> None:
        try:
            report()
        finally:
            _exit(MachineError.exit_code)

    def in_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), MemoryError):
            end()
        loop.default_exception_handler(context)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if issubclass(args.exc_type, MemoryError):
            end()
        excepthook(args)

    loop, excepthook = asyncio.get_running_loop(), threading.excepthook
    loop.set_exception_handler(in_loop)
    threading.excepthook = in_thread
    try:
        yield
    finally:
        loop.set_exception_handler(None)
        threading.excepthook = excepthook


class Watch:
    """Handles the signals of one run, or of several that follow each other."""

    def __init__(self) -> None:
        self.caught: list[signal.Signals] = []
        """The signal that stopped what was under way, once there is one."""
        self.over = threading.Event()
        """Set when no signal counts any more."""
        self._under_way: tuple[Callable[[], object], Callable[[signal.Signals], object]] | None
        self._under_way = None
        self._ended = threading.Event()
        """Set when what was under way has ended."""
        self._last = threading.Lock()
        """Held while the process is ended, so that what ends meanwhile adds nothing."""
        self._together_until = 0.0

    @contextmanager
    def stopping(
        self, stop: Callable[[], object], report_stop: Callable[[signal.Signals], object]
    ) -> Iterator[list[signal.Signals]]:
        """Have the first signal stop what is under way. While nothing is, it ends the process.

        Yields the list of caught signals, which is filled when one arrives.

        Args:
            stop: ends what is under way; called from another thread.
            report_stop: reports that it was stopped. Called from another thread, just before the
                process is ended because the end was not there in time.
        """
        self._ended.clear()
        self._under_way = stop, report_stop
        try:
            yield self.caught
        finally:
            with self._last:
                self._under_way = None
                self._ended.set()

    def wait(self, numbers: Iterable[signal.Signals]) -> None:
        """Wait for signals, and handle them, until none counts any more."""
        while not self.over.is_set():
            number = signal.sigwait(numbers)
            if not self.over.is_set():
                self.handle(number)

    def handle(self, number: int, _: object = None) -> None:
        """Stop what is under way, or end the process if nothing is, or a signal came before."""
        now = time.monotonic()
        if self.caught:
            if now >= self._together_until:
                _exit(128 + number)  # the next run goes on from what is there
            return
        if (under_way := self._under_way) is None:
            _exit(128 + number)  # also where the system would not: for the first process
            return
        stop, report_stop = under_way
        self._together_until = now + TOGETHER
        self.caught.append(signal.Signals(number))
        with suppress(RuntimeError):  # no thread can be started
            threading.Thread(
                target=self._exit_after_grace, args=(report_stop,), daemon=True
            ).start()
        stop()

    def _exit_after_grace(self, report_stop: Callable[[signal.Signals], object]) -> None:
        """End the process if what is under way does not end by itself."""
        if self._ended.wait(GRACE):
            return
        with self._last:
            if self._ended.is_set():
                return
            reporter = threading.Thread(target=report_stop, args=self.caught, daemon=True)
            reporter.start()
            reporter.join(LAST_WORDS)
            _exit(128 + self.caught[0])


def _exit(code: int) -> None:
    """End the process at once; only the terminal gets back what was taken from it."""
    show_cursors()
    os._exit(code)
