"""The command line: arguments in, text or JSON out, and an exit code.

0  everything selected is in step          4  the remote side ended the run
1  some objects failed                     5  the local side ended the run
2  usage or settings                       6  another run holds the destination
3  keys were skipped, all others are done  129, 130, 143  stopped by HUP, INT, TERM
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from asyncsync import api, pipeline
from asyncsync.cli.arguments import COMMANDS, given_options, taken_apart
from asyncsync.cli.screen import JsonLines, Log, Text
from asyncsync.cli.signals import ending_without_memory, stopping
from asyncsync.concurrently import task_group
from asyncsync.console import RED, coloured, columns, print_line, takes_escapes
from asyncsync.disk import Folder
from asyncsync.errors import AsyncSyncError, ConfigError, MachineError
from asyncsync.interfaces import Observers
from asyncsync.model import Settings
from asyncsync.report import Finding, Report, Verdict, check_json
from asyncsync.settings import Options, load

if TYPE_CHECKING:
    from asyncsync.progress import Bars, Lines

logger = logging.getLogger(__name__)

NO_MEMORY = MachineError("out of memory").advice

_RUNS: dict[str, api.Command] = {
    "sync": pipeline.sync,
    "plan": pipeline.plan,
    "verify": pipeline.verify,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit code."""
    _open_streams()
    arguments = taken_apart(argv)
    command, *prefixes = arguments.words or ["sync"]
    if command not in COMMANDS:
        command, prefixes = "sync", arguments.words
    try:
        if arguments.print_completion is not None:
            from asyncsync.cli.completion import script  # needs the extra of that name

            return 0 if print_line(script(arguments.print_completion), sys.stdout) else 1
        given = given_options(arguments)
        if command == "demo":
            from asyncsync.demo import run_demo  # needs the extra of that name

            return run_demo(Path(arguments.dest or "downloads-demo"), keep=arguments.keep)
        if command == "doctor":
            _log(arguments)
            return _run_async(partial(_examine, prefixes, given, arguments))
        found, options = load(arguments.env_file, given=given)
        planned = _planned(prefixes, found, options, arguments)
        _log(arguments)
    except AsyncSyncError as error:
        print_line(f"asyncsync: {error}", sys.stderr)
        return error.exit_code
    return _run_async(partial(_run, command, prefixes, found, options, arguments, planned))


def _run_async(run: Callable[[], Coroutine[object, object, int]]) -> int:
    return anyio.run(run, backend_options={"use_uvloop": api.HAS_UVLOOP})


def _planned(
    prefixes: Sequence[str],
    found: Settings,
    options: Options,
    arguments: argparse.Namespace,
) -> pipeline.Pages | None:
    """Return the objects of the plan that is to be done, None if a listing is to find them."""
    if arguments.plan is None:
        return None
    said = {**given_options(arguments), "prefixes": prefixes}
    return api.planned_pages(arguments.plan, api.route(found, options), said)


def _open_streams() -> None:
    """Open what the caller has closed, or a file would get a standard stream's number.

    Nothing can be read there or written, as before. A pipe that does not wait for its reader, as
    some programs leave it, is told to, or lines would be lost.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode) and number:
                os.set_blocking(number, True)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # takes the lowest number that is free: this one
            setattr(sys, name, os.fdopen(number, "r+", closefd=False))


async def _run(
    command: str,
    prefixes: Sequence[str],
    found: Settings,
    options: Options,
    arguments: argparse.Namespace,
    planned: pipeline.Pages | None,
) -> int:
    """Do the command, tell about it, and return the exit code."""
    figures = Report()
    error = ""
    exit_code: int | None = None
    started = time.monotonic()
    with _progress(arguments) as progress:
        say = progress.say if progress else print_line
        teller = (
            JsonLines(command, figures)
            if arguments.json
            else Text(
                command,
                figures,
                Folder(options.dest),
                say,
                verbose=arguments.verbose,
                quiet=arguments.quiet,
            )
        )
        teller.opening(found, options)
        log = Log(command, figures, Folder(options.dest))
        log.opening(found, options)
        observer = Observers(figures, *([progress] if progress else []), teller, log)

        def closing(exit_code: int, error: str) -> int:
            figures.seconds = time.monotonic() - started
            log.closing(exit_code, error)
            exit_code = teller.closing(exit_code, error)
            if progress:
                progress.flush()  # the process may be ended next
            return exit_code

        def stopped(number: signal.Signals) -> int:
            then = "; the next run goes on from here" if command == "sync" else ""
            return closing(128 + number, f"stopped by {number.name}{then}")

        async with task_group() as group:
            loop, cancel = asyncio.get_running_loop(), group.cancel_scope.cancel
            with (
                stopping(partial(loop.call_soon_threadsafe, cancel), stopped) as caught,
                ending_without_memory(partial(closing, MachineError.exit_code, NO_MEMORY)),
            ):
                try:
                    await api.perform(_RUNS[command], found, options, prefixes, observer, planned)
                except AsyncSyncError as ended_by:
                    error, exit_code = ended_by.advice, ended_by.exit_code
                except MemoryError:
                    error, exit_code = NO_MEMORY, MachineError.exit_code
    if caught:
        return stopped(caught[0])
    return closing(figures.exit_code if exit_code is None else exit_code, error)


async def _examine(
    prefixes: Sequence[str], given: Mapping[str, object], arguments: argparse.Namespace
) -> int:
    """Let the doctor look at everything, and return the exit code."""
    from asyncsync.doctor import as_text, examine

    is_whole = True

    def tell(finding: Finding) -> None:
        nonlocal is_whole
        logger.info("%s", as_text(finding))
        if arguments.json:
            is_whole &= print_line(json.dumps(check_json(finding)), sys.stdout)
        elif not arguments.quiet or finding.verdict in {Verdict.WARNING, Verdict.WRONG}:
            line = as_text(finding, columns(sys.stdout))
            is_wrong = finding.verdict is Verdict.WRONG
            print_line(coloured(line, RED, sys.stdout) if is_wrong else line, sys.stdout)

    exit_code = 0
    async with task_group() as group:
        loop, cancel = asyncio.get_running_loop(), group.cancel_scope.cancel
        with stopping(partial(loop.call_soon_threadsafe, cancel), lambda _: None) as caught:
            exit_code = await examine(arguments.env_file, given, prefixes, tell)
    return 128 + caught[0] if caught else exit_code or int(not is_whole)


def _progress(arguments: argparse.Namespace) -> "AbstractContextManager[Bars | Lines | None]":
    """Return bars in a terminal, lines without one, nothing if that is wanted."""
    if arguments.quiet or arguments.no_progress:
        return nullcontext()
    from asyncsync.progress import Bars, Lines  # imports tqdm, which a quiet run does not need

    return Bars(sys.stderr) if takes_escapes(sys.stderr) else Lines(sys.stderr)


def _log(arguments: argparse.Namespace) -> None:
    """Write the log to the file that was asked for; retries and pauses are told there."""
    if arguments.log_file is None:
        return
    try:
        handler = _LogFile(arguments.log_file, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--log-file: {arguments.log_file}: {error.strerror}") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("asyncsync")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


class _LogFile(logging.FileHandler):
    """A log that says once when it cannot be written, as on a full disk; the run goes on."""

    is_lost = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that lines are missing; called while the error is handled."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.is_lost:
            self.is_lost = True
            line = f"asyncsync: --log-file: {self.baseFilename}: {error.strerror}; lines are lost"
            print_line(line, sys.stderr)
