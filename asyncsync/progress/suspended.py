"""Ctrl-Z while bars are drawn: the terminal is given back before the process stops."""

import signal
import threading
from collections.abc import Callable
from types import FrameType


class Suspended:
    """Does something just before Ctrl-Z stops the process.

    Only in the main thread, where Python runs signal handlers, and only if the program has no
    handler of its own.

    Args:
        give_back: called from a signal handler.
    """

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back = give_back
        self._is_on = False

    def begin(self) -> None:
        """Do so from now on."""
        if (
            hasattr(signal, "SIGTSTP")
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
        ):
            signal.signal(signal.SIGTSTP, self._stop)
            self._is_on = True

    def end(self) -> None:
        """Do so no longer."""
        if self._is_on:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            self._is_on = False

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)  # returns when the process goes on
        signal.signal(number, self._stop)
