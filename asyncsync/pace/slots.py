"""A limit of how many do something at the same time, which may change at any time.

anyio's CapacityLimiter is one as well, but lets all other tasks run whenever it is entered, which
took a tenth of the time of a small object.
"""

import asyncio
from collections import deque
from types import TracebackType


class Slots:
    """A context that at most `total` tasks are in; others wait for their turn, first come first.

    Bound to the event loop in which a task waits.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.used = 0
        """How many tasks are in it."""

    @property
    def total(self) -> int:
        """How many may be in it. With fewer than before, those that are in it stay."""
        return self._total

    @total.setter
    def total(self, number: int) -> None:
        self._total = number
        self._let_in()

    @property
    def waiting(self) -> int:
        """How many tasks wait."""
        return len(self._waiting)

    async def __aenter__(self) -> None:
        if self.used < self._total and not self._waiting:
            self.used += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # its turn had come already
                self._leave()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    async def requeue(self) -> None:
        """Within the context: let in who has waited longer, and wait for another turn."""
        self._leave()
        try:
            await self.__aenter__()
        except BaseException:
            self.used += 1  # the end of the context leaves once more
            raise

    def _leave(self) -> None:
        self.used -= 1
        if self._waiting:
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self.used < self._total:
            turn = self._waiting.popleft()
            if not turn.done():
                self.used += 1
                turn.set_result(None)
