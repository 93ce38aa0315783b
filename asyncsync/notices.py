"""Notices that say more than their text, and those that several say and one is enough of."""

from collections.abc import Callable

from asyncsync.interfaces import Urgent

MOST_REMEMBERED = 100
"""Messages that are told once."""


class Hint(Urgent):
    """Why nothing is selected of what the bucket has, and what to do.

    It comes in front of the calls of `unmatched` that it explains.
    """

    __slots__ = ()


class Once:
    """Tells each message once: all processes of a run may say the same.

    Args:
        notice: called with a message that was not told yet.
    """

    def __init__(self, notice: Callable[[str], object]) -> None:
        self._notice = notice
        self._told: set[str] = set()

    def __call__(self, message: str) -> None:
        """Tell a message, unless it was told."""
        if message in self._told:
            return
        if len(self._told) == MOST_REMEMBERED:
            self._told.clear()
        self._told.add(message)
        self._notice(message)
