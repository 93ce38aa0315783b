"""File systems on which two names are one: by their case, or by the form of their letters.

Two empty files in the state folder tell which the destination's is: where one of them is found
under its twin's name as well, names fold. They are made once and stay, so that `plan` and `verify`,
which write nothing, can look as well; before the first sync these know of no folding.

Where names fold, the keys that would get one file are told apart here: of those that a run covers,
the first in the order of their bytes gets the path, whatever the file there is called by now, and
every other one is refused, in each run the same. So the bucket is listed in that order, one page
after the other, and about a hundred bytes of each key are kept. Where names stay apart, as on
Linux they mostly do, all this costs is a look at the two files.

What counts as one is rather too much than too little: `ß` and `ss` are, which some file systems
keep apart. A disk that is mounted inside the destination is taken to be like it.
"""

import errno
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from asyncsync.errors import KeyCollisionError
from asyncsync.model import Compared, Failed, RemoteObject

CASE = ("case", "CASE")
FORM = ("\u00e9", "e\u0301")
"""A file's name, and its twin's, which nobody gives to a file."""
_NO_NAME = {errno.EINVAL, errno.EILSEQ}
"""What a file system answers that takes ASCII only."""


@dataclass(frozen=True, slots=True)
class Folding:
    """What makes no difference between two names."""

    cases: bool
    forms: bool
    """Such as an `é` of one character and one of two."""

    def __bool__(self) -> bool:
        """Return whether any two names are one."""
        return self.cases or self.forms

    def fold(self, path: str) -> str:
        """Return what all the paths have in common that are one."""
        if self.forms:
            path = unicodedata.normalize("NFD", path)
        if self.cases:
            path = path.casefold()
        return unicodedata.normalize("NFD", path) if self.forms else path


def mark(folder: Path) -> None:
    """Make the files that `probe` looks at, where they are missing.

    Raises:
        OSError: no file can be made there.
    """
    for name, twin in (CASE, FORM):
        try:
            if not os.path.lexists(folder / name):
                (folder / twin).unlink(missing_ok=True)  # a copy may have brought it
                (folder / name).touch(mode=0o600)
        except UnicodeEncodeError:
            pass
        except OSError as error:
            if error.errno not in _NO_NAME:
                raise


def probe(folder: Path) -> Folding:
    """Return how the file system folds names, as far as a `mark` in the folder tells."""
    return Folding(
        *(
            os.path.lexists(folder / name) and os.path.lexists(folder / twin)
            for name, twin in (CASE, FORM)
        )
    )


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
