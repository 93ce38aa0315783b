"""Where the keys of a bucket probably are: about where the files are that exist already.

Most runs find nearly all objects up to date. Then the files show how to cut a long listing into
pieces of similar size from its first page on, which the keys of one or two pages cannot show. A few
of their names are enough, evenly spread over all of them. What has changed since then makes a piece
longer or shorter, but never loses a key.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from asyncsync.listing.cuts import can_be_asked

MOST_SAMPLES = 2048
MIN_FILES = 2000
"""Files in a piece that is worth a cut: two pages of a listing."""


class Landmarks:
    """A sample of the keys that have files.

    Args:
        min_files: the least number of files between two cuts.
    """

    def __init__(self, min_files: int = MIN_FILES) -> None:
        self._min_files = min_files
        self._samples: list[str] = []
        self._stride = 1
        """Every how many matching files one is sampled."""
        self._skipped = 0
        self._keys: list[str] = []

    def recording(
        self, select: Callable[[Sequence[str]], Sequence[str]]
    ) -> Callable[[Sequence[str]], Sequence[str]]:
        """Return a function that does what `select` does, and samples the keys that it selects.

        It may be called in a thread, until `complete` is called.
        """

        def record(keys: Sequence[str]) -> Sequence[str]:
            selected = select(keys)
            place = 0
            while (place := place + self._stride - self._skipped) <= len(selected):
                self._skipped = 0
                self._samples.append(selected[place - 1])
                if len(self._samples) == MOST_SAMPLES:
                    del self._samples[::2]
                    self._stride *= 2
            self._skipped = len(selected) - (place - self._stride)
            return selected

        return record

    def complete(self) -> None:
        """Start to return cuts: all files have been recorded."""
        # A count that was repeated has sampled some names twice.
        self._keys = sorted(set(filter(can_be_asked, self._samples)))
        self._samples.clear()

    def cuts(self, last: str, until: str, most: int) -> list[str]:
        """Return at most `most` keys, after `last` and before `until`, that cut this range.

        They are in ascending order. There are none before `complete`, or if too few files are
        known.
        """
        start, end = bisect_right(self._keys, last), bisect_left(self._keys, until)
        known = end - start
        pieces = 1 + min(most, known * self._stride // self._min_files, known)
        return [self._keys[start + known * piece // pieces] for piece in range(1, pieces)]
