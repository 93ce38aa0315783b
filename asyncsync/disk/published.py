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
edited. Of several records of one key, the last says from which bucket its file is.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress

from asyncsync.disk.directory import Directory
from asyncsync.disk.place import Place
from asyncsync.disk.records import HEADER, Records, hash_of, ordered
from asyncsync.disk.sources import Sources, noted_in

NAME = "published"
MOST_OTHERS_BYTES = 1 << 26
"""Bytes that are read of another user's records."""
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
        self._record(keys, _mask(self.sources.current, self.sources.own))

    def _record(self, keys: Iterable[str], mask: int) -> None:
        records = array("Q", [hash_of(key) ^ mask for key in keys]).tobytes()
        # With several buckets, earlier records would speak of files that are replaced from now on.
        self._records.append(records, or_forget=self.sources.is_mixed)

    def is_empty(self) -> bool:
        """Return whether this user has published nothing here that is known of."""
        return self._records.is_empty()

    def others(self) -> Iterator[Directory]:
        """Yield the state folders of other users who have published files here."""
        for state in self._place.others():
            if (found := state.look_up(NAME)) and found.size > HEADER.size:
                yield state

    def known(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys that were published here, from whatever bucket.

        May be called in any thread.
        """
        if self._hashes is None:
            hashes = array("Q")
            with suppress(OSError):
                hashes = self._read()
            for state in self._place.others():
                hashes += self._read_other(state)
            hashes = array("Q", sorted(hashes)) if hashes else hashes
            self._hashes = hashes  # only once it is complete, for calls in other threads
        masks = {0, *map(_name_mask, [ANY, *self.sources.own, *self.sources.others])}
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

        This user has published them last from there, as far as these records tell, and no other
        user from elsewhere. May be called in any thread.
        """
        if self._origins is None:
            records = array("Q")
            with suppress(OSError):
                records = self._read()
            others = [
                (self._read_other(state), noted)
                for state in self._place.others()
                if (noted := noted_in(state))
            ]
            self._origins = _Origins(records, self.sources.own, others)
        current = self.sources.current
        return {key for key in keys if self._origins.are_only(hash_of(key), current)}

    def _read(self) -> "array[int]":
        """Return the records in their order."""
        return array("Q", self._records.read())

    def _read_other(self, state: Directory) -> "array[int]":
        """Return the records of another user."""
        content = state.read(NAME, MOST_OTHERS_BYTES) or b""
        return array("Q", self._records.parse(content, state.status().st_ino))


def _name_mask(source: str) -> int:
    return hash_of(f"{source}\0")


def _mask(source: str, noted: Sequence[str]) -> int:
    """Return what tells a source's records from those of others in a user's file.

    The first that was noted has none: records are as they were before sources were noted.
    """
    return 0 if not source or noted[:1] in ([], [source]) else _name_mask(source)


def _masks(noted: Sequence[str]) -> dict[str, int]:
    return {**{source: _mask(source, noted) for source in noted}, ANY: _name_mask(ANY)}


class _Origins:
    """From which bucket each key's file is.

    Args:
        records: of this user, in their order.
        noted: the sources of these records.
        others: the same of other users.
    """

    def __init__(
        self,
        records: "array[int]",
        noted: Sequence[str],
        others: Iterable[tuple["array[int]", Sequence[str]]],
    ) -> None:
        self._records = records
        self._order = array("Q", ordered(records))
        self._masks = _masks(noted)
        self._others = [(array("Q", sorted(theirs)), _masks(known)) for theirs, known in others]

    def are_only(self, key: int, source: str) -> bool:
        """Return whether the file of the key with this hash is from this source."""
        last = {name: self._find_last(key ^ mask) for name, mask in self._masks.items()}
        mine = last.pop(source, -1)
        if mine < 0 or any(other > mine for other in last.values()):
            return False
        return not any(
            name != source and _contains(records, key ^ mask)
            for records, masks in self._others
            for name, mask in masks.items()
        )

    def _find_last(self, record: int) -> int:
        """Return where a record is for the last time; -1 if it is nowhere."""
        index = bisect_right(self._order, record, key=self._records.__getitem__)
        if index and self._records[self._order[index - 1]] == record:
            return self._order[index - 1]
        return -1


def _contains(ascending: "array[int]", value: int) -> bool:
    index = bisect_left(ascending, value)
    return index < len(ascending) and ascending[index] == value
