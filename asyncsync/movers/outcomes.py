"""What becomes of the transfers that movers were dealt: files are taken, and who waits is told.

What a mover answers is an outcome only once its file has its name, which the brain gives it. What
a mover cannot do, or has lost, the brain fetches itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from anyio.abc import TaskGroup

from asyncsync.disk import Folder, Written
from asyncsync.download import SMALL, Downloader
from asyncsync.errors import AsyncSyncError, IntegrityError, ThrottledError
from asyncsync.interfaces import Observer
from asyncsync.model import Downloaded
from asyncsync.movers.lines import Event, parse_downloaded, parse_error
from asyncsync.movers.process import Dealt, Mover
from asyncsync.pace import Pace


@dataclass(frozen=True, slots=True)
class Moved:
    """An object whose file a mover has written, and which has no name yet."""

    dealt: Dealt
    outcome: Downloaded
    file: Written


class Outcomes:
    """Handles what the movers of a run say about objects.

    Args:
        folder: the destination; the run may write there.
        pace: the brain's.
        observer: gets the progress of large objects.
        own: the brain's downloader.
        group: runs what goes on beside the downloads.
        let_in: called when a mover has room for another transfer.
    """

    def __init__(
        self,
        folder: Folder,
        pace: Pace,
        observer: Observer,
        own: Downloader,
        group: TaskGroup,
        let_in: Callable[[], object],
    ) -> None:
        self._folder = folder
        self._pace = pace
        self._observer = observer
        self._own = own
        self._group = group
        self._let_in = let_in

    def hear(self, mover: Mover, event: Event) -> Moved | None:
        """Do what an event about an object asks for; return the file that is to be taken, if any.

        What is said of an object that nobody waits for any more is left alone.
        """
        key, name = event["key"], event["event"]
        if name in {"started", "kept", "advanced"}:
            if dealt := mover.dealt.get(key):
                self._progress(dealt, name, event.get("bytes", 0))
        elif dealt := mover.pop(key, SMALL):
            self._let_in()
            if name == "downloaded":
                outcome = parse_downloaded(event, dealt.transfer, self._folder.paths)
                file = Written(outcome.transfer, dealt.parts, event["file"], event["inode"])
                return Moved(dealt, outcome, file)
            if name == "returned":
                self._group.start_soon(self._fetch_self, dealt)
            else:
                _end(dealt, parse_error(event))
        return None

    def _progress(self, dealt: Dealt, name: str, size: int) -> None:
        dealt.arrived += size
        if name == "started":
            self._observer.started(dealt.transfer)
        elif name == "kept":
            self._observer.kept(dealt.transfer, size)
        else:
            self._observer.advanced(dealt.transfer, size)

    def give_back(self, mover: Mover) -> None:
        """Let others fetch what a mover had that has ended; its progress goes back."""
        for key in list(mover.dealt):
            if (dealt := mover.pop(key, SMALL)) and not dealt.outcome.done():
                self._forget_progress(dealt)
                dealt.outcome.set_result(None)

    def _forget_progress(self, dealt: Dealt) -> None:
        if dealt.arrived:
            self._observer.advanced(dealt.transfer, -dealt.arrived)

    async def take(self, moved: Sequence[Moved]) -> None:
        """Give files their names, and tell those who wait what became of each."""
        errors = await self._folder.taking.take([each.file for each in moved])
        for each, error in zip(moved, errors, strict=True):
            if isinstance(error, ThrottledError):
                self._group.start_soon(self._take_again, each)
            elif isinstance(error, IntegrityError):
                self._group.start_soon(self._fetch_self, each.dealt)
            else:
                _end(each.dealt, error or each.outcome)
        self._pace.note_object(sum(each.outcome.remote.size for each in moved))

    async def _take_again(self, moved: Moved) -> None:
        """Give a file its name once there are open files enough for that."""

        async def take() -> None:
            for error in await self._folder.taking.take([moved.file]):
                if error:
                    raise error

        try:
            await self._pace.tries(moved.file.transfer.remote.key).run_locally(take)
        except IntegrityError:
            await self._fetch_self(moved.dealt)
        except AsyncSyncError as error:
            _end(moved.dealt, error)
        else:
            _end(moved.dealt, moved.outcome)

    async def _fetch_self(self, dealt: Dealt) -> None:
        """Download in this process what a mover cannot."""
        self._forget_progress(dealt)
        try:
            _end(dealt, await self._own.download(dealt.transfer))
        except AsyncSyncError as error:
            _end(dealt, error)


def end_all(mover: Mover, event: Event) -> None:
    """Tell all who wait for a mover's transfers of the error that ends the run."""
    for dealt in list(mover.dealt.values()):
        _end(dealt, parse_error(event))


def _end(dealt: Dealt, outcome: Downloaded | AsyncSyncError) -> None:
    """Tell who waits for a transfer what became of it, unless nobody does any more."""
    if dealt.outcome.done():
        return
    if isinstance(outcome, AsyncSyncError):
        dealt.outcome.set_exception(outcome)
    else:
        dealt.outcome.set_result(outcome)
