"""A run without movers."""

from collections.abc import Iterable

from asyncsync.download import Downloader
from asyncsync.model import Transfer
from asyncsync.pace import Pace


class Alone:
    """The brain of a run without movers.

    Args:
        own: its downloader.
        pace: its requests'.
    """

    def __init__(self, own: Downloader, pace: Pace) -> None:
        self.download = own.download
        self.most = pace.most

    def expect(self, transfers: Iterable[Transfer]) -> None:
        """Do nothing."""
