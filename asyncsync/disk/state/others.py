"""Other users of a destination: their state folders, and whether they exist."""

from collections.abc import Iterator

from asyncsync.descriptors import suppress_lasting_errors
from asyncsync.disk.folders.directory import Directory, Root
from asyncsync.keys import STATE_DIR

MOST_USERS = 64
"""Other users whose notes are read."""


def states_of_others(root: Root, own: str) -> Iterator[tuple[str, Directory]]:
    """Yield the state folders of other users of a destination by their names.

    Each is open for one step, and its names may not be readable.

    Args:
        root: the destination.
        own: the name of this user's.
    """
    with suppress_lasting_errors(), Directory.walk(root, (STATE_DIR,)) as shared:
        names = sorted(name for name in shared.names() if name.isdigit() and name != own)
        for name in names[:MOST_USERS]:
            with suppress_lasting_errors(), shared.enter_unread(name) as state:
                yield name, state


def exists(user_id: int) -> bool:
    """Return whether there is such a user on this machine."""
    try:
        import pwd  # not on Windows
    except ImportError:
        return True
    try:
        pwd.getpwuid(user_id)
    except (KeyError, OverflowError):
        return False
    return True
