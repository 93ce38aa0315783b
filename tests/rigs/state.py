"""Where a run keeps its state, below the destination."""

from asyncsync.disk.place import USER

STATE = f".asyncsync/{USER}"
"""This user's state folder."""
PARTS = f"{STATE}/parts"
"""Unfinished files."""
