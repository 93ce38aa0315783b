"""File systems on which two names are one: by their case, or by the form of their letters.

Two empty files in the state folder tell which the destination's is: where one of them is found
under its twin's name as well, names fold. They are made once and stay, so that `plan` and `verify`,
which write nothing, can look as well; before the first sync these know of no folding.

Where names fold, the keys that would get one file are told apart here: of those that a run covers,
the first in the order of their bytes gets the path, whatever the file there is called by now, and
every other one is refused, in each run the same. So the bucket is listed in that order, one page
after the other, and about a hundred bytes of each key are kept. Where names stay apart, as on
Linux they mostly do, all this costs is a look at the two files.

What counts as one is rather too much than too little: `ß` and `ss` are, which some file systems
keep apart. A disk that is mounted inside the destination is taken to be like it.
"""

import errno
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

CASE = ("case", "CASE")
FORM = ("\u00e9", "e\u0301")
"""A file's name, and its twin's, which nobody gives to a file."""
_NO_NAME = {errno.EINVAL, errno.EILSEQ}
"""What a file system answers that takes ASCII only."""


@dataclass(frozen=True, slots=True)
class Folding:
    """What makes no difference between two names."""

    cases: bool
    forms: bool
    """Such as an `é` of one character and one of two."""

    def __bool__(self) -> bool:
        """Return whether any two names are one."""
        return self.cases or self.forms

    def fold(self, path: str) -> str:
        """Return what all the paths have in common that are one."""
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
    for name, twin in (CASE, FORM):
        try:
            if not os.path.lexists(folder / name):
                (folder / twin).unlink(missing_ok=True)  # a copy may have brought it
                (folder / name).touch(mode=0o600)
        except UnicodeEncodeError:
            pass
        except OSError as error:
            if error.errno not in _NO_NAME:
                raise


def probe(folder: Path) -> Folding:
    """Return how the file system folds names, as far as a `mark` in the folder tells."""
    return Folding(
        *(
            os.path.lexists(folder / name) and os.path.lexists(folder / twin)
            for name, twin in (CASE, FORM)
        )
    )
