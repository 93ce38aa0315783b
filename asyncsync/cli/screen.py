"""What the command line tells while a run goes on and at its end: text for people, JSON, a log."""

import json
import logging
import sys
from collections.abc import Callable
from typing import TextIO

from asyncsync.api import route
from asyncsync.cli.arguments import prefix_hint
from asyncsync.console import GREEN, RED, coloured, columns, print_line
from asyncsync.disk import Folder
from asyncsync.errors import SkippedError
from asyncsync.interfaces import SilentObserver
from asyncsync.keys import shown
from asyncsync.model import Compared, Downloaded, Failed, Outcome, Settings
from asyncsync.report import (
    Json,
    Report,
    extra_json,
    failure,
    outcome_json,
    plan_summary,
    start_json,
    summary_json,
    sync_summary,
    table,
    transfer_json,
    verify_summary,
)
from asyncsync.settings import Options
from asyncsync.units import format_size

MOST_ROWS = 20
"""Prefixes that a table shows unless all are to be named."""

logger = logging.getLogger(__name__)

Say = Callable[[str, TextIO], object]
"""Prints a line; a progress bar's own way of it does not tear the bar."""


class Text(SilentObserver):
    """Tells a person about a run.

    Args:
        command: what is run: sync, plan or verify.
        folder: the destination.
        figures: the report of the run, which is fed before this observer.
        say: prints a line.
        verbose: name every object that is fetched, or would be.
        quiet: print failures only.
    """

    def __init__(
        self, command: str, figures: Report, folder: Folder, say: Say, *, verbose: bool, quiet: bool
    ) -> None:
        self._command = command
        self._folder = folder
        self._figures = figures
        self._say = say
        self._verbose = verbose
        self._quiet = quiet

    def opening(self, found: Settings, options: Options) -> None:
        """Print from where to where the run goes."""
        self._tell(_way(self._command, found, options))

    def compared(self, page: Compared) -> None:
        """Name what cannot be fetched, and what is going to be if all is to be named."""
        for refused in page.refused:
            self._warn(failure(refused))
        if self._verbose:
            for transfer in page.transfers:
                size = format_size(transfer.remote.size)
                self._tell(f"{transfer.reason}: {shown(transfer.remote.key)} ({size})")

    def unmatched(self, prefix: str) -> None:
        """Warn of a prefix or a glob that may be mistyped."""
        why = (
            f"under prefix {shown(prefix)}: no key begins so"
            if prefix
            else "in the bucket: it is empty"
        )
        globs = "or --include and --exclude leave none"
        self._say(f"nothing to sync {why}, {globs}{prefix_hint(prefix)}", sys.stderr)

    def listed(self) -> None:
        """Print the sync check."""
        most = None if self._verbose else MOST_ROWS
        for line in table(self._figures, most, columns(sys.stdout)):
            self._tell(line)

    def ended(self, outcome: Outcome) -> None:
        """Name what failed, and what arrived if all is to be named."""
        match outcome:
            case Failed():
                self._warn(failure(outcome))
            case Downloaded(transfer) if self._verbose:
                self._tell(f"downloaded: {shown(transfer.remote.key)}")

    def unlisted(self, key: str) -> None:
        """Name a file that is not in the bucket."""
        self._tell(f"not in the bucket: {shown(key)}")

    def noticed(self, message: str) -> None:
        """Print it, unless only failures are wanted."""
        if not self._quiet:
            self._say(f"asyncsync: {shown(message)}", sys.stderr)

    def closing(self, exit_code: int, error: str) -> int:
        """Print the summary, if there is anything to sum up, and return the exit code."""
        if not error or self._figures.total.in_bucket:
            summary = _summary(self._command, self._figures, self._folder)
            self._tell(coloured(summary, RED if exit_code else GREEN, sys.stdout))
        if error:
            self._warn(f"asyncsync: {shown(error)} (exit code {exit_code})")
        return exit_code

    def _warn(self, line: str) -> None:
        self._say(coloured(line, RED, sys.stderr), sys.stderr)

    def _tell(self, line: str) -> None:
        if not self._quiet:
            self._say(line, sys.stdout)


class JsonLines(SilentObserver):
    """Tells a program about a run: one JSON object a line on standard output.

    `docs/json.md` describes them.
    """

    def __init__(self, command: str, figures: Report) -> None:
        self._command = command
        self._figures = figures
        self._is_whole = True

    def opening(self, found: Settings, options: Options) -> None:
        """Write from where to where the run goes."""
        self._write(start_json(self._command, route(found, options)))

    def compared(self, page: Compared) -> None:
        """Write what is refused, and in a plan what would be fetched."""
        for refused in page.refused:
            self._write(outcome_json(refused))
        if self._command == "plan":
            for transfer in page.transfers:
                self._write(transfer_json(transfer))

    def ended(self, outcome: Outcome) -> None:
        """Write what became of an object."""
        self._write(outcome_json(outcome))

    def unlisted(self, key: str) -> None:
        """Write that a file is not in the bucket."""
        self._write(extra_json(key))

    def noticed(self, message: str) -> None:
        """Print it for people, beside the JSON."""
        print_line(f"asyncsync: {shown(message)}", sys.stderr)

    def closing(self, exit_code: int, error: str) -> int:
        """Write the summary; a run whose report could not be written has not gone well."""
        self._write(summary_json(self._figures, self._command, exit_code, error))
        if not self._is_whole and exit_code in {0, SkippedError.exit_code}:
            return 1
        return exit_code

    def _write(self, value: Json) -> None:
        self._is_whole &= print_line(json.dumps(value), sys.stdout)


class Log(SilentObserver):
    """Writes what became of each object, and of the run, to the log.

    All of it is information: a warning would be printed where nobody has asked for a log.
    """

    def __init__(self, command: str, figures: Report, folder: Folder) -> None:
        self._command = command
        self._figures = figures
        self._folder = folder

    def opening(self, found: Settings, options: Options) -> None:
        """Log from where to where the run goes."""
        logger.info("%s", _way(self._command, found, options))

    def compared(self, page: Compared) -> None:
        """Log what cannot be fetched."""
        for refused in page.refused:
            logger.info("%s", failure(refused))

    def ended(self, outcome: Outcome) -> None:
        """Log what arrived and what failed."""
        match outcome:
            case Failed():
                logger.info("%s", failure(outcome))
            case Downloaded(transfer):
                logger.info("downloaded: %s", shown(transfer.remote.key))

    def noticed(self, message: str) -> None:
        """Log it."""
        logger.info("%s", shown(message))

    def closing(self, exit_code: int, error: str) -> None:
        """Log the summary."""
        logger.info("%s", _summary(self._command, self._figures, self._folder))
        if error:
            logger.info("%s (exit code %d)", shown(error), exit_code)


def _way(command: str, found: Settings, options: Options) -> str:
    place = f"{found.bucket} at {found.endpoint_url}"
    return f"{command}: {place} -> {shown(str(options.dest))}"


def _summary(command: str, figures: Report, folder: Folder) -> str:
    match command:
        case "plan":
            return plan_summary(figures, folder.free_bytes())
        case "verify":
            return verify_summary(figures)
        case _:
            return sync_summary(figures)
