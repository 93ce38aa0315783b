"""Where downloaded objects go: a destination, a single file, or to who reads one."""

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from asyncsync.disk import PartFile
from asyncsync.model import Proof, Transfer
from asyncsync.paths import Paths


class Sink(Protocol):
    """Takes objects, and gives none of them away before it is proven. `Folder` is the usual one."""

    paths: Paths
    """How keys become paths, and where these begin."""

    def publish(
        self, transfer: Transfer, content: bytes, prove: Callable[[], Proof]
    ) -> Coroutine[None, None, Proof]:
        """Prove the content of a small object, and take it.

        Args:
            transfer: which object it is, and its path.
            content: all its bytes.
            prove: called in a thread before anything is written; its result is returned.

        Raises:
            TransferError, DestinationError: it cannot be taken, or `prove` raised it.
            ThrottledError: the limit of open files is reached.
        """

    def part_file(self, transfer: Transfer) -> AbstractAsyncContextManager[PartFile]:
        """Open the unfinished file of a large object, for `publish_parts` to take.

        Raises:
            TransferError, DestinationError, ThrottledError: as for `publish`.
        """

    async def publish_parts(self, transfer: Transfer, part: PartFile) -> None:
        """Take an unfinished file whose parts are all here, and proven; call it in `part_file`.

        Raises:
            ThrottledError: the limit of open files is reached.
            OSError: anything else, which `part_file` translates.
        """
