"""The protocols that the stages use: the bucket as a `Store`, and the `Observer` of a run.

The stages know nothing else of the outside. `s3/` has the real `Store`. The observers are in
`report/`, `progress/` and `cli/`.
"""

import contextlib
from asyncio import CancelledError
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from types import TracebackType
from typing import Protocol, Self

from asyncsync.model import Compared, Fetched, Head, Outcome, Page, RemoteObject, Transfer

CONNECT_TIMEOUT = 10.0
"""Seconds that a store may take to connect, including DNS, proxy and TLS."""
READ_TIMEOUT = 30.0
"""Seconds without a byte of an answer after which a store gives a request up, unless it is told."""


class Urgent(str):
    """A notice that is told with `--quiet` as well."""

    __slots__ = ()


class Body(Protocol):
    """The response to a GET, its body not yet read."""

    @property
    def head(self) -> Head:
        """What the response's headers say about the object."""

    async def read(self) -> bytes:
        """Return the whole body; raises what `blocks` does."""

    def blocks(self) -> AsyncIterator[bytes | memoryview]:
        """Yield the body in blocks of some hundred kilobytes, each valid until the next one.

        Raises:
            TransientError: the body ended early, stalled or was too long.
        """


class Store(Protocol):
    """A bucket. Every method sends one request, `fetch` two at most, and does not retry it."""

    async def list_page(
        self, prefix: str, *, delimiter: str = "", start_after: str = "", token: str = ""
    ) -> Page:
        """Return one page of the objects whose keys start with `prefix`.

        With a delimiter, keys that have it after the prefix are rolled up into `Page.prefixes`.
        Folder markers (keys that end in `/`) are listed like any other object.

        Args:
            prefix: how the keys begin; empty for all.
            delimiter: as in ListObjectsV2, usually `/`.
            start_after: list only keys after this one.
            token: `next_token` of the page before; empty for the first page.

        Raises:
            SourceError: the bucket cannot be listed.
            TransientError: worth another attempt.
        """

    async def head(self, key: str) -> Head:
        """Return what the bucket says about the object now.

        Raises:
            HeadRefusedError: only GET is allowed.
            TransferError: about this object, such as VanishedError.
            SourceError: about the endpoint or the credentials.
            TransientError: worth another attempt.
        """

    async def first_part(self, remote: RemoteObject) -> int:
        """Return the size of the first part the object was uploaded in; 0 if that is not told."""

    async def fetch(self, remote: RemoteObject, *, asks: bool, as_stored: bool = False) -> Fetched:
        """Get the listed version of the object as a whole, into memory: for small ones.

        Args:
            remote: the object.
            asks: whether to send a HEAD beside the GET. Then a transient error of one of them is
                returned in the place of its answer, so that only this one need be sent again.
                Where only GET is allowed, there is no answer to the HEAD.
            as_stored: as for `get`.

        Raises:
            RemoteChangedError, TransferError, SourceError, TransientError: as for `get` and `head`.
        """

    def get(
        self, remote: RemoteObject, span: range | None = None, *, as_stored: bool = False
    ) -> AbstractAsyncContextManager[Body]:
        """Get the listed version of the object, or only the bytes in `span` of it.

        Args:
            remote: the object.
            span: the bytes; all unless given.
            as_stored: whether to accept compressed bytes. R2 decompresses what is stored with a
                Content-Encoding for a client that does not; but for one that does it may compress
                what is not. So this is for an object only that has shown to need it.

        Raises:
            RemoteChangedError: the bucket has another version now.
            EncodedObjectError: the server changes its bytes on the way. `as_stored` may help.
            RangeIgnoredError: the server sends whole objects only.
            TransferError, SourceError, TransientError: as for `head`.
        """


class Observer(Protocol):
    """Is notified of what happens in a run.

    The event loop calls these methods, so they must not block. What they raise ends the run, and
    is raised by it.
    """

    def counted(self, files: Mapping[str, int]) -> None:
        """The existing files were counted, as the run began.

        Args:
            files: the number of selected files by top-level prefix.
        """

    def compared(self, page: Compared) -> None:
        """A page of the listing was compared with the files. Its transfers will be fetched."""

    def filtered(self, objects: Mapping[str, int]) -> None:
        """The listing has shown objects that globs leave out, or their size or time.

        Args:
            objects: their number by top-level prefix.
        """

    def absent(self, prefix: str) -> None:
        """No key in the bucket begins with this prefix, although it was asked for.

        `unmatched` is called as well.
        """

    def unmatched(self, prefix: str) -> None:
        """No selected object has this prefix, although it was asked for.

        Args:
            prefix: the prefix; empty if no prefix was given and no object is selected at all.
        """

    def listed(self) -> None:
        """The listing has ended. No more pages will be compared."""

    def started(self, transfer: Transfer) -> None:
        """A transfer has begun. Small objects, which arrive in one block, skip this."""

    def kept(self, transfer: Transfer, size: int) -> None:
        """So many bytes of a started transfer are here from an earlier run, and stay."""

    def advanced(self, transfer: Transfer, size: int) -> None:
        """More bytes of a started transfer have arrived.

        Args:
            transfer: the transfer.
            size: the number of bytes; negative if bytes are discarded, to be fetched again.
        """

    def ended(self, outcome: Outcome) -> None:
        """A transfer has ended or, in a verification, the check of a file."""

    def unlisted(self, key: str) -> None:
        """A selected file has no object in the bucket, and stays.

        Only a verification looks for those, and a run that deletes the others.
        """

    def removed(self, key: str, size: int) -> None:
        """A file of so many bytes, whose object is gone, was deleted; in a plan, it would be."""

    def held_back(self, why: str) -> None:
        """The run leaves something to do, because an option asks for that.

        Args:
            why: what is left, and by which option.
        """

    def noticed(self, message: str) -> None:
        """A person should know something that does not end the run, such as a long wait."""


class ObserverError(Exception):
    """An observer raised an exception.

    That is a bug of the observer and ends the run. As it stands, the exception could be taken for a
    failure of the object at hand, or for a cancellation of the task. So it travels in this one,
    which nothing between the observer and the caller of the run handles.

    Attributes:
        error: what the caller is to get.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error

    @classmethod
    def of(cls, raised: BaseException) -> Self:
        """Wrap what an observer raised, once.

        No observer can cancel the run. To its caller, a CancelledError would say that somebody did,
        so that becomes a RuntimeError.
        """
        if isinstance(raised, cls):
            return raised
        if isinstance(raised, Exception):
            return cls(raised)
        error = RuntimeError("an observer raised CancelledError")
        error.__cause__ = raised
        return cls(error)


@contextlib.contextmanager
def _raising_observer_errors() -> Iterator[None]:
    """Wrap what an observer raises. What comes with each object does so itself, in fewer calls."""
    try:
        yield
    except (Exception, CancelledError) as error:
        raise ObserverError.of(error) from error


class Observers:
    """Several observers as one.

    As a context manager, it opens and closes those that are context managers, such as bars. What
    one of them raises ends the run: it leaves here as an ObserverError.
    """

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers
        # Called for each block of a large object, so without those that do nothing then.
        self._advancing = [
            one
            for one in observers
            if getattr(one.advanced, "__func__", None) is not SilentObserver.advanced
        ]
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
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.counted(files)

    def compared(self, page: Compared) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.compared(page)

    def filtered(self, objects: Mapping[str, int]) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.filtered(objects)

    def absent(self, prefix: str) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.absent(prefix)

    def unmatched(self, prefix: str) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.unmatched(prefix)

    def listed(self) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.listed()

    def started(self, transfer: Transfer) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.started(transfer)

    def kept(self, transfer: Transfer, size: int) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.kept(transfer, size)

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Notify each observer."""
        try:
            for observer in self._advancing:
                observer.advanced(transfer, size)
        except (Exception, CancelledError) as error:
            raise ObserverError.of(error) from error

    def ended(self, outcome: Outcome) -> None:
        """Notify each observer."""
        try:
            for observer in self._observers:
                observer.ended(outcome)
        except (Exception, CancelledError) as error:
            raise ObserverError.of(error) from error

    def unlisted(self, key: str) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.unlisted(key)

    def removed(self, key: str, size: int) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.removed(key, size)

    def held_back(self, why: str) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.held_back(why)

    def noticed(self, message: str) -> None:
        """Notify each observer."""
        with _raising_observer_errors():
            for observer in self._observers:
                observer.noticed(message)


class SilentObserver:
    """Does nothing. Base class for observers that handle only some notifications."""

    def counted(self, files: Mapping[str, int]) -> None:
        """Do nothing."""

    def compared(self, page: Compared) -> None:
        """Do nothing."""

    def filtered(self, objects: Mapping[str, int]) -> None:
        """Do nothing."""

    def absent(self, prefix: str) -> None:
        """Do nothing."""

    def unmatched(self, prefix: str) -> None:
        """Do nothing."""

    def listed(self) -> None:
        """Do nothing."""

    def started(self, transfer: Transfer) -> None:
        """Do nothing."""

    def kept(self, transfer: Transfer, size: int) -> None:
        """Count them as `advanced` does."""
        self.advanced(transfer, size)

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Do nothing."""

    def ended(self, outcome: Outcome) -> None:
        """Do nothing."""

    def unlisted(self, key: str) -> None:
        """Do nothing."""

    def removed(self, key: str, size: int) -> None:
        """Do nothing."""

    def held_back(self, why: str) -> None:
        """Do nothing."""

    def noticed(self, message: str) -> None:
        """Do nothing."""
