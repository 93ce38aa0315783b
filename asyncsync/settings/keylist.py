"""The list of keys that `files_from` names: one a line, or each with a NUL behind it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from asyncsync.errors import ConfigError
from asyncsync.keys import escaped, shown

MOST_BYTES = 256 << 20
"""Of a list: some millions of keys."""


def read_keys(name: str, file: BinaryIO) -> list[str]:
    r"""Return the keys that a file lists. Nothing in it is a comment, and no space is left out.

    A key that holds a line break can be in a list whose keys have a NUL behind them, as no key
    holds that. Otherwise, each line is a key, whether it ends in `\n` or `\r\n`.

    Args:
        name: what a message calls the file.
        file: the file, read to its end.

    Raises:
        ConfigError: it is too long, or cannot be read.
    """
    try:
        content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"files_from: {escaped(name)}: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise ConfigError(
            f"files_from: {escaped(name)}: is longer than {MOST_BYTES >> 20} MiB; use prefixes, or "
            "several lists"
        )
    text = content.decode("utf-8", "surrogateescape")
    if "\0" in text:
        return text.split("\0")
    return [line.removesuffix("\r") for line in text.split("\n")]


def named_keys(given: Mapping[str, object], prefixes: Sequence[str]) -> list[str] | None:
    """Return the keys that a run is given one by one, sorted; None if it is not.

    Args:
        given: the arguments; `files_from` is the keys, or the path of a file that lists them.
        prefixes: what the keys must begin with one of; anything, if there are none.

    Raises:
        ConfigError: the list cannot be read, or contradicts the other arguments.
    """
    source = given.get("files_from")
    if source is None:
        return None
    for name in ("include", "exclude"):
        if given.get(name):
            raise ConfigError(f"{name}: a list of keys says what to take; give one of them")
    if isinstance(source, str | Path):
        try:
            with open(source, "rb") as file:
                source = read_keys(str(source), file)
        except OSError as error:
            raise ConfigError(f"files_from: {escaped(str(source))}: {error.strerror}") from error
    keys = list(source) if isinstance(source, Iterable) else [source]
    if not all(isinstance(key, str) for key in keys):
        raise ConfigError("files_from: is neither a path nor a list of keys, which are str")
    keys = sorted(set(filter(None, keys)))
    starts = tuple(prefixes)
    for key in keys if starts else ():
        if not key.startswith(starts):
            asked = " or ".join(map(shown, prefixes))
            raise ConfigError(
                f"files_from: {shown(key)} does not begin with {asked}; a list has whole keys"
            )
    return keys
