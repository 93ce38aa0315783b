r"""The local path of a key, and the key of a local path.

Keys are untrusted: one becomes a path only here. Nearly all are their own path. The others are
*odd*: a name in them is empty, `.`, `..`, longer than 255 bytes, or kept for something else. They
are refused, or encoded if the run says so, name by name:

    a//b       a/%~/b          %~ begins a name that is encoded; the empty one is nothing else
    ../x       %~../x
    a\0b       %~a%00b         what no name can hold is written as in URLs, and so is %
    %~x        %~%25~x         a name that looks encoded is odd as well
    nnn...     %+nn.../%~nn... a name that is too long is several; %+ begins all but the last

A name that is encoded begins with %~ or %+, and no other name does: so a path can be read in one
way only. As only %+ goes on in the next name, what is a file for one key is never the folder of
another, unless the keys themselves say so: `x` and `x/y`.
"""

import os
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote

from asyncsync.errors import UnsafeKeyError
from asyncsync.keys import MAX_KEY_BYTES, STATE_DIR, is_state_name, is_too_long, shown

MAX_NAME_BYTES = 255
ENCODED = "%~"
"""Begins a name that is encoded, or the last of several that are one; so it is in every such path.

URLs have two hexadecimal digits behind a `%`, so that names which were taken from one have no such
beginning.
"""
CONTINUED = "%+"
"""Begins a name that goes on in the next one."""

_ROOM = MAX_NAME_BYTES - len(ENCODED)
_ORDINARY = re.compile(r"[\w=-][\w.=-]{0,254}(?:/[\w=-][\w.=-]{0,254})*", re.ASCII)
"""Nearly all keys match this. On POSIX such a key is a safe path."""
_ORDINARY_BYTES = f"{string.ascii_letters}{string.digits}_.=-/".encode()
"""What such a key is made of."""
_WINDOWS_UNSAFE = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$')
_WINDOWS_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_ESCAPED = re.compile(r"[%\x00]")
_ESCAPED_ON_WINDOWS = re.compile(rf"%|{_WINDOWS_UNSAFE.pattern}")
_ESCAPED_IN_ASCII = re.compile(r"[^\x01-\x7f]|%")


class OddKeys(StrEnum):
    """What becomes of odd keys."""

    SKIP = "skip"
    """They are refused, and named."""
    ENCODE = "encode"
    """Their paths are encoded."""


@dataclass(frozen=True, slots=True)
class Paths:
    """How the keys of a run become paths below the destination: as they are, if they can be."""

    stripped: str = ""
    """How all keys of the run begin, and no path does: empty, or a prefix up to a `/`."""
    encodes: bool = False
    """Whether odd keys are encoded, and not refused."""
    windows: bool = os.name == "nt"
    """Whether names must suit Windows."""
    root: str = ""
    """The destination's absolute path; empty where nobody asks for files."""

    def of(self, key: str) -> tuple[str, ...]:
        """Return the names in the key's path; no two keys share one.

        Raises:
            UnsafeKeyError: the key has no path that is safely inside the destination.
        """
        if not self.windows and len(key) <= MAX_KEY_BYTES and _ORDINARY.fullmatch(key):
            return tuple(key[len(self.stripped) :].split("/"))
        if is_too_long(key):
            raise UnsafeKeyError(key, f"a key cannot be longer than {MAX_KEY_BYTES:,} bytes")
        names = key[len(self.stripped) :].split("/")
        why = next(filter(None, (_why_odd(name, windows=self.windows) for name in names)), "")
        if why and key.endswith("/"):
            why = "a key that ends in '/' is a folder and cannot have content"
        if why:
            try:
                encoded = tuple(_encode(names, windows=self.windows))
            except UnicodeEncodeError as error:
                raise UnsafeKeyError(key, why) from error
            if not self.encodes:
                raise UnsafeKeyError(key, f"{why}; --odd-keys encode fetches it")
            return encoded
        return tuple(names)

    def of_page(self, keys: Sequence[str]) -> Sequence[str] | None:
        """Return the path of each key, its names joined by slashes; None if a key may be odd."""
        page = f"/{'/'.join(keys)}/"
        if self.windows or not page.isascii() or page.encode().translate(None, _ORDINARY_BYTES):
            return None
        if "//" in page or "/." in page:  # a name is empty, or begins with a dot
            return None
        longest = max(map(len, keys))
        if longest > MAX_NAME_BYTES and not all(map(_ORDINARY.fullmatch, keys)):
            return None
        if longest > MAX_KEY_BYTES:
            return None
        return [key[len(self.stripped) :] for key in keys] if self.stripped else keys

    def file(self, path: Iterable[str]) -> Path:
        """Return the file with these names below the destination."""
        return Path(self.root, *path)

    def has(self, key: str) -> bool:
        """Return whether the key has a path."""
        try:
            self.of(key)
        except UnsafeKeyError:
            return False
        return True

    def key_of(self, path: str) -> str:
        """Return the key that has the path, which is given behind the prefix that is stripped.

        That is the path itself, unless it is one of an odd key. It holds whether this run encodes
        odd keys or refuses them.
        """
        path = path[len(self.stripped) :]
        key = _decode(path.split("/"))
        is_encoded = "/".join(_encode(key.split("/"), windows=self.windows)) == path
        return self.stripped + (key if is_encoded else path)


PLAIN = Paths()
"""Keys are their own paths."""


def is_encoded(path: Iterable[str]) -> bool:
    """Return whether it is the path of an odd key."""
    return any(name.startswith(ENCODED) for name in path)


def _why_odd(name: str, *, windows: bool) -> str:
    """Return why no file can be called so; empty if one can."""
    if not name:
        return "a '/' stands first, or beside another, and no file can be called so"
    if name in {".", ".."}:
        return f"{name!r} is not a safe file name"
    if "\0" in name:
        return "a path cannot contain a NUL character"
    if name.startswith((ENCODED, CONTINUED)):
        return f"only an encoded name begins with {name[:2]}"
    if is_state_name(name):
        return f"{STATE_DIR} is reserved for asyncsync's own files"
    try:
        length = len(os.fsencode(name))
    except UnicodeEncodeError:
        return "the file system's encoding has no such name"
    if length > MAX_NAME_BYTES:
        return f"a name is longer than {MAX_NAME_BYTES} bytes"
    if windows and (_WINDOWS_UNSAFE.search(name) or _WINDOWS_DEVICE.fullmatch(name)):
        return f"{shown(name)} is not a valid file name on Windows"
    return ""


def _encode(names: Iterable[str], *, windows: bool) -> Iterator[str]:
    """Yield the names of the path for those of a key.

    Raises:
        UnicodeEncodeError: one has a character that is none.
    """
    for name in names:
        if _why_odd(name, windows=windows):
            yield from _encode_name(name, _ESCAPED_ON_WINDOWS if windows else _ESCAPED)
        else:
            yield name


def _encode_name(name: str, unsafe: re.Pattern[str]) -> Iterator[str]:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        unsafe = _ESCAPED_IN_ASCII
    rest = name
    while True:
        end = _ROOM
        while len(os.fsencode(piece := unsafe.sub(_escape, rest[:end]))) > _ROOM:
            end -= 1
        rest = rest[end:]
        yield (CONTINUED if rest else ENCODED) + piece
        if not rest:
            return


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))


def _decode(names: Iterable[str]) -> str:
    """Return the key, if the names are a path that `_encode` yields; anything for others."""
    key = ""
    for name in names:
        if name.startswith((ENCODED, CONTINUED)):
            key += unquote(name[2:], errors="surrogateescape")
        else:
            key += name
        if not name.startswith(CONTINUED):
            key += "/"
    return key.removesuffix("/")
