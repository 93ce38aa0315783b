"""Keys that would share a file, because the file system treats their names as the same.

Of the keys in a run, the first in byte order gets the path, whatever the file there is called now,
and every other one is refused, the same in each run. So the bucket is listed in that order, one
page after the other, and takes about a hundred bytes of memory for each key.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from asyncsync.disk import Folding
from asyncsync.errors import KeyCollisionError
from asyncsync.keys import key_hash
from asyncsync.model import Compared, Failed, RemoteObject
from asyncsync.paths import Paths


def in_order(pages: Iterable[Sequence[RemoteObject]]) -> Iterator[Sequence[RemoteObject]]:
    """Yield all objects as a single page in the order of their keys; it is held in memory."""
    if page := sorted(chain.from_iterable(pages), key=_key):
        yield page


class Names:
    """The paths that the keys of a run have taken, as the file system compares them.

    Args:
        folding: how it compares them.
        paths: how keys become paths.
    """

    def __init__(self, folding: Folding, paths: Paths) -> None:
        self._folding = folding
        self._paths = paths
        self._files: dict[int, int] = {}
        """The hash of each path, and the hash of the key that has it."""
        self._folders: set[int] = set()

    def kept(self, page: Compared) -> Compared:
        """Return the page with every key refused whose path another key has taken."""
        found = [transfer.remote for transfer in page.transfers]
        found += [known.remote for known in page.up_to_date]
        lost = [remote for remote in sorted(found, key=_key) if not self._take(remote.key)]
        keys = {remote.key for remote in lost}
        return Compared(
            [transfer for transfer in page.transfers if transfer.remote.key not in keys],
            [known for known in page.up_to_date if known.remote.key not in keys],
            [*map(self._explain, page.refused), *map(_refuse, lost)],
        )

    def _explain(self, failed: Failed) -> Failed:
        """Return the failure, as a collision if the folder in its way belongs to another key."""
        key = failed.remote.key
        if not self._paths.has(key):
            return failed
        is_taken = key_hash(self._fold(key)) in self._folders
        return _refuse(failed.remote) if is_taken else failed

    def _take(self, key: str) -> bool:
        """Take the path for the key; return whether it was free or already its own."""
        *folders, path = self._hashes(self._fold(key))
        if path in self._folders or not self._files.keys().isdisjoint(folders):
            return False
        if self._files.setdefault(path, key_hash(key)) != key_hash(key):
            return False
        self._folders.update(folders)
        return True

    def _fold(self, key: str) -> str:
        """Return what is the same for all keys whose files are one."""
        return self._folding.fold("/".join(self._paths.of(key)))

    def _hashes(self, path: str) -> list[int]:
        """Return the hashes of the folders in the path, and of the path itself."""
        ends = [place for place, char in enumerate(path) if char == "/"]
        return [key_hash(path[:end]) for end in [*ends, len(path)]]


def _key(remote: RemoteObject) -> str:
    return remote.key


def _refuse(remote: RemoteObject) -> Failed:
    message = "on this file system it has the same path as a key that sorts before it; rename one"
    return Failed(remote, KeyCollisionError(remote.key, message))
