"""Where unfinished files lie: one parts folder on each disk, as no rename crosses disks.

destination/.asyncsync/<uid>/parts/      the usual one
destination/b/.asyncsync/<uid>/parts/    for everything below `b`, if another disk is mounted there
destination/.asyncsync/<uid>/mounts      lists the folders with one of their own, for later runs
"""

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from asyncsync.disk.folders.directory import Directory, open_private
from asyncsync.disk.parts.leftovers import take_over
from asyncsync.disk.state.place import Components, Place
from asyncsync.errors import LockHeldError, UnsafeKeyError
from asyncsync.keys import STATE_DIR
from asyncsync.paths import Paths

LIST_NAME = "mounts"
MOST_LIST_BYTES = 1 << 20
MOST_MOUNTS = 64
"""Parts folders on other disks, each of which stays open during a run."""


@dataclass(frozen=True, slots=True)
class PartFolder:
    """An open parts folder."""

    directory: Directory
    path: Path
    """Leads to it while it is open."""
    real: str
    """Its absolute path without links, by which another process finds it."""
    inode: int


class PartFolders:
    """The parts folders of one run; inside `opened` all of them are open.

    While they are open, their files are reached through the open folders, so that a symbolic link
    that somebody puts in a folder's place leads nothing out of the destination.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._usual: PartFolder
        self._others: dict[Components, PartFolder] = {}
        """The parts folders on other disks, by the folder that each lies in."""
        self._checked: set[Components] = set()
        self._open_folders = ExitStack()
        self._adding = threading.Lock()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make and open the usual folder, and open those of earlier runs. Blocks.

        The place must be open for writing.

        Raises:
            OSError: the usual one cannot be made or opened.
        """
        with self._open_folders:
            usual = Directory.walk(str(self._place.state), ["parts"], create=True, mode=0o700)
            usual.set_mode(0o700)
            self._usual = self._keep_open(usual, self._place.state / "parts")
            for folder in self._read_list():
                with suppress(OSError, LockHeldError):
                    self._others[folder] = self._open_parts(folder)
            try:
                yield
            finally:
                self._others.clear()

    def all(self) -> list[Path]:
        """Return the paths of all parts folders."""
        return [folder.path for folder in (self._usual, *self._others.values())]

    def at(self, real: str) -> Directory:
        """Return the parts folder with this path, which `find` has told.

        Raises:
            FileNotFoundError: there is none.
        """
        for folder in (self._usual, *self._others.values()):
            if folder.real == real:
                return folder.directory
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), real)

    def to_read(self) -> list[Path]:
        """Return the paths of those that earlier runs have made, for a run that opens none."""
        root, place = self._place.root_path, self._place
        own = (STATE_DIR, place.user, *place.below)
        more = place.other_states()
        usual = [place.state, *(root.joinpath(*names) for names in more)]
        others = [root.joinpath(*f, *names) for f in self._read_list() for names in (own, *more)]
        return [state / "parts" for state in (*usual, *others)]

    def take_over(self, has: Callable[[str], bool] | None) -> bool:
        """Take over unfinished files: a shard those of its keys, a whole run those of all shards.

        Call it inside `opened`, when no run works on them. Returns whether there were any, which
        seem to have changed just now.

        Args:
            has: which keys this run may have; without it, all.
        """
        found = False
        for parents, own in [((), self._usual), *self._others.items()]:
            whole, shards = self._place.whole_state(parents), self._place.shard_states(parents)
            for state in chain(whole, shards):
                with suppress(OSError), state.enter("parts") as parts:
                    found |= take_over(parts, own.directory, has)
        return found

    def keep_list(self) -> list[Components]:
        """List all folders for later runs, those from the lists of shards as well; return them.

        Raises:
            OSError: the list cannot be written.
        """
        with Directory(str(self._place.state)) as state:
            listed = _parse(state.read(LIST_NAME, MOST_LIST_BYTES))
        for folder in self._others:
            if folder not in listed:
                self._note(folder)
        return [*self._others]

    def find(self, path: Sequence[str]) -> PartFolder:
        """Return the parts folder for the file at this path."""
        for depth in range(len(path) - 1, 0, -1) if self._others else ():
            if found := self._others.get(tuple(path[:depth])):
                return found
        return self._usual

    def find_on_disk(self, path: Sequence[str]) -> PartFolder:
        """Return the parts folder for the file at this path, on the same disk. Blocks.

        The first call for each folder checks whether it is on another disk.
        """
        parents = tuple(path[:-1])
        if parents not in self._checked:
            self._checked.add(parents)
            if mount := mounted(self._place.walk, parents):
                self._add(mount)
        return self.find(path)

    def add_for(self, path: Sequence[str]) -> bool:
        """Add a parts folder for a file that could not be renamed to its path on another disk.

        Returns whether it helps to write the file again. Blocks.
        """
        parents = tuple(path[:-1])
        return self._add(mounted(self._place.walk, parents) or parents)

    def _add(self, folder: Components) -> bool:
        with self._adding:
            if not folder:
                return False
            if folder not in self._others:
                self._note(folder)
                self._others[folder] = self._open_parts(folder)
        return True

    def _note(self, folder: Components) -> None:
        path = self._place.state / LIST_NAME
        with open(path, "ab", buffering=0, opener=open_private) as file:
            file.write(json.dumps(folder).encode() + b"\n")

    def _open_parts(self, folder: Components) -> PartFolder:
        names = (STATE_DIR, self._place.user, *self._place.below, "parts")
        path = self._place.path.joinpath(*folder, *names)
        with self._place.open_state(folder) as state:
            return self._keep_open(state.enter("parts", 0o700), path)

    def _keep_open(self, directory: Directory, path: Path) -> PartFolder:
        self._open_folders.enter_context(directory)
        held = directory.path(path)
        return PartFolder(directory, held, os.path.realpath(held), directory.status().st_ino)

    def _read_list(self) -> list[Components]:
        """Return the folders that exist of the list of this run, and of those that count for it."""
        found: dict[Components, None] = {}
        with suppress(OSError), Directory(str(self._place.state)) as state:
            found |= _parse(state.read(LIST_NAME, MOST_LIST_BYTES))
        for state in chain(self._place.whole_state(), self._place.shard_states()):
            found |= _parse(state.read(LIST_NAME, MOST_LIST_BYTES))
        return [folder for folder in found if self._exists(folder)][:MOST_MOUNTS]

    def _exists(self, folder: Components) -> bool:
        with suppress(OSError), self._place.walk(folder):
            return True
        return False


def _parse(content: bytes | None) -> dict[Components, None]:
    """Return the folders in a list; none for one that is too long."""
    found: dict[Components, None] = {}
    paths = Paths(encodes=True)
    for line in (content or b"").splitlines():
        with suppress(ValueError, TypeError, UnsafeKeyError, RecursionError):
            found[paths.of(paths.key_of("/".join(json.loads(line))))] = None
    return found


def mounted(walk: Callable[[Components], Directory], parents: Components) -> Components | None:
    """Return the deepest folder on the way to `parents` at which another disk is mounted.

    None if there is none. The search ends at a folder that is missing or cannot be opened.
    """
    found: Components | None = None
    with suppress(OSError), walk(()) as directory:
        device = directory.status().st_dev
        for depth in range(1, len(parents) + 1):
            with walk(parents[:depth]) as directory:
                if (here := directory.status().st_dev) != device:
                    device, found = here, parents[:depth]
    return found
