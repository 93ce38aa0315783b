"""Files and folders that keep what was synced, and may lose the rest when the power fails.

A file's data is on the disk once the file was synced; a name is once its folder was. When the power
fails, anything that was not synced may be in any state: each name what it was at the last sync or
at any time since, independently of other names; each file's data old, new, zeros, only the
beginning, or a mixture of old and new blocks. So a file may be found under two names, or under
none. File times are kept, as the journals of ext4, XFS and Btrfs keep them in order with names,
unless `times` says that they may be lost too.
"""

import itertools
import random
import stat
import time
from collections.abc import Iterator

BLOCK = 4096


class Node:
    """What a name refers to: a file or a folder."""

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
        """Lose some of what was not synced; with `times`, perhaps the times too."""

    def touch(self) -> None:
        """Record a change of the content."""
        self.modified = self.changed = time.time_ns()


class File(Node):
    """Bytes, and those of them that are on the disk."""

    def __init__(self, mode: int) -> None:
        super().__init__(stat.S_IFREG | mode & 0o7777)
        self.data = bytearray()
        self._synced = b""
        self._synced_modified = 0

    def write(self, data: bytes, offset: int) -> None:
        """Write bytes at an offset."""
        self.truncate(max(len(self.data), offset))
        self.data[offset : offset + len(data)] = data
        self.size = len(self.data)

    def truncate(self, size: int) -> None:
        """Cut the data, or extend it with zeros."""
        del self.data[size:]
        self.data.extend(bytes(size - len(self.data)))
        self.size = size
        self.touch()

    def sync(self) -> None:
        """Put the data on the disk."""
        self._synced, self._synced_modified = bytes(self.data), self.modified

    def lose(self, dice: random.Random, *, times: bool) -> None:
        """Keep the old data, the new, or a mixture."""
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
    """Names, and what each referred to at the last sync and since."""

    def __init__(self, mode: int) -> None:
        super().__init__(stat.S_IFDIR | mode & 0o7777)
        self.names: dict[str, tuple[str, Node]] = {}
        """By the folded name: how it is spelled, and what it refers to."""
        self._states: dict[str, list[tuple[str, Node] | None]] = {}

    def __iter__(self) -> Iterator[Node]:
        return (node for _, node in self.names.values())

    def put(self, folded: str, entry: tuple[str, Node] | None) -> None:
        """Make a name refer to something else, or to nothing."""
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
        """Keep one of the states of each name."""
        for folded, states in self._states.items():
            self._set(folded, dice.choice(states))
        self.sync()
