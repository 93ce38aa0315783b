"""Which prefix the paths of a destination leave out, so that no run mistakes its files.

With `--strip-prefix`, `1hz/a.parquet` and `2hz/a.parquet` have the same path. A run that finds the
one's file there, of the same size and time, would take it for the other's. So a run that strips a
prefix notes it in the state folder before its first file, and each run on files that were published
here must strip the same one, or none where there is no note.
"""

from contextlib import suppress
from pathlib import Path

from asyncsync.disk.notes import read_note
from asyncsync.disk.place import Place
from asyncsync.disk.published import Published
from asyncsync.errors import ConfigError
from asyncsync.keys import escaped, shown

NAME = "stripped"


def missing_note(place: Place, published: Published, stripped: str) -> bytes | None:
    """Return what must be noted before a file is published; None if nothing. Blocks.

    Raises:
        ConfigError: the files here have other paths than those that this run would give them.
    """
    wanted, noted = stripped.encode("utf-8", "surrogatepass"), b""
    with suppress(OSError):
        noted = read_note(place.state / NAME) or b""
    if noted == wanted:
        return None
    if published.is_empty():
        return wanted
    raise ConfigError(_refusal(place.path, noted.decode("utf-8", "replace"), stripped))


def _refusal(path: Path, held: str, stripped: str) -> str:
    dest = f"dest: {escaped(str(path))}"
    if not held:
        return f"{dest}: holds files with whole keys as paths; strip prefixes into another folder"
    there = f"{dest}: holds {shown(held)} without that prefix"
    if stripped:
        return f"{there}; choose another folder for {shown(stripped)}"
    return f"{there}; use --strip-prefix, or choose another folder"
