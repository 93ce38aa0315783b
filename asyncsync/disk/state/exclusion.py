"""Which runs may work on a destination at the same time: a whole run alone, or shards of one count.

    .asyncsync/lock                       a whole run holds it alone, shards share it
    .asyncsync/<uid>/lock                 the same among the runs of one user
    .asyncsync/lock-2-of-8                the run of this shard holds it
    .asyncsync/<uid>/shards/2-of-8/lock   the same among the runs of one user

A shard holds its own locks before it looks whether one of another count does. So of two that begin
at once, at least one ends.
"""

import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from asyncsync import descriptors
from asyncsync.descriptors import suppress_lasting_errors
from asyncsync.disk.folders.directory import Directory, Root
from asyncsync.disk.state import lock, shardstates
from asyncsync.disk.state.shardstates import lock_name, locked_names, shard_states
from asyncsync.errors import DestinationError
from asyncsync.keys import STATE_DIR, escaped
from asyncsync.shards import Shard

NAME = "lock"


class Locks:
    """The locks of one destination. All calls block.

    Args:
        path: the destination, for messages.
        notice: called with each message for the user.
        shard: the one that the run is for; None for a whole run.
    """

    def __init__(self, path: Path, notice: Callable[[str], object], shard: Shard | None) -> None:
        self._path = path
        self._notice = notice
        self._shard = shard
        self.descriptors: list[int] = []
        """Of the lock files that are held."""

    @contextmanager
    def sharing(self, root: Root, whole: Directory, *, is_usual: bool) -> Iterator[None]:
        """Share the locks that whole runs have alone.

        Args:
            root: the destination.
            whole: the state folder of whole runs.
            is_usual: as for `held`.

        Raises:
            LockHeldError: a whole run works here.
            OSError: the state folder cannot be written.
        """
        with ExitStack() as locks:
            holder = f"shard {self._shard}, "
            with self._as_far_as_usable(NAME, "whole runs of other users", tells=is_usual):
                shared = locks.enter_context(Directory.walk(root, (STATE_DIR,)))
                path, owner = shared.path(self._path / STATE_DIR) / NAME, shared.status()
                held = lock.hold_lock(path, self._path, owner, is_shared=True, holder=holder)
                self._add(held, locks)
            path = whole.path(self._path / STATE_DIR) / NAME
            self._add(lock.hold_lock(path, self._path, is_shared=True, holder=holder), locks)
            yield

    @contextmanager
    def _as_far_as_usable(self, name: str, others: str, *, tells: bool) -> Iterator[None]:
        """Go on where a lock that all users share cannot be used, and tell whom it lets in.

        Raises:
            OSError: the limit of open files is reached, which may pass.
        """
        try:
            yield
        except OSError as error:
            if descriptors.too_many_open_files(error):
                raise
            if tells:
                self._notice(
                    f"{escaped(str(self._path / STATE_DIR / name))} cannot be used "
                    f"({error.strerror}); {others} are not kept out"
                )

    def _add(self, held: AbstractContextManager[lock.Held], locks: ExitStack) -> lock.Held:
        """Hold a lock until the others are released."""
        found = locks.enter_context(held)
        self.descriptors.append(found.descriptor)
        locks.callback(self.descriptors.remove, found.descriptor)
        return found

    @contextmanager
    def held(
        self, root: Root, state: Path, find_whole: Callable[[], Directory], *, is_usual: bool
    ) -> Iterator[bool]:
        """Hold the locks that this run has alone.

        Yields whether they keep other runs of this user out.

        Args:
            root: the destination.
            state: the state folder of the run.
            find_whole: opens the state folder of whole runs.
            is_usual: whether to tell where the lock that all users share cannot be used.

        Raises:
            LockHeldError: a run holds one that excludes this one.
            DestinationError: as for `_check_shards`.
            OSError: the state folder cannot be written.
        """
        name = lock_name(self._shard) if self._shard else NAME
        with ExitStack() as locks:
            with self._as_far_as_usable(name, "runs of other users", tells=is_usual):
                shared = locks.enter_context(Directory.walk(root, (STATE_DIR,)))
                path = shared.path(self._path / STATE_DIR) / name
                self._add(lock.hold_lock(path, self._path, shared.status()), locks)
            held = self._add(lock.hold_lock(state / NAME, self._path), locks)
            self._check_shards(root, find_whole)
            yield held.is_exclusive

    def check_free(self, root: Root, state: Path, find_whole: Callable[[], Directory]) -> None:
        """Check that no run works here that excludes this one; as `held`, but changes nothing.

        Raises:
            LockHeldError: one does.
            DestinationError: as for `_check_shards`.
        """
        shared = self._path / STATE_DIR
        paths = [shared / NAME, state / NAME]
        if self._shard:
            paths.append(shared / lock_name(self._shard))
            with suppress_lasting_errors(), find_whole() as whole:
                lock.check_free(whole.path(self._path / STATE_DIR) / NAME, self._path)
        for path in paths:
            lock.check_free(path, self._path)
        self._check_shards(root, find_whole)

    def _check_shards(self, root: Root, find_whole: Callable[[], Directory]) -> None:
        """Check that no shard works here, unless it is of the count of this one.

        Raises:
            LockHeldError: one does.
            DestinationError: there are too many locks to tell, or no more files can be opened.
        """
        count = self._shard.count if self._shard else 0
        usual = self._path / STATE_DIR
        with suppress_lasting_errors(), Directory.walk(root, (STATE_DIR,)) as shared:
            locks = locked_names(shared, lambda other: other.count != count)
            if len(locks) > (most := shardstates.MOST_STATES):
                raise DestinationError(
                    f"{escaped(str(usual))}: holds more than {most:,} locks of shards, too many to "
                    "look whether one of them works here; if none does, remove their locks: find "
                    f"{escaped(shlex.quote(str(usual)))} -name 'lock-*-of-*' -delete"
                )
            for other, name in locks:
                self._check(other, shared.path(usual) / name)
        with suppress_lasting_errors(), find_whole() as whole:
            for other, state in shard_states(whole, lambda other: other.count != count):
                self._check(other, state.path(usual / other.name) / NAME)

    def _check(self, other: Shard, path: Path) -> None:
        why = lock.ANOTHER
        if self._shard:
            why = (
                f"one of {other.count:,} shards works on this folder, and this run is one of "
                f"{self._shard.count:,}: those that run at the same time must be of one count"
            )
        lock.check_free(path, self._path, why)
