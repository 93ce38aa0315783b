"""Where unfinished files lie: one parts folder on each disk, as no rename crosses disks.

destination/.asyncsync/parts/       the usual one
destination/b/.asyncsync/parts/     for everything below `b`, if another disk is mounted there
destination/.asyncsync/mounts       lists the folders with one of their own, for later runs
"""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from asyncsync.disk.directory import Directory, open_private
from asyncsync.errors import UnsafeKeyError
from asyncsync.keys import STATE_DIR, local_path

LIST_NAME = "mounts"
Components = tuple[str, ...]
"""The names of the folders on the way from the destination to a folder, that folder's included."""


class PartFolders:
    """The parts folders of one run; inside `opened` all of them are open.

    While they are open, their files are reached through the open folders, so that a symbolic link
    that somebody puts in a folder's place leads nothing out of the destination.
    """

    def __init__(self, root: Path) -> None:
        self.usual = root / STATE_DIR / "parts"
        """The path of the usual parts folder."""
        self.state = root / STATE_DIR
        """A path to the state folder; while it is open, one that leads through the open folder."""
        self._usual_opened = self.usual
        self._root = str(root)
        self._others: dict[Components, Path] = {}
        """The parts folders on other disks, by the folder that each lies in."""
        self._checked: set[Components] = set()
        self._open_folders = ExitStack()
        self._adding = threading.Lock()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make and open the usual folder, and open those of earlier runs that still exist. Blocks.

        Raises:
            OSError: the usual one cannot be made or opened.
        """
        with self._open_folders:
            self._usual_opened = self._open_parts((), create=True)
            self.state = self._open(STATE_DIR)
            for folder in self._read_list():
                with suppress(OSError):
                    self._others[folder] = self._open_parts(folder)
            try:
                yield
            finally:
                self._others.clear()
                self._usual_opened, self.state = self.usual, self.usual.parent

    def all(self) -> list[Path]:
        """Return all parts folders."""
        return [self._usual_opened, *self._others.values()]

    def find(self, path: Sequence[str]) -> Path:
        """Return the parts folder for the file at this path."""
        for depth in range(len(path) - 1, 0, -1) if self._others else ():
            if found := self._others.get(tuple(path[:depth])):
                return found
        return self._usual_opened

    def find_on_disk(self, path: Sequence[str]) -> Path:
        """Return the parts folder for the file at this path, on the same disk. Blocks.

        The first call for each folder checks whether it is on another disk.
        """
        parents = tuple(path[:-1])
        if parents not in self._checked:
            self._checked.add(parents)
            if mount := mounted(self._root, parents):
                self._add(mount)
        return self.find(path)

    def add_for(self, path: Sequence[str]) -> bool:
        """Add a parts folder for a file that could not be renamed to its path on another disk.

        Returns whether it helps to write the file again. Blocks.
        """
        parents = tuple(path[:-1])
        return self._add(mounted(self._root, parents) or parents)

    def _add(self, folder: Components) -> bool:
        with self._adding:
            if not folder:
                return False
            if folder not in self._others:
                with open(self.state / LIST_NAME, "ab", buffering=0, opener=open_private) as file:
                    file.write(json.dumps(folder).encode() + b"\n")
                self._others[folder] = self._open_parts(folder, create=True)
        return True

    def _open_parts(self, folder: Components, *, create: bool = False) -> Path:
        return self._open(*folder, STATE_DIR, "parts", create=create)

    def _open(self, *names: str, create: bool = False) -> Path:
        directory = Directory.walk(self._root, names, create=create, mode=0o700)
        self._open_folders.enter_context(directory)
        return directory.path(os.path.join(self._root, *names))

    def _read_list(self) -> Iterator[Components]:
        with suppress(OSError), open(self.state / LIST_NAME, "rb", opener=open_private) as file:
            for line in set(file.read().splitlines()):
                with suppress(ValueError, TypeError, UnsafeKeyError):
                    yield local_path("/".join(json.loads(line)))


def mounted(root: str, parents: Components) -> Components | None:
    """Return the deepest folder on the way to `parents` at which another disk is mounted.

    None if there is none. The search ends at a folder that is missing or cannot be opened.
    """
    found: Components | None = None
    with suppress(OSError), Directory.walk(root, ()) as directory:
        device = directory.device
        for depth in range(1, len(parents) + 1):
            with Directory.walk(root, parents[:depth]) as directory:
                if directory.device != device:
                    device, found = directory.device, parents[:depth]
    return found
