"""Prefixes in, pages of `RemoteObject`s out.

Read `listing.py` first: all prefixes, several at the same time. `ranges.py` cuts a long one into
ranges (`keyrange.py`), at keys that `landmarks.py` takes from the files that exist already,
`outline.py` from the folders, and `cuts.py` from the keys so far; `chain.py` is for servers whose
order cannot be relied on. `paging.py` follows one chain of pages, and checks that it ends.
`since.py` remembers where the last run's listing ended.

Nothing here knows which objects are missing.
"""

from asyncsync.listing.landmarks import Landmarks
from asyncsync.listing.listing import list_in_order, list_objects, without_overlap
from asyncsync.listing.paging import Paging, has_object
from asyncsync.listing.since import Scope, Since

__all__ = [
    "Landmarks",
    "Paging",
    "Scope",
    "Since",
    "has_object",
    "list_in_order",
    "list_objects",
    "without_overlap",
]
