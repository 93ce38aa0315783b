"""The whole listing as one chain of pages, for a server whose order cannot be relied on.

Each page is requested with the token of the one before, from the first page on, so the chain is to
show every key. What other requests have shown before is not handled a second time, and not taken
back: if the chain never shows it, the chain may hide other keys as well, and the run must not end
as if it had seen everything.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from asyncsync.keys import key_hash
from asyncsync.model import RemoteObject


class Chain:
    """Which keys were handled, which the chain has shown, and which it still has to show.

    Args:
        handle: gets objects that were not handled before.
        shown: hashes of the keys that the chain has shown, all of them handled but for those that
            are passed to `add` again.
        elsewhere: hashes of the keys that were handled, and that the chain may not have shown.
    """

    def __init__(
        self,
        handle: Callable[[Sequence[RemoteObject]], Awaitable[None]],
        shown: Iterable[int],
        elsewhere: Iterable[int],
    ) -> None:
        self._handle = handle
        self._shown = set(shown)
        self._elsewhere = set(elsewhere)
        self._handled = self._shown | self._elsewhere

    def expect(self, hashes: Iterable[int]) -> None:
        """Note that the chain has shown keys that may not have been handled."""
        self._shown.update(hashes)

    @property
    def hidden(self) -> int:
        """How many keys it has not shown, although they were shown elsewhere."""
        return len(self._elsewhere - self._shown)

    def has(self, key: str) -> bool:
        """Return whether it has shown the key."""
        return key_hash(key) in self._shown

    async def add(self, objects: Sequence[RemoteObject], *, is_link: bool) -> None:
        """Handle what has not been handled before.

        Args:
            objects: a page, or a part of one.
            is_link: whether it is a page of the chain.
        """
        (self._shown if is_link else self._elsewhere).update([key_hash(r.key) for r in objects])
        fresh: list[RemoteObject] = []
        for remote in objects:  # a page may show a key twice
            if (hashed := key_hash(remote.key)) not in self._handled:
                self._handled.add(hashed)
                fresh.append(remote)
        if fresh:
            await self._handle(fresh)
