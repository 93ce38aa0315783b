"""Which of several shards a key belongs to: the same on every machine and in every version.

The rule is a promise, so that others can compute it as well: take the SHA-256 of the key's bytes,
read its first eight bytes as a number, the most significant first, and divide it by the count of
the shards. The remainder is the number of the shard, counted from 0; `I/N` counts from 1.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

MOST_SHARDS = 4096
"""Shards of one run at most."""

_WRITTEN = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", re.ASCII)
_NAME = re.compile(r"([1-9][0-9]{0,3})-of-([1-9][0-9]{0,3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of the disjoint parts that a run is split into."""

    number: int
    """From 1 to `count`."""
    count: int
    """How many shards there are."""

    def __post_init__(self) -> None:
        """Refuse what is no shard.

        Raises:
            ValueError: there is no such shard, or there are too many of them.
        """
        if not 1 <= self.number <= self.count <= MOST_SHARDS:
            raise ValueError(
                f"{self} is no shard: it is I/N, where I is from 1 to N, and N at most "
                f"{MOST_SHARDS:,}"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that is written as `I/N`.

        Raises:
            ValueError: it is not written so, or there is no such shard.
        """
        if not (found := _WRITTEN.fullmatch(text.strip())):
            raise ValueError(f"{text!r} is no shard; write I/N, such as 2/8, with I from 1 to N")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def named(cls, name: str) -> Self | None:
        """Return the shard that a file or folder is named after; None if it is named otherwise."""
        found = _NAME.fullmatch(name)
        try:
            return cls(int(found[1]), int(found[2])) if found else None
        except ValueError:
            return None

    @property
    def name(self) -> str:
        """What a file or folder of this shard is called, as `2-of-8`."""
        return f"{self.number}-of-{self.count}"

    def has(self, key: str) -> bool:
        """Return whether the key belongs to this shard."""
        digest = hashlib.sha256(_bytes_of(key), usedforsecurity=False).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.number}/{self.count}"


def _bytes_of(key: str) -> bytes:
    """Return the bytes of a key; a surrogate stands for one that is not valid UTF-8."""
    try:
        return key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # other surrogates, which no bucket has sent
        return key.encode("utf-8", "surrogatepass")
