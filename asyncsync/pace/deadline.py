"""When a run ends by itself, done or not (`--max-duration`).

Nothing is begun after that, and the listing ends where it is. What is under way has a little
longer, in which small objects arrive. What does not is given up; a large object keeps its parts.
"""

from collections.abc import Awaitable, Callable, Collection

import anyio
from anyio import CancelScope

from asyncsync.model import RemoteObject
from asyncsync.units import format_count, format_seconds, format_size

GRACE = 10.0
"""Seconds that what is under way may still take."""


class Deadline:
    """The end of a run that may not take longer than so many seconds.

    Args:
        seconds: how long the run may take; None for as long as it needs.
        sleep: for tests.
    """

    def __init__(
        self, seconds: int | None = None, sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    ) -> None:
        self._seconds = seconds
        self._sleep = sleep
        self.is_over = False
        """Whether nothing may begin any more."""

    async def keep(self, listing: CancelScope, work: CancelScope) -> None:
        """End the listing when the time is up, and the work when the grace is over."""
        if self._seconds is None:
            return
        await self._sleep(self._seconds)
        self.is_over = True
        listing.cancel()
        await self._sleep(GRACE)
        work.cancel()

    def left(self, objects: Collection[RemoteObject], *, is_cut: bool) -> str:
        """Return what the run leaves to do; empty for nothing.

        Args:
            objects: what was found, and is not done.
            is_cut: whether the listing did not reach its end.
        """
        if not objects and not is_cut:
            return ""
        said = f"stopped after {format_seconds(self._seconds or 0)}, as --max-duration asks"
        if not objects:
            return f"{said}, before all was listed"
        number = format_count(len(objects), "object")
        size = format_size(sum(remote.size for remote in objects))
        return f"{said}: {'at least ' if is_cut else ''}{number} ({size}) left"
