"""A transfer that a worker is to fetch, and what came back of those of a batch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from asyncsync.disk import Written
from asyncsync.errors import AsyncSyncError, TransferError, WorkerError
from asyncsync.interfaces import Observer
from asyncsync.model import Downloaded, Transfer
from asyncsync.movers import Event, Reader, parse_downloaded, parse_error
from asyncsync.paths import Paths


@dataclass(slots=True)
class Dealt:
    """A transfer that waits, or is in a batch."""

    transfer: Transfer
    outcome: "asyncio.Future[Downloaded]"
    line: bytes
    parts: str
    """The parts folder that its file goes in."""
    weight: float
    """What part of a batch it is."""
    is_started: bool = False
    arrived: int = 0
    """Bytes of it that the observer knows of."""

    def progress(self, observer: Observer, arrived: int) -> None:
        """Tell the observer how much of the object is here; less after its worker has died."""
        if self.outcome.done():
            return
        if not self.is_started:
            self.is_started = True
            observer.started(self.transfer)
        if arrived != self.arrived:
            observer.advanced(self.transfer, arrived - self.arrived)
            self.arrived = arrived

    def take_back(self, observer: Observer) -> None:
        """Tell the observer that nothing of the object is here any more."""
        if self.arrived:
            self.progress(observer, 0)

    def end(self, observer: Observer, outcome: Downloaded | AsyncSyncError) -> None:
        """Tell who waits for it what became of it, unless nobody does any more."""
        if self.outcome.done():
            return
        if isinstance(outcome, AsyncSyncError):
            if isinstance(outcome, TransferError):
                self.take_back(observer)
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


@dataclass(frozen=True, slots=True)
class Moved:
    """An object whose file a worker has written, and which has no name yet."""

    dealt: Dealt
    outcome: Downloaded
    file: Written


@dataclass(slots=True)
class Answer:
    """What a worker says about a batch."""

    left: dict[str, Dealt]
    """Transfers of which it says nothing, by key."""
    arrived: list[tuple[Dealt, int]] = field(default_factory=list)
    """The bytes of large objects."""
    written: list[Moved] = field(default_factory=list)
    failed: list[tuple[Dealt, AsyncSyncError]] = field(default_factory=list)
    address: str = ""
    """Of the worker."""
    is_unlisted: bool = False
    """Whether the worker has to be enlisted first."""
    unable: str = ""
    """Why the mover has ended, if nothing is wrong but with its machine."""
    ending: AsyncSyncError | None = None
    """What ends the run."""

    @classmethod
    def parse(cls, said: bytes, batch: Sequence[Dealt], paths: Paths) -> "Answer":
        """Return the answer of its lines.

        Args:
            said: what the worker says.
            batch: what it was dealt.
            paths: how keys become paths.
        """
        answer = cls({dealt.transfer.remote.key: dealt for dealt in batch})
        for event in Reader().events(said):
            if "key" in event:
                answer._add(event, paths)
            else:
                answer._add_other(event)
        return answer

    def _add(self, event: Event, paths: Paths) -> None:
        """Add what is said of an object."""
        dealt = self.left[event["key"]]
        match event["event"]:
            case "arrived":
                self.arrived.append((dealt, event["bytes"]))
                return
            case "returned":
                return
            case "downloaded":
                outcome = parse_downloaded(event, dealt.transfer, paths)
                file = Written(outcome.transfer, dealt.parts, event["file"], event["inode"])
                self.written.append(Moved(dealt, outcome, file))
            case _:
                self.failed.append((dealt, parse_error(event)))
        del self.left[event["key"]]

    def _add_other(self, event: Event) -> None:
        match event["event"]:
            case "worker":
                self.address = event["address"]
            case "unlisted":
                self.is_unlisted = True
            case "error":
                message = f"the worker {self.address}: {event['message']}"
                self.ending = parse_error({**event, "message": message})
            case "unshared":
                self.ending = WorkerError(self.address, event["message"])
            case "unable":
                self.unable = f"the worker {self.address}: {event['message']}"
