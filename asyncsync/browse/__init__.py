"""A look into the bucket, and one object out of it: `ls`, `du` and `get`.

Read `entries.py` first: what is told of an object and of a folder. `ls.py` lists what lies below a
prefix, `du.py` adds it up, and `get.py` fetches one object; `nearest.py` guesses what was meant by
a key that is not there, and `events.py` writes what is found as JSON objects. Each is a command of
the pipeline's kind: it works on a `Job`.

Nothing here writes to the destination.
"""

from asyncsync.browse.du import du
from asyncsync.browse.entries import (
    Entry,
    ListedFolder,
    ListedObject,
    State,
    Usage,
    usage_of_all,
)
from asyncsync.browse.events import end_json, entry_json, usage_json
from asyncsync.browse.get import file_for, get
from asyncsync.browse.ls import MOST_LEVELS, Show, ls

__all__ = [
    "MOST_LEVELS",
    "Entry",
    "ListedFolder",
    "ListedObject",
    "Show",
    "State",
    "Usage",
    "du",
    "end_json",
    "entry_json",
    "file_for",
    "get",
    "ls",
    "usage_json",
    "usage_of_all",
]
