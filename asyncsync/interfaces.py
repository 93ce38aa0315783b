"""What the stages ask of the remote side and of whoever looks on.

The stages know these protocols only. `s3.py` is the real `Store`; `progress.py` and `report.py`
look on.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from types import TracebackType
from typing import Protocol, Self

from asyncsync.model import Compared, Head, Outcome, Page, RemoteObject, Transfer

CONNECT_TIMEOUT = 10.0
"""Seconds that a store takes at most to connect: look-up of the name, proxy and TLS included."""


class Body(Protocol):
    """The answer to a GET, its bytes not yet read."""

    @property
    def head(self) -> Head:
        """What the answer's headers say of the object."""

    async def read(self) -> bytes:
        """Return the whole body.

        Raises:
            TransientError: the body ended early, stalled or ran over.
        """

    def blocks(self) -> AsyncIterator[bytes | memoryview]:
        """Yield the body in blocks of some hundred kilobytes, each good until the next.

        Raises:
            TransientError: the body ended early, stalled or ran over.
        """


class Store(Protocol):
    """A bucket. Every verb is one request and no retry."""

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return one page of the objects whose keys start with `prefix`.

        With a delimiter, keys that hold it behind the prefix are rolled up into `Page.prefixes`.
        Folder markers (keys that end in `/`) are listed like any other object.

        Raises:
            SourceError: the bucket cannot be listed.
            TransientError: worth another attempt.
        """

    async def head(self, key: str) -> Head:
        """Return what the bucket says of the object now.

        Raises:
            TransferError: about this object, such as VanishedError.
            SourceError: about the endpoint or the credentials.
            TransientError: worth another attempt.
        """

    def get(
        self, remote: RemoteObject, span: range | None = None
    ) -> AbstractAsyncContextManager[Body]:
        """Fetch the listed version of the object, or the bytes of `span` of it.

        Raises:
            RemoteChangedError: the bucket holds another version by now.
            RangeIgnoredError: the server sends whole objects only.
            TransferError, SourceError, TransientError: as for `head`.
        """


class Observer(Protocol):
    """Whoever looks on. Called from the event loop, so every call returns at once."""

    def counted(self, files: Mapping[str, int]) -> None:
        """This many files that count lie below each top-level prefix as the run begins."""

    def compared(self, page: Compared) -> None:
        """A page of the listing was compared; its transfers are going to be fetched."""

    def unmatched(self, prefix: str) -> None:
        """No object that counts has a key that starts with a prefix that was asked for.

        It is empty where none was, and so no object counts.
        """

    def listed(self) -> None:
        """The listing has ended: no more pages will come."""

    def started(self, transfer: Transfer) -> None:
        """A transfer that takes more than one block has begun."""

    def advanced(self, transfer: Transfer, size: int) -> None:
        """`size` more bytes of a started transfer have arrived; less than none when rewound."""

    def ended(self, outcome: Outcome) -> None:
        """A transfer has ended; in a verification, the check of a file."""

    def unlisted(self, key: str) -> None:
        """A file counts, but there is no such object; only a verification looks for those."""

    def noticed(self, message: str) -> None:
        """Something that a person should know and that ends nothing, such as a long wait."""


class Observers:
    """Several that look on as one; opens those of them that are context managers, as bars are."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            for observer in self._observers:
                if isinstance(observer, AbstractContextManager):
                    opening.enter_context(observer)
            self._opened = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    def counted(self, files: Mapping[str, int]) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.counted(files)

    def compared(self, page: Compared) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.compared(page)

    def unmatched(self, prefix: str) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.unmatched(prefix)

    def listed(self) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.listed()

    def started(self, transfer: Transfer) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.started(transfer)

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.advanced(transfer, size)

    def ended(self, outcome: Outcome) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.ended(outcome)

    def unlisted(self, key: str) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.unlisted(key)

    def noticed(self, message: str) -> None:
        """Tell all of them."""
        for observer in self._observers:
            observer.noticed(message)


class SilentObserver:
    """Looks on and says nothing; the base of observers that say little."""

    def counted(self, files: Mapping[str, int]) -> None:
        """Say nothing."""

    def compared(self, page: Compared) -> None:
        """Say nothing."""

    def unmatched(self, prefix: str) -> None:
        """Say nothing."""

    def listed(self) -> None:
        """Say nothing."""

    def started(self, transfer: Transfer) -> None:
        """Say nothing."""

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Say nothing."""

    def ended(self, outcome: Outcome) -> None:
        """Say nothing."""

    def unlisted(self, key: str) -> None:
        """Say nothing."""

    def noticed(self, message: str) -> None:
        """Say nothing."""
