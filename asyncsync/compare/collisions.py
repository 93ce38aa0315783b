"""Keys that need the same path: `x` and `x/y` cannot both be files.

The folder wins and `x` is refused, whatever the order in which they are listed or would arrive. So
`x` must not start before it is certain that no key lies below `x/`. Keys come in order, so the page
itself usually tells: those keys would be next. If the page ends too early to tell, `x` waits for
the next pages. Where `x/` is listed separately, the bucket is asked, while everything else starts.
If keys are out of order, `x` waits for the end of the listing, which shows all folders.

A file on the disk stays, though: if `x` is a file already, `x/y` is refused instead, in every run
until somebody moves the file away.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import gt

from asyncsync.concurrently import run_all
from asyncsync.errors import KeyCollisionError
from asyncsync.keys import key_hash
from asyncsync.model import Compared, Failed, Reason, RemoteObject, Transfer

REQUESTS_AT_ONCE = 16
"""Requests about one page that are in flight at the same time."""
MOST_ASKED = 32
"""Keys that the bucket is asked about. All others wait for the end of the listing."""

IsFolderNeeded = Callable[[str], Awaitable[bool]]
"""Returns whether the bucket has a key below a prefix that needs a folder there."""


class Collisions:
    """The collisions of one listing.

    Args:
        needs_folder: whether an object gets a file, so that its folders must exist.
        is_folder_needed: asks the bucket.
        separated: prefixes whose keys may come on other pages than those around the key of their
            name; grows with the listing.
    """

    def __init__(
        self,
        needs_folder: Callable[[RemoteObject], bool],
        is_folder_needed: IsFolderNeeded,
        separated: Container[str],
    ) -> None:
        self._needs_folder = needs_folder
        self._is_folder_needed = is_folder_needed
        self._separated = separated
        self._waiting: dict[str, Transfer] = {}
        """By the prefix of the keys that would win; in a first run one for each page."""
        self._in_order: list[str] = []
        """These prefixes, sorted."""
        self._undecided: dict[str, Transfer] = {}
        """The same for those that wait for the end of the listing."""
        self._asked = 0
        self._folders = array("q")
        """Hashes of all folders that are needed: eight bytes for each folder of each page."""
        self._folder = ""
        """The last folder that was noted; usually that of the next key as well."""

    def split(
        self, objects: Sequence[RemoteObject], page: Compared, complete_to: str
    ) -> tuple[Compared, list[Transfer]]:
        """Return what is certain by now, and the transfers to ask the bucket about.

        Args:
            objects: the page of the listing, including keys that are not selected.
            page: the same page, compared.
            complete_to: no later page adds a key between the page's first key and this one; empty
                if the server does not list keys in order.
        """
        keys = [remote.key for remote in objects]
        in_folders = {
            key[: key.rfind("/") + 1]: one for key, one in zip(keys, objects, strict=True)
        }
        self._note_folders(in_folders, objects)
        if not complete_to or any(map(gt, keys, islice(keys, 1, None))):
            return self._put_off(page), []

        def has_winner(below: str) -> bool:
            return any(map(self._needs_folder, _starting_with(below, keys, objects)))

        refused = [_refuse(self._stop(below)) for below in self._near(keys) if has_winner(below)]
        folders = _with_those_above(in_folders) if page.transfers else set[str]()
        transfers: list[Transfer] = []
        doubtful: list[Transfer] = []
        for transfer in page.transfers:
            below = transfer.remote.key + "/"
            if below in self._waiting:
                self._stop(below)  # some servers list a key twice
            if transfer.reason is not Reason.MISSING:
                transfers.append(transfer)  # a file is there, so no folder can be
            elif below in folders and has_winner(below):
                refused.append(_refuse(transfer))
            elif below in self._separated:
                if self._asked < MOST_ASKED:
                    self._asked += 1
                    doubtful.append(transfer)
                else:
                    self._undecided[below] = transfer
            elif complete_to > below and not complete_to.startswith(below):
                transfers.append(transfer)
            else:
                self._waiting[below] = transfer
                insort(self._in_order, below)
        return Compared(transfers, page.up_to_date, [*page.refused, *refused]), doubtful

    def _near(self, keys: Sequence[str]) -> list[str]:
        """Return the prefixes of waiting transfers that keys of a page may have, by their order."""
        first, last = keys[0], keys[-1]
        around = _with_those_above([first[: first.rfind("/") + 1]])
        start, end = bisect_right(self._in_order, first), bisect_left(self._in_order, last)
        return [below for below in around if below in self._waiting] + self._in_order[start:end]

    def _stop(self, below: str) -> Transfer:
        """Let a transfer wait no more."""
        del self._in_order[bisect_left(self._in_order, below)]
        return self._waiting.pop(below)

    def _put_off(self, page: Compared) -> Compared:
        """Let every transfer of a page wait for the end if a folder could be needed at its path."""
        transfers: list[Transfer] = []
        for transfer in page.transfers:
            if transfer.reason is Reason.MISSING:
                self._undecided[transfer.remote.key + "/"] = transfer
            else:
                transfers.append(transfer)
        return Compared(transfers, page.up_to_date, page.refused)

    def _note_folders(
        self, in_folders: Mapping[str, RemoteObject], objects: Sequence[RemoteObject]
    ) -> None:
        """Remember the folders that the objects need.

        Args:
            in_folders: one of the objects in each folder, which nearly always needs it.
            objects: all of them.
        """
        unnoted = in_folders.keys() - {"", self._folder}
        needed = {folder for folder in unnoted if self._needs_folder(in_folders[folder])}
        if left := unnoted - needed:
            inside = ((one.key[: one.key.rfind("/") + 1], one) for one in objects)
            needed |= {
                folder for folder, one in inside if folder in left and self._needs_folder(one)
            }
        for folder in sorted(needed):
            end = folder.find("/") + 1
            while end:
                if not self._folder.startswith(folder[:end]):
                    self._folders.append(key_hash(folder[:end]))
                end = folder.find("/", end) + 1
            self._folder = folder

    def release_up_to(self, complete_to: str) -> list[Transfer]:
        """Return the transfers that need not wait any more once all keys up to this one came."""
        passed = [b for b in self._waiting if complete_to > b and not complete_to.startswith(b)]
        return [self._stop(below) for below in passed]

    def decide_all(self) -> Compared:
        """Decide about the transfers that still wait when the listing has ended."""
        waiting = {**self._waiting, **self._undecided}
        self._waiting.clear()
        self._in_order.clear()
        self._undecided.clear()
        needed = set(map(key_hash, waiting)).intersection(self._folders)
        return Compared(
            [transfer for below, transfer in waiting.items() if key_hash(below) not in needed],
            [],
            [_refuse(transfer) for below, transfer in waiting.items() if key_hash(below) in needed],
        )

    async def resolve(self, doubtful: Sequence[Transfer]) -> Compared:
        """Ask the bucket about each transfer, several at the same time.

        Raises:
            SourceError: the bucket could not be listed.
        """
        resolved = Compared([], [], [])
        remaining = iter(doubtful)

        async def ask() -> None:
            for transfer in remaining:  # shared: each takes the next one
                if await self._is_folder_needed(transfer.remote.key + "/"):
                    resolved.refused.append(_refuse(transfer))
                else:
                    resolved.transfers.append(transfer)

        await run_all(*[ask] * min(len(doubtful), REQUESTS_AT_ONCE))
        return resolved


def _with_those_above(inner: Iterable[str]) -> set[str]:
    """Return folders, and all that they are in."""
    folders = {*inner}
    left = [*folders]
    while left:  # a folder is in one above, up to the top
        above = {folder[: folder.rfind("/", 0, -1) + 1] for folder in left} - folders
        folders |= above
        left = [*above]
    return folders


def _starting_with(
    prefix: str, keys: Sequence[str], objects: Sequence[RemoteObject]
) -> Iterator[RemoteObject]:
    for place in range(bisect_left(keys, prefix), len(keys)):
        if not keys[place].startswith(prefix):
            return
        yield objects[place]


def _refuse(transfer: Transfer) -> Failed:
    key = transfer.remote.key
    return Failed(transfer.remote, KeyCollisionError(key, "other keys need a folder at its path"))
