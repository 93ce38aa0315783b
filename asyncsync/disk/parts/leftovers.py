"""What earlier runs have left unfinished: found for the run that goes on with it, or removed."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.parts.journal import (
    JOURNAL,
    MAX_HEADER_BYTES,
    key_in,
    listed_bytes,
    read_key,
    version_hash,
)
from asyncsync.model import RemoteObject

MAX_AGE = 7 * 24 * 3600 * 10**9
"""Nanoseconds after which an unfinished file that no run has continued is removed."""


class Leftovers:
    """The unfinished files of earlier runs, as they were when this was made. All calls block.

    Args:
        folders: the parts folders.
        before_ns: files that changed after this belong to another run.
        source: the bucket, as for `open_part_file`.
    """

    def __init__(self, folders: Iterable[Path], before_ns: int, source: str) -> None:
        self._source = source
        self._journals: dict[str, list[Path]] = {}
        """By what their names begin with."""
        for folder in folders:
            for _, journal in find_leftovers(folder, f"*{JOURNAL}", before_ns):
                self._journals.setdefault(journal.name.partition(".")[0], []).append(journal)

    def __len__(self) -> int:
        """Return the number of objects that have any."""
        return len(self._journals)

    def kept(self, objects: Iterable[RemoteObject]) -> dict[str, int]:
        """Return how many bytes the journals list of these versions, by key, where they do."""
        found: dict[str, int] = {}
        for remote in objects:
            journals = self._journals.get(version_hash(remote, self._source), ())
            listed = max((listed_bytes(journal, remote) for journal in journals), default=0)
            if listed and remote.is_pinned:
                found[remote.key] = listed
        return found


def clear(folder: Path, before_ns: int) -> None:
    """Remove what no run can continue: without a journal, too old, or leading elsewhere.

    Args:
        folder: the parts folder.
        before_ns: files that changed after this belong to another run, and stay.
    """
    found = dict(_scan(folder))
    for name, status in found.items():
        other = name.removesuffix(JOURNAL) if name.endswith(JOURNAL) else name + JOURNAL
        can_continue = _is_plain(status) and other in found and _is_plain(found[other])
        oldest = before_ns - MAX_AGE if can_continue else before_ns
        if status.st_ctime_ns <= oldest:
            with suppress(OSError):
                os.unlink(folder / name)


def clear_stale(folder: Path, run: str, covers: Callable[[str], bool], before_ns: int) -> None:
    """Remove earlier runs' files for keys that this run covers: it has not used them.

    Files whose journal no longer names a key are removed too.

    Args:
        folder: the parts folder.
        run: the id of this run, whose own files are kept.
        covers: returns whether this run would have listed a key, if it is in the bucket.
        before_ns: files that changed after this belong to another run, and stay.

    Raises:
        OSError: the folder cannot be read.
    """
    for data, journal in find_leftovers(folder, f"*{JOURNAL}", before_ns):
        with suppress(OSError):
            if data.suffix != f".{run}" and ((key := read_key(journal)) is None or covers(key)):
                journal.unlink()
                data.unlink()


def find_leftovers(folder: Path, pattern: str, before_ns: int) -> Iterator[tuple[Path, Path]]:
    """Yield the unfinished files, with their journals, that no other run is working on.

    The change time (ctime) tells, which a take-over sets too. The modification time does not: it
    is the object's.
    """
    for journal in folder.glob(pattern):
        data = journal.with_name(journal.name.removesuffix(JOURNAL))
        with suppress(OSError):
            found = (data.lstat(), journal.lstat())
            is_old = max(status.st_ctime_ns for status in found) <= before_ns
            if is_old and all(map(_is_plain, found)):
                yield data, journal


def _is_plain(status: os.stat_result) -> bool:
    """Return whether it is a regular file without another name: writing changes nothing else."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink <= 1


def take_over(source: Directory, target: Directory, has: Callable[[str], bool] | None) -> bool:
    """Move the unfinished files of another run's folder, which no run works on.

    The journal goes first, so that what a kill leaves behind of one is found by it.

    Args:
        source: the parts folder of the other run.
        target: that of this one, on the same disk.
        has: whether this run may have a key; without it, all is moved, whatever it is.

    Returns:
        Whether anything was moved. It seems to have changed just now.

    Raises:
        OSError: the folders cannot be read or written.
    """
    names = source.names()
    here = {*target.names()}
    moved = []
    for name in sorted(names, key=lambda name: not name.endswith(JOURNAL)):
        if name.endswith(JOURNAL):
            takes = has is None or ((key := _key_of(source, name)) is not None and has(key))
        else:
            takes = has is None or name + JOURNAL in here
        if takes:
            source.move(name, target, name)
            here.add(name)
            moved.append(name)
    return bool(moved)


def _key_of(folder: Directory, journal: str) -> str | None:
    with suppress(OSError), folder.open(journal) as file, BufferedReader(file) as lines:
        return key_in(lines.readline(MAX_HEADER_BYTES))
    return None


def used_bytes(folder: Path) -> int:
    """Return how much disk space the unfinished files take, which have holes; in bytes."""
    found = _scan(folder) if folder.exists() else ()
    return sum(512 * getattr(status, "st_blocks", 0) for _, status in found)


def _scan(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is in the folder, without files that another run removes meanwhile."""
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield entry.name, status
