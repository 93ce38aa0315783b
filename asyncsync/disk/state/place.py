"""The destination and this user's state folder in it, held open while a run uses them.

    destination/.asyncsync/           shared by all users of the destination
    destination/.asyncsync/lock       held by the one run that writes; see `lock.py`
    destination/.asyncsync/<uid>/     this user's own state
    destination/.asyncsync/.gitignore, CACHEDIR.TAG     git and backups pass over the folder
    destination/.asyncsync-<uid>/     the same, where `.asyncsync` cannot be used
    .../shards/2-of-8/                the state of a shard, in either; see `shardstates.py`

Whoever can write the destination can put another folder or a link at any of these names, and
whoever can write its parent can do that at the destination's own name. So the destination is opened
once, and everything in it is opened from there without following a link. A state folder is used
only if it belongs to this user and nobody else can write it. Other users' state is never relied on:
what their notes say can only cause more downloads.

The state folder is 0700. Only where others can write the destination, and so run asyncsync there,
it is 0711, so that they can read the notes about files that they may use too (`published.py`,
`unsynced.py`). Its parts folder is always 0700.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path

from asyncsync.descriptors import suppress_lasting_errors
from asyncsync.disk.folders.directory import Directory, Root
from asyncsync.disk.folders.links import Components as Components
from asyncsync.disk.folders.links import Linked, hold_links, start_of
from asyncsync.disk.state.exclusion import Locks
from asyncsync.disk.state.others import exists, states_of_others
from asyncsync.disk.state.shardstates import (
    FOLDER,
    remove_locks,
    remove_shard_states,
    shard_states,
    unread_shard_states,
)
from asyncsync.disk.state.shared import (
    OTHERS_CAN_WRITE,
    checked,
    is_trusted,
    open_shared,
    put_aside_old_state,
    tag,
)
from asyncsync.errors import MachineError
from asyncsync.keys import STATE_DIR, escaped
from asyncsync.shards import MOST_SHARDS, Shard

_UNUSABLE = {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP}
"""Errors about `.asyncsync` that a folder beside it avoids."""


class Place:
    """A destination, and this user's state folder in it. All calls block.

    Args:
        path: the destination, without symbolic links.
        notice: called with each message for the user.
        follows_links: whether links to folders in it stand for those folders; see `links.py`.
        shard: the one that the run is for; None for a whole run.
    """

    root: Root
    """Where each walk through the destination starts."""
    root_path: Path
    """A path to the destination; while it is held, one that leads through its descriptor."""
    state: Path
    """A path to this user's state folder, likewise."""

    def __init__(
        self,
        path: Path,
        notice: Callable[[str], object] = str,
        *,
        follows_links: bool = False,
        shard: Shard | None = None,
    ) -> None:
        self.path = path
        self.shard = shard
        self._locks = Locks(path, notice, shard)
        self.follows_links = follows_links
        self._links: Mapping[Components, Linked] = {}
        self.user = user()
        self._beside = f"{STATE_DIR}-{self.user}"
        self._notice = notice
        self._held: Directory | None = None
        self.has_state = False
        """Whether the state folder is held, which is this user's then."""
        self.root, self.root_path = str(path), path
        self.below: Components = (FOLDER, shard.name) if shard else ()
        """Where the run's state folder is in that of whole runs."""
        self._names: Components = (STATE_DIR, self.user, *self.below)
        self.state = path.joinpath(*self._names)

    @contextmanager
    def _restored(self) -> Iterator[None]:
        """Hold at the end of this context what was held before it, and no more."""
        before = vars(self).copy()
        try:
            yield
        finally:
            vars(self).update(before)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the destination and the state folder, as far as they exist."""
        with ExitStack() as opened, self._restored():
            with suppress(OSError, MachineError):
                if not self._held:
                    self._hold(opened)
                if not self.has_state:
                    with self._find_state() as state:
                        self._use(state.again(), opened)
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the destination, which must exist, and the state folder, which is made if missing.

        A shard shares the locks of whole runs from now on, so that none takes its state folder over
        while it is opened.

        Raises:
            LockHeldError: a run of an older version works here; or, for a shard, a whole run.
            OSError: the destination cannot be opened, or no state folder can be made.
        """
        with ExitStack() as opened, self._restored():
            if not self._held:
                self._hold(opened)
            if self.shard:
                whole, names = self._open_whole((), tells=False)
                opened.enter_context(whole)
                is_usual = names[0] == STATE_DIR  # otherwise `open_state` says so
                opened.enter_context(self._locks.sharing(self.root, whole, is_usual=is_usual))
            self._use(self.open_state(()), opened)
            yield

    def _hold(self, opened: ExitStack) -> None:
        self._held = opened.enter_context(Directory.walk(str(self.path), ()))
        self.root, self.root_path = self._held, self._held.path(self.path)
        if self.follows_links:
            self._links = hold_links(str(self.root_path), str(self.path), self._notice, opened)

    def walk(self, path: Components, *, create: bool = False) -> Directory:
        """Open a folder of the destination; raises as `Directory.walk`."""
        return Directory.walk(*start_of(self.root, path, self._links), create=create)

    def is_behind_link(self, path: Components) -> bool:
        """Return whether the way to a path leads through a link that is followed."""
        return start_of(self.root, path, self._links)[1] != path

    def followed(self) -> list[Path]:
        """Return the folders that links in the destination stand for, without links."""
        return [Path(os.path.realpath(link.path)) for link in self._links.values()]

    def roots(self) -> dict[str, str]:
        """Return the destination and the folders that links in it stand for; see `find_keys`."""
        linked = {"/".join((*path, "")): link.path for path, link in self._links.items()}
        return {"": str(self.root_path), **linked}

    def _use(self, state: Directory, opened: ExitStack) -> None:
        self.state = opened.enter_context(state).path(self.path.joinpath(*self._names))
        self.has_state = True

    @property
    def is_held(self) -> bool:
        """Whether the destination is held, which exists then."""
        return self._held is not None

    def is_in_place(self) -> bool:
        """Return whether the destination's name still leads to the folder that is held."""
        with suppress(OSError):
            found = os.stat(self.path)
            return self._held is None or os.path.samestat(found, self._held.status())
        return False

    # the state folder ---------------------------------------------------------------------------

    def open_state(self, parents: Components) -> Directory:
        """Open this run's state folder in a folder of the destination, and make it if missing.

        Raises:
            LockHeldError: a run of an older version works here.
            OSError: it cannot be made.
        """
        whole, names = self._open_whole(parents)
        if not parents:
            self._names = (*names, *self.below)
        if not self.below:
            return whole
        with whole:
            mode = whole.status().st_mode & 0o777
            # Others find the shards of a user by their names, if they may read any notes.
            with checked(whole.enter(FOLDER, 0o700)) as shards:
                shards.set_mode(0o755 if mode & 0o011 else 0o700)
                state = checked(shards.enter(self.below[-1], mode))
                state.set_mode(mode)
                return state

    def _open_whole(
        self, parents: Components, *, tells: bool = True
    ) -> tuple[Directory, Components]:
        """Open the state folder of this user's whole runs, and make it if missing.

        Args:
            parents: where to look for it in the destination.
            tells: whether to tell the user if it is another one than usual.
        """
        with self.walk(parents) as folder:
            mode = 0o711 if folder.status().st_mode & OTHERS_CAN_WRITE else 0o700
            try:
                put_aside_old_state(folder, self.path.joinpath(*parents), self._beside)
                with open_shared(folder) as shared:
                    with suppress(OSError):  # what was kept beside it, while it could not be used
                        if folder.exists(self._beside) and not shared.exists(self.user):
                            folder.move(self._beside, shared, self.user)
                    names: Components = (STATE_DIR, self.user)
                    state = checked(shared.enter(self.user, mode))
            except OSError as error:
                if error.errno not in _UNUSABLE:
                    raise
                names = (self._beside,)
                state = checked(folder.enter(self._beside, mode))
                tag(state)
                if tells:
                    self._notice_beside(error, (*parents, *names))
            state.set_mode(mode)
            return state, names

    def _notice_beside(self, error: OSError, names: Components) -> None:
        there = escaped(str(self.path.joinpath(*names[:-1], STATE_DIR)))
        self._notice(
            f"{there} cannot be used ({error.strerror}); this run keeps its state in "
            f"{escaped(str(self.path.joinpath(*names)))}"
        )

    def _find_state(self) -> Directory:
        """Open the state folder that exists; that of an older version is the shared one.

        Raises:
            OSError: there is none that may be used.
        """
        with suppress(OSError):
            names, state = self._find_in((), self.below)
            self._names = (*names, *self.below)
            return state
        if self.below:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        state = checked(Directory.walk(self.root, (STATE_DIR,)))
        self._names = (STATE_DIR,)
        return state

    def _find_in(self, parents: Components, below: Components = ()) -> tuple[Components, Directory]:
        """Open this user's state folder that exists, or one in it; return the former's names, too.

        Raises:
            MachineError: no more files can be opened.
            OSError: there is none that may be used.
        """
        for names in ((STATE_DIR, self.user), (self._beside,)):
            with suppress_lasting_errors():
                return names, checked(self.walk((*parents, *names, *below)))
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    # shards -------------------------------------------------------------------------------------

    def whole_state(self, parents: Components = ()) -> Iterator[Directory]:
        """Yield the state folder of this user's whole runs to a shard; open for one step.

        Args:
            parents: where to look for it in the destination.
        """
        if self.below:
            with suppress_lasting_errors(), self._find_in(parents)[1] as state:
                yield state

    def shard_states(
        self, parents: Components = (), *, siblings: bool = False
    ) -> Iterator[Directory]:
        """Yield the state folders of this user's other shards, each open for one step.

        Args:
            parents: where to look for them in the destination.
            siblings: whether those count that have the count of this one, and so other keys.
        """
        with suppress_lasting_errors(), self._find_in(parents)[1] as whole:
            counts = (lambda shard: shard != self.shard) if siblings else self._is_other
            for _, state in shard_states(whole, counts):
                if is_trusted(state):
                    yield state

    def other_states(self) -> list[Components]:
        """Return where the state folders are that `whole_state` and `shard_states` yield."""
        found: list[Components] = []
        with suppress_lasting_errors():
            names, whole = self._find_in(())
            with whole:
                found += [names] * bool(self.shard)
                for shard, state in shard_states(whole, self._is_other):
                    if is_trusted(state):
                        found.append((*names, FOLDER, shard.name))
        return found

    def _is_other(self, shard: Shard) -> bool:
        """Return whether a shard may have keys of this run: not one of the same count."""
        return self.shard is None or shard.count != self.shard.count

    def remove_shard_states(self, parents: Components = ()) -> None:
        """Remove the state folders of shards, which a whole run has taken over; and their locks."""
        with suppress(OSError), self._find_in(parents)[1] as whole:
            remove_shard_states(whole)
        with suppress(OSError), self.walk((*parents, STATE_DIR)) as shared:
            remove_locks(shared)

    # locks --------------------------------------------------------------------------------------

    def lock(self) -> AbstractContextManager[bool]:
        """Hold the locks of the destination and of the state folder; call it in `writing`.

        Yields whether they keep other runs of this user out.

        Raises:
            LockHeldError: another run holds one of them.
            OSError: the state folder cannot be written.
        """
        is_usual = self._names[0] == STATE_DIR  # otherwise it was said that it cannot be used
        return self._locks.held(self.root, self.state, self._find_whole, is_usual=is_usual)

    @property
    def locks(self) -> Sequence[int]:
        """The descriptors of the locks that are held."""
        return self._locks.descriptors

    def check_free(self) -> None:
        """Check that no run works on the destination that excludes this one; changes nothing.

        Raises:
            LockHeldError: one does.
        """
        self._locks.check_free(self.root, self.state, self._find_whole)

    def _find_whole(self) -> Directory:
        return self._find_in(())[1]

    def sync_names(self) -> None:
        """Wait until the names in the state folder, and its own, are on the disk."""
        for depth in range(len(self._names), -1, -1):
            with Directory.walk(self.root, self._names[:depth]) as directory:
                directory.sync()

    # other users --------------------------------------------------------------------------------

    def others(self) -> Iterator[Directory]:
        """Yield the state folders of other users of the destination, each open for one step.

        They may hold anything: read what is needed with a bound, and rely on nothing. Those of
        whole runs come first, so that no user's shards can crowd out the notes of all others.
        """
        for _, state in states_of_others(self.root, self.user):
            yield state
        shards = (
            each
            for _, state in states_of_others(self.root, self.user)
            for each in unread_shard_states(state)
        )
        yield from islice(shards, MOST_SHARDS)

    def doubtful(self) -> Iterator[Directory]:
        """Yield the state folders whose notes may only cause doubts, each open for one step.

        Those of other users, and those of this one's shards that others could write.
        """
        yield from self.others()
        with suppress_lasting_errors(), self._find_in(())[1] as whole:
            for _, state in shard_states(whole):
                if not is_trusted(state):
                    yield state

    def abandoned(self) -> Iterator[tuple[Path, int | None]]:
        """Yield the state folders of users who do not exist, as after a container was made anew.

        And how many bytes their unfinished files take, None where this user may not look.
        """
        for name, state in states_of_others(self.root, self.user):
            if exists(int(name)):
                continue
            used = None
            with suppress(OSError), state.enter("parts") as parts:
                used = parts.used_bytes()
            yield self.path / STATE_DIR / name, used


def user() -> str:
    """Return the name of this user's state folder."""
    return str(os.geteuid()) if hasattr(os, "geteuid") else "user"
