"""One compared object in, and a file that is in order out: verified, or else fetched again."""

from dataclasses import replace

from asyncsync.disk import Folder
from asyncsync.download.download import Downloader
from asyncsync.download.verify import Verifier
from asyncsync.errors import (
    IntegrityError,
    LocalFileError,
    NotParquetError,
    OutOfStepError,
    RemoteChangedError,
    TransferError,
)
from asyncsync.model import Downloaded, Reason, Transfer, UpToDate

_MENDED = OutOfStepError, IntegrityError, LocalFileError, NotParquetError, RemoteChangedError
"""What a verification finds that another download may put in order."""


class Repairer:
    """Repairs files for one run, any number of them at the same time.

    Args:
        folder: where the files are; the run may write there.
        verifier: finds out what is not in order.
        downloader: replaces it.
    """

    def __init__(self, folder: Folder, verifier: Verifier, downloader: Downloader) -> None:
        self._folder = folder
        self._verifier = verifier
        self._downloader = downloader

    async def repair(self, found: UpToDate | Transfer) -> UpToDate | Downloaded:
        """Verify a file, and download its object if it is not in order.

        Args:
            found: what the comparison of the listing with the disk found.

        Raises:
            TransferError: neither worked, or the object in the bucket itself is not in order.
            SourceError: the endpoint or the credentials failed.
            DestinationError: nothing can be written.
        """
        try:
            return await self._verifier.verify(found)
        except TransferError as error:
            is_original = isinstance(error, NotParquetError) and error.is_original
            if is_original or not isinstance(error, _MENDED):
                raise
            transfer = self._transfer(found, error)
        await self._folder.begin_writing()
        return await self._downloader.download(transfer)

    def _transfer(self, found: UpToDate | Transfer, error: TransferError) -> Transfer:
        if not isinstance(found, Transfer):
            path, size = self._folder.paths.of(found.remote.key), found.remote.size
            return Transfer(found.remote, path, Reason.HASH_DIFFERS, size)
        if isinstance(error, IntegrityError):
            return replace(found, reason=Reason.HASH_DIFFERS)
        return found
