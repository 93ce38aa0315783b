"""Which keys' files were published here, to tell an edited file from one of another tool.

A published file has its object's LastModified. A younger file either was edited since, or comes
from another tool, which left the time of the download: the first is out of date, the second is not.
So each key is recorded in `published` in the state folder when its file gets its name. The records
are read only when a run meets a younger file: a run that finds everything up to date reads none.
The records of other users, as far as this one can read them, count as well.

A record (`records.py`) is an 8-byte hash of the key and, where files are here from several buckets
(`sources.py`), of the bucket. Two keys with the same hash could only be crafted, and would cost one
needless download. The hash is written before the file gets its name. A kill between the two leaves
a record of a file that will be fetched anyway. With several buckets, it would say of another one's
file that it is this one's. So the record before says only that the file may be of any, and another
one afterwards of which it is. Where records cannot be written or read, files are treated like those
of another tool, as they are in a copy of the folder, where the records would call every file
edited. Of several records of one key, the last says from which bucket its file is; where shards and
whole runs say several, none is believed.

Records of the first bucket that was noted leave out its hash, as they did before buckets were
noted. But a shard's never do: one day they stand among those of whole runs, where another bucket
may have been the first.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state.place import Place
from asyncsync.disk.state.records import HEADER, Records, hash_of, ordered
from asyncsync.disk.state.sources import Sources, noted_in

NAME = "published"
MOST_OTHERS_BYTES = 1 << 26
"""Bytes that are read of another user's records, of whole runs or of a shard."""
MOST_OTHERS_BYTES_IN_ALL = 1 << 28
"""Bytes that are read of the records of all other users, who may have thousands of shards."""
ANY = "\0"
"""Stands for a bucket in a record of a file that may be of any."""


class Published:
    """The records of one destination. All calls block.

    Args:
        place: the destination.
        sources: the buckets that the files here are from.
    """

    def __init__(self, place: Place, sources: Sources | None = None) -> None:
        self._place = place
        self._records = Records(place, NAME, b"asyncpub")
        self._is_whole = place.shard is None
        self.sources = sources or Sources(place)
        self._hashes: array[int] | None = None
        self._origins: _Origins | None = None

    def writing(self) -> AbstractContextManager[None]:
        """Record keys inside this context; only one run at a time should."""
        return self._records.writing()

    def expect(self, keys: Iterable[str]) -> None:
        """Record that the keys' files are about to be published; see `confirm`."""
        if self.sources.is_mixed:
            self._record(keys, _name_mask(ANY))
        else:
            self.add(keys)

    def confirm(self, keys: Iterable[str]) -> None:
        """Record that they are published."""
        if self.sources.is_mixed:
            self.add(keys)

    def add(self, keys: Iterable[str]) -> None:
        """Record keys whose files are from the bucket of this run."""
        current = self.sources.current
        is_plain = not current or (self._is_whole and self.sources.own[:1] in ([], [current]))
        self._record(keys, 0 if is_plain else _name_mask(current))

    def _record(self, keys: Iterable[str], mask: int) -> None:
        records = array("Q", [hash_of(key) ^ mask for key in keys]).tobytes()
        # With several buckets, earlier records would speak of files that are replaced from now on.
        self._records.append(records, or_forget=self.sources.is_mixed)

    def is_empty(self) -> bool:
        """Return whether this user has published nothing here that is known of."""
        return self._records.is_empty()

    def others(self) -> Iterator[Directory]:
        """Yield the state folders of others who have published files here; see `Place.doubtful`."""
        for state in self._place.doubtful():
            if (found := state.look_up(NAME)) and found.size > HEADER.size:
                yield state

    def known(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys that were published here, from whatever bucket.

        May be called in any thread.
        """
        if self._hashes is None:
            hashes = self._read()
            for _, records in self._read_others():
                hashes += records
            hashes = array("Q", sorted(hashes)) if hashes else hashes
            self._hashes = hashes  # only once it is complete, for calls in other threads
        noted = [*self.sources.noted, *self.sources.others]
        masks = {0, *map(_name_mask, [ANY, self.sources.current, *noted])}
        return {
            key
            for key in keys
            if any(_contains(self._hashes, hash_of(key) ^ mask) for mask in masks)
        }

    def made_by_others(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys whose files were not published here.

        None where nothing was recorded, or records had to be dropped: they would tell too little.
        """
        known = self.known(keys)
        return set(keys) - known if self._hashes and self._hashes[0] else set()

    def from_current(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys whose files are from the bucket of this run.

        This user has published them last from there, as far as all of its records tell, and no
        other user from elsewhere. May be called in any thread.
        """
        if self._origins is None:
            whole, shards = self._records.layers()
            own = self.sources.noted
            self._origins = _Origins(
                [_Layer(array("Q", records), own) for records in (whole, *shards)],
                [
                    _Layer(records, noted)
                    for state, records in self._read_others()
                    if records and (noted := noted_in(state))
                ],
            )
        current = self.sources.current
        return {key for key in keys if self._origins.are_only(hash_of(key), current)}

    def take_over(self) -> None:
        """Take over what shards have recorded; call it inside `writing`, when none works here.

        Raises:
            OSError: it cannot be written.
        """
        self._records.take_over()

    def _read(self) -> "array[int]":
        """Return all records of this user that may be of this run's keys."""
        whole, shards = self._records.layers()
        return array("Q", b"".join([whole, *shards]))

    def _read_others(self) -> "Iterator[tuple[Directory, array[int]]]":
        """Yield the state folders of other users, each with its records; see `Place.others`."""
        left = MOST_OTHERS_BYTES_IN_ALL
        for state in self._place.others():
            content = state.read(NAME, min(MOST_OTHERS_BYTES, left)) or b""
            left -= len(content)
            yield state, array("Q", self._records.parse(content, state.status().st_ino))


def _name_mask(source: str) -> int:
    return hash_of(f"{source}\0")


class _Layer:
    """The records of one user, of whole runs or of a shard, in their order.

    Args:
        records: each a hash, and what tells a bucket's from those of others.
        noted: the buckets that they may be of, the first in front.
    """

    def __init__(self, records: "array[int]", noted: Sequence[str]) -> None:
        self._records = records
        self._order = array("Q", ordered(records))
        self._masks = {ANY: [_name_mask(ANY)]} | {name: [_name_mask(name)] for name in noted}
        for first in noted[:1]:
            self._masks[first].append(0)

    def last(self, key: int) -> str | None:
        """Return the bucket that the last record of the key with this hash says; None for none."""
        places = {
            max(self._find_last(key ^ mask) for mask in masks): name
            for name, masks in self._masks.items()
        }
        return places[place] if (place := max(places)) >= 0 else None

    def has_other(self, key: int, source: str) -> bool:
        """Return whether any record says that the file of the key may be of another bucket."""
        others = (masks for name, masks in self._masks.items() if name != source)
        return any(self._find_last(key ^ mask) >= 0 for masks in others for mask in masks)

    def _find_last(self, record: int) -> int:
        """Return where a record is for the last time; -1 if it is nowhere."""
        index = bisect_right(self._order, record, key=self._records.__getitem__)
        if index and self._records[self._order[index - 1]] == record:
            return self._order[index - 1]
        return -1


class _Origins:
    """From which bucket each key's file is.

    Args:
        own: what this user has recorded, in whole runs and in shards.
        others: the same of other users.
    """

    def __init__(self, own: Sequence[_Layer], others: Sequence[_Layer]) -> None:
        self._own = own
        self._others = others

    def are_only(self, key: int, source: str) -> bool:
        """Return whether the file of the key with this hash is from this source."""
        found = {layer.last(key) for layer in self._own} - {None}
        return found == {source} and not any(layer.has_other(key, source) for layer in self._others)


def _contains(ascending: "array[int]", value: int) -> bool:
    index = bisect_left(ascending, value)
    return index < len(ascending) and ascending[index] == value
