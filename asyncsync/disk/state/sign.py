"""Whether another machine sees the very folder of a run, and not one like it that is its own.

Inodes of two disks may be equal, so the run puts a file of random bytes there, which is read by
whoever is to write in the folder.
"""

import errno
import os
import secrets
from dataclasses import dataclass

from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state.shared import checked

SIGN = "sign"
"""What the name of the file begins with."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A file by which a parts folder is known again."""

    parts: str
    """The folder: its absolute path without links."""
    inode: int
    """Of the folder."""
    name: str
    token: str
    """What the file holds."""

    @classmethod
    def put(cls, folder: Directory, parts: str, inode: int, run: str) -> "Sign":
        """Make the file; the folder belongs to the run. Blocks.

        Raises:
            OSError: it cannot be made.
        """
        sign = cls(parts, inode, f"{SIGN}.{run}", secrets.token_hex(16))
        file = folder.create(sign.name)
        try:
            os.write(file, sign.token.encode())
        finally:
            os.close(file)
        return sign

    def check(self) -> None:
        """Check that this machine sees the same folder at the same path. Blocks.

        Raises:
            MachineError: no more files can be opened.
            OSError: it cannot be opened, or is another one.
        """
        path, name = os.path.split(self.parts)
        with checked(Directory.walk(path, [name])) as folder:
            is_same = folder.status().st_ino == self.inode
            if not is_same or folder.read(self.name, len(self.token) + 1) != self.token.encode():
                raise OSError(errno.ESTALE, "this is another folder of that name")
