"""One compared object in, and what is proven about its file out; nothing is changed."""

from dataclasses import replace
from functools import partial

from asyncsync.disk import Folder
from asyncsync.download.proof import Prover, hash_limiter
from asyncsync.download.validate import ask_first_part, check_head, require_up_to_date
from asyncsync.errors import IntegrityError, LocalFileError
from asyncsync.interfaces import Store
from asyncsync.model import Checks, Head, Proof, Reason, RemoteObject, Transfer, UpToDate
from asyncsync.pace import Pace, Tries


class Verifier:
    """Verifies files for one run, any number of them at the same time.

    Args:
        store: the bucket.
        folder: where the files are.
        pace: limits and retries the requests.
        checks: whether to send HEAD, and whether to check Parquet files.
        deep: whether to read the files, and to check their bytes as after a download.
    """

    def __init__(
        self, store: Store, folder: Folder, pace: Pace, checks: Checks, *, deep: bool
    ) -> None:
        self._store = store
        self._folder = folder
        self._pace = pace
        self._checks = checks
        self._deep = deep
        self._hash_limiter = hash_limiter()

    async def verify(self, found: UpToDate | Transfer) -> UpToDate:
        """Check a file against the listing, and against HEAD and its own bytes if asked for.

        Args:
            found: what the comparison of the listing with the disk found.

        Returns:
            The object, and what is proven about its file.

        Raises:
            TransferError: the file is out of date, cannot be read, or has other bytes.
            SourceError: the endpoint or the credentials failed, so no file can be verified.
        """
        must_prove = isinstance(found, Transfer) and found.reason is Reason.UNPROVEN
        remote = found.remote if must_prove else require_up_to_date(found)
        proven, head = Proof.SIZE, None
        tries = self._pace.tries(remote.key, self._pace.slot)
        if self._checks.head:
            head = await self._ask(remote, tries)
            if head and remote.is_pinned:
                proven = Proof.SIZE_AND_VERSION
        if self._deep or must_prove:
            proven |= await self._prove_bytes(remote, head, tries)
        if must_prove and not proven & Proof.CONTENT:
            require_up_to_date(found)
        return UpToDate(remote, proven, self._folder.paths)

    async def _ask(self, remote: RemoteObject, tries: Tries) -> Head | None:
        async with self._pace.slot:
            head = await check_head(remote, self._store, tries)
        if head:
            self._pace.note_wait(head.waited)
        self._pace.note_object(0)
        return head

    async def _prove_bytes(self, remote: RemoteObject, head: Head | None, tries: Tries) -> Proof:
        checks = replace(self._checks, content=True)
        open_file = partial(self._folder.open, remote)
        ask = partial(ask_first_part, remote, self._store, self._pace, tries)
        prover = Prover(remote, checks, open_file, self._hash_limiter, tries, ask_part=ask)
        prover.expect(head)
        try:
            return await prover.prove_file()
        except IntegrityError as error:  # no sync reads it by itself
            # HEAD alone says that an ETag is no hash.
            if head is None and (asked := await self._ask(remote, tries)):
                return await self._prove_bytes(remote, asked, tries)
            text = f"{error}; `asyncsync verify --deep --repair` fetches it again"
            raise IntegrityError(remote.key, text) from error
        except OSError as error:
            reason = error.strerror or error
            raise LocalFileError(remote.key, f"the file cannot be read: {reason}") from error
