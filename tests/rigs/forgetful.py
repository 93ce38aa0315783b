"""Files and folders that keep what was synced, and may forget the rest when the power fails.

A file's data is on the disk when the file was synced, a name when the folder was that it is in.
When the power fails, of all that was not synced anything may be there: each name what it was at the
last sync or at any time since, whatever became of other names; and of a file the old data, the new,
zeros, only the beginning, or some blocks of each. So a file may even be found under two names, or
under none. The times of files are kept, as the journals of ext4, XFS and Btrfs keep them in order
with names, unless they are to be forgotten as well.
"""

import itertools
import random
import stat
import time
from collections.abc import Iterator

BLOCK = 4096


class Node:
    """What a name stands for."""

    numbers = itertools.count(1)

    def __init__(self, mode: int) -> None:
        self.mode = mode
        self.number = next(self.numbers)
        self.links = 0
        self.modified = self.changed = time.time_ns()
        self.size = 0

    def sync(self) -> None:
        """Put it on the disk."""

    def lose(self, dice: random.Random, *, times: bool) -> None:
        """Forget what was not synced, or not all of it; perhaps the times as well."""

    def touch(self) -> None:
        """Take note of a change of the content."""
        self.modified = self.changed = time.time_ns()


class File(Node):
    """Some bytes, and those that are on the disk."""

    def __init__(self, mode: int) -> None:
        super().__init__(stat.S_IFREG | mode & 0o7777)
        self.data = bytearray()
        self._synced = b""
        self._synced_modified = 0

    def write(self, data: bytes, offset: int) -> None:
        """Put bytes into their place."""
        self.truncate(max(len(self.data), offset))
        self.data[offset : offset + len(data)] = data
        self.size = len(self.data)

    def truncate(self, size: int) -> None:
        """Cut the data, or lengthen it with zeros."""
        del self.data[size:]
        self.data.extend(bytes(size - len(self.data)))
        self.size = size
        self.touch()

    def sync(self) -> None:
        """Put the data on the disk."""
        self._synced, self._synced_modified = bytes(self.data), self.modified

    def lose(self, dice: random.Random, *, times: bool) -> None:
        """Have the old data, the new, or neither as a whole."""
        if times:
            self.modified = dice.choice([self.modified, self._synced_modified])
        new, old = bytes(self.data), self._synced
        if new == old:
            return
        mixed = bytearray(old[: len(new)].ljust(len(new), b"\0"))
        for start in range(0, len(new), BLOCK):
            if dice.random() < 0.5:
                mixed[start : start + BLOCK] = new[start : start + BLOCK]
        short = new[: dice.randrange(len(new) + 1)]
        self.data = bytearray(dice.choice([new, old, short, bytes(len(new)), bytes(mixed)]))
        self.size = len(self.data)
        self.sync()


class Folder(Node):
    """Names, and what each was at the last sync and since."""

    def __init__(self, mode: int) -> None:
        super().__init__(stat.S_IFDIR | mode & 0o7777)
        self.names: dict[str, tuple[str, Node]] = {}
        """By the folded name: how it is spelt, and what it stands for."""
        self._states: dict[str, list[tuple[str, Node] | None]] = {}

    def __iter__(self) -> Iterator[Node]:
        return (node for _, node in self.names.values())

    def put(self, folded: str, entry: tuple[str, Node] | None) -> None:
        """Let a name stand for something else, or for nothing."""
        self._states.setdefault(folded, [self.names.get(folded)]).append(entry)
        self._set(folded, entry)
        self.touch()
        if entry:
            entry[1].changed = self.changed

    def _set(self, folded: str, entry: tuple[str, Node] | None) -> None:
        if old := self.names.pop(folded, None):
            old[1].links -= 1
        if entry:
            self.names[folded] = entry
            entry[1].links += 1

    def sync(self) -> None:
        """Put the names on the disk."""
        self._states.clear()

    def lose(self, dice: random.Random, *, times: bool) -> None:
        """Have of each name one of its states."""
        for folded, states in self._states.items():
            self._set(folded, dice.choice(states))
        self.sync()
