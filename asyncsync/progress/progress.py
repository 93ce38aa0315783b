"""Counts the progress of a run; `bars.py` and `lines.py` show it."""

from typing import TextIO

from asyncsync.console import print_line
from asyncsync.interfaces import SilentObserver
from asyncsync.model import Compared, Downloaded, Failed, Outcome, Transfer, UpToDate


class Progress(SilentObserver):
    """Counts objects and bytes. Sizes are bytes.

    Subclasses show the counts, and are context managers: open while the run goes on.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start counting from zero."""
        self.objects = 0
        """Objects to download that were found, or files that were verified."""
        self.size = 0
        self.lost = 0
        """Bytes of failed objects. They count as done, although they will never arrive."""
        self.ended_objects = 0
        self.failures = 0
        """Those of the ended objects that failed."""
        self.arrived = 0
        """Bytes that are here, those included that an earlier run had brought."""
        self.fetched = 0
        """Bytes that came over the network in this run, those included that were discarded."""
        self.listing = True
        self.unproven = 0
        """Files that are still to be read, to find out whether their objects are needed."""
        self.in_flight: dict[str, int] = {}
        """The bytes that have arrived of each started transfer, by key."""

    def compared(self, page: Compared) -> None:
        """Count the transfers of a page."""
        self.objects += len(page.transfers)
        self.size += sum(transfer.remote.size for transfer in page.transfers)
        self.unproven += len(page.unproven) - page.decides
        self.draw()

    def listed(self) -> None:
        """Note that the totals are final."""
        self.listing = False
        self.draw()

    def started(self, transfer: Transfer) -> None:
        """Begin to count a transfer's bytes."""
        self.in_flight[transfer.remote.key] = 0

    def kept(self, transfer: Transfer, size: int) -> None:
        """Count bytes that need not be fetched."""
        self.in_flight[transfer.remote.key] += size
        self.arrived += size
        self.draw()

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Count bytes, or subtract discarded ones."""
        self.in_flight[transfer.remote.key] += size
        self.arrived += size
        if size > 0:
            self.fetched += size
        self.draw()

    def ended(self, outcome: Outcome) -> None:
        """Count an object. The bytes of one that failed are lost."""
        self.ended_objects += 1
        match outcome:
            case Downloaded(transfer):
                rest = transfer.remote.size - self.in_flight.pop(transfer.remote.key, 0)
                self.arrived += rest
                self.fetched += rest
            case Failed(remote):
                self.failures += 1
                self.arrived -= self.in_flight.pop(remote.key, 0)
                self.lost += remote.size
            case UpToDate():
                self.objects += 1  # only in a verification, whose pages have no transfers
        self.draw()

    def draw(self) -> None:
        """Show the counts."""
        raise NotImplementedError

    def say(self, line: str, stream: TextIO) -> None:
        """Print a line without damaging what is drawn."""
        print_line(line, stream)

    def flush(self) -> None:
        """Print the lines that still wait to be printed."""
