"""The local side: the files of the destination, and the state folder beside them.

Read `folder.py` first: the destination as the stages see it. `place.py` holds it and this user's
state folder open; `state.py` opens what lies in that one, once a run begins to write. An object's
bytes go into an unfinished file (`unfinished.py` opens it, `parts.py` writes it, `journal.py` says
what of it is there, `mounts.py` finds the right disk, `leftovers.py` those of earlier runs).
`publish.py` renames it to its path, small files in `batches.py` many at a time; with `--durable`,
`durable.py` syncs them first; `backup.py` keeps what they replace. `published.py` remembers of
which keys files were made here, `made.py` what each of these files was like, both in `records.py`;
`sources.py` from which buckets they are, `stripped.py` which prefix their paths leave out, and
`unsynced.py` which ones a power cut may have damaged; `notes.py` reads and writes notes.
`removal.py` removes files that were made here. `handover.py` writes complete files in a mover,
unfinished ones as `apart.py` says where it may outlive its run, and `taking.py` gives them their
names in the run that it works for; `sign.py` tells whether another machine sees the same folder.
`looking.py` looks at many files at once. `directory.py` opens folders without following links, and
`links.py` those that links stand for, where `--follow-links` asks for it. `lock.py` keeps a second
run out, and `exclusion.py` says which runs may go together: shards, whose state folders
`shardstates.py` finds. `shared.py` makes the folder that all users share, and `others.py` finds
theirs. `folding.py` finds out which names the file system treats as one, `translation.py` turns the
system's errors into ours, and `trial.py` finds out what can be done in a destination. `single.py`
takes one object alone, to a file anywhere or to none.

Nothing here knows about requests, and a folder writes nothing outside the destination.
"""

from asyncsync.disk.backup import Backup
from asyncsync.disk.directory import UNCHANGED, LocalFile
from asyncsync.disk.folder import Folder
from asyncsync.disk.folding import Folding, mark, probe
from asyncsync.disk.handover import Handover, Terms
from asyncsync.disk.journal import PART
from asyncsync.disk.lock import hold_lock
from asyncsync.disk.mounts import mounted
from asyncsync.disk.parts import PartFile, spans
from asyncsync.disk.publish import Written
from asyncsync.disk.sign import Sign
from asyncsync.disk.single import Held, SingleFile
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
