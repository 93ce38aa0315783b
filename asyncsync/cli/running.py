"""Runs what the arguments ask for, once they are read; imports nearly all of the package."""

import argparse
import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from asyncsync import api, pipeline
from asyncsync.cli.arguments import given_options
from asyncsync.cli.ends import STOPPED, say_stopped
from asyncsync.cli.every import interval, repeat
from asyncsync.cli.log_file import opened_log, told_warnings
from asyncsync.cli.screen import JsonLines, Log, Text
from asyncsync.cli.signals import Watch, exit_without_memory, watch_signals
from asyncsync.cli.sources import run_sources
from asyncsync.compare import OtherDisks
from asyncsync.concurrently import task_group
from asyncsync.console import (
    GREEN,
    RED,
    YELLOW,
    coloured,
    columns,
    print_line,
    print_message,
    takes_escapes,
)
from asyncsync.disk import free_bytes
from asyncsync.errors import AsyncSyncError, DestinationError, MachineError
from asyncsync.interfaces import Observers, Urgent
from asyncsync.model import Route, Settings
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
    stop_summary,
)
from asyncsync.settings import Named, Options, load, named_keys, origins, read_keys, split_source

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

_BROWSES = ("ls", "du", "get")
_LOOKING: dict[str, object] = {"delete": False, "incremental": False, "shard": "off"}
_MEANINGLESS: dict[str, dict[str, object]] = {
    "verify": {"delete": False},
    **dict.fromkeys(_BROWSES, _LOOKING),
}
"""For these commands, the options that do nothing, wherever they are set, and their values."""


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code.

    Raises:
        ConfigError: the arguments, or the settings, are missing or contradictory.
    """
    given = given_options(arguments)
    if arguments.command == "demo":
        from asyncsync.demo import run_demo  # needs the extra of that name

        return run_demo(Path(arguments.dest), keep=arguments.keep)
    seconds = interval(arguments)
    with watch_signals() as watch:
        run_one = partial(_run_one, given, arguments, watch)
        if seconds is None:
            return run_sources(run_one, arguments, watch)
        return repeat(partial(run_sources, run_one, arguments, watch), seconds, arguments, watch)


def _run_one(
    given: Mapping[str, object],
    arguments: argparse.Namespace,
    watch: Watch,
    source: Named,
) -> int:
    """Run the command once; a named source sets what the arguments do not."""
    bucket, prefixes = split_source(arguments.prefixes or source.prefixes)
    filled = {**source.under(given), "source": bucket}
    # Where an option means nothing, what does not go with it is no mistake.
    filled |= _MEANINGLESS.get(arguments.command, {})
    file = arguments.env_file
    env_file = source.env_file if file is None else Path(file)
    if arguments.command == "doctor":
        with opened_log(arguments):
            return anyio.run(partial(_examine, env_file, filled, prefixes, arguments, watch))
    with told_warnings():
        settings, options = load(env_file, given=filled)
    if arguments.command in _BROWSES:
        with opened_log(arguments):
            return _browse(settings, options, prefixes, arguments, watch)
    tells_all = arguments.verbose and not arguments.quiet and settings.access_key_id
    if tells_all and (mixture := origins(env_file, given=filled).mixture):
        print_message(mixture)
    own = api.route(settings, options, prefixes)
    asked = {"prefixes": arguments.prefixes, "files_from": arguments.files_from}
    planned = _checked_plan(own, {**given, **asked}, arguments)
    if arguments.files_from == "-":
        asked["files_from"] = read_keys("standard input", sys.stdin.buffer)
    keys = named_keys({**given, **asked}, prefixes)
    chosen = api.selection(options, prefixes, own, keys, planned)
    reported = reporting(getattr(arguments, "report", None), own.paths, chosen)
    with opened_log(arguments), reported as written:
        run = partial(_run, settings, options, prefixes, arguments, planned, keys, written, watch)
        return anyio.run(run)


def _browse(
    settings: Settings,
    options: Options,
    prefixes: Sequence[str],
    arguments: argparse.Namespace,
    watch: Watch,
) -> int:
    """Run ls, du or get, and return the exit code."""
    from asyncsync.cli.browsing import fetch, look  # no other command waits for it

    if arguments.command != "get":
        return look(settings, options, prefixes, arguments, watch)
    open_progress = partial(_open_progress, arguments)
    return fetch(settings, options, prefixes, arguments, open_progress, watch)


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
    watch: Watch,
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
                replaces=command != "verify" or options.repair,
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
            how_far = stop_summary(figures) if command == "sync" else "stopped before its end"
            return finish(STOPPED + number, how_far)

        async with task_group() as group:
            loop, cancel = asyncio.get_running_loop(), group.cancel_scope.cancel
            with (
                watch.stopping(
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
    with watch.stopping(_go_on, _say_no_more):
        return finish(figures.exit_code if exit_code is None else exit_code, error)


def _go_on() -> None:
    """Let what is all but done come to its end, unless that takes too long."""


def _say_no_more(_: signal.Signals) -> None:
    """Add nothing to what is told already."""


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


async def _examine(
    env_file: Path | None,
    given: Mapping[str, object],
    prefixes: Sequence[str],
    arguments: argparse.Namespace,
    watch: Watch,
) -> int:
    """Run the doctor, print its findings, and return the exit code."""
    from asyncsync.doctor import examine, format_finding, verdict_line

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
        stop = partial(loop.call_soon_threadsafe, cancel)
        with watch.stopping(stop, say_stopped) as caught:
            exit_code = await examine(env_file, given, prefixes, report)
    if caught:
        return say_stopped(caught[0])
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
