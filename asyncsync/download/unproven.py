"""The transfers of a run that are made only if the hash of the file does not prove it."""

from asyncio import Event
from collections.abc import Awaitable, Callable, Iterable

from asyncsync.download.adopt import Adopter
from asyncsync.interfaces import Observer
from asyncsync.model import Compared, Failed, Outcome, Reason, Transfer, UpToDate


class Unproven:
    """The transfers that wait for a worker to read their files.

    Args:
        adopter: reads a file, and decides.
        observer: is told what was decided.
    """

    def __init__(self, adopter: Adopter, observer: Observer) -> None:
        self._adopter = adopter
        self._observer = observer
        self._waiting: set[str] = set()
        """Their keys."""
        self._fewer = Event()

    def add(self, transfers: Iterable[Transfer]) -> None:
        """Let those of the transfers wait that are unproven, each until `decide` gets it."""
        self._waiting.update(t.remote.key for t in transfers if t.reason is Reason.UNPROVEN)

    async def decide(self, transfer: Transfer) -> Transfer | None:
        """Tell the observer what is found out about a transfer; return it if it is needed."""
        found = await self._adopter.decide(transfer)
        page = Compared([], [], [], decides=True)
        match found:
            case UpToDate():
                page.up_to_date.append(found)
            case Transfer():
                page.transfers.append(found)
            case Failed():
                page.refused.append(found)
        self._observer.compared(page)
        self._waiting.discard(transfer.remote.key)
        self._fewer.set()
        return found if isinstance(found, Transfer) else None

    async def fetch(
        self,
        expect: Callable[[Iterable[Transfer]], object],
        download: Callable[[Transfer], Awaitable[Outcome]],
        transfer: Transfer,
    ) -> Outcome | None:
        """Download a transfer, if it is one that is needed; None if the observer knows already.

        Args:
            expect: told of an unproven one that turns out to be needed, before it is downloaded.
            download: downloads it.
            transfer: the transfer.
        """
        if transfer.reason is not Reason.UNPROVEN:
            return await download(transfer)
        needed = await self.decide(transfer)
        if not needed:
            return None
        expect([needed])
        return await download(needed)

    async def all_decided(self) -> None:
        """Wait until none is left."""
        while self._waiting:
            self._fewer = Event()
            await self._fewer.wait()
