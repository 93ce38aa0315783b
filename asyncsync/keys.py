"""Keys, which are untrusted: the local path of a key, and how to show one safely.

A key becomes a path only through `local_path`, and reaches a screen or a log only through `shown`.
"""

import os
import re
import unicodedata

from asyncsync.errors import UnsafeKeyError

STATE_DIR = ".asyncsync"
"""The state folder, with the lock and the unfinished files.

It is in the destination, and in each folder below it where another disk is mounted. No key may lead
into one.
"""

MAX_COMPONENT_BYTES = 255

_ORDINARY = re.compile(r"[\w=-][\w.=-]{0,254}(?:/[\w=-][\w.=-]{0,254})*", re.ASCII)
"""Nearly all keys match this. On POSIX such a key is a safe path."""
_WINDOWS_UNSAFE = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$')
_WINDOWS_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³])(?:\..*)?", re.IGNORECASE)


def local_path(key: str, *, windows: bool = os.name == "nt") -> tuple[str, ...]:
    """Return the components of the key's path below the destination.

    The path is the key itself. Nothing is folded, cut or replaced, so no two keys share a path.

    Raises:
        UnsafeKeyError: the key has no path that is safely inside the destination.
    """
    if not windows and _ORDINARY.fullmatch(key):
        return tuple(key.split("/"))
    if key.endswith("/"):
        raise UnsafeKeyError(key, "a key that ends in '/' is a folder and cannot have content")
    components = tuple(key.split("/"))
    for component in components:
        if component in {"", ".", ".."}:
            raise UnsafeKeyError(key, f"{component!r} is not a safe file name")
        if "\0" in component:
            raise UnsafeKeyError(key, "a path cannot contain a NUL character")
        try:
            encoded = os.fsencode(component)
        except UnicodeEncodeError as error:
            raise UnsafeKeyError(key, "the file system's encoding has no such name") from error
        if len(encoded) > MAX_COMPONENT_BYTES:
            raise UnsafeKeyError(key, f"a name is longer than {MAX_COMPONENT_BYTES} bytes")
        if windows and (_WINDOWS_UNSAFE.search(component) or _WINDOWS_DEVICE.fullmatch(component)):
            raise UnsafeKeyError(key, f"{shown(component)} is not a valid file name on Windows")
    if any(map(is_state_name, components)):
        raise UnsafeKeyError(key, f"{STATE_DIR} is reserved for asyncsync's own files")
    return components


def is_state_name(name: str) -> bool:
    """Return whether a folder of this name holds the state of runs."""
    folded = name.casefold()
    return folded == STATE_DIR or folded.startswith(f"{STATE_DIR}-")


def has_path(key: str) -> bool:
    """Return whether the key has a safe local path."""
    try:
        local_path(key)
    except UnsafeKeyError:
        return False
    return True


def display_width(text: str) -> int:
    """Return how many terminal cells a text takes that went through `shown`."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "FW" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def shown(text: str) -> str:
    r"""Return the text as one line that is safe to print on a terminal.

    Escapes control, bidirectional and surrogate characters, as in `\x1b`, and keeps all others.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
