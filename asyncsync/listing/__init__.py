"""Prefixes in, pages of `RemoteObject`s out.

Read `listing.py` first: all prefixes, several at the same time. `ranges.py` cuts a long one into
ranges (`keyrange.py`; what each has shown is in `hashes.py`), at keys that `landmarks.py` takes
from the files that exist already, `outline.py` from the folders, and `cuts.py` from the keys so
far; `chain.py` is for servers whose order cannot be relied on. `paging.py` follows one chain of
pages, and checks that it ends. `named.py` looks up keys that are given one by one. `incremental.py`
remembers where the last run's listing ended.

Nothing here knows which objects are missing.
"""

from asyncsync.listing.incremental import Incremental, Scope
from asyncsync.listing.landmarks import MIN_FILES, Landmarks
from asyncsync.listing.listing import list_in_order, list_objects, without_overlap
from asyncsync.listing.named import has_named, list_named
from asyncsync.listing.paging import Paging, has_object

__all__ = [
    "MIN_FILES",
    "Incremental",
    "Landmarks",
    "Paging",
    "Scope",
    "has_named",
    "has_object",
    "list_in_order",
    "list_named",
    "list_objects",
    "without_overlap",
]
