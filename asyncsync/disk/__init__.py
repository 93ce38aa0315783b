"""The local side: files below the destination, and the state of the runs beside them.

Read `folder.py` first: the destination as the stages see it. An object's bytes go into an
unfinished file (`parts.py`, on the right disk by `mounts.py`) and get their final name in
`publish.py`, many at a time in `batches.py`, and with `--durable` synced by `durable.py`.
`published.py` and `unsynced.py` remember which files were made here, and which a power cut may have
taken. `directory.py` opens folders without following links, `lock.py` keeps a second run out, and
`folding.py` finds out which names the file system takes for one.

Nothing here knows of requests, and nothing is written outside the destination.
"""

from asyncsync.disk.directory import LocalFile
from asyncsync.disk.folder import Folder
from asyncsync.disk.folding import Folding, mark, probe
from asyncsync.disk.lock import hold_lock
from asyncsync.disk.mounts import mounted
from asyncsync.disk.parts import PART, PartFile, spans

__all__ = [
    "PART",
    "Folder",
    "Folding",
    "LocalFile",
    "PartFile",
    "hold_lock",
    "mark",
    "mounted",
    "probe",
    "spans",
]
