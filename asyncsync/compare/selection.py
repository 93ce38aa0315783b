"""Which keys count, on both sides."""

import re
from collections.abc import Sequence
from fnmatch import translate

from asyncsync.keys import has_path
from asyncsync.model import RemoteObject


class Selection:
    """The keys that a run is about: below its prefixes, and selected by its globs.

    Folder markers, whose keys end in `/`, never count.

    Args:
        include: globs over whole keys, one of which must match; `*` matches `/` as well.
        exclude: globs, none of which may match.
        prefixes: how keys may begin; without one, in any way.
    """

    def __init__(
        self, include: Sequence[str], exclude: Sequence[str], prefixes: Sequence[str] = ()
    ) -> None:
        self.prefixes = prefixes
        self._beginnings = tuple(prefixes) or ""
        self._include = _any_of(include)
        self._exclude = _any_of(exclude) if exclude else None

    def __call__(self, key: str) -> bool:
        """Return whether the key counts."""
        return not key.endswith("/") and self._selects(key)

    def takes(self, remote: RemoteObject) -> bool:
        """Return whether the object counts, or is a folder marker that has content.

        A marker with content is refused later, since no file can hold its bytes. The globs judge it
        by the name of its folder.
        """
        if remote.key.endswith("/"):
            return bool(remote.size) and self._selects(remote.key)
        return self._selects(remote.key)

    def needs_folder(self, key: str) -> bool:
        """Return whether the key gets a file, so that the folders in its path must exist."""
        return self(key) and has_path(key)

    def _selects(self, key: str) -> bool:
        name = key.rstrip("/")
        return (
            key.startswith(self._beginnings)
            and self._include.match(name) is not None
            and not (self._exclude and self._exclude.match(name))
        )


def _any_of(globs: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs))
