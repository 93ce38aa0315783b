"""Prints what `ls` and `du` find: as text, and as JSON lines."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence

from asyncsync.browse import (
    Entry,
    ListedFolder,
    ListedObject,
    Usage,
    end_json,
    entry_json,
    usage_json,
    usage_of_all,
)
from asyncsync.cli.ends import say_end
from asyncsync.cli.mistakes import prefix_hint
from asyncsync.console import YELLOW, print_message, write_line
from asyncsync.errors import AsyncSyncError, DestinationError
from asyncsync.interfaces import SilentObserver, Urgent
from asyncsync.keys import display_width, escaped, shown
from asyncsync.model import UNKNOWN_SIZE, Route
from asyncsync.report import Json, Report, start_json
from asyncsync.times import format_time
from asyncsync.units import format_size

_SECOND = 10**9


class OutputClosedError(AsyncSyncError):
    """Nobody reads what is printed, as behind `| head`, so that no more need be listed."""


class Person(SilentObserver):
    """Prints what is found for a person.

    Args:
        command: ls or du.
        figures: the report of the run, which is notified before this observer.
    """

    def __init__(self, command: str, figures: Report) -> None:
        self._command = command
        self._figures = figures
        self._bucket = ""

    def begin(self, route: Route) -> None:
        """Note the name of the bucket, for hints."""
        self._bucket = route.bucket

    async def show(self, entries: Sequence[Entry]) -> None:
        """Print a page of a listing.

        Raises:
            OutputClosedError: nobody reads it.
            DestinationError: it cannot be written, as on a full disk.
        """
        _print([_row(entry) for entry in entries])

    def show_usages(self, usages: Mapping[str, Usage]) -> None:
        """Print the figures of each folder, and their sum."""
        if usages:
            _print([*_table(usages)])

    def unmatched(self, prefix: str) -> None:
        """Warn of a prefix that may be mistyped, or an empty bucket."""
        where = f"under prefix {shown(prefix)}" if prefix else "in the bucket"
        if prefix in self._figures.absent_prefixes:
            why = f"no key begins with it{prefix_hint(prefix, self._bucket)}"
        elif self._figures.left_out:
            return  # as is said at the end
        else:
            why = "it is empty"
        print_message(f"nothing {where}: {why}", YELLOW)

    def noticed(self, message: str) -> None:
        """Print the message on standard error."""
        print_message(escaped(message), YELLOW if isinstance(message, Urgent) else 0)

    def finish(self, exit_code: int, error: str) -> int:
        """Print how much is left out, and what ended the run; return the exit code."""
        if left_out := self._figures.left_out:
            number = f"{left_out:,} object{'s' * (left_out > 1)}"
            print_message(f"{number} left out by name, age or size; --include '*' takes all names")
        if error:
            say_end(exit_code, error)
        return exit_code


class Program(Person):
    """Prints what is found for a program: one JSON object a line. `docs/json.md` describes them."""

    def __init__(self, command: str, figures: Report) -> None:
        super().__init__(command, figures)
        self._total = Usage()

    def begin(self, route: Route) -> None:
        """Write the source and the destination."""
        super().begin(route)
        _print_json([start_json(self._command, route)])

    async def show(self, entries: Sequence[Entry]) -> None:
        """Write a page of a listing.

        Raises:
            OutputClosedError: nobody reads it.
            DestinationError: it cannot be written, as on a full disk.
        """
        for entry in entries:
            if isinstance(entry, ListedObject):
                self._total.add(entry.remote, entry.state)
        _print_json([entry_json(entry) for entry in entries])

    def show_usages(self, usages: Mapping[str, Usage]) -> None:
        """Write the figures of each folder."""
        self._total = usage_of_all(usages.values())
        if usages:
            _print_json([usage_json(prefix, usages[prefix]) for prefix in sorted(usages)])

    def finish(self, exit_code: int, error: str) -> int:
        """Write the sum, and what ended the run; return the exit code."""
        _print_json([end_json(self._command, self._total, self._figures, exit_code, error)])
        return exit_code


def _print(lines: Sequence[str]) -> None:
    try:
        write_line("\n".join(lines), sys.stdout)
    except BrokenPipeError:
        raise OutputClosedError("standard output is closed") from None
    except OSError as error:
        raise DestinationError(f"standard output: {error.strerror}") from error


def _print_json(values: Sequence[Json]) -> None:
    _print([json.dumps(value) for value in values])


def _row(entry: Entry) -> str:
    """Return the line of an object or a folder: time, size, what is here, and the key last."""
    if isinstance(entry, ListedFolder):
        return f"{'':20}  {'folder':>9}  {'':7}  {shown(entry.prefix)}"
    remote = entry.remote
    time = format_time(remote.modified_ns // _SECOND * _SECOND)
    size = "?" if remote.size == UNKNOWN_SIZE else format_size(remote.size)
    return f"{time:20}  {size:>9}  {entry.state:7}  {shown(remote.key)}"


def _table(usages: Mapping[str, Usage]) -> Iterator[str]:
    """Yield the lines of a table: a header, each folder, and the total."""
    rows = [("objects", "size", "here", "to download", "bytes", "prefix")]
    rows += [_cells(usages[prefix], shown(prefix) or "(root)") for prefix in sorted(usages)]
    rows.append(_cells(usage_of_all(usages.values()), "total"))
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    for *figures, name in rows:
        cells = [figure.rjust(width) for figure, width in zip(figures, widths, strict=False)]
        yield "  ".join([*cells, name])


def _cells(usage: Usage, name: str) -> tuple[str, str, str, str, str, str]:
    return (
        f"{usage.objects:,}",
        format_size(usage.bytes),
        f"{usage.here:,}",
        f"{usage.to_download:,}",
        format_size(usage.bytes_to_download),
        name,
    )
