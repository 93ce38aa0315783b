"""The file that describes a work's objects, for the gateway, the listing server and the floor."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """One object; its line is `SIZE ETAG CHECKSUM KEY`."""

    size: int
    etag: str
    """Without quotes."""
    checksum: str
    """CRC64NVME of the content, in base64."""
    key: str


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write the file; it has its name when it is complete."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("w") as lines:
        for entry in entries:
            lines.write(f"{entry.size} {entry.etag} {entry.checksum} {entry.key}\n")
    unfinished.rename(path)


def read(path: Path) -> Iterator[Entry]:
    """Return the objects in the order of the file."""
    with path.open() as lines:
        for line in lines:
            size, etag, checksum, key = line.rstrip("\n").split(" ", 3)
            yield Entry(int(size), etag, checksum, key)
