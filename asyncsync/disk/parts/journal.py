"""The journals of unfinished files: what one is called, and what is written in it.

The first line describes the version of the object. Each other line is one piece of a part, with the
CRC64NVME of the part up to its end: `<start> <stop> <crc>`. `partfile.py` writes them.
"""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path

from asyncsync.disk.folders.directory import open_private
from asyncsync.model import RemoteObject

PART = 8 * 1024 * 1024
"""Bytes of one ranged request. A journal with another part size is not used."""
JOURNAL = ".journal"
MAX_HEADER_BYTES = 64 * 1024
"""Bytes of a journal's first line, at most: a key has 1,024, and each may take 12 in JSON."""

_MD5 = re.compile("[0-9a-fA-F]{32}")


def version_hash(remote: RemoteObject, source: str = "") -> str:
    """Return what begins the names of unfinished files of this version of an object."""
    bucket = "" if _MD5.match(remote.etag) else f"{source}\0"
    identity = f"{bucket}{remote.key}\0{remote.etag}\0{remote.size}"
    return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def header(remote: RemoteObject) -> bytes:
    """Return the journal's first line; JSON keeps every key in ASCII and on one line."""
    version = {"key": remote.key, "etag": remote.etag, "size": remote.size, "part": PART}
    return json.dumps(version | {"crc": "64nvme of a part"}).encode() + b"\n"


def parse_piece(line: bytes, size: int) -> tuple[int, int, int]:
    """Return the start, the stop and the CRC of a piece of an object of this size.

    Raises:
        ValueError: the line is damaged, or of no such piece.
    """
    start, stop, crc = map(int, line.split())
    if not line.endswith(b"\n") or not 0 <= start < stop <= min(start - start % PART + PART, size):
        raise ValueError("no piece of the object")
    return start, stop, crc


def listed_bytes(journal: Path, remote: RemoteObject) -> int:
    """Return how many bytes of the object a journal lists; 0 if it is of another version."""
    ends: dict[int, int] = {}
    with suppress(OSError), open(journal, "rb", opener=open_private) as file:
        if file.readline(MAX_HEADER_BYTES) != header(remote):
            return 0
        while line := file.readline(MAX_HEADER_BYTES):
            with suppress(ValueError):
                start, stop, _ = parse_piece(line, remote.size)
                part = start - start % PART
                if start <= ends.get(part, part) < stop:
                    ends[part] = stop
    return sum(end - part for part, end in ends.items())


def read_key(journal: Path) -> str | None:
    """Return the key that the journal names; None if it is damaged."""
    with open(journal, "rb", opener=open_private) as file:
        return key_in(file.readline(MAX_HEADER_BYTES))


def key_in(line: bytes) -> str | None:
    """Return the key in the first line of a journal; None if it is damaged."""
    try:
        key = json.loads(line)["key"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return key if isinstance(key, str) else None
