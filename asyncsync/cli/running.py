"""Runs what the arguments ask for, once they are read; imports nearly all of the package."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import anyio

from asyncsync import api, pipeline
from asyncsync.cli.arguments import given_options
from asyncsync.cli.screen import JsonLines, Log, Text
from asyncsync.cli.signals import exit_without_memory, stop_on_signals
from asyncsync.compare import OtherDisks
from asyncsync.concurrently import task_group
from asyncsync.console import (
    GREEN,
    RED,
    YELLOW,
    coloured,
    columns,
    print_line,
    takes_escapes,
    wrapped,
)
from asyncsync.disk import free_bytes
from asyncsync.errors import AsyncSyncError, ConfigError, DestinationError, MachineError
from asyncsync.interfaces import Observers, Urgent
from asyncsync.model import Route, Settings
from asyncsync.others import PlantedError, open_file
from asyncsync.progress import Lines
from asyncsync.report import (
    Finding,
    Plan,
    PlanCounts,
    PlanFile,
    Report,
    ReportFile,
    Verdict,
    Verification,
    check_json,
    checked_plan,
    reporting,
)
from asyncsync.settings import Options, load, named_keys, origins, read_keys, split_source

if TYPE_CHECKING:
    from asyncsync.progress import Bars

logger = logging.getLogger(__name__)

NO_MEMORY = MachineError("out of memory").advice

_COLOURS = {Verdict.WARNING: YELLOW, Verdict.WRONG: RED}
"""Of the findings that are to be looked at."""

_RUNS: dict[str, api.Command] = {
    "sync": pipeline.sync,
    "plan": pipeline.plan,
    "verify": pipeline.verify,
}


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code.

    Raises:
        ConfigError: the arguments, or the settings, are missing or contradictory.
    """
    given = given_options(arguments)
    if arguments.command == "demo":
        from asyncsync.demo import run_demo  # needs the extra of that name

        return run_demo(Path(arguments.dest), keep=arguments.keep)
    if arguments.command in {"ls", "du", "get"}:
        return _browse(given, arguments)
    if arguments.command == "doctor":
        _open_log(arguments)
        return anyio.run(partial(_examine, given, arguments))
    env_file = _env_file(arguments)
    bucket, prefixes = split_source(arguments.prefixes)
    given["source"] = bucket
    settings, options = load(env_file, given=given)
    tells_all = arguments.verbose and not arguments.quiet
    if tells_all and settings.access_key_id and (mixture := origins(env_file, given=given).mixture):
        print_line(wrapped(f"asyncsync: {mixture}", sys.stderr), sys.stderr)
    own = api.route(settings, options, prefixes)
    given |= {"prefixes": arguments.prefixes, "files_from": arguments.files_from}
    planned = _checked_plan(own, given, arguments)
    if arguments.files_from == "-":
        given["files_from"] = read_keys("standard input", sys.stdin.buffer)
    keys = named_keys(given, prefixes)
    _open_log(arguments)
    with reporting(getattr(arguments, "report", None)) as written:
        return anyio.run(
            partial(_run, settings, options, prefixes, arguments, planned, keys, written)
        )


def _browse(given: Mapping[str, object], arguments: argparse.Namespace) -> int:
    """Run ls, du or get, and return the exit code."""
    from asyncsync.cli.browsing import fetch, look  # no other command waits for it

    bucket, prefixes = split_source(arguments.prefixes)
    settings, options = load(_env_file(arguments), given={**given, "source": bucket})
    _open_log(arguments)
    if arguments.command != "get":
        return look(settings, options, prefixes, arguments)
    return fetch(settings, options, prefixes, arguments, partial(_open_progress, arguments))


def _env_file(arguments: argparse.Namespace) -> Path | None:
    return None if arguments.env_file is None else Path(arguments.env_file)


def _checked_plan(
    own: Route, given: Mapping[str, object], arguments: argparse.Namespace
) -> Plan | PlanFile | None:
    """Return the plan named by `--plan`; None without one."""
    if getattr(arguments, "plan", None) is None:
        return None
    return checked_plan(arguments.plan, own, given)


async def _run(
    settings: Settings,
    options: Options,
    prefixes: Sequence[str],
    arguments: argparse.Namespace,
    planned: Plan | PlanFile | None,
    keys: Sequence[str] | None,
    written: Sequence[ReportFile],
) -> int:
    """Run sync, plan or verify, report on it, and return the exit code."""
    command: str = arguments.command
    figures = _figures(command, options)
    others = OtherDisks()
    error = ""
    exit_code: int | None = None
    started = time.monotonic()
    with _open_progress(arguments) as progress:
        say = progress.say if progress else print_line
        screen = (
            JsonLines(command, figures)
            if arguments.json
            else Text(
                command,
                figures,
                say,
                verbose=arguments.verbose,
                quiet=arguments.quiet,
            )
        )
        own = api.route(settings, options, prefixes, planned)
        screen.begin(own, options.dest)
        log = Log(command, figures)
        log.begin(own, options.dest)
        seen = [figures, others] if command == "plan" else [figures]
        shown = [progress] if progress else []
        observer = Observers(*seen, *shown, screen, log, *written)

        def finish(exit_code: int, error: str) -> int:
            figures.seconds = time.monotonic() - started
            exit_code, error = _save(written, observer, exit_code, error)
            log.finish(exit_code, error)
            exit_code = screen.finish(exit_code, error)
            if progress:
                progress.flush()  # the caller may end the process next
            return exit_code

        def finish_stopped(number: signal.Signals) -> int:
            hint = "; the next run goes on from here" if command == "sync" else ""
            return finish(128 + number, f"stopped by {number.name}{hint}")

        async with task_group() as group:
            loop, cancel = asyncio.get_running_loop(), group.cancel_scope.cancel
            with (
                stop_on_signals(
                    partial(loop.call_soon_threadsafe, cancel), finish_stopped
                ) as caught,
                exit_without_memory(partial(finish, MachineError.exit_code, NO_MEMORY)),
            ):
                try:
                    await api.perform(
                        _RUNS[command], settings, options, prefixes, observer, planned, keys
                    )
                    if isinstance(figures, PlanCounts):
                        if not figures.fits:
                            figures.elsewhere = others.growth(options.dest)
                        if arguments.exit_code and figures.to_do:
                            figures.held_back(figures.to_do)
                except AsyncSyncError as failure:
                    error, exit_code = failure.advice, failure.exit_code
                except MemoryError:
                    error, exit_code = NO_MEMORY, MachineError.exit_code
    if caught:
        return finish_stopped(caught[0])
    return finish(figures.exit_code if exit_code is None else exit_code, error)


def _figures(command: str, options: Options) -> Report:
    """Return what counts the outcomes of a command."""
    match command:
        case "plan":
            free = free_bytes(options.dest)
            return PlanCounts(free_bytes=free, checks_space=options.space_check)
        case "verify":
            return Verification(deep=options.deep)
        case _:
            return Report()


def _save(
    written: Sequence[ReportFile], observer: Observers, exit_code: int, error: str
) -> tuple[int, str]:
    """Give the report its name; return the exit code and the error that the run ends with."""
    try:
        for file in written:
            file.save()
    except DestinationError as unsaved:
        if not error:
            return unsaved.exit_code, unsaved.advice
        observer.noticed(Urgent(unsaved))
    return exit_code, error


async def _examine(given: Mapping[str, object], arguments: argparse.Namespace) -> int:
    """Run the doctor, print its findings, and return the exit code."""
    from asyncsync.doctor import examine, format_finding, verdict_line

    bucket, prefixes = split_source(arguments.prefixes)
    given = {**given, "source": bucket}
    is_complete = True
    findings: list[Finding] = []

    def report(finding: Finding) -> None:
        nonlocal is_complete
        findings.append(finding)
        logger.info("%s", format_finding(finding))
        if arguments.json:
            is_complete &= print_line(json.dumps(check_json(finding)), sys.stdout)
        elif not arguments.quiet or finding.verdict in {Verdict.WARNING, Verdict.WRONG}:
            line = format_finding(finding, columns(sys.stdout))
            colour = _COLOURS.get(finding.verdict)
            print_line(coloured(line, colour, sys.stdout) if colour else line, sys.stdout)

    exit_code = 0
    async with task_group() as group:
        loop, cancel = asyncio.get_running_loop(), group.cancel_scope.cancel
        with stop_on_signals(partial(loop.call_soon_threadsafe, cancel), lambda _: None) as caught:
            exit_code = await examine(_env_file(arguments), given, prefixes, report)
    if caught:
        return 128 + caught[0]
    verdict = verdict_line(findings)
    logger.info("%s", verdict)
    if not (arguments.json or arguments.quiet):
        worst = {finding.verdict for finding in findings}
        colour = RED if exit_code else YELLOW if Verdict.WARNING in worst else GREEN
        print_line(coloured(verdict, colour, sys.stdout), sys.stdout)
    return exit_code or int(not is_complete)


def _open_progress(arguments: argparse.Namespace) -> "AbstractContextManager[Bars | Lines | None]":
    """Return bars in a terminal, lines elsewhere, and nothing for `--quiet` or `--no-progress`."""
    if arguments.quiet or arguments.no_progress:
        return nullcontext()
    if takes_escapes(sys.stderr):
        from asyncsync.progress import Bars  # imports tqdm, which no other run waits for

        return Bars(sys.stderr)
    return Lines(sys.stderr)


def _open_log(arguments: argparse.Namespace) -> None:
    """Write the package's log, with retries and pauses, to the file named by `--log-file`."""
    if arguments.log_file is None:
        return
    path: str = arguments.log_file
    try:
        handler = _LogFile(path, open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    except PlantedError as error:
        raise ConfigError(f"--log-file: {path}: {error}; name another file") from None
    except OSError as error:
        raise ConfigError(f"--log-file: {path}: {error.strerror}") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("asyncsync")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


class _LogFile(logging.StreamHandler[TextIO]):
    """A log that reports once that it cannot be written, as on a full disk; the run goes on.

    Only this user can read it, also where others could read what was there before.

    Args:
        path: its name, for messages.
        file: the descriptor, which is closed with the log.
    """

    def __init__(self, path: str, file: int) -> None:
        stream = os.fdopen(file, "a", encoding="utf-8")
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(file, 0o600)
        except OSError:
            stream.close()
            raise
        super().__init__(stream)
        self._path = path
        self._has_failed = False

    def close(self) -> None:
        """Close the file, whose last lines may be lost."""
        super().close()
        with suppress(OSError):
            self.stream.close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Print that lines are lost; logging calls this while it handles the error."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_failed:
            self._has_failed = True
            line = f"asyncsync: --log-file: {self._path}: {error.strerror}; lines are lost"
            print_line(line, sys.stderr)
