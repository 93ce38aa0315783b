"""Folders that a link in the destination stands for, as `--follow-links` takes them.

Someone keeps `destination/raw` on another disk, and has a link to it in the destination. Each link
that is found when the destination is opened, and that is this user's or root's as what it leads to
is, and each further link on the way, is opened once and held. A path that leads through the link
starts at the folder that is held: what becomes of the link afterwards changes nothing.

A link to a folder that is in the destination, or that the destination or another such folder is in,
is not taken: two keys would have the same file.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from asyncsync.disk.folders.directory import Directory, Root
from asyncsync.keys import escaped, is_state_name
from asyncsync.others import PlantedError, look_at_folder

MOST_LINKS = 256
"""Links that are taken; the folder behind each stays open during a run."""

Components = tuple[str, ...]
"""The names of the folders on the way from the destination to a folder, that folder's included."""


@dataclass(frozen=True, slots=True)
class Linked:
    """The folder that a link leads to."""

    directory: Directory
    """Open."""
    path: str
    """Leads to it while it is open."""


def hold_links(
    root: str, real: str, notice: Callable[[str], object], opened: ExitStack
) -> Mapping[Components, Linked]:
    """Open the folders behind the links in a destination, and return them by the links' paths.

    Args:
        root: leads to the destination.
        real: its path without symbolic links.
        notice: called with each message for the user.
        opened: what closes the folders.
    """
    held: dict[Components, Linked] = {}
    taken = [real]
    pending: list[tuple[Components, str]] = [((), root)]
    while pending:
        above, folder = pending.pop()
        for entry in _folders(folder):
            here = (*above, entry.name)
            if not entry.is_symlink():
                pending.append((here, entry.path))
                continue
            target = os.path.realpath(entry.path)
            if len(held) == MOST_LINKS:
                why = f"there are more than {MOST_LINKS}"
            elif any(_is_in(target, other) or _is_in(other, target) for other in taken):
                why = f"{escaped(target)} is synced by another path already, or has one in it"
            else:
                try:
                    held[here] = linked = _open(entry.path)
                except PlantedError as error:
                    why = escaped(str(error))
                except OSError as error:
                    why = str(error.strerror)
                else:
                    opened.enter_context(linked.directory)
                    taken.append(target)
                    pending.append((here, linked.path))
                    continue
            notice(f"--follow-links: {escaped('/'.join(here))} is not followed: {why}")
    return held


def start_of(
    root: Root, path: Components, links: Mapping[Components, Linked]
) -> tuple[Root, Components]:
    """Return the folder from which to walk to a path without a link, and the rest of the way."""
    for depth in range(len(path), 0, -1) if links else ():
        if linked := links.get(path[:depth]):
            return linked.directory, path[depth:]
    return root, path


def _folders(path: str) -> Iterator[os.DirEntry[str]]:
    """Yield the folders in a folder, and the links to folders."""
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            is_link = entry.is_symlink() and os.path.isdir(entry.path)
            if (is_link or entry.is_dir(follow_symlinks=False)) and not is_state_name(entry.name):
                yield entry


def _open(path: str) -> Linked:
    """Open the folder that a link leads to.

    A link that is moved away and back in the meantime, with another's in its place, has changed.

    Raises:
        PlantedError: the link, the folder, or a link on the way to it may be another user's.
        OSError: the folder cannot be opened.
    """
    link = os.lstat(path)
    if hasattr(os, "geteuid") and link.st_uid not in {os.geteuid(), 0}:
        raise PlantedError(f"it belongs to another user (uid {link.st_uid})")
    checked = look_at_folder(os.path.join(os.path.dirname(path), os.readlink(path)))
    with ExitStack() as stack:
        directory = stack.enter_context(Directory(path))
        is_same = os.path.samestat(directory.status(), checked)
        if not is_same or _identity(link) != _identity(os.lstat(path)):
            raise PlantedError("it was changed in this moment")
        stack.pop_all()
    return Linked(directory, str(directory.path(Path(os.path.realpath(path)))))


def _identity(link: os.stat_result) -> tuple[int, ...]:
    return link.st_dev, link.st_ino, link.st_ctime_ns


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
