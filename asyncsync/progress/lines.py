"""Progress as plain lines, for logs and pipes."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from asyncsync.console import print_line
from asyncsync.progress.progress import Progress
from asyncsync.units import format_size

if TYPE_CHECKING:
    from asyncsync.progress.bar import Bar

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


class PlainBars:
    """Prints the first of the bars of `Bars` every few seconds, where bars cannot be drawn."""

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

    def draw(self, bars: "Sequence[Bar]") -> None:
        """Print the first bar."""
        if not self._is_first:
            print_line(str(bars[0]), self._stream)
        self._is_first = False

    def flush(self) -> None:
        """Do nothing: no line waits."""

    def close(self, bars: "Sequence[Bar]") -> None:
        """Do nothing: there is nothing to clean up."""
