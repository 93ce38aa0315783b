"""Small files are written many at a time: a thread hop costs as much as one of them.

One hop takes all files that wait for one, proves their contents, and publishes those that are
sound. What is wrong with one file is told to whoever waits for it, and to nobody else.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from asyncsync.disk.durable import SyncedFolders
from asyncsync.disk.publish import Publisher
from asyncsync.errors import AsyncSyncError
from asyncsync.model import Proof, Transfer
from asyncsync.threads import in_thread

MOST = 16
"""Files that a hop takes: those behind them wait no longer than that."""
WRITERS = 2
"""Threads that write small files."""

Unwritten = tuple[Transfer, bytes, Callable[[], Proof], "asyncio.Future[Proof | AsyncSyncError]"]
"""A file, its content, what proves it, and who waits for it."""


class Batches:
    """Publishes small files for one run.

    Args:
        publisher: gives them their names.
        translated: a context that turns the system's errors about a transfer into ours.
    """

    def __init__(
        self, publisher: Publisher, translated: Callable[[Transfer], AbstractContextManager[None]]
    ) -> None:
        self._publisher = publisher
        self._translated = translated
        self._unwritten: list[Unwritten] = []
        self._writers = 0

    async def publish(
        self, transfer: Transfer, content: bytes, prove: Callable[[], Proof]
    ) -> Proof:
        """Prove the content of a file and publish it, as `Folder.publish` says."""
        written: asyncio.Future[Proof | AsyncSyncError] = asyncio.get_running_loop().create_future()
        self._unwritten.append((transfer, content, prove, written))
        if self._writers < WRITERS:
            self._writers += 1
            try:
                await self._write()
            finally:
                self._writers -= 1
        proven = await written
        if isinstance(proven, AsyncSyncError):
            raise proven
        return proven

    async def _write(self) -> None:
        while self._unwritten:
            batch, self._unwritten = self._unwritten[:MOST], self._unwritten[MOST:]
            results = await in_thread(self._publish, batch)
            for (*_, written), result in zip(batch, results, strict=True):
                if not written.done():
                    written.set_result(result)

    def _publish(self, batch: Sequence[Unwritten]) -> list[Proof | AsyncSyncError]:
        if self._publisher.synced:
            return self._publish_durably(batch, self._publisher.synced)
        results: list[Proof | AsyncSyncError] = []
        for transfer, content, prove, _ in batch:
            try:
                proven = prove()
                with self._translated(transfer):
                    self._publisher.whole(transfer, content)
                results.append(proven)
            except AsyncSyncError as error:
                results.append(error)
        return results

    def _publish_durably(
        self, batch: Sequence[Unwritten], synced: SyncedFolders
    ) -> list[Proof | AsyncSyncError]:
        results: list[Proof | AsyncSyncError] = []
        for _, _, prove, _ in batch:
            try:
                results.append(prove())
            except AsyncSyncError as error:
                results.append(error)
        sound = [n for n, result in enumerate(results) if not isinstance(result, AsyncSyncError)]
        errors = self._publisher.durably([batch[number][:2] for number in sound], synced)
        for number, failure in zip(sound, errors, strict=True):
            results[number] = self._told(batch[number][0], failure) or results[number]
        return results

    def _told(self, transfer: Transfer, error: OSError | None) -> AsyncSyncError | None:
        """Return what an error of the system is called here."""
        try:
            with self._translated(transfer):
                if error:
                    raise error
        except AsyncSyncError as translated:
            return translated
        return None
