"""Files that are about to be replaced or removed are kept in a folder of the user's: --backup-dir.

    backup/1hz/a.parquet        what was replaced first, under its path
    backup/1hz/a.parquet.~1~    what was replaced next: no earlier backup is ever overwritten

A file gets a second name there, a hard link, before its own is given to another file or removed. So
at each moment, whatever kills the run, it has its own name, or that of the backup, or both; and no
other run can come in between, as two files cannot get one name by linking. It costs no copy. A disk
without hard links, or another one than the destination's, is refused before anything is fetched.
"""

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

from asyncsync import descriptors
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.folders.translation import ends_the_run
from asyncsync.disk.state.place import Components
from asyncsync.errors import BackupDirError, LocalFileError
from asyncsync.keys import escaped

_TRIAL = ".asyncsync-trial"
_WHY = {
    errno.EXDEV: "it is on another disk",
    errno.EPERM: "its disk has no hard links",
    errno.ENOTSUP: "its disk has no hard links",
}


class Backup:
    """The folder that keeps what a run replaces or removes. All calls block.

    Args:
        path: the folder, which is made when it is opened.
        durable: whether a backup must survive a power cut before its file is replaced.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.path = Path(os.path.realpath(path))
        self._durable = durable
        self._root: Directory

    @contextmanager
    def opened(self, parts: Directory, mode: int, followed: Iterable[Path] = ()) -> Iterator[None]:
        """Open the folder for a run; make it if it is missing, and remove it if it stays empty.

        Args:
            parts: a folder of the destination, from which a file is linked here on trial.
            mode: the mode of the destination: who may not look there may not look here.
            followed: the folders that links in the destination stand for.

        Raises:
            BackupDirError: it cannot take files of the destination.
        """
        for folder in followed:
            if self.path in (folder, *folder.parents) or folder in self.path.parents:
                raise BackupDirError(
                    f"{escaped(str(self.path))}: is in {escaped(str(folder))}, or around it, which "
                    "--follow-links makes a part of the destination"
                )
        missing = [each for each in (self.path, *self.path.parents) if not each.exists()]
        with ExitStack() as stack:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.mkdir(mode & 0o777, exist_ok=True)
                self._root = stack.enter_context(Directory.walk(str(self.path), ()))
                self._try(parts)
                if self._durable:
                    for folder in missing:
                        with Directory(str(folder.parent)) as parent:
                            parent.sync()
            except OSError as error:
                why = _WHY.get(error.errno or 0, error.strerror)
                raise BackupDirError(
                    f"{escaped(str(self.path))}: cannot keep files: {why}"
                ) from error
            finally:
                stack.callback(_remove_empty, missing)
            yield

    def _try(self, parts: Directory) -> None:
        """Link an empty file here and remove it again."""
        name = f"trial.{secrets.token_hex(8)}"
        os.close(parts.create(name))
        try:
            self._root.remove(_TRIAL)  # a run may have been killed here
            with suppress(FileExistsError):  # another run makes the same trial
                parts.link(name, self._root, _TRIAL)
            self._root.remove(_TRIAL)
        finally:
            parts.remove(name)

    def keep(self, key: str, folder: Directory, path: Components) -> None:
        """Keep the file at a path, which may be replaced or removed after that.

        A link is kept as one. Nothing is done where nothing is, or a folder.

        Args:
            key: whose file it is.
            folder: the open folder that the path's last name is in.
            path: below the destination, and likewise here.

        Raises:
            LocalFileError: it is not kept, so it must stay.
            OSError: nor would any other file be.
        """
        try:
            self._keep(folder, path)
        except OSError as error:
            if descriptors.too_many_open_files(error) or ends_the_run(error):
                raise
            raise LocalFileError(
                key, f"the file here stays, as --backup-dir cannot keep it: {error.strerror}"
            ) from error

    def _keep(self, folder: Directory, path: Components) -> None:
        *parents, name = path
        found = folder.look_up(name)
        if found.kind == "folder" if found else not folder.exists(name):
            return
        with Directory.walk(self._root, parents, create=True) as here:
            if os.path.samestat(here.status(), folder.status()):
                raise OSError(errno.EEXIST, "it would be its own backup")
            for number in count():
                new = f"{name}.~{number}~" if number else name
                try:
                    folder.link(name, here, new)
                    break
                except FileExistsError:
                    if folder.is_same(name, here, new):
                        break  # a run that was killed before it replaced the file
        if self._durable:
            for depth in range(len(parents), -1, -1):
                with Directory.walk(self._root, parents[:depth]) as above:
                    above.sync()


def _remove_empty(folders: list[Path]) -> None:
    """Remove those of the folders that are empty, from the deepest on."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
