"""A disk in memory that can lose its power or fold names: a FUSE program.

    python -m tests.rigs.fuse_disk FOLDER [--fold-cases] [--fold-forms] [--forget-times]

It is mounted at the folder, prints `mounted`, and ends when its standard input does. `mounted.py`
starts it. What may be lost when the power fails is decided in `forgetful.py`.

FUSE does not pass `syncfs` on. So a test that knows of one reports it through the extended
attribute `user.power`, which takes all commands: `sync`; `cut CHANGES SEED`, after which the power
fails at the change after this many and the process that makes it is killed; `on`, after which
changes succeed again.
"""

import argparse
import errno
import itertools
import os
import random
import signal
import stat
import sys
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from tests.rigs.forgetful import BLOCK, File, Folder, Node

try:
    import mfusepy
except (ImportError, OSError) as missing:  # it, or libfuse
    print(missing, file=sys.stderr)
    sys.exit(os.EX_UNAVAILABLE)

UTIME_NOW = (1 << 30) - 1


class Disk:
    """The file system. All calls come from one thread.

    Args:
        cases: whether names that differ by case are one.
        forms: whether names that differ by Unicode form are one.
        forgets_times: whether times that were not synced may be lost.
    """

    use_ns = True

    def __init__(self, *, cases: bool, forms: bool, forgets_times: bool) -> None:
        self._cases, self._forms, self._forgets_times = cases, forms, forgets_times
        self._root = Folder(0o755)
        self._files: dict[int, File] = {}
        self._handles = itertools.count(1)
        self._dice = random.Random()
        self._left: int | None = None
        """Changes left until the power fails."""
        self._is_off = False
        self._changes = 0
        self.is_mounted = False

    # power --------------------------------------------------------------------------------------

    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> int:
        match name, value.decode().split():
            case "user.power", ["sync"]:
                for node in self._all():
                    node.sync()
            case "user.power", ["cut", changes, seed]:
                self._left, self._dice = int(changes), random.Random(int(seed))
            case "user.power", ["on"]:
                self._left, self._is_off = None, False
            case _:
                raise OSError(errno.ENOTSUP, "no such attribute")
        return 0

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        if name != "user.power":
            raise OSError(errno.ENODATA, "no such attribute")
        return f"{'off' if self._is_off else 'on'} {self._changes}".encode()

    def _change(self) -> None:
        """Count a change, before it is made; at the one that was chosen, the power fails."""
        self._changes += 1
        if self._left is not None and not self._is_off:
            self._left -= 1
            if self._left < 0:
                self._is_off = True
                for node in self._all():
                    node.lose(self._dice, times=self._forgets_times)
                os.kill(mfusepy.fuse_get_context()[2], signal.SIGKILL)
        if self._is_off:
            raise OSError(errno.EIO, "the power has failed")

    def _all(self) -> Iterator[Node]:
        """Yield all nodes; those in a folder only after the caller has dealt with the folder."""
        pending: list[Node] = [self._root]
        while pending:
            yield (node := pending.pop())
            if isinstance(node, Folder):
                pending.extend(node)

    # names --------------------------------------------------------------------------------------

    def _fold(self, name: str) -> str:
        if self._forms:
            name = unicodedata.normalize("NFD", name)
        return name.casefold() if self._cases else name

    def _at(self, path: str) -> tuple[Folder, str, Node | None]:
        """Return the folder of a path, its folded name there, and what that refers to."""
        *above, name = path.split("/")[1:]
        folder = self._root
        for part in above:
            _, node = folder.names.get(self._fold(part), ("", None))
            if not isinstance(node, Folder):
                raise OSError(errno.ENOTDIR if node else errno.ENOENT, "no such folder")
            folder = node
        folded = self._fold(name)
        return folder, folded, folder.names.get(folded, ("", None))[1] if name else self._root

    def _found(self, path: str) -> Node:
        *_, node = self._at(path)
        if node is None:
            raise OSError(errno.ENOENT, "no such file")
        return node

    def _file(self, path: str, handle: int | None = None) -> File:
        node = self._files[handle] if handle in self._files else self._found(path)
        if not isinstance(node, File):
            raise OSError(errno.EISDIR, "a folder")
        return node

    def _make(self, path: str, node: Node) -> None:
        self._change()
        folder, folded, there = self._at(path)
        if there:
            raise OSError(errno.EEXIST, "the name exists")
        folder.put(folded, (path.rpartition("/")[2], node))

    def _open(self, file: File) -> int:
        self._files[handle := next(self._handles)] = file
        return handle

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        node = self._files[fh] if fh in self._files else self._found(path)
        return {
            "st_mode": node.mode,
            "st_ino": node.number,
            "st_nlink": node.links,
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
            "st_size": node.size,
            "st_blocks": -(-node.size // 512),
            "st_atime": node.modified,
            "st_mtime": node.modified,
            "st_ctime": node.changed,
        }

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        folder = self._found(path)
        assert isinstance(folder, Folder)
        found = {".": folder, "..": folder} | dict(folder.names.values())
        return [(name, {"st_mode": n.mode, "st_ino": n.number}, 0) for name, n in found.items()]

    def mkdir(self, path: str, mode: int) -> int:
        self._make(path, Folder(mode))
        return 0

    def create(self, path: str, mode: int, fi: object = None) -> int:
        self._make(path, file := File(mode))
        return self._open(file)

    def unlink(self, path: str) -> int:
        self._change()
        folder, folded, _ = self._at(path)
        folder.put(folded, None)
        return 0

    def rmdir(self, path: str) -> int:
        folder = self._found(path)
        if isinstance(folder, Folder) and folder.names:
            raise OSError(errno.ENOTEMPTY, "it is not empty")
        return self.unlink(path)

    def rename(self, old: str, new: str) -> int:
        node = self._found(old)
        folder, folded, there = self._at(new)
        if isinstance(there, Folder):
            raise OSError(errno.EISDIR, "a folder has this name")
        self.unlink(old)
        folder.put(folded, (new.rpartition("/")[2], node))
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self._change()
        self._found(path).sync()
        return 0

    # data ---------------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        return self._open(self._file(path))

    def release(self, path: str, fh: int) -> int:
        del self._files[fh]
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return bytes(self._file(path, fh).data[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._change()
        self._file(path, fh).write(data, offset)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self._change()
        self._file(path, fh).truncate(length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._change()
        self._file(path, fh).sync()
        return 0

    def chmod(self, path: str, mode: int) -> int:
        self._change()
        node = self._found(path)
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        self._change()
        node = self._found(path)
        node.touch()
        if times and times[1] != UTIME_NOW:
            node.modified = times[1]
        return 0

    def statfs(self, path: str) -> Mapping[str, int]:
        return {"f_bsize": BLOCK, "f_frsize": BLOCK, "f_blocks": 1 << 20, "f_bavail": 1 << 20}

    def init(self, path: str) -> None:
        self.is_mounted = True
        print("mounted", flush=True)


def main() -> None:
    """Serve the disk until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--fold-cases", action="store_true")
    parser.add_argument("--fold-forms", action="store_true")
    parser.add_argument("--forget-times", action="store_true")
    given = parser.parse_args()

    def end_with_input() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)  # on which libfuse unmounts the disk

    threading.Thread(target=end_with_input, daemon=True).start()
    disk = Disk(cases=given.fold_cases, forms=given.fold_forms, forgets_times=given.forget_times)
    options: dict[str, bool | int] = {"foreground": True, "nothreads": True}
    options |= {"use_ino": True, "hard_remove": True}
    # Nothing is cached, because the disk may forget names.
    options |= {"entry_timeout": 0, "attr_timeout": 0, "negative_timeout": 0}
    try:
        mfusepy.FUSE(disk, given.folder, **options)
    except RuntimeError as error:  # raised on the signal too
        if not disk.is_mounted:
            print(f"cannot mount: {error}", file=sys.stderr)
            sys.exit(os.EX_UNAVAILABLE)


if __name__ == "__main__":
    main()
