"""The state folders of shards, each in the state folder of its user's whole runs.

    .asyncsync/<uid>/                   the state of whole runs
    .asyncsync/<uid>/shards/2-of-8/     the state of one shard: the same files, of its keys
    .asyncsync/lock-2-of-8              held by the one run of this shard, whoever's it is

No file has two writers, so nothing depends on whether a network file system appends well. Locks say
who may work at the same time: shards of one count, each once. All of them share the `lock` of whole
runs, which a whole run holds alone. A shard begins with its own locks, and then looks for shards of
another count: of two that begin at once, at least one sees the other.

What shards have recorded counts for others as well:

- A shard reads what whole runs and shards of another count have left, since its keys may be there.
  Those of its own count have other keys. `parts/leftovers.py` moves unfinished files over.
- A whole run takes over all that shards have left, and removes their folders; it has the lock alone
  then. So what a shard has recorded is always younger than what whole runs have.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from asyncsync.descriptors import suppress_lasting_errors
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state.lock import is_free
from asyncsync.disk.state.shared import is_trusted
from asyncsync.shards import MOST_SHARDS, Shard

FOLDER = "shards"
_FIRST = "published"
_PARTS = "parts"
_LOCK = "lock-"
MOST_STATES = 4 * MOST_SHARDS
"""Locks, and state folders of one user, that are looked at: shards may be of several counts."""


def lock_name(shard: Shard) -> str:
    """Return what the lock of a shard is called that all users of the destination see."""
    return f"{_LOCK}{shard.name}"


def locked_names(
    shared: Directory, counts: Callable[[Shard], bool] = bool
) -> list[tuple[Shard, str]]:
    """Return the locks of the shards that count, by their names in the folder that all users share.

    One more than `MOST_STATES` stands for all beyond.

    Raises:
        OSError: the folder cannot be read.
    """
    found = (name.removeprefix(_LOCK) for name in shared.names() if name.startswith(_LOCK))
    return [(shard, lock_name(shard)) for shard in _shards(found, counts, more=1)]


def shard_states(
    state: Directory, counts: Callable[[Shard], bool] = bool
) -> Iterator[tuple[Shard, Directory]]:
    """Yield the state folders of the shards that count, in the state folder of a user.

    Each is open for one step.

    Raises:
        MachineError: no more files can be opened.
    """
    with suppress_lasting_errors(), state.enter(FOLDER) as folder:
        for shard in _shards(folder.names(), counts):
            with suppress_lasting_errors(), folder.enter(shard.name) as each:
                yield shard, each


def remove_shard_states(state: Directory) -> None:
    """Remove the state folders of shards, as far as they hold nothing that was not taken over.

    What others could write was not: it stays; see `Place.doubtful`.

    Raises:
        OSError: they cannot be read.
    """
    with state.enter(FOLDER) as folder:
        for shard in _shards(folder.names()):
            with suppress(OSError):
                with folder.enter(shard.name) as each:
                    if is_trusted(each):
                        _clear(each)
                folder.remove_folder(shard.name)
    with suppress(OSError):
        state.remove_folder(FOLDER)


def _clear(state: Directory) -> None:
    """Remove what is in a state folder; first what says which files were made here.

    So a kill in between leaves no folder that has made files whose paths it does not know.
    """
    for name in sorted(state.names(), key=_FIRST.__ne__):
        if name == _PARTS:
            state.remove_folder(name)
        else:
            state.remove(name)


def remove_locks(shared: Directory) -> None:
    """Remove the locks of shards in the folder that all users share; a whole run holds its own.

    Raises:
        OSError: the folder cannot be read.
    """
    for _, name in locked_names(shared):
        with suppress(OSError):  # another user's
            shared.remove(name)


def is_at_work(state: Directory) -> bool:
    """Return whether a run of the shard with this state folder holds its lock."""
    with suppress_lasting_errors(), state.open("lock") as file:
        return not is_free(file)
    return False


def unread_shard_states(state: Directory) -> Iterator[Directory]:
    """Yield those of another user, whose names may not be read, each open for one step."""
    with suppress_lasting_errors(), state.enter(FOLDER) as folder:
        for shard in _shards(folder.names()):
            with suppress_lasting_errors(), folder.enter_unread(shard.name) as each:
                yield each


def _shards(
    names: Iterable[str], counts: Callable[[Shard], bool] = bool, more: int = 0
) -> list[Shard]:
    """Return the shards that these names are of and that count, in their order.

    Not more than are looked at, and so many `more`.
    """
    found = (shard for name in names if (shard := Shard.named(name)) and counts(shard))
    return sorted(found, key=lambda shard: (shard.count, shard.number))[: MOST_STATES + more]
