"""How a run ends: which of several exit codes counts, and how its end is told to a person."""

import signal
from collections.abc import Iterable

from asyncsync.console import GREEN, RED, YELLOW, print_message
from asyncsync.errors import WORST_FIRST, SkippedError
from asyncsync.keys import escaped
from asyncsync.report import HELD_BACK

STOPPED = 128
"""Exit codes above this are those of a run that a signal has stopped."""


def worst_code(codes: Iterable[int]) -> int:
    """Return the exit code that counts of several: that of a signal before all others."""
    found = set(codes)
    by_signal = [code for code in found if code > STOPPED]
    return next((code for code in (*by_signal, *WORST_FIRST) if code in found), 0)


def colour_of_code(exit_code: int) -> int:
    """Return the colour in which a run's end is told."""
    if exit_code in {SkippedError.exit_code, HELD_BACK} or exit_code > STOPPED:
        return YELLOW
    return RED if exit_code else GREEN


def end_line(exit_code: int, error: str) -> str:
    """Return what ended a run, as a line for people and the log."""
    return f"{escaped(error)} (exit code {exit_code})"


def say_end(exit_code: int, error: str) -> None:
    """Print what ended a run."""
    print_message(end_line(exit_code, error), colour_of_code(exit_code))


def by_signal(number: signal.Signals) -> tuple[int, str]:
    """Return the exit code of what a signal has stopped, and what is told of it."""
    return STOPPED + number, f"stopped by {number.name}"


def say_stopped(number: signal.Signals) -> int:
    """Print that a signal has stopped what was under way; return the exit code."""
    exit_code, error = by_signal(number)
    say_end(exit_code, error)
    return exit_code
