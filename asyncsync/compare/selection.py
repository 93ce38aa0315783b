"""Which keys a run syncs. The same rules hold for objects and for files."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import translate

from asyncsync.keys import has_path
from asyncsync.model import RemoteObject


class Selection:
    """The keys that a run syncs: they start with one of its prefixes, and match its globs.

    Folder markers, whose keys end in `/`, are never selected.

    Args:
        include: one or more globs, one of which must match the whole key; `*` matches `/` as well.
        exclude: globs, none of which may match.
        prefixes: keys must start with one of them; any key may, if there are none.
        stripped: the prefix that paths leave out; see `keys.local_path`.
    """

    def __init__(
        self,
        include: Sequence[str],
        exclude: Sequence[str],
        prefixes: Sequence[str] = (),
        stripped: str = "",
    ) -> None:
        self.prefixes = prefixes
        self._stripped = stripped
        self._starts = tuple(prefixes) or ""
        self._include = _compile_any(include)
        self._exclude = _compile_any(exclude) if exclude else None

    def __call__(self, key: str) -> bool:
        """Return whether the key is selected."""
        return not key.endswith("/") and self._selects(key)

    def takes(self, remote: RemoteObject) -> bool:
        """Return whether the object is selected, or is a folder marker with content.

        A marker with content is refused later, because no file can hold its bytes. The globs must
        match the name of its folder, without the slash.
        """
        if remote.key.endswith("/"):
            return bool(remote.size) and self._selects(remote.key)
        return self._selects(remote.key)

    def left_out(self, objects: Sequence[RemoteObject]) -> Iterator[str]:
        """Yield the top-level prefix of each object that the globs leave out.

        A folder marker is none of them, with content or without.
        """
        for remote in objects:
            if not remote.key.endswith("/") and not self._selects(remote.key):
                yield remote.prefix

    def needs_folder(self, key: str) -> bool:
        """Return whether the key gets a file, so that the folders in its path must exist."""
        return self(key) and has_path(key, self._stripped)

    def _selects(self, key: str) -> bool:
        name = key.rstrip("/")
        return (
            key.startswith(self._starts)
            and self._include.match(name) is not None
            and not (self._exclude and self._exclude.match(name))
        )


def _compile_any(globs: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(glob) for glob in globs))
