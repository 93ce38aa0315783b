"""A page of the listing and the files on disk in, transfers out.

Read `check.py` first: all pages of a run. `compare.py` compares one page with the disk, for the
keys that `selection.py` selects; `hints.py` says which globs match nothing. `here.py` says what is
here already of the objects to fetch. `collisions.py` decides which key gets a path that two keys
need, and `names.py` does so where the file system treats two names as the same. `space.py` adds up
whether everything fits on the disk, and what goes to others.

Nothing here sends a request or writes a file.
"""

from asyncsync.compare.check import Check, ComparedHandler, PlanCheck
from asyncsync.compare.compare import compare_page
from asyncsync.compare.hints import Hints
from asyncsync.compare.names import in_order
from asyncsync.compare.selection import NamedSelection, Selection
from asyncsync.compare.space import OtherDisks, Space

__all__ = [
    "Check",
    "ComparedHandler",
    "Hints",
    "NamedSelection",
    "OtherDisks",
    "PlanCheck",
    "Selection",
    "Space",
    "compare_page",
    "in_order",
]
