"""One file that was compared in, and what is proven of it out; nothing is changed."""

from dataclasses import replace
from functools import partial

from asyncsync.disk import Folder
from asyncsync.download.proof import Prover, hashers
from asyncsync.download.validate import head_agrees, in_step
from asyncsync.errors import IntegrityError, LocalFileError
from asyncsync.interfaces import Store
from asyncsync.model import Checks, Proof, RemoteObject, Transfer, UpToDate
from asyncsync.pace import Pace, Tries


class Verifier:
    """Verifies files for one run; any number of them side by side.

    Args:
        store, folder: what is compared with each other.
        pace: how many requests at once.
        checks: whether HEAD is asked.
        deep: whether the files are read, and their content proven as after a download.
    """

    def __init__(
        self, store: Store, folder: Folder, pace: Pace, checks: Checks, *, deep: bool
    ) -> None:
        self._store = store
        self._folder = folder
        self._pace = pace
        self._checks = checks
        self._deep = deep
        self._hashers = hashers()

    async def verify(self, found: UpToDate | Transfer) -> UpToDate:
        """Check a file against what the listing and HEAD say of its object.

        Raises:
            TransferError: the file is not in step with the object.
            SourceError: no file can be verified.
        """
        remote = in_step(found)
        proven = Proof.SIZE
        tries = self._pace.tries(remote.key)
        if self._checks.head:
            async with self._pace.slot:
                await head_agrees(remote, self._store, tries)
            if remote.is_pinned:
                proven = Proof.SIZE_AND_VERSION
        if self._deep:
            proven |= await self._prove(remote, tries)
        return UpToDate(remote, proven)

    async def _prove(self, remote: RemoteObject, tries: Tries) -> Proof:
        checks = replace(self._checks, content=True)
        opened = partial(self._folder.open, remote)
        try:
            return await Prover(remote, checks, opened, self._hashers, tries).of_whole_file()
        except IntegrityError as error:  # a sync does not see it, since it reads no files
            text = f"{error}; remove the file, and a sync fetches it again"
            raise IntegrityError(remote.key, text) from error
        except OSError as error:
            reason = error.strerror or error
            raise LocalFileError(remote.key, f"the file cannot be read: {reason}") from error
