"""Unfinished files: what is there of an object before it is complete and proven.

`partfile.py` writes the parts, and `journal.py` says which of them are there. `leftovers.py` finds
what earlier runs have left, and `apart.py` names files that may outlive the run they belong to.

Nothing here gives a file the name of an object.
"""
