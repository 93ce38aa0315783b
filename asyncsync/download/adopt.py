"""A file that is here already: taken as its object, if its hash proves that it is.

Another tool may have brought it, or something has touched it. It is read instead of downloaded.
"""

from dataclasses import replace

from asyncsync.disk import Folder, LocalFile
from asyncsync.download.verify import Verifier
from asyncsync.errors import IntegrityError, NotParquetError, TransferError
from asyncsync.interfaces import Store
from asyncsync.model import Checks, Failed, Reason, Transfer, UpToDate
from asyncsync.pace import Pace


class Adopter:
    """Decides about unproven transfers for one run, any number of them at the same time.

    Args:
        store: the bucket.
        folder: where the files are. In a run that only reads, they are left as they are.
        pace: limits and retries the requests.
        checks: as for a download.
    """

    def __init__(self, store: Store, folder: Folder, pace: Pace, checks: Checks) -> None:
        self._folder = folder
        self._verifier = Verifier(store, folder, pace, checks, deep=True)

    async def decide(self, transfer: Transfer) -> UpToDate | Transfer | Failed:
        """Return that the file is the object, or the transfer that is needed because it may not be.

        A file that is the object gets its time. One that changes while it is read proves nothing.

        Raises:
            SourceError: the endpoint or the credentials failed.
            DestinationError: there is something to write, and nothing can be written.
        """
        try:
            before = await self._look(transfer)
            found = await self._verifier.verify(transfer)
            after = await self._look(transfer)
            is_same = before and after and _stamp(before) == _stamp(after)
            if after and is_same and await self._folder.adopt(transfer, after):
                return found
        except IntegrityError:
            transfer = replace(transfer, reason=Reason.HASH_DIFFERS)
        except NotParquetError as error:
            if error.is_original:  # a download would be as well
                return Failed(transfer.remote, error)
        except TransferError:
            pass  # nothing is proven; what is wrong with the object, its download will tell
        await self._folder.begin_writing()
        return transfer

    async def _look(self, transfer: Transfer) -> LocalFile | None:
        return (await self._folder.look_up([transfer.path]))[0]


def _stamp(file: LocalFile) -> tuple[int, int, int]:
    return file.size, file.modified_ns, file.changed_ns
