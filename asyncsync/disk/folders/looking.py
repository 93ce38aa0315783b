"""Looks at many files at once: what is at the paths of a page, and which keys have files.

There is one system call for each path of a page, and one for each name in a folder.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from threading import Lock

from asyncsync import descriptors
from asyncsync.disk.folders.directory import Directory, LocalFile, UnsurePeriods
from asyncsync.keys import is_state_name
from asyncsync.paths import ENCODED, PLAIN, Paths

AT_ONCE = 1000
"""Names of a folder that are held at the same time, as it may have millions."""

PATIENCE = 0.1
"""Seconds for which a thread waits for its turn."""

Select = Callable[[Sequence[str]], Sequence[str]]
"""Returns those of some keys that count."""


class Looker:
    """Looks what is at the paths of pages, for several threads.

    They look one after the other, as long as none of them takes long. Each system call lets another
    thread of Python's go on: where several look at a fast disk, they change places at every call,
    which takes longer than the call. Where the disk is slow, a thread that has waited for a moment
    looks beside the others.

    Args:
        walk: opens a folder.
    """

    def __init__(self, walk: Callable[[tuple[str, ...]], Directory]) -> None:
        self._walk = walk
        self._turn = Lock()

    def look_up(
        self, paths: Sequence[str], known: Sequence[tuple[int, int]], unsure: UnsurePeriods
    ) -> list[LocalFile | None]:
        """Return what exists at each path, None where there is nothing. Blocks.

        Args:
            paths: where to look: the names of each, joined by slashes.
            known: for each path a size in bytes and a time in ns since the epoch. A file that has
                just these, and is not unsure, is `UNCHANGED`. Empty to have each file described.
            unsure: periods in which files changed that are unsure.

        Raises:
            OSError: the limit of open files is reached.
        """
        has_turn = self._turn.acquire(timeout=PATIENCE)
        try:
            return self._look_up(paths, known, unsure)
        finally:
            if has_turn:
                self._turn.release()

    def _look_up(
        self, paths: Sequence[str], known: Sequence[tuple[int, int]], unsure: UnsurePeriods
    ) -> list[LocalFile | None]:
        found: list[LocalFile | None] = []
        split = [path.rpartition("/") for path in paths]
        # Keys next to each other in a listing mostly share a folder.
        for folder, together in groupby(split, key=itemgetter(0)):
            names, start = [name for _, _, name in together], len(found)
            directory, instead = _open(self._walk, tuple(folder.split("/")) if folder else ())
            if directory:
                with directory:
                    found += directory.look_up_all(names, known[start : start + len(names)], unsure)
            else:
                found += [instead] * len(names)
        return found


def _open(
    walk: Callable[[tuple[str, ...]], Directory], parents: tuple[str, ...]
) -> tuple[Directory | None, LocalFile | None]:
    """Return the open folder; or None, and the result for every path in it."""
    try:
        return walk(parents), None
    except NotADirectoryError:
        return None, LocalFile(0, 0, "blocked")
    except OSError as error:
        if descriptors.too_many_open_files(error):
            raise
        return None, None  # no file is there; if the folder cannot be made, publishing reports it


def find_keys(
    roots: Mapping[str, str], select: Select, paths: Paths = PLAIN
) -> Iterator[Sequence[str]]:
    """Yield the selected keys that have a file below one of the roots, in no order. Blocks.

    All keys that are yielded at once begin with the same folders.

    Args:
        roots: the destination, and each folder in it that another one stands for; by its path in
            the destination, which ends in `/` unless it is the destination itself.
        select: says which keys to yield.
        paths: how keys become paths.

    Raises:
        OSError: the limit of open files is reached.
    """
    pending = [(paths.stripped + path, root) for path, root in roots.items()]
    while pending:
        base, folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                while found := [*islice(entries, AT_ONCE)]:
                    names = [each.name for each in found if each.is_file(follow_symlinks=False)]
                    if len(names) < len(found):
                        pending += [
                            (f"{base}{each.name}/", each.path)
                            for each in found
                            if each.is_dir(follow_symlinks=False) and not is_state_name(each.name)
                        ]
                    keys = [base + name for name in names]
                    if odd := [key for key in keys if ENCODED in key]:
                        keys = [key for key in keys if ENCODED not in key]
                        yield from (select([paths.key_of(key)]) for key in odd)
                    yield select(keys)
        except OSError as error:
            if descriptors.too_many_open_files(error):
                raise
            # A folder that is missing or unreadable holds no file that could be used.


def count_by_prefix(found: Iterable[Sequence[str]]) -> dict[str, int]:
    """Return how many of the keys that `find_keys` yields each top-level prefix has."""
    counts = Counter[str]()
    for keys in found:
        if keys:
            counts[keys[0][: keys[0].find("/") + 1]] += len(keys)
    return counts
