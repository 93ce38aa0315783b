"""Whether the file system treats two names as one: by their case, or by their Unicode form.

Two empty files in the state folder tell. Where one of them can also be found under its other
spelling, the file system folds names. `mark` makes the files once and they stay, so that `plan` and
`verify`, which write nothing, can look at them. Before the first sync there are none, and no
folding is assumed.

`fold` treats too many names as equal rather than too few: `ß` and `ss` are equal here, although
some file systems keep them apart. A disk that is mounted inside the destination is assumed to fold
names as the destination does. What happens to keys that fold to one path is decided in
`compare/names.py`.
"""

import errno
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

CASE = ("case", "CASE")
FORM = ("\u00e9", "e\u0301")
"""The name of the file, and its other spelling, which no file is given."""
_INVALID_NAME = {errno.EINVAL, errno.EILSEQ}
"""How a file system that stores only ASCII names refuses another one."""


@dataclass(frozen=True, slots=True)
class Folding:
    """Which differences between two names the file system ignores."""

    cases: bool
    """Upper and lower case."""
    forms: bool
    """Unicode normalization: an `é` may be one code point or two."""

    def __bool__(self) -> bool:
        """Return whether it ignores any difference."""
        return self.cases or self.forms

    def fold(self, path: str) -> str:
        """Return a form of the path that is the same for all paths of one file."""
        if self.forms:
            path = unicodedata.normalize("NFD", path)
        if self.cases:
            path = path.casefold()
        return unicodedata.normalize("NFD", path) if self.forms else path


def mark(folder: Path) -> None:
    """Make the files that `probe` looks at, where they are missing.

    Raises:
        OSError: no file can be made there.
    """
    for name, other in (CASE, FORM):
        try:
            if not os.path.lexists(folder / name):
                # When the folder was copied from another disk, that may have changed the spelling.
                (folder / other).unlink(missing_ok=True)
                (folder / name).touch(mode=0o600)
        except UnicodeEncodeError:
            pass
        except OSError as error:
            if error.errno not in _INVALID_NAME:
                raise


def is_marked(folder: Path) -> bool:
    """Return whether the files that `probe` looks at are all there."""
    return all(os.path.lexists(folder / name) for name, _ in (CASE, FORM))


def probe(folder: Path) -> Folding:
    """Return how the file system folds names, as far as the files that `mark` made tell."""
    return Folding(
        *(
            os.path.lexists(folder / name) and os.path.lexists(folder / other)
            for name, other in (CASE, FORM)
        )
    )
