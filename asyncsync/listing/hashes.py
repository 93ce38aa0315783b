"""Hashes of the keys that the ranges have shown: the last in memory, all others in a file.

They are read again only where the server's order cannot be relied on, or where a few keys are
missing at the end. So memory does not grow with the listing, which may have tens of millions.
"""

import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator
from io import FileIO

from asyncsync.errors import DestinationError

MOST_HELD = 4096
"""Of a range, in memory: eight bytes each, where a set takes a hundred."""


class Spill:
    """An unnamed file of the system's temporary folder, for the hashes of all ranges."""

    def __init__(self) -> None:
        self._file: FileIO | None = None
        self._end = 0
        self._is_full = False

    def write(self, numbers: "array[int]") -> int | None:
        """Return the place where the numbers are written; None if they cannot be."""
        if self._is_full:
            return None
        content, place = numbers.tobytes(), self._end
        try:
            if self._file is None:
                # It must be open as long as the listing, so no `with` can hold it.
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
                weakref.finalize(self, self._file.close)
            self._file.seek(place)
            self._is_full = self._file.write(content) < len(content)
        except OSError:
            self._is_full = True
        if self._is_full:
            return None  # they stay in memory
        self._end += len(content)
        return place

    def read(self, place: int, count: int) -> "array[int]":
        """Return so many numbers from a place.

        Raises:
            DestinationError: they cannot be read.
        """
        found = array("q")
        try:
            if self._file:
                self._file.seek(place)
                found.frombytes(self._file.read(count * found.itemsize))
        except (OSError, ValueError) as error:  # the second: a part of a number
            raise DestinationError(_unreadable(error)) from error
        if len(found) < count:
            raise DestinationError(_unreadable("it ends too early"))
        return found


class Hashes:
    """The hashes of one range, in the order in which the keys were shown.

    Args:
        spill: where all but the last are.
    """

    def __init__(self, spill: Spill) -> None:
        self._spill = spill
        self._held = array("q")
        self._written: list[tuple[int, int]] = []
        """The place and the number of those that were written at once."""

    def extend(self, hashes: Iterable[int]) -> None:
        """Add hashes."""
        self._held.extend(hashes)
        if len(self._held) >= MOST_HELD and (place := self._spill.write(self._held)) is not None:
            self._written.append((place, len(self._held)))
            self._held = array("q")

    def __iter__(self) -> Iterator[int]:
        """Yield all hashes.

        Raises:
            DestinationError: those in the file cannot be read.
        """
        for place, count in self._written:
            yield from self._spill.read(place, count)
        yield from self._held


def _unreadable(why: object) -> str:
    folder = tempfile.gettempdir()
    return f"{folder}: what the listing has shown cannot be read again from a file there: {why}"
