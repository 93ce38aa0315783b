"""The destination and this user's state folder in it, held open while a run uses them.

    destination/.asyncsync/           shared by all users of the destination
    destination/.asyncsync/lock       held by the one run that writes; see `lock.py`
    destination/.asyncsync/<uid>/     this user's own state
    destination/.asyncsync/.gitignore, CACHEDIR.TAG     git and backups pass over the folder
    destination/.asyncsync-<uid>/     the same, where `.asyncsync` cannot be used

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
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from asyncsync import descriptors
from asyncsync.disk import lock
from asyncsync.disk.directory import Directory, Root
from asyncsync.disk.links import Components as Components
from asyncsync.disk.links import Linked, hold_links, start_of
from asyncsync.keys import STATE_DIR, escaped

MOST_USERS = 64
"""Other users whose notes are read."""
_OTHERS_CAN_WRITE = stat.S_IWGRP | stat.S_IWOTH
_UNUSABLE = {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP}
"""Errors about `.asyncsync` that a folder beside it avoids."""

_TAGS = {
    ".gitignore": b"*\n",
    "CACHEDIR.TAG": b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# The state of asyncsync. Backups may leave it out: https://bford.info/cachedir/\n",
}


class Place:
    """A destination, and this user's state folder in it. All calls block.

    Args:
        path: the destination, without symbolic links.
        notice: called with each message for the user.
        follows_links: whether links to folders in it stand for those folders; see `links.py`.
    """

    root: Root
    """Where each walk through the destination starts."""
    root_path: Path
    """A path to the destination; while it is held, one that leads through its descriptor."""
    state: Path
    """A path to this user's state folder, likewise."""

    def __init__(
        self, path: Path, notice: Callable[[str], object] = str, *, follows_links: bool = False
    ) -> None:
        self.path = path
        self.follows_links = follows_links
        self._links: Mapping[Components, Linked] = {}
        self.user = user()
        self._beside = f"{STATE_DIR}-{self.user}"
        self._notice = notice
        self._held: Directory | None = None
        self.has_state = False
        """Whether the state folder is held, which is this user's then."""
        self.locks: list[int] = []
        """The descriptors of the locks that are held."""
        self.root, self.root_path = str(path), path
        self._names: Components = (STATE_DIR, self.user)
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
            with suppress(OSError):
                if not self._held:
                    self._hold(opened)
                if not self.has_state:
                    with self._find_state() as state:
                        self._use(state.again(), opened)
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the destination, which must exist, and the state folder, which is made if missing.

        Raises:
            LockHeldError: a run of an older version works here.
            OSError: the destination cannot be opened, or no state folder can be made.
        """
        with ExitStack() as opened, self._restored():
            if not self._held:
                self._hold(opened)
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
        """Open this user's state folder in a folder of the destination, and make it if missing.

        Raises:
            LockHeldError: a run of an older version works here.
            OSError: it cannot be made.
        """
        with self.walk(parents) as folder:
            mode = 0o711 if folder.status().st_mode & _OTHERS_CAN_WRITE else 0o700
            try:
                _put_aside_old_state(folder, self.path.joinpath(*parents), self._beside)
                with _open_shared(folder) as shared:
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
                _tag(state)
                there, here = (*parents, STATE_DIR), (*parents, *names)
                self._notice(
                    f"{escaped(str(self.path.joinpath(*there)))} cannot be used "
                    f"({error.strerror}); this run keeps its state in "
                    f"{escaped(str(self.path.joinpath(*here)))}"
                )
            if not parents:
                self._names = names
            state.set_mode(mode)
            return state

    def _find_state(self) -> Directory:
        """Open the state folder that exists; that of an older version is the shared one.

        Raises:
            OSError: there is none that may be used.
        """
        for names in ((STATE_DIR, self.user), (self._beside,)):
            with suppress(OSError):
                state = checked(Directory.walk(self.root, names))
                self._names = names
                return state
        state = checked(Directory.walk(self.root, (STATE_DIR,)))
        self._names = (STATE_DIR,)
        return state

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the locks of the destination and of the state folder; call it in `writing`.

        Yields whether they keep other runs of this user out.

        Raises:
            LockHeldError: another run holds one of them.
            OSError: the state folder cannot be written.
        """
        with ExitStack() as locks:
            held: list[lock.Held] = []
            try:
                shared = locks.enter_context(Directory.walk(self.root, (STATE_DIR,)))
                path = shared.path(self.path / STATE_DIR) / "lock"
                held.append(locks.enter_context(lock.hold_lock(path, self.path, shared.status())))
            except OSError as error:
                if descriptors.too_many_open_files(error):
                    raise
                if (
                    self._names[0] == STATE_DIR
                ):  # otherwise it was said before that all of it cannot
                    self._notice(
                        f"{escaped(str(self.path / STATE_DIR / 'lock'))} cannot be used "
                        f"({error.strerror}); runs of other users are not kept out"
                    )
            held.append(locks.enter_context(lock.hold_lock(self.state / "lock", self.path)))
            self.locks = [each.descriptor for each in held]
            try:
                yield held[-1].is_exclusive
            finally:
                self.locks = []

    def check_free(self) -> None:
        """Check that no run works on the destination; changes nothing.

        Raises:
            LockHeldError: one does.
        """
        for path in (self.path / STATE_DIR / "lock", self.state / "lock"):
            lock.check_free(path, self.path)

    def sync_names(self) -> None:
        """Wait until the names in the state folder, and its own, are on the disk."""
        for depth in range(len(self._names), -1, -1):
            with Directory.walk(self.root, self._names[:depth]) as directory:
                directory.sync()

    # other users --------------------------------------------------------------------------------

    def others(self) -> Iterator[Directory]:
        """Yield the state folders of other users of the destination, each open for one step.

        They may hold anything: read what is needed with a bound, and rely on nothing.
        """
        for _, state in self._others():
            yield state

    def abandoned(self) -> Iterator[tuple[Path, int | None]]:
        """Yield the state folders of users who do not exist, as after a container was made anew.

        And how many bytes their unfinished files take, None where this user may not look.
        """
        for name, state in self._others():
            if _exists(int(name)):
                continue
            used = None
            with suppress(OSError), state.enter("parts") as parts:
                used = parts.used_bytes()
            yield self.path / STATE_DIR / name, used

    def _others(self) -> Iterator[tuple[str, Directory]]:
        with suppress(OSError), Directory.walk(self.root, (STATE_DIR,)) as shared:
            names = sorted(name for name in shared.names() if name.isdigit() and name != self.user)
            for name in names[:MOST_USERS]:
                with suppress(OSError), shared.enter_unread(name) as state:
                    yield name, state


def user() -> str:
    """Return the name of this user's state folder."""
    return str(os.geteuid()) if hasattr(os, "geteuid") else "user"


def _exists(user_id: int) -> bool:
    try:
        import pwd  # not on Windows
    except ImportError:
        return True
    try:
        pwd.getpwuid(user_id)
    except (KeyError, OverflowError):
        return False
    return True


def checked(state: Directory) -> Directory:
    """Return the folder if it belongs to this user and nobody else can write it.

    Raises:
        OSError: EPERM; the folder is closed.
    """
    found = state.status()
    if hasattr(os, "geteuid") and (
        found.st_uid != os.geteuid() or found.st_mode & _OTHERS_CAN_WRITE
    ):
        state.close()
        raise OSError(errno.EPERM, "it belongs to another user, or others can write it")
    return state


def _open_shared(folder: Directory) -> Directory:
    """Open `.asyncsync`, with the mode, the group and, for root, the owner of the folder it is in.

    Where others can write it, the sticky bit keeps them from renaming what is not theirs.
    """
    shared = folder.enter(STATE_DIR, 0o700)
    around, found = folder.status(), shared.status()
    mode = stat.S_IMODE(around.st_mode) & 0o2777
    if mode & _OTHERS_CAN_WRITE:
        mode |= stat.S_ISVTX
    if hasattr(os, "geteuid") and found.st_uid == os.geteuid():
        if (found.st_uid, found.st_gid) != (around.st_uid, around.st_gid):
            shared.set_owner(around)
        if stat.S_IMODE(found.st_mode) != mode:
            shared.set_mode(mode)
    _tag(shared)
    return shared


def _tag(folder: Directory) -> None:
    """Make the files that tell git and backups to pass over a folder, where they are missing."""
    for name, content in _TAGS.items():
        with suppress(OSError):  # a run can do without them
            if not folder.exists(name):
                file = folder.create(name)
                try:
                    os.write(file, content)
                finally:
                    os.close(file)


def _put_aside_old_state(folder: Directory, path: Path, beside: str) -> None:
    """Move the state of version 0.1, which is `.asyncsync` itself, beside it.

    Raises:
        LockHeldError: a run of that version works here.
    """
    with suppress(FileNotFoundError), folder.enter(STATE_DIR) as old:
        is_private = not old.status().st_mode & 0o077
        if not (is_private and old.exists("parts")):
            return
        lock.check_free(old.path(path / STATE_DIR) / "lock", path)
        with suppress(OSError):  # there is something at that name already
            folder.move(STATE_DIR, folder, beside)
