"""Small files are written in batches: a hop to a thread costs as much as writing one of them.

One hop takes all files that are waiting, proves their contents, and publishes those that are sound.
Each caller gets only its own file's result or error.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from asyncsync.disk.publish import Failure
from asyncsync.errors import AsyncSyncError
from asyncsync.model import Proof, Transfer
from asyncsync.threads import in_thread

BATCH_SIZE = 16
"""Most files in one hop, which bounds how long a waiting file waits."""
WRITERS = 2
"""Most threads that write small files."""

PendingFile = tuple[Transfer, bytes, Callable[[], Proof], "asyncio.Future[Proof | AsyncSyncError]"]
"""A transfer, its content, what proves the content, and where the result goes."""


class Batches:
    """Publishes small files for one run.

    Args:
        publish: writes files and renames them to their paths, as `Publisher.publish`.
        translate_errors: a context that turns an OSError about a transfer into one of ours.
    """

    def __init__(
        self,
        publish: Callable[[Sequence[tuple[Transfer, bytes]]], list[Failure | None]],
        translate_errors: Callable[[Transfer], AbstractContextManager[None]],
    ) -> None:
        self._publish_all = publish
        self._translate_errors = translate_errors
        self._pending: list[PendingFile] = []
        self._writers = 0

    async def publish(
        self, transfer: Transfer, content: bytes, prove: Callable[[], Proof]
    ) -> Proof:
        """Prove the content of a file and publish it; see `Folder.publish`."""
        result: asyncio.Future[Proof | AsyncSyncError] = asyncio.get_running_loop().create_future()
        self._pending.append((transfer, content, prove, result))
        if self._writers < WRITERS:
            self._writers += 1
            try:
                await self._write_pending()
            finally:
                self._writers -= 1
        proven = await result
        if isinstance(proven, AsyncSyncError):
            raise proven
        return proven

    async def _write_pending(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:BATCH_SIZE], self._pending[BATCH_SIZE:]
            results = await in_thread(self._publish, batch)
            for (*_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    def _publish(self, batch: Sequence[PendingFile]) -> list[Proof | AsyncSyncError]:
        results = [_prove(prove) for _, _, prove, _ in batch]
        sound = [n for n, result in enumerate(results) if isinstance(result, Proof)]
        errors = self._publish_all([batch[number][:2] for number in sound])
        for number, error in zip(sound, errors, strict=True):
            if error:
                results[number] = self._translate(batch[number][0], error)
        return results

    def _translate(self, transfer: Transfer, error: Failure) -> AsyncSyncError:
        """Return our error for one about a transfer."""
        try:
            with self._translate_errors(transfer):
                raise error
        except AsyncSyncError as translated:
            return translated


def _prove(prove: Callable[[], Proof]) -> Proof | AsyncSyncError:
    try:
        return prove()
    except AsyncSyncError as error:
        return error
