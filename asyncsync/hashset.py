"""The hashes of very many keys, in eleven bytes each. A set of Python's takes some eighty."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

_BUCKETS = 4096
"""Arrays among which hashes are spread by their last bits, so that each is sorted by itself."""


class HashSet:
    """A set of the numbers that `key_hash` returns: first all are added, then they are looked up.

    It may be looked through in another thread than that which has filled it.
    """

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(_BUCKETS)]
        self._sorted: set[int] = set()
        """The places of the buckets that are in order, since something was looked up in them."""

    def update(self, hashes: Iterable[int]) -> None:
        """Add hashes."""
        self._sorted.clear()
        for each in hashes:
            self._buckets[each % _BUCKETS].append(each)

    def __contains__(self, hashed: object) -> bool:
        """Return whether it was added."""
        if not isinstance(hashed, int):
            return False
        bucket = self._bucket(hashed % _BUCKETS)
        place = bisect_left(bucket, hashed)
        return place < len(bucket) and bucket[place] == hashed

    def _bucket(self, place: int) -> "array[int]":
        """Return the bucket in order."""
        if place not in self._sorted:
            self._buckets[place] = array("q", sorted(self._buckets[place]))
            self._sorted.add(place)
        return self._buckets[place]
