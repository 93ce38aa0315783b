"""Progress as plain lines, for logs and pipes."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TextIO

from asyncsync.console import print_line
from asyncsync.progress.progress import Progress
from asyncsync.progress.rows import Row
from asyncsync.units import format_size

SECONDS_BETWEEN_LINES = 5.0


class Lines(Progress):
    """Prints a line with the counts every few seconds, without control characters."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._stream = stream
        self._clock = clock
        self._started = self._next = clock()

    def __enter__(self) -> Self:
        self._started = self._clock()
        self._next = self._started + SECONDS_BETWEEN_LINES
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: there is nothing to clean up."""

    def draw(self) -> None:
        """Print the counts if the last line is long enough ago."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + SECONDS_BETWEEN_LINES
        more = "+" if self.listing else ""
        reading = f", {self.unproven:,} to read" if self.unproven else ""
        rate = self.fetched / (now - self._started)
        line = (
            f"{self.ended_objects:,} of {self.objects:,}{more} files, "
            f"{format_size(self.arrived + self.lost)} of {format_size(self.size)}{more}, "
            f"{format_size(rate)}/s{reading}"
        )
        print_line(line, self._stream)


class PlainRows:
    """Prints the first of the rows of `Bars` every few seconds, where bars cannot be drawn."""

    seconds_between_draws = SECONDS_BETWEEN_LINES
    file_rows = 0
    keeps_ended = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_first = True

    def open(self) -> None:
        """Skip the next draw: the summary of a short run is enough."""
        self._is_first = True

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line."""
        print_line(line, stream)

    def draw(self, rows: Sequence[Row]) -> None:
        """Print the first row."""
        if not self._is_first:
            print_line(str(rows[0]), self._stream)
        self._is_first = False

    def flush(self) -> None:
        """Do nothing: no line waits."""

    def close(self, rows: Sequence[Row]) -> None:
        """Do nothing: there is nothing to clean up."""
