"""Runs again and again, in the foreground: `--every`, for containers and services."""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable
from time import monotonic as clock
from typing import TextIO

from asyncsync.cli.ends import STOPPED, say_end, say_stopped
from asyncsync.cli.mistakes import as_option
from asyncsync.cli.signals import Watch
from asyncsync.console import print_line
from asyncsync.errors import AsyncSyncError, ConfigError
from asyncsync.settings import parse_duration
from asyncsync.units import format_seconds


def interval(arguments: argparse.Namespace) -> int | None:
    """Return the seconds between the beginnings of two rounds; None for a single run.

    Raises:
        ConfigError: the text of the argument is no duration, or nothing is to be repeated.
    """
    text = getattr(arguments, "every", None)
    if text is None or arguments.command == "doctor":
        return None
    if getattr(arguments, "plan", None) is not None:
        raise ConfigError("--every: goes without --plan, which fetches the same each time")
    if getattr(arguments, "files_from", None) == "-":
        raise ConfigError("--every: standard input can be read once; give --files-from a file")
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"--every: {error}") from None


def repeat(
    round_of: Callable[[], int], seconds: int, arguments: argparse.Namespace, watch: Watch
) -> int:
    """Run rounds until a signal comes, and return its exit code.

    What goes wrong in a round is told, and the next one begins all the same. Only settings that
    are wrong from the start end it, with exit code 2. Settings are read anew in each round.

    Args:
        round_of: runs one, and returns its exit code.
        seconds: between the beginnings of two; one that took longer is followed by the next.
        arguments: whether to say when the next round begins, and where.
        watch: the signals.

    Raises:
        ConfigError: the settings are wrong from the start.
    """
    is_first = True
    while True:
        began = clock()
        try:
            code = round_of()
        except AsyncSyncError as error:
            if is_first and isinstance(error, ConfigError):
                raise
            code = error.exit_code
            say_end(code, as_option(str(error)))
        if watch.caught:
            return max(code, STOPPED + watch.caught[0])
        if is_first and code == ConfigError.exit_code:
            return code
        is_first = False
        left = max(began + seconds - clock(), 0.0)
        line = "" if arguments.quiet else _next_round(left)
        stream = sys.stderr if arguments.json else sys.stdout  # where programs read the events
        if number := wait(left, watch, line, stream):
            return say_stopped(number)


def wait(seconds: float, watch: Watch, line: str, stream: TextIO) -> signal.Signals | None:
    """Wait for the next round, and return the signal that comes before it.

    From before the line is printed, if there is one, a signal only ends the wait.
    """
    woken = threading.Event()
    with watch.stopping(woken.set, lambda _: None) as caught:
        if line:
            print_line(line, stream)
        woken.wait(seconds)
    return caught[0] if caught else None


def _next_round(left: float) -> str:
    if left < 1:
        return "the next round begins now"
    at = time.localtime(time.time() + left)
    day = "" if at[:3] == time.localtime()[:3] else "%Y-%m-%d "
    hour = time.strftime(f"{day}%H:%M:%S", at)
    return f"the next round begins at {hour}, in {format_seconds(left)}"
