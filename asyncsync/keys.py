"""Keys are untrusted: where a key's file goes, and how a key is shown.

A key becomes a path only through `local_path`, and reaches a screen or a log only through `shown`.
"""

import os
import re
import unicodedata

from asyncsync.errors import UnsafeKeyError

STATE_DIR = ".asyncsync"
"""The folder that holds the lock and unfinished files: below the destination, and below a folder of
it where another disk is mounted. No key may lead into one."""

MAX_COMPONENT_BYTES = 255

_ORDINARY = re.compile(r"[\w=-][\w.=-]{0,254}(?:/[\w=-][\w.=-]{0,254})*", re.ASCII)
"""What nearly all keys look like; on POSIX such a key is a safe path."""
_WINDOWS_UNSAFE = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$')
_WINDOWS_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³])(?:\..*)?", re.IGNORECASE)


def local_path(key: str, *, windows: bool = os.name == "nt") -> tuple[str, ...]:
    """Return the components of the key's path below the destination.

    The path is the key itself: nothing is folded, cut or replaced, so no two keys share a path.

    Raises:
        UnsafeKeyError: the key has no path that is safely inside the destination.
    """
    if not windows and _ORDINARY.fullmatch(key):
        return tuple(key.split("/"))
    if key.endswith("/"):
        raise UnsafeKeyError(key, "a key that ends in '/' is a folder's, which holds no bytes")
    components = tuple(key.split("/"))
    for component in components:
        if component in {"", ".", ".."}:
            raise UnsafeKeyError(key, f"{component!r} is not a name that a path can hold safely")
        if "\0" in component:
            raise UnsafeKeyError(key, "a path cannot hold a NUL character")
        try:
            encoded = os.fsencode(component)
        except UnicodeEncodeError as error:
            raise UnsafeKeyError(key, "this system's encoding cannot hold the name") from error
        if len(encoded) > MAX_COMPONENT_BYTES:
            raise UnsafeKeyError(key, f"a name is longer than {MAX_COMPONENT_BYTES} bytes")
        if windows and (_WINDOWS_UNSAFE.search(component) or _WINDOWS_DEVICE.fullmatch(component)):
            raise UnsafeKeyError(key, f"{shown(component)} is not a name that Windows can hold")
    if any(component.casefold() == STATE_DIR for component in components):
        raise UnsafeKeyError(key, f"{STATE_DIR} is where asyncsync keeps its own files")
    return components


def has_path(key: str) -> bool:
    """Return whether the key has a safe local path."""
    try:
        local_path(key)
    except UnsafeKeyError:
        return False
    return True


def display_width(text: str) -> int:
    """Return how many cells of a terminal a shown text takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "FW" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def shown(text: str) -> str:
    r"""Return the text on one line and harmless to a terminal.

    Control, bidirectional and surrogate characters are escaped, as in `\x1b`; all else is kept.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
