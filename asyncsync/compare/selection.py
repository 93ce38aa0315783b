"""Which keys a run syncs. The same rules hold for objects and for files."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import translate

from asyncsync.model import RemoteObject
from asyncsync.paths import PLAIN, Paths


class Selection:
    """The keys that a run syncs: they start with one of its prefixes, and match its globs.

    Folder markers, whose keys end in `/`, are selected only if they have content. The globs must
    match the name of the folder, without the slash.

    Args:
        include: one or more globs, one of which must match the whole key; `*` matches `/` as well.
        exclude: globs, none of which may match.
        prefixes: keys must start with one of them; any key may, if there are none.
        paths: how keys become paths.
    """

    def __init__(
        self,
        include: Sequence[str],
        exclude: Sequence[str],
        prefixes: Sequence[str] = (),
        paths: Paths = PLAIN,
    ) -> None:
        self.prefixes = prefixes
        self._paths = paths
        self._starts = tuple(prefixes) or ""
        self._include = _compile_any(include)
        self._exclude = _compile_any(exclude) if exclude else None

    def __call__(self, key: str) -> bool:
        """Return whether the key of a file is selected."""
        name = key.rstrip("/")
        return (
            key.startswith(self._starts)
            and self._include.match(name) is not None
            and not (self._exclude and self._exclude.match(name))
        )

    def takes(self, remote: RemoteObject) -> bool:
        """Return whether the object is selected."""
        if remote.key.endswith("/") and not remote.size:
            return False
        return self(remote.key)

    def left_out(self, objects: Sequence[RemoteObject]) -> Iterator[str]:
        """Yield the top-level prefix of each object that the globs leave out.

        A folder marker is none of them, with content or without.
        """
        for remote in objects:
            if not remote.key.endswith("/") and not self(remote.key):
                yield remote.prefix

    def needs_folder(self, remote: RemoteObject) -> bool:
        """Return whether the object gets a file, so that the folders in its path must exist."""
        return self.takes(remote) and self._paths.has(remote.key)


def _compile_any(globs: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs))
