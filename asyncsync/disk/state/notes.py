"""Notes in the state folder: small files that a run leaves for later ones. All calls block."""

import os
from pathlib import Path

from asyncsync.disk.folders.directory import open_private, open_readable
from asyncsync.disk.state.place import Place

MAX_BYTES = 64 * 1024 * 1024


def read_note(path: Path) -> bytes | None:
    """Return what an earlier run noted there; None if nothing.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb", opener=open_private) as file:
            return file.read(MAX_BYTES)  # a longer one is cut, and will not parse
    except FileNotFoundError:
        return None


def write_note(path: Path, new: Path, content: bytes) -> None:
    """Replace the note there, by way of a new file beside it.

    Raises:
        OSError: it cannot be written.
    """
    with open(new, "xb", opener=open_private) as file:
        file.write(content)
    new.replace(path)


def write_shared_note(place: Place, name: str, content: bytes) -> None:
    """Replace a note that other users read as well, and wait until it is on the disk.

    Raises:
        OSError: it cannot be written.
    """
    path = place.state / name
    new = path.with_name(f"{name}.new")
    with open(new, "wb", buffering=0, opener=open_readable) as file:
        file.write(content)
        os.fsync(file.fileno())
    os.replace(new, path)
    place.sync_names()
