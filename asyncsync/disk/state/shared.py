"""The folder `.asyncsync`, which all users of a destination share: made, tagged, and mended.

And which folders in it are this user's alone.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state import lock
from asyncsync.keys import STATE_DIR

OTHERS_CAN_WRITE = stat.S_IWGRP | stat.S_IWOTH

_TAGS = {
    ".gitignore": b"*\n",
    "CACHEDIR.TAG": b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# The state of asyncsync. Backups may leave it out: https://bford.info/cachedir/\n",
}


def open_shared(folder: Directory) -> Directory:
    """Open `.asyncsync`, with the mode, the group and, for root, the owner of the folder it is in.

    Where others can write it, the sticky bit keeps them from renaming what is not theirs.
    """
    shared = folder.enter(STATE_DIR, 0o700)
    around, found = folder.status(), shared.status()
    mode = stat.S_IMODE(around.st_mode) & 0o2777
    if mode & OTHERS_CAN_WRITE:
        mode |= stat.S_ISVTX
    if hasattr(os, "geteuid") and found.st_uid == os.geteuid():
        if (found.st_uid, found.st_gid) != (around.st_uid, around.st_gid):
            shared.set_owner(around)
        if stat.S_IMODE(found.st_mode) != mode:
            shared.set_mode(mode)
    tag(shared)
    return shared


def tag(folder: Directory) -> None:
    """Make the files that tell git and backups to pass over a folder, where they are missing."""
    for name, content in _TAGS.items():
        with suppress(OSError):  # a run can do without them
            if not folder.exists(name):
                file = folder.create(name)
                try:
                    os.write(file, content)
                finally:
                    os.close(file)


def put_aside_old_state(folder: Directory, path: Path, beside: str) -> None:
    """Move the state of version 0.1, which is `.asyncsync` itself, beside it.

    Raises:
        LockHeldError: a run of that version works here.
    """
    with suppress(FileNotFoundError), folder.enter(STATE_DIR) as old:
        is_private = not old.status().st_mode & 0o077
        if not (is_private and old.exists("parts")):
            return
        lock.check_free(old.path(path / STATE_DIR) / "lock", path)
        with suppress(OSError):  # there is something at that name already
            folder.move(STATE_DIR, folder, beside)


def checked(state: Directory) -> Directory:
    """Return the folder if it belongs to this user and nobody else can write it.

    Raises:
        OSError: EPERM; the folder is closed.
    """
    if not is_trusted(state):
        state.close()
        raise OSError(errno.EPERM, "it belongs to another user, or others can write it")
    return state


def is_trusted(state: Directory) -> bool:
    """Return whether the folder belongs to this user and nobody else can write it."""
    found = state.status()
    return not hasattr(os, "geteuid") or (
        found.st_uid == os.geteuid() and not found.st_mode & OTHERS_CAN_WRITE
    )
