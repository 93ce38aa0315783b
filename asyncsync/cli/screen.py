"""Reports a run while it goes on, and at its end: as text, as JSON lines, and to a log."""

import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from asyncsync.cli.ends import STOPPED, colour_of_code, end_line
from asyncsync.cli.mistakes import prefix_hint
from asyncsync.console import RED, YELLOW, coloured, columns, print_line, print_message, wrapped
from asyncsync.errors import SkippedError
from asyncsync.interfaces import SilentObserver, Urgent
from asyncsync.keys import escaped, shown
from asyncsync.model import Compared, Downloaded, Failed, Outcome, Route, Transfer
from asyncsync.notices import Hint
from asyncsync.paths import OddKeys, is_encoded
from asyncsync.report import (
    HELD_BACK,
    Json,
    Report,
    extra_json,
    failure,
    outcome_json,
    removed_json,
    start_json,
    summary_json,
    table,
    transfer_json,
    way,
)
from asyncsync.units import format_size

MAX_ROWS = 20
"""Prefixes that a table shows at most, unless `--verbose` asks for all; and edited files named."""

logger = logging.getLogger(__name__)

Say = Callable[[str, TextIO], object]
"""Prints a line; a progress bar has its own way, which leaves the bar whole."""


class Text(SilentObserver):
    """Reports a run to a person.

    Args:
        command: sync, plan or verify.
        figures: the report of the run, which is notified before this observer.
        say: prints a line.
        verbose: name every object that is downloaded, or would be.
        quiet: print failures and urgent messages only.
        replaces: whether a file that is out of date is replaced, or would be by a sync.
    """

    def __init__(
        self,
        command: str,
        figures: Report,
        say: Say,
        *,
        verbose: bool,
        quiet: bool,
        replaces: bool = True,
    ) -> None:
        self._command = command
        self._figures = figures
        self._say = say
        self._verbose = verbose
        self._quiet = quiet
        self._replaces = replaces
        self._bucket = ""
        self._edited = 0
        """Files named so far that were edited here."""
        self._tells_paths = False
        """Whether to name each object whose path is encoded."""

    def begin(self, route: Route, dest: Path) -> None:
        """Print the source and the destination."""
        self._bucket = route.bucket
        self._tells_paths = self._command == "plan" and route.odd_keys is OddKeys.ENCODE
        self._print(_describe_route(self._command, route, dest))

    def compared(self, page: Compared) -> None:
        """Name the refused objects, the edited files and, if verbose, what is missing."""
        for refused in page.refused:
            self._warn(failure(refused), _colour_of(refused))
        if self._replaces:
            self._name_edited(page.transfers)
        if self._verbose or self._tells_paths:
            for transfer in page.transfers:
                if self._verbose or is_encoded(transfer.path):
                    size = format_size(transfer.remote.size)
                    self._print(f"{transfer.reason}: {way(transfer)} ({size})")

    def unmatched(self, prefix: str) -> None:
        """Warn of a prefix or a glob that may be mistyped."""
        where = f"under prefix {shown(prefix)}" if prefix else "in the bucket"
        if prefix in self._figures.absent_prefixes:
            why = f"no key begins with it{prefix_hint(prefix, self._bucket)}"
        elif self._figures.left_out:
            why = self._figures.hint or "what is there is left out, by its key, size or time"
        else:
            why = "it is empty"
        self._warn(f"nothing to sync {where}: {why}", YELLOW)

    def listed(self) -> None:
        """Print the sync check."""
        max_rows = None if self._verbose else MAX_ROWS
        for line in table(self._figures.tallies, max_rows, columns(sys.stdout)):
            self._print(line)

    def ended(self, outcome: Outcome) -> None:
        """Name a failed object and, if verbose, a downloaded one."""
        match outcome:
            case Failed():
                self._warn(failure(outcome), _colour_of(outcome))
            case Downloaded(transfer) if self._verbose:
                self._print(f"downloaded: {way(transfer)}")

    def unlisted(self, key: str) -> None:
        """Name a file that is not in the bucket; one that was not deleted for it, if verbose."""
        if self._command == "verify":
            self._print(f"not in the bucket: {shown(key)}")
        elif self._verbose:
            self._print(f"kept: {shown(key)}: not made by asyncsync, or changed here")

    def removed(self, key: str, size: int) -> None:
        """Name a deleted file if verbose."""
        if self._verbose:
            word = "delete" if self._command == "plan" else "deleted"
            self._print(f"{word}: {shown(key)} ({format_size(size)})")

    def held_back(self, why: str) -> None:
        """Print what the run leaves to do."""
        self._warn(f"asyncsync: {escaped(why)}", YELLOW)

    def noticed(self, message: str) -> None:
        """Print the message; if quiet, only an urgent one. A hint is told by `unmatched`."""
        if isinstance(message, Hint):
            return
        line = f"asyncsync: {escaped(message)}"
        if isinstance(message, Urgent):
            self._warn(line, YELLOW)
        elif not self._quiet:
            self._say(wrapped(line, sys.stderr), sys.stderr)

    def finish(self, exit_code: int, error: str) -> int:
        """Print the summary, if there is anything to sum up, and return the exit code."""
        figures, colour = self._figures, colour_of_code(exit_code)
        done = figures.downloaded + figures.verified + figures.failed
        if not error or (done if exit_code > STOPPED else figures.total.in_bucket):
            summary = wrapped(figures.summary(), sys.stdout)
            self._print(coloured(summary, colour, sys.stdout))
        if error:
            self._warn(f"asyncsync: {end_line(exit_code, error)}", colour)
        return exit_code

    def _name_edited(self, transfers: Sequence[Transfer]) -> None:
        """Name the files that were edited here; the summary counts those that are too many."""
        for transfer in transfers:
            if transfer.is_edited and self._edited < MAX_ROWS:
                self._edited += 1
                line = f"edited here: {way(transfer)}; the bucket's replaces it"
                self._print(coloured(wrapped(line, sys.stdout), YELLOW, sys.stdout))

    def _warn(self, line: str, colour: int) -> None:
        self._say(coloured(wrapped(line, sys.stderr), colour, sys.stderr), sys.stderr)

    def _print(self, line: str) -> None:
        if not self._quiet:
            self._say(line, sys.stdout)


class JsonLines(SilentObserver):
    """Reports a run to a program: one JSON object a line on standard output.

    `docs/json.md` describes them.
    """

    def __init__(self, command: str, figures: Report) -> None:
        self._command = command
        self._figures = figures
        self._is_complete = True

    def begin(self, route: Route, dest: Path) -> None:  # noqa: ARG002 - the route has all of it
        """Write the source and the destination."""
        self._write(start_json(self._command, route))

    def compared(self, page: Compared) -> None:
        """Write the refused objects, and in a plan those that a sync would download."""
        for refused in page.refused:
            self._write(outcome_json(refused))
        if self._command == "plan":
            for transfer in page.transfers:
                self._write(transfer_json(transfer))

    def ended(self, outcome: Outcome) -> None:
        """Write the outcome of an object."""
        self._write(outcome_json(outcome))

    def unlisted(self, key: str) -> None:
        """Write that a file is not in the bucket."""
        self._write(extra_json(key))

    def removed(self, key: str, size: int) -> None:
        """Write that a file was deleted, or in a plan that it would be."""
        self._write(removed_json(key, size, self._command))

    def held_back(self, why: str) -> None:
        """Print for people what the run leaves to do, on standard error."""
        print_message(escaped(why), YELLOW)

    def noticed(self, message: str) -> None:
        """Print the message for people, on standard error."""
        print_message(escaped(message), YELLOW if isinstance(message, Urgent) else 0)

    def finish(self, exit_code: int, error: str) -> int:
        """Write the summary, and return the exit code: 1 instead of 0, 3 or 7 if one was lost."""
        self._write(summary_json(self._figures, self._command, exit_code, error))
        if not self._is_complete and exit_code in {0, SkippedError.exit_code, HELD_BACK}:
            return 1
        return exit_code

    def _write(self, value: Json) -> None:
        self._is_complete &= print_line(json.dumps(value), sys.stdout)


class Log(SilentObserver):
    """Writes the outcome of each object, and of the run, to the log.

    All records have level INFO: without a log file, Python would print warnings to standard error.
    """

    def __init__(self, command: str, figures: Report) -> None:
        self._command = command
        self._figures = figures

    def begin(self, route: Route, dest: Path) -> None:
        """Log the source and the destination."""
        logger.info("%s", _describe_route(self._command, route, dest))

    def compared(self, page: Compared) -> None:
        """Log the refused objects, and the files that were edited here."""
        for refused in page.refused:
            logger.info("%s", failure(refused))
        for transfer in page.transfers:
            if transfer.is_edited:
                logger.info("edited here: %s", way(transfer))

    def ended(self, outcome: Outcome) -> None:
        """Log a downloaded or a failed object."""
        match outcome:
            case Failed():
                logger.info("%s", failure(outcome))
            case Downloaded(transfer):
                logger.info("downloaded: %s", way(transfer))

    def removed(self, key: str, size: int) -> None:  # noqa: ARG002 - an observer's
        """Log a deleted file."""
        if self._command == "sync":
            logger.info("deleted: %s", shown(key))

    def held_back(self, why: str) -> None:
        """Log what the run leaves to do."""
        self.noticed(why)

    def noticed(self, message: str) -> None:
        """Log the message."""
        logger.info("%s", escaped(message))

    def finish(self, exit_code: int, error: str) -> None:
        """Log the summary."""
        logger.info("%s", self._figures.summary())
        if error:
            logger.info("%s", end_line(exit_code, error))


def _describe_route(command: str, route: Route, dest: Path) -> str:
    """Return the source and the destination, which is named as the user did."""
    stripped = f"/{shown(route.stripped)}" if route.stripped else ""
    return f"{command}: {route.bucket}{stripped} at {route.endpoint} -> {escaped(str(dest))}"


def _colour_of(failed: Failed) -> int:
    return YELLOW if isinstance(failed.error, SkippedError) else RED
