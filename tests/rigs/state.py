"""Where a run keeps its state, below the destination."""

from asyncsync.disk.state.place import user

STATE = f".asyncsync/{user()}"
"""This user's state folder."""
PARTS = f"{STATE}/parts"
"""Unfinished files."""
