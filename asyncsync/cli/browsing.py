"""Runs `ls`, `du` and `get`; `looks.py` prints what the first two find."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from asyncsync import api
from asyncsync.browse import MOST_LEVELS, Usage, du, file_for, get, ls
from asyncsync.cli.ends import by_signal, say_end
from asyncsync.cli.looks import OutputClosedError, Person, Program
from asyncsync.cli.screen import Log
from asyncsync.cli.signals import Watch, exit_without_memory
from asyncsync.concurrently import task_group
from asyncsync.console import GREEN, coloured, print_line, wrapped
from asyncsync.disk import Held, SingleFile
from asyncsync.errors import (
    AsyncSyncError,
    ConfigError,
    DestinationError,
    MachineError,
    TransferError,
)
from asyncsync.interfaces import Observer, Observers, SilentObserver, Urgent
from asyncsync.keys import escaped, shown
from asyncsync.model import Downloaded, Outcome, Settings
from asyncsync.report import Report
from asyncsync.settings import Options
from asyncsync.units import format_size

if TYPE_CHECKING:
    from asyncsync.progress import Bars, Lines

OUTPUT = "-"
"""What stands for standard output in the place of a path."""


def look(
    settings: Settings,
    options: Options,
    prefixes: Sequence[str],
    arguments: argparse.Namespace,
    watch: Watch,
) -> int:
    """Run ls or du, and return the exit code.

    Raises:
        ConfigError: `--depth` is no number of levels, or does not go with `--recursive`.
    """
    command: str = arguments.command
    figures, usages, depth = Report(), dict[str, Usage](), _depth(arguments)
    screen = (Program if arguments.json else Person)(command, figures)
    run: api.Command = (
        partial(ls, depth=depth, show=screen.show)
        if command == "ls"
        else partial(du, depth=depth or 1, usages=usages)
    )
    observer = Observers(figures, screen)
    try:
        screen.begin(api.route(settings, options, prefixes))
        exit_code, error = anyio.run(
            _perform, run, settings, options, prefixes, observer, watch, screen.finish
        )
        if command == "du" and not error:
            screen.show_usages(usages)
        return screen.finish(exit_code or figures.exit_code, error)
    except OutputClosedError as closed:
        return _end_quietly(closed.exit_code)


def _depth(arguments: argparse.Namespace) -> int | None:
    """Return how many levels to show; None for all."""
    text: str | None = arguments.depth
    if getattr(arguments, "recursive", False):
        if text is not None:
            raise ConfigError("--depth: does not go with --recursive, which shows all levels")
        return None
    if text is None:
        return 1
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_LEVELS):
        raise ConfigError(f"--depth: {shown(text)!r} is not a number from 1 to {MOST_LEVELS}")
    return int(text)


def fetch(
    settings: Settings,
    options: Options,
    keys: Sequence[str],
    arguments: argparse.Namespace,
    open_progress: "Callable[[], AbstractContextManager[Bars | Lines | None]]",
    watch: Watch,
) -> int:
    """Run get, and return the exit code.

    Raises:
        ConfigError: there is no key, no file can be called like it, or a terminal would get it.
    """
    if not keys:
        raise ConfigError("get: names a bucket and no object; write s3://BUCKET/KEY")
    key, place = keys[0], arguments.place
    if place == OUTPUT and sys.stdout.isatty():
        raise ConfigError("get: standard output is a terminal; lead it to a file or a program")
    file = None if place == OUTPUT else file_for(key, place)
    options = replace(options, strip_prefix=False)
    with Held() as held:
        run = partial(get, key=key, sink=SingleFile(file) if file else held)
        with open_progress() as progress:
            told = _Told(progress, quiet=arguments.quiet)
            log = Log("get", Report())
            observer = Observers(*([progress] if progress else []), told, log)
            exit_code, error = anyio.run(
                _perform, run, settings, options, (), observer, watch, say_end
            )
        if error:
            say_end(exit_code, error)
        elif file is None:
            exit_code = _copy_out(held)
        elif not arguments.quiet:
            line = f"{told.outcome} -> {escaped(str(file))}"
            print_line(coloured(line, GREEN, sys.stdout), sys.stdout)
    return exit_code


class _Told(SilentObserver):
    """Keeps the outcome of an object, and prints messages for the user; if quiet, urgent ones."""

    def __init__(self, progress: "Bars | Lines | None", *, quiet: bool) -> None:
        self.outcome = ""
        self._quiet = quiet
        self._say = progress.say if progress else print_line

    def ended(self, outcome: Outcome) -> None:
        """Keep what was downloaded, and what is proven of it."""
        if isinstance(outcome, Downloaded):
            remote, proven = outcome.transfer.remote, ", ".join(outcome.proven.names)
            self.outcome = f"{shown(remote.key)} ({format_size(remote.size)}; proven: {proven})"

    def noticed(self, message: str) -> None:
        """Print the message on standard error."""
        if not self._quiet or isinstance(message, Urgent):
            self._say(wrapped(f"asyncsync: {escaped(message)}", sys.stderr), sys.stderr)


def _copy_out(held: Held) -> int:
    """Write proven bytes to standard output, and return the exit code."""
    try:
        held.copy_to(sys.stdout.buffer)
    except BrokenPipeError:
        return _end_quietly(OutputClosedError.exit_code)
    except OSError as error:
        say_end(DestinationError.exit_code, f"standard output: {error.strerror}")
        return DestinationError.exit_code
    return 0


def _end_quietly(exit_code: int) -> int:
    """Return the exit code; what is still to be written to standard output is not missed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exit_code


async def _perform(
    command: api.Command,
    settings: Settings,
    options: Options,
    prefixes: Sequence[str],
    observer: Observer,
    watch: Watch,
    tell: Callable[[int, str], object],
) -> tuple[int, str]:
    """Run a command; return the exit code and what ended it, 0 and "" if it came to its end.

    Just before the process is ended because something hangs, `tell` tells these two.
    """
    no_memory = MachineError.exit_code, MachineError("out of memory").advice

    def tell_stopped(number: signal.Signals) -> None:
        tell(*by_signal(number))

    exit_code, error = 0, ""
    async with task_group() as group:
        loop, cancel = asyncio.get_running_loop(), group.cancel_scope.cancel
        with (
            watch.stopping(partial(loop.call_soon_threadsafe, cancel), tell_stopped) as caught,
            exit_without_memory(partial(tell, *no_memory)),
        ):
            try:
                await api.perform(command, settings, options, prefixes, observer)
            except OutputClosedError:
                raise
            except AsyncSyncError as failure:
                exit_code, error = failure.exit_code, _advice(failure)
            except MemoryError:
                exit_code, error = no_memory
    if caught:
        return by_signal(caught[0])
    return exit_code, error


def _advice(error: AsyncSyncError) -> str:
    """Return what is wrong and what to do, but not the destination's hint, which is for a sync."""
    if isinstance(error, TransferError):
        return f"{shown(error.key)}: {error.advice}"
    if isinstance(error, DestinationError) and not isinstance(error, MachineError):
        return str(error)
    return error.advice
