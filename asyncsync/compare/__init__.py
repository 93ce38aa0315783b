"""A page of the listing and the files on disk in, transfers out.

Read `check.py` first: all pages of a run. `compare.py` compares one page with one look at the disk,
for the keys that `selection.py` selects. `collisions.py` decides which of two keys gets a path that
both need, `names.py` does it where the file system takes two names for one, and `space.py` adds up
whether everything fits on the disk.

Nothing here sends a request or writes a file.
"""

from asyncsync.compare.check import Check, PlanCheck, Then
from asyncsync.compare.names import in_order
from asyncsync.compare.selection import Selection
from asyncsync.compare.space import Space

__all__ = ["Check", "PlanCheck", "Selection", "Space", "Then", "in_order"]
