"""Notices that say more than their text."""

from asyncsync.interfaces import Urgent


class Hint(Urgent):
    """Why nothing is selected of what the bucket has, and what to do.

    It comes in front of the calls of `unmatched` that it explains.
    """

    __slots__ = ()
