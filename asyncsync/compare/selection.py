"""Which keys a run syncs. The same rules hold for objects and for files."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from asyncsync.globs import compile_globs, endings
from asyncsync.keys import key_hash
from asyncsync.limits import Limits
from asyncsync.model import LAST, RemoteObject
from asyncsync.paths import PLAIN, Paths
from asyncsync.shards import Shard


class Selection:
    """The keys that a run syncs: they start with one of its prefixes, and match its globs.

    Folder markers, whose keys end in `/`, are selected only if they have content. The globs must
    match the name of the folder, without the slash.

    Args:
        include: one or more globs, one of which must match the whole key; `*` matches `/` as well,
            and a glob that ends in `/` matches all keys below it.
        exclude: globs, none of which may match.
        prefixes: keys must start with one of them; any key may, if there are none.
        paths: how keys become paths.
        limits: the sizes and times that an object may have.
        shard: the part of these keys that the run syncs; None for all of them.
    """

    def __init__(
        self,
        include: Sequence[str],
        exclude: Sequence[str],
        prefixes: Sequence[str] = (),
        paths: Paths = PLAIN,
        limits: Limits | None = None,
        shard: Shard | None = None,
    ) -> None:
        self.include, self.exclude = include, exclude
        self.prefixes = prefixes
        self.keys: Sequence[str] | None = None
        """The keys, if they are named one by one."""
        self.limits = limits or None
        self.shard = shard
        self._paths = paths
        self._starts = tuple(prefixes) or ""
        self._include = compile_globs(include)
        self._endings = endings(include)
        self._exclude = compile_globs(exclude) if exclude else None
        self._beyond: set[int] = set()
        """Hashes of the keys that are selected, and whose objects are beyond a limit."""

    def __call__(self, key: str) -> bool:
        """Return whether the key of a file is selected."""
        return self.in_any_shard(key) and self.is_own(key)

    def is_own(self, key: str) -> bool:
        """Return whether the key, if it is selected at all, is in the shard of this run."""
        return self.shard is None or self.shard.has(key)

    def in_any_shard(self, key: str) -> bool:
        """Return whether the key of a file is selected by this run or by one of another shard."""
        name = key.rstrip("/")
        return (
            key.startswith(self._starts)
            and self._include.match(name) is not None
            and not (self._exclude and self._exclude.match(name))
        )

    @property
    def expected(self) -> Sequence[str]:
        """The prefixes that should have an object; "" stands for all keys."""
        return self.prefixes or [""]

    def takes(self, remote: RemoteObject) -> bool:
        """Return whether the object is selected."""
        return self.takes_in_any_shard(remote) and self.is_own(remote.key)

    def takes_in_any_shard(self, remote: RemoteObject) -> bool:
        """Return whether the object is selected by this run or by one of another shard."""
        if remote.key.endswith("/") and not remote.size:
            return False
        is_beyond = self.limits and self.limits.leave_out(remote)
        return self.in_any_shard(remote.key) and not is_beyond

    def taken_in_any_shard(self, objects: Sequence[RemoteObject]) -> Sequence[RemoteObject]:
        """Return those objects of a page that are selected by this run or by another shard's."""
        keys = [remote.key for remote in objects]
        if self.limits or "/\n" in "\n".join((*keys, "")):  # there may be a folder marker
            return [remote for remote in objects if self.takes_in_any_shard(remote)]
        if len(selected := self._in_any_shard(keys)) == len(keys):
            return objects
        kept = {*selected}
        return [remote for remote in objects if remote.key in kept]

    def own(self, objects: Sequence[RemoteObject]) -> Sequence[RemoteObject]:
        """Return those objects that are in the shard of this run."""
        if self.shard is None:
            return objects
        return [remote for remote in objects if self.is_own(remote.key)]

    def select(self, keys: Sequence[str]) -> Sequence[str]:
        """Return those of some keys of files that are selected."""
        selected = self._in_any_shard(keys)
        return selected if self.shard is None else [*filter(self.is_own, selected)]

    def _in_any_shard(self, keys: Sequence[str]) -> Sequence[str]:
        """Return those of some keys that are selected, none of which ends in `/`."""
        if not self._endings or self._exclude:
            return [*filter(self.in_any_shard, keys)]
        ends, starts = self._endings, self._starts
        if not starts:
            return [key for key in keys if key.endswith(ends)]
        return [key for key in keys if key.endswith(ends) and key.startswith(starts)]

    def note_left_out(self, objects: Sequence[RemoteObject]) -> Iterator[str]:
        """Yield the top-level prefix of each object that the globs or the limits leave out.

        A folder marker is none of them, with content or without, and no key of another shard.
        """
        for remote in objects:
            if remote.key.endswith("/"):
                continue
            if not self.in_any_shard(remote.key):
                yield remote.prefix
            elif self.limits and self.limits.leave_out(remote):
                self._beyond.add(key_hash(remote.key))
                yield remote.prefix

    def to_look_up(self) -> Sequence[str] | None:
        """Return the keys to look up, if they are named: those of this run's shard.

        And those of any shard that need a folder where one of these needs a file.
        """
        if self.keys is None or self.shard is None:
            return self.keys
        found: set[str] = set()
        for key in filter(self.is_own, self.keys):
            start, end = bisect_left(self.keys, f"{key}/"), bisect_left(self.keys, f"{key}/{LAST}")
            found.update((key, *self.keys[start:end]))
        return sorted(found)

    def is_beyond(self, key: str) -> bool:
        """Return whether an object of this key was left out by its size or time."""
        return bool(self._beyond) and key_hash(key) in self._beyond

    def needs_folder(self, remote: RemoteObject) -> bool:
        """Return whether the object gets a file, so that the folders in its path must exist.

        Whichever shard it is in, so that all agree.
        """
        return self.takes_in_any_shard(remote) and self._paths.has(remote.key)


class NamedSelection(Selection):
    """Keys that are named one by one.

    Args:
        keys: sorted, without repeats.
        prefixes, paths, limits, shard: as for any selection.
    """

    def __init__(
        self,
        keys: Sequence[str],
        prefixes: Sequence[str] = (),
        paths: Paths = PLAIN,
        limits: Limits | None = None,
        shard: Shard | None = None,
    ) -> None:
        super().__init__(["*"], [], prefixes, paths, limits, shard)
        self._endings = ()
        self.keys: Sequence[str] = keys

    @property
    def expected(self) -> Sequence[str]:
        """No prefix: each key that is absent is told of by itself."""
        return []

    def in_any_shard(self, key: str) -> bool:
        """Return whether the key of a file is one of those that are named."""
        place = bisect_left(self.keys, key)
        return place < len(self.keys) and self.keys[place] == key
