"""What a power cut may have taken: files that had their names before their data was on the disk.

    .asyncsync/unsynced         the boot in which a run began to write, and when, or there is none
    .asyncsync/doubtful         the times between which files are unsure, a line for each power cut

A run that ends in order, however badly, waits for the disk once and removes its mark. So whoever
finds a mark of another boot knows that the machine stopped before that: every file that got its
name since the mark's time, by the file's change time, is unsure, and is fetched again. The new file
has a later change time and is sure, so the times may be kept for ever: a run that was killed, or
that looks at other keys, leaves the rest as unsure as it was. The times are the disk's own, and
never later than the run that reads them, so that a clock that was wrong does no lasting harm.

Where the system does not name its boots (macOS, Windows) there is no mark, and nothing is unsure.
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anyio import CancelScope

from asyncsync import descriptors
from asyncsync.disk.directory import Directory, Doubts, own
from asyncsync.disk.mounts import PartFolders
from asyncsync.errors import MachineError
from asyncsync.keys import shown
from asyncsync.threads import in_thread
from asyncsync.times import format_time

logger = logging.getLogger(__name__)

Notice = Callable[[str], object]

BOOT = Path("/proc/sys/kernel/random/boot_id")
MOST_BYTES = 1 << 16
MOST_DOUBTS = MOST_BYTES // 40
"""Lines that are read in any case; the times of older power cuts become one."""
FOR_EVER = 1 << 63

_MARK = re.compile(r"([0-9a-f-]{36}) (\d{1,19})\n", re.ASCII)
_DOUBT = re.compile(r"^(\d{1,19}) (\d{1,19})$", re.ASCII | re.MULTILINE)


class Unsynced:
    """The mark and the doubts of one destination. Calls block, for milliseconds at most.

    Args:
        parts: the folders for unfinished files, of which each disk that is written to has one.
        notice: told what a person should know; called by `writing`, `settle` and `doubts`.
    """

    def __init__(self, parts: PartFolders, notice: Notice) -> None:
        self._parts = parts
        self._state = parts.usual.parent
        self._notice = notice
        self._doubts: list[tuple[int, int]] | None = None
        self._boot: str | None = None
        self._began_ns = 0
        self._is_marked = False
        self._marking = threading.Lock()

    @property
    def _mark(self) -> Path:
        return self._parts.state / "unsynced"

    @property
    def _doubtful(self) -> Path:
        return self._parts.state / "doubtful"

    def doubts(self) -> Doubts:
        """Return when the files changed that are unsure; it is read once."""
        if self._doubts is None:
            mark = self._read_mark() if (now := boot()) else None
            new = [self._told(mark, FOR_EVER)] if mark and mark[0] != now else []
            self._doubts = [*self._read_doubts(), *new]
        return self._doubts

    def last(self) -> int:
        """Return until when files that are unsure were made; 0 if none is. Nobody is told."""
        mark, now = _MARK.fullmatch(_read(self._mark)), boot()
        if mark and now and mark[1] != now:
            return FOR_EVER
        return max((until for _, until in self._read_doubts()), default=0)

    @contextmanager
    def writing(self, began_ns: int | None) -> Iterator[None]:
        """Take note of a power cut, and be ready for the next; only one run at a time may.

        Args:
            began_ns: when this run began, by the destination's clock; None where no lock tells
                that it is the only one, so that marks mean nothing.

        Raises:
            OSError: what is unsure cannot be kept.
        """
        self._boot = boot() if began_ns else None
        self._began_ns = began_ns or FOR_EVER
        known = self._read_doubts()
        self._doubts = [(since, min(until, self._began_ns)) for since, until in known]
        if self._boot:
            mark = self._read_mark()
            self._is_marked = mark is not None and mark[0] == self._boot
            if mark and not self._is_marked:
                self._doubts.append(self._told(mark, self._began_ns))
        self._doubts = _few(self._doubts)
        if self._doubts != known:
            self._keep(self._doubts)
        if self._boot and not self._is_marked:
            self._mark.unlink(missing_ok=True)
        try:
            yield
        finally:
            self._boot = None

    def begin(self) -> None:
        """Leave the mark; to be called before a file gets its name that was not synced.

        Raises:
            OSError: no more files can be opened, for the moment; anything else is lived with.
        """
        if self._boot is None or self._is_marked:
            return
        with self._marking:
            if not self._is_marked:
                try:
                    self._write(self._mark, f"{self._boot} {self._began_ns}\n")
                except OSError as error:
                    if descriptors.refused(error):
                        raise
                    logger.info("%s: no mark is left: %s", shown(str(self._state)), error)
                    self._boot = None
                else:
                    self._is_marked = True

    async def settle(self) -> None:
        """Wait until all is on the disks, and remove the mark; before `writing` ends."""
        if not self._is_marked:
            return
        try:
            with CancelScope(shield=True):  # a run that is stopped has written as well
                await in_thread(self._sync_disks)
            self._mark.unlink()  # here: a thread that nobody waits for could take a later run's
        except (OSError, MachineError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self._notice(
                f"the disk has not said that all is written ({why});"
                " after a restart, a sync fetches this run's files again"
            )

    def _sync_disks(self) -> None:
        for folder in self._parts.each():
            sync_disk(folder)

    def _read_mark(self) -> tuple[str, int] | None:
        """Return the boot and the time of the mark; None if there is none that makes sense."""
        text = _read(self._mark)
        if mark := _MARK.fullmatch(text):
            return mark[1], int(mark[2])
        if text:
            path = shown(str(self._state / self._mark.name))
            self._notice(
                f"{path}: makes no sense; if the machine lost its power, remove"
                " what the last sync has written"
            )
        return None

    def _told(self, mark: tuple[str, int], until: int) -> tuple[int, int]:
        """Say what a mark of another boot makes unsure, and return it."""
        since = mark[1]
        self._notice(
            "the machine stopped before all that a sync had written was known to be on the disk:"
            f" files made since {format_time(since)} are unsure, and a sync fetches them again"
        )
        return since, until

    def _read_doubts(self) -> list[tuple[int, int]]:
        return [(int(since), int(until)) for since, until in _DOUBT.findall(_read(self._doubtful))]

    def _keep(self, doubts: Doubts) -> None:
        new = self._doubtful.with_name(self._doubtful.name + ".new")
        self._write(new, "".join(f"{since} {until}\n" for since, until in doubts))
        os.replace(new, self._doubtful)
        self._sync_names()

    def _write(self, path: Path, text: str) -> None:
        """Write a file anew, and return when it is on the disk."""
        with open(path, "wb", buffering=0, opener=own) as file:
            file.write(text.encode())
            os.fsync(file.fileno())
        self._sync_names()

    def _sync_names(self) -> None:
        for folder in (self._state, self._state.parent):
            with Directory(str(folder)) as directory:
                directory.sync()


def boot() -> str | None:
    """Return what the system calls the time since it was started; None where it does not."""
    with suppress(OSError):
        return BOOT.read_text(encoding="ascii").strip() or None
    return None


def sync_disk(folder: Path) -> None:
    """Return when all that was written to a folder's disk is there.

    `os.sync` waits for every disk of the machine, also for one that does not answer, and tells of
    no failure; it will do only where there is nothing better.

    Raises:
        OSError: something of it is not.
    """
    try:
        import ctypes  # takes milliseconds, and only a run that has written needs it

        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, AttributeError):
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)


def _few(doubts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return as many doubts as are read again; the oldest become one, and what lies between them.

    That costs at most one more download of what was made between those power cuts.
    """
    surplus = len(doubts) - MOST_DOUBTS
    if surplus <= 0:
        return doubts
    old, new = doubts[: surplus + 1], doubts[surplus + 1 :]
    return [(min(since for since, _ in old), max(until for _, until in old)), *new]


def _read(path: Path) -> str:
    """Return what the file holds, nothing if it cannot be read."""
    with suppress(OSError), open(path, "rb", opener=own) as file:
        return file.read(MOST_BYTES).decode(errors="replace")
    return ""
