"""Unfinished files of a mover that does not hold the lock of its run, and so may outlive it.

    ~<object>.<run>     while it may be written: no other run goes on with it
    <object>.<run>      once it is closed: as that of any earlier run, see `partfile.py`

So a machine that is cut off from its run, and still writes, cannot write into another run's file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asyncsync.disk.parts.journal import JOURNAL, version_hash
from asyncsync.disk.parts.partfile import PartFile
from asyncsync.model import RemoteObject

APART = "~"
"""What such a name begins with."""


def make_apart(folder: Path, run: str, remote: RemoteObject, source: str) -> PartFile:
    """Make an unfinished file that only this process writes, and no other run takes over. Blocks.

    Args:
        folder: the parts folder.
        run: what ends its name, different for each file.
        remote: the version of the object.
        source: the bucket, as for `open_part_file`.

    Raises:
        OSError: it cannot be made.
    """
    part = PartFile(folder / f"{APART}{version_hash(remote, source)}.{run}", remote)
    part.create()
    return part


@contextmanager
def left_to_others(part: PartFile) -> Iterator[None]:
    """Let a later run go on with a file that stays unfinished; it must be closed by then."""
    try:
        yield
    except BaseException:
        path = part.path
        with suppress(OSError):  # it is gone, or a later run removes it
            for old in (path, path.with_name(path.name + JOURNAL)):  # the journal makes it count
                os.rename(old, old.with_name(old.name.removeprefix(APART)))
        raise
