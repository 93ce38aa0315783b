"""Keys that would get one file, where the file system takes their names for one.

Of those that a run covers, the first in the order of their bytes gets the path, whatever the file
there is called by now, and every other one is refused, in each run the same. So the bucket is
listed in that order, one page after the other, and about a hundred bytes of each key are kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from asyncsync.disk import Folding
from asyncsync.errors import KeyCollisionError
from asyncsync.model import Compared, Failed, RemoteObject


def in_order(pages: Iterable[Sequence[RemoteObject]]) -> Iterator[Sequence[RemoteObject]]:
    """Yield all objects on one page, in the order of their keys; they are held in memory."""
    if page := sorted(chain.from_iterable(pages), key=_key):
        yield page


class Names:
    """The paths that a run's keys have taken, as the file system compares them."""

    def __init__(self, folding: Folding) -> None:
        self._fold = folding.fold
        self._files: dict[int, int] = {}
        """Hashes of paths, and of the keys that have them."""
        self._folders: set[int] = set()

    def kept(self, page: Compared) -> Compared:
        """Return the page, with every key refused whose path another one has taken."""
        found = [transfer.remote for transfer in page.transfers]
        found += [known.remote for known in page.up_to_date]
        lost = [remote for remote in sorted(found, key=_key) if not self._take(remote.key)]
        keys = {remote.key for remote in lost}
        return Compared(
            [transfer for transfer in page.transfers if transfer.remote.key not in keys],
            [known for known in page.up_to_date if known.remote.key not in keys],
            [*map(self._explained, page.refused), *map(_refused, lost)],
        )

    def _explained(self, failed: Failed) -> Failed:
        """Return the same, but if the folder in its way is one that a key has taken."""
        is_taken = hash(self._fold(failed.remote.key)) in self._folders
        return _refused(failed.remote) if is_taken else failed

    def _take(self, key: str) -> bool:
        """Take the key's path; return whether it was free, or the key's own."""
        *folders, path = self._hashes(self._fold(key))
        if path in self._folders or not self._files.keys().isdisjoint(folders):
            return False
        if self._files.setdefault(path, hash(key)) != hash(key):
            return False
        self._folders.update(folders)
        return True

    def _hashes(self, path: str) -> list[int]:
        """Return hashes of the folders on the way, and of the path itself."""
        ends = [place for place, char in enumerate(path) if char == "/"]
        return [hash(path[:end]) for end in [*ends, len(path)]]


def _key(remote: RemoteObject) -> str:
    return remote.key


def _refused(remote: RemoteObject) -> Failed:
    message = "on this file system its path is that of a key that sorts before it; rename one"
    return Failed(remote, KeyCollisionError(remote.key, message))
