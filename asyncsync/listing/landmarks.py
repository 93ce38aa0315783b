"""Where the keys of a bucket are likely to lie: about where the files lie that are here already.

Most runs find nearly all objects in step. Then the files tell how to cut a long listing into like
pieces from its first page on, which the keys of a page or two cannot tell. A few of their names are
enough, evenly spread over all; what has changed since costs a piece of another size, never a key.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable

MOST = 2048
PIECE = 2000
"""Files of a piece that is worth a cut: two pages of a listing."""


class Landmarks:
    """Some of the keys that have files.

    Args:
        piece: files between two cuts at least.
    """

    def __init__(self, piece: int = PIECE) -> None:
        self._piece = piece
        self._noted: list[str] = []
        self._stride = 1
        self._passed = 0
        self._keys: list[str] = []

    def along(self, matches: Callable[[str], bool]) -> Callable[[str], bool]:
        """Return a function that does what `matches` does, and notes some of what matches."""

        def noting(key: str) -> bool:
            if not matches(key):
                return False
            self._passed += 1
            if self._passed == self._stride:
                self._passed = 0
                self._noted.append(key)
                if len(self._noted) == MOST:
                    del self._noted[::2]
                    self._stride *= 2
            return True

        return noting

    def settle(self) -> None:
        """Begin to give cuts: all files were passed."""
        self._keys = sorted(filter(_is_text, self._noted))
        self._noted.clear()

    def cuts(self, last: str, until: str, most: int) -> list[str]:
        """Return up to `most` keys behind `last` and before `until` that cut what lies there.

        They are ascending, and none where too little is known.
        """
        start, end = bisect_right(self._keys, last), bisect_left(self._keys, until)
        known = end - start
        pieces = 1 + min(most, known * self._stride // self._piece, known)
        return [self._keys[start + known * piece // pieces] for piece in range(1, pieces)]


def _is_text(key: str) -> bool:
    """Return whether a listing can be asked for what lies behind the key."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
