"""The local side: the files of the destination, and the state folder beside them.

Read `folder.py` first: the destination as the stages see it. Below it lie three rooms: `folders/`
opens and looks at folders, `parts/` has unfinished files, and `state/` what is known from earlier
runs, and which run may write; `runstate.py` opens that once a run begins to write. An object's
bytes go into an unfinished file, which `unfinished.py` opens. `publish.py` renames it to its path,
small files in `batches.py` many at a time; with `--durable`, `durable.py` syncs them first;
`backup.py` keeps what they replace, and `removal.py` removes files that were made here.
`handover.py` writes complete files in a mover, and `taking.py` gives them their names in the run
that it works for. `trial.py` finds out what can be done in a destination, and `single.py` takes one
object alone, to a file anywhere or to none.

Nothing here knows about requests, and a folder writes nothing outside the destination.
"""

from asyncsync.disk.backup import Backup
from asyncsync.disk.folder import Folder
from asyncsync.disk.folders.directory import UNCHANGED, LocalFile
from asyncsync.disk.folders.folding import Folding, mark, probe
from asyncsync.disk.handover import Handover, Terms
from asyncsync.disk.parts.journal import PART
from asyncsync.disk.parts.partfile import PartFile, spans
from asyncsync.disk.publish import Written
from asyncsync.disk.single import Held, SingleFile
from asyncsync.disk.state.lock import hold_lock
from asyncsync.disk.state.mounts import mounted
from asyncsync.disk.state.sign import Sign
from asyncsync.disk.trial import abandoned, check_free, disk_of, free_bytes, lacks_inodes, trial

__all__ = [
    "PART",
    "UNCHANGED",
    "Backup",
    "Folder",
    "Folding",
    "Handover",
    "Held",
    "LocalFile",
    "PartFile",
    "Sign",
    "SingleFile",
    "Terms",
    "Written",
    "abandoned",
    "check_free",
    "disk_of",
    "free_bytes",
    "hold_lock",
    "lacks_inodes",
    "mark",
    "mounted",
    "probe",
    "spans",
    "trial",
]
