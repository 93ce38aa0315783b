"""What a person should know while a run goes on, as lines on standard error."""

import sys
from collections.abc import Mapping

from asyncsync.console import print_line
from asyncsync.interfaces import SilentObserver
from asyncsync.keys import escaped, shown


class Notices(SilentObserver):
    """Prints what only a person can act on: a prefix without objects, a wait, what is left to do.

    A notebook shows these lines in a colour of their own.
    """

    def __init__(self) -> None:
        self._absent: set[str] = set()
        self._leaves_out = False

    def filtered(self, objects: Mapping[str, int]) -> None:
        """Note that `include` and `exclude` may be why nothing is selected."""
        self._leaves_out = bool(objects)

    def absent(self, prefix: str) -> None:
        """Note that a prefix is not there at all."""
        self._absent.add(prefix)

    def unmatched(self, prefix: str) -> None:
        """Warn of a prefix or a glob that may be mistyped."""
        where = f"under prefix {shown(prefix)}" if prefix else "in the bucket"
        if prefix in self._absent:
            why = "no key begins with it"
        elif self._leaves_out:
            why = "include and exclude leave out what is there"
        else:
            why = "it is empty"
        self._warn(f"nothing {where}: {why}")

    def held_back(self, why: str) -> None:
        """Print what the run leaves to do."""
        self._warn(why)

    def noticed(self, message: str) -> None:
        """Print the message."""
        self._warn(message)

    def _warn(self, message: str) -> None:
        print_line(f"asyncsync: {escaped(message)}", sys.stderr)
