"""Where unfinished files are: one folder on each disk, since no rename leads from disk to disk.

destination/.asyncsync/parts/       the usual one
destination/b/.asyncsync/parts/     for all below `b`, if another disk is mounted there
destination/.asyncsync/mounts       the folders that have one, for the runs to come
"""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from asyncsync.disk.directory import Directory, own
from asyncsync.errors import UnsafeKeyError
from asyncsync.keys import STATE_DIR, local_path

LIST = "mounts"
Folder = tuple[str, ...]
"""The names that lead there from the destination."""


class PartFolders:
    """The folders for unfinished files of one run; a context in which they are open.

    Files in them are reached through what is open, so that a link that somebody puts in the place
    of a folder leads nobody out of the destination.
    """

    def __init__(self, root: Path) -> None:
        self.usual = root / STATE_DIR / "parts"
        self.state = root / STATE_DIR
        """What leads to the folder of everything else that is kept."""
        self._opened = self.usual
        self._root = str(root)
        self._elsewhere: dict[Folder, Path] = {}
        self._looked_at: set[Folder] = set()
        self._holding = ExitStack()
        self._adding = threading.Lock()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make and open the usual one, and open those of earlier runs that are still there. Blocks.

        Raises:
            OSError: the usual one cannot be had.
        """
        with self._holding:
            self._opened = self._held((), create=True)
            self.state = self._walked(STATE_DIR)
            for folder in self._listed():
                with suppress(OSError):
                    self._elsewhere[folder] = self._held(folder)
            try:
                yield
            finally:
                self._elsewhere.clear()
                self._opened, self.state = self.usual, self.usual.parent

    def each(self) -> list[Path]:
        """Return all of them."""
        return [self._opened, *self._elsewhere.values()]

    def of(self, path: Sequence[str]) -> Path:
        """Return the one for the file with this path."""
        for depth in range(len(path) - 1, 0, -1) if self._elsewhere else ():
            if found := self._elsewhere.get(tuple(path[:depth])):
                return found
        return self._opened

    def look(self, path: Sequence[str]) -> Path:
        """Return the one for the file with this path, after a look at the disks. Blocks."""
        parents = tuple(path[:-1])
        if parents not in self._looked_at:
            self._looked_at.add(parents)
            if mount := mounted(self._root, parents):
                self._add(mount)
        return self.of(path)

    def found_elsewhere(self, path: Sequence[str]) -> bool:
        """Make one for a file that cannot be renamed to its path, as that is on another disk.

        Returns whether it helps to write the file again. Blocks.
        """
        parents = tuple(path[:-1])
        return self._add(mounted(self._root, parents) or parents)

    def _add(self, folder: Folder) -> bool:
        with self._adding:
            if not folder:
                return False
            if folder not in self._elsewhere:
                with open(self.state / LIST, "ab", buffering=0, opener=own) as file:
                    file.write(json.dumps(folder).encode() + b"\n")
                self._elsewhere[folder] = self._held(folder, create=True)
        return True

    def _held(self, folder: Folder, *, create: bool = False) -> Path:
        return self._walked(*folder, STATE_DIR, "parts", create=create)

    def _walked(self, *names: str, create: bool = False) -> Path:
        directory = Directory.walk(self._root, names, create=create, mode=0o700)
        self._holding.enter_context(directory)
        return directory.path(os.path.join(self._root, *names))

    def _listed(self) -> Iterator[Folder]:
        with suppress(OSError), open(self.state / LIST, "rb", opener=own) as file:
            for line in set(file.read().splitlines()):
                with suppress(ValueError, TypeError, UnsafeKeyError):
                    yield local_path("/".join(json.loads(line)))


def mounted(root: str, parents: Folder) -> Folder | None:
    """Return the folder on the way to `parents` at which another disk begins, if there is one."""
    found: Folder | None = None
    with suppress(OSError), Directory.walk(root, ()) as directory:
        device = directory.device
        for depth in range(1, len(parents) + 1):
            with Directory.walk(root, parents[:depth]) as directory:
                if directory.device != device:
                    device, found = directory.device, parents[:depth]
    return found
