"""Which files were made here, each as it was then, so that `--delete` takes none for one of them.

`published.py` knows of which keys there were files, which is too little to remove one: it may have
been edited since, or replaced by another tool. So each file that a run makes is recorded in `made`
in the state folder as well, with its size, time and inode, just before it gets its name. One that
has another size, time or inode now, or that was made by another user, or by a version that did not
record that, was not made here as far as this file tells.

A record (`records.py`) is 32 bytes. Of several records of a key, only the last is believed: what
was replaced or removed and then put back, out of the backups for instance, is somebody's wish. What
a shard has recorded counts before what whole runs have, and where shards of several counts have
recorded one key, nothing of it is believed: nobody knows which is the last. A kill before a file
gets its name leaves the record of a file that is nowhere; the one that is there is kept then. Of a
copy of the folder, whose files have other inodes, nothing is believed.
"""

import struct
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager

from asyncsync.disk.folders.directory import LocalFile
from asyncsync.disk.state.place import Place
from asyncsync.disk.state.records import HASH_BYTES, Records, hash_of
from asyncsync.shards import Shard

NAME = "made"
_LAST_64_BITS = 0xFFFF_FFFF_FFFF_FFFF
_RECORD = struct.Struct("=QQQQ")
"""The hash of the key, and the file's size, time in ns since the epoch, and inode.

The last 64 bits of each: a time before 1678 or behind 2554 has more.
"""


class Made:
    """The records of one destination. All calls block.

    Args:
        place: the destination.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._records = Records(place, NAME, b"asyncmad", _RECORD.size, 0o600)

    def writing(self) -> AbstractContextManager[None]:
        """Record files inside this context; only one run at a time should."""
        return self._records.writing()

    def add(self, files: Iterable[tuple[str, int, int, int]]) -> None:
        """Record files that are about to get their names: key, size, time and inode of each."""
        self._records.append(b"".join([_record(*file) for file in files]))

    def forget(self, key: str) -> None:
        """Record that no run has made the file that is at the key's path from now on."""
        self.add([(key, 0, 0, 0)])

    def known(self, files: Iterable[tuple[str, LocalFile]]) -> set[str]:
        """Return those of the keys whose file is as it was made; none where that cannot be read."""
        records = {key: _record(key, f.size, f.modified_ns, f.inode) for key, f in files}
        keys = {hash_of(key): key for key in records}
        whole, shards = self._records.layers()
        believed, younger = _last(whole, keys), dict[str, bytes]()
        for layer in shards:
            for key, record in _last(layer, keys).items():
                younger[key] = b"" if key in younger else record
        believed |= younger
        return {key for key, record in believed.items() if record == records[key]}

    def take_over(self) -> None:
        """Take over what shards have recorded; call it inside `writing`, when none works here.

        Raises:
            OSError: it cannot be written.
        """
        seen, several = set[int](), set[int]()
        if self._are_of_several_counts():
            for layer in self._records.layers()[1]:
                hashes = {*_hashes(layer)}
                several |= hashes & seen
                seen |= hashes
        self._records.take_over(b"".join([_RECORD.pack(each, 0, 0, 0) for each in several]))

    def _are_of_several_counts(self) -> bool:
        shards = (Shard.named(names[-1]) for names in self._place.other_states())
        return len({shard.count for shard in shards if shard}) > 1


def _last(content: bytes, keys: Mapping[int, str]) -> dict[str, bytes]:
    """Return the last record of each of the keys, which are given by their hashes."""
    size = _RECORD.size
    last = {keys[each]: at * size for at, each in enumerate(_hashes(content)) if each in keys}
    return {key: content[at : at + size] for key, at in last.items()}


def _hashes(content: bytes) -> "memoryview[int]":
    """Return the hashes of all records, without a copy: they may be millions."""
    return memoryview(content).cast("Q")[:: _RECORD.size // HASH_BYTES]


def _record(key: str, size: int, modified_ns: int, inode: int) -> bytes:
    last = _LAST_64_BITS
    return _RECORD.pack(hash_of(key), size & last, modified_ns & last, inode & last)
