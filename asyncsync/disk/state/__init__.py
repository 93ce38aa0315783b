"""The state folder beside the files: which run may write, and what is known from earlier runs.

Read `place.py` first: it holds the destination and this user's state folder open. `lock.py` keeps a
second run out, and `exclusion.py` says which runs may go together: shards, whose state folders
`shardstates.py` finds. `shared.py` makes the folder that all users share, and `others.py` finds
theirs. `published.py` remembers of which keys files were made here, `made.py` what each of these
files was like, both in `records.py`; `sources.py` from which buckets they are, `stripped.py` which
prefix their paths leave out, and `unsynced.py` which ones a power cut may have damaged; `notes.py`
reads and writes notes. `mounts.py` finds the disk for an unfinished file, and `sign.py` tells
whether another machine sees the same folder.

Nothing here touches the files themselves, nor relies on what other users could have written.
"""
