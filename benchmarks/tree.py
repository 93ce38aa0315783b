"""A bucket of millions of keys that is generated as it is read: nothing is held for each key.

Twenty measuring stations write a file a minute, each day into a folder of its own, such as
`hub-07/2024/02/29/20240229T2359Z.parquet`. The key of a number, its size, ETag and time are worked
out from the number, and so is the number of a key. All entries of a folder in a listing are one
template, so that a page of a thousand takes about half a millisecond.
"""

import os
import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain, islice, repeat
from pathlib import Path
from typing import overload

STATIONS = 20
IN_FOLDER = 1440
"""Files of a day: one a minute."""
AFTER_ALL = "\U0010ffff"
"""Sorts after all keys."""

_FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_DRAW = random.Random("tree")
_SIZES = [_DRAW.randint(200, 2_000) for _ in range(IN_FOLDER)]
_SECONDS = [_DRAW.randint(1, 59) for _ in range(IN_FOLDER)]
"""When in its minute each file was uploaded."""
_TAGS = [f"{_DRAW.getrandbits(64):016x}" for _ in range(IN_FOLDER)]
"""The second half of each ETag; the first half is the folder's."""
_ENTRIES = [
    f"<Contents><Key>@{minute // 60:02}{minute % 60:02}Z.parquet</Key><LastModified>"
    f"#{minute // 60:02}:{minute % 60:02}:{_SECONDS[minute]:02}.000Z</LastModified><ETag>&quot;"
    f"${_TAGS[minute]}&quot;</ETag><Size>{_SIZES[minute]}</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
    for minute in range(IN_FOLDER)
]
"""How a page shows each file of a folder; `@`, `#` and `$` stand for what is the folder's."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """What all keys of a folder share."""

    path: str
    """It ends in a slash."""
    name: str
    """How all names in it begin."""
    day: str
    """How their times begin."""
    seconds: int
    """When the day began, in seconds since the epoch."""
    tag: str
    """How their ETags begin."""


class Tree(Sequence[str]):
    """The keys of the bucket, in their order.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._days = max(1, -(-count // (STATIONS * IN_FOLDER)))
        self.folder = lru_cache(4096)(self._folder)
        """Returns the folder of a number, from 0 on."""

    def _folder(self, number: int) -> _Folder:
        station, day = divmod(number, self._days)
        begin = _FIRST_DAY + timedelta(days=day)
        tag = f"{random.Random(number).getrandbits(64):016x}"
        path = f"hub-{station:02}/{begin:%Y/%m/%d}/"
        seconds = int(begin.timestamp())
        return _Folder(path, f"{begin:%Y%m%d}T", f"{begin:%Y-%m-%d}T", seconds, tag)

    def key(self, number: int) -> str:
        """Return the key of a number, from 0 on."""
        folder, minute = self.folder(number // IN_FOLDER), number % IN_FOLDER
        return f"{folder.path}{folder.name}{minute // 60:02}{minute % 60:02}Z.parquet"

    @property
    def folders(self) -> int:
        """How many folders have files."""
        return -(-self._count // IN_FOLDER)

    def __eq__(self, other: object) -> bool:
        """Return whether it has the same keys."""
        return isinstance(other, Tree) and len(self) == len(other)

    def __hash__(self) -> int:
        """Return what is the same for trees of the same keys."""
        return hash(self._count)

    def __len__(self) -> int:
        """Return the number of keys."""
        return self._count

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        """Return a key, or several."""
        numbers = range(self._count)[place]
        return self.key(numbers) if isinstance(numbers, int) else [*map(self.key, numbers)]

    @property
    def size(self) -> int:
        """Bytes of all objects."""
        sizes = chain.from_iterable(repeat(_SIZES, self.folders))
        return sum(islice(sizes, self._count))

    def entries(self, start: int, stop: int) -> Iterator[str]:
        """Yield the entries of a page for the keys with these numbers, a folder at a time."""
        while start < stop:
            number, minute = divmod(start, IN_FOLDER)
            folder, most = self.folder(number), stop - start
            entries = "".join(_ENTRIES[minute : minute + most])
            entries = entries.replace("@", folder.path + folder.name)
            yield entries.replace("#", folder.day).replace("$", folder.tag)
            start = (number + 1) * IN_FOLDER

    def between(self, prefix: str, after: str, most: int) -> tuple[int, int, bool]:
        """Return the first number of a page without a delimiter, and the one behind its last.

        And whether more follow.
        """
        start = max(bisect_left(self, prefix), bisect_right(self, after))
        end = bisect_left(self, prefix + AFTER_ALL) if prefix else self._count
        stop = max(start, min(end, start + most))
        return start, stop, stop < end

    def write(self, directory: Path) -> None:
        """Make a copy: each file has its size and time, and takes no blocks."""
        for number in range(self.folders):
            folder = self.folder(number)
            path = directory / folder.path
            path.mkdir(parents=True, exist_ok=True)
            held = os.open(path, os.O_RDONLY)
            try:
                for minute in range(min(IN_FOLDER, self._count - number * IN_FOLDER)):
                    name = f"{folder.name}{minute // 60:02}{minute % 60:02}Z.parquet"
                    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=held)
                    os.ftruncate(file, _SIZES[minute])
                    modified = folder.seconds + 60 * minute + _SECONDS[minute]
                    os.utime(file, (modified, modified))
                    os.close(file)
            finally:
                os.close(held)
