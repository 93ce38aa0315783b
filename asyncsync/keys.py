"""Keys, which are untrusted: how long they are, and how to show one safely.

A key becomes a path only in `paths.py`, and reaches a screen or a log only through `shown`, or
inside of a message through `escaped`.
"""

import hashlib
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

SCHEME = "s3://"
"""What stands before a bucket's name, a slash and a key, where all three are named as one."""

STATE_DIR = ".asyncsync"
"""The state folder, with the lock and the unfinished files.

It is in the destination, and in each folder below it where another disk is mounted. No key may lead
into one.
"""

MAX_KEY_BYTES = 1024
"""No S3 server has longer keys, and none has to accept a longer one in a request."""
MOST_SHOWN = 200
"""Characters of a key that are shown."""
_CUT = "… (cut)"
_FEW = 8
"""Folders of a page that are counted one by one; a page rarely has more."""


def is_state_name(name: str) -> bool:
    """Return whether a folder of this name holds the state of runs."""
    folded = name.casefold()
    return folded == STATE_DIR or folded.startswith(f"{STATE_DIR}-")


def is_too_long(key: str) -> bool:
    """Return whether the key is longer than a key can be."""
    if len(key) > MAX_KEY_BYTES:
        return True
    # A surrogate stands for one byte that is not valid UTF-8, and so does a question mark.
    return not key.isascii() and len(key.encode("utf-8", "replace")) > MAX_KEY_BYTES


def abridged(key: str) -> str:
    """Return the start and the end of a key that is too long; this is too long as well.

    Prefixes and globs still match it: its folders are folders of the key, and its name ends like
    the key's. It does not sort after the key.
    """
    return f"{key[:MAX_KEY_BYTES]} … {key[-100:].rpartition('/')[2]}"


def key_hash(key: str) -> int:
    """Return a number of 64 bits that stands for a key where many are to be remembered.

    Two keys share it by chance only, once in 2^64. That is not so with `hash(key)`, which is made
    of the characters as they are in memory, where '. ' and U+202E, for instance, are the same.
    """
    return _hash(key.encode("utf-8", "surrogatepass"))


def _digest(raw: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big", signed=True)


_hash: Callable[[bytes], int] = hash if sys.hash_info.width >= 64 else _digest
"""Where Python's own is of 32 bits, two of a million keys share it, and one may be missed."""


def key_hashes(keys: Sequence[str]) -> list[int]:
    """Return what `key_hash` does for each of the keys of a page, in a third of the time."""
    if len(parts := "\0".join(keys).encode("utf-8", "surrogatepass").split(b"\0")) == len(keys):
        return [*map(_hash, parts)]
    return [*map(key_hash, keys)]  # there are none, or one has a NUL


def count_folders(keys: Sequence[str], start: int = 0) -> Counter[str]:
    """Count the keys of a page by what they begin with, up to the first slash from `start` on.

    A key without such a slash counts for "".
    """
    counts = Counter[str]()
    left = keys
    for _ in range(_FEW):
        if not left or not (end := left[0].find("/", start) + 1):
            break
        folder = left[0][:end]
        others = [key for key in left if not key.startswith(folder)]
        counts[folder] += len(left) - len(others)
        left = others
    counts.update(key[: key.find("/", start) + 1] for key in left)
    return counts


def display_width(text: str) -> int:
    """Return how many terminal cells a text takes that went through `shown`."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "FW" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def shown(key: str) -> str:
    r"""Return the key, or any other short text of the endpoint's, as it is safe to print.

    It is escaped like a message, and only the first 200 characters are shown of a longer one.
    """
    if len(key) <= MOST_SHOWN and key.isprintable():
        return key
    shown, room = "", MOST_SHOWN
    for char in key[: MOST_SHOWN + 1]:
        shown += (part := escaped(char))
        if (room := room - len(part)) < 0:
            return shown[: -len(part)] + _CUT
    return shown


def escaped(text: str) -> str:
    r"""Return a message or a local path as one line that is safe to print on a terminal.

    Escapes control, bidirectional and surrogate characters, as in `\x1b`, and keeps all others.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
