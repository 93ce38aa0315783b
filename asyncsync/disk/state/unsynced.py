"""What a power cut may have damaged: files that got their names before their data was on the disk.

    .asyncsync/<uid>/unsynced   the mark: the boot in which a run started writing, and when
    .asyncsync/<uid>/doubtful   one line for each power cut: the period whose files are unsure

A run that ends on its own, even with an error, waits for the disk once and then removes its mark.
So a mark of another boot shows that the machine stopped before that. Every file whose change time
(ctime) is not earlier than the mark's time is then unsure, and is fetched again. The new file has a
later change time and is sure, so the periods can be kept forever; files that a run does not reach,
because it is killed or syncs other keys, stay unsure for the next one. The times are taken from the
disk, and are never later than the run that reads them, so a clock that was wrong does no lasting
harm.

Each shard has a mark and periods of its own. A shard takes over, once each, those of whole runs and
of shards of another count; a whole run those of all shards, and their marks of this boot as its
own, before it removes their folders.

Other users of the destination leave marks and periods of their own. Those that this user can read
are taken over into its own periods, once each, and so can only make it fetch files again.

Where the system does not identify its boots (macOS, Windows), there is no mark and no file is
unsure.
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from anyio import CancelScope

from asyncsync import descriptors
from asyncsync.descriptors import suppress_lasting_errors
from asyncsync.disk.folders.directory import Directory, UnsurePeriods, open_private, open_readable
from asyncsync.disk.state.mounts import PartFolders
from asyncsync.disk.state.place import Place
from asyncsync.disk.state.shardstates import is_at_work
from asyncsync.errors import MachineError
from asyncsync.keys import STATE_DIR, escaped
from asyncsync.threads import in_thread
from asyncsync.times import format_time

logger = logging.getLogger(__name__)

Notice = Callable[[str], object]

BOOT = Path("/proc/sys/kernel/random/boot_id")
MARK_NAME, PERIODS_NAME = "unsynced", "doubtful"
MAX_BYTES = 1 << 16
MAX_PERIODS = MAX_BYTES // 40
"""How many lines of `doubtful` always fit; older periods are merged into one."""
NO_END = 1 << 63
"""The end of a period that has not ended."""

_MARK = re.compile(r"([0-9a-f-]{36}) (\d{1,19})\n", re.ASCII)
_PERIOD = re.compile(r"^(\d{1,19}) (\d{1,19})$", re.ASCII | re.MULTILINE)


class Unsynced:
    """The mark and the unsure periods of one destination. Calls block, for milliseconds at most.

    Args:
        place: the destination and the state folder.
        parts: the parts folders, one on each disk that the run writes to.
        notice: called with a message for the user, by `writing`, `settle` and `unsure_periods`.
    """

    def __init__(self, place: Place, parts: PartFolders, notice: Notice) -> None:
        self._place = place
        self._parts = parts
        self._notice = notice
        self._periods: list[tuple[int, int]] | None = None
        self._boot_id: str | None = None
        self._began_ns = 0
        self._is_marked = False
        self._marking = threading.Lock()

    @property
    def _mark(self) -> Path:
        return self._place.state / MARK_NAME

    @property
    def _doubtful(self) -> Path:
        return self._place.state / PERIODS_NAME

    def unsure_periods(self) -> UnsurePeriods:
        """Return in which periods a file must have changed to be unsure. Reads them once."""
        if self._periods is None:
            mark = self._read_mark() if (boot_id := read_boot_id()) else None
            new = [self._report_cut(mark)] if mark and mark[0] != boot_id else []
            own = [*self._read_periods(), *new]
            self._periods = _merge_oldest([*own, *self._read_others(own)])
        return self._periods

    def unsure_until(self) -> int:
        """Return when the last unsure period ends, in ns; 0 if there is none. Notifies nobody."""
        mark, boot_id = _MARK.fullmatch(_read_text(self._mark)), read_boot_id()
        if mark and boot_id and mark[1] != boot_id:
            return NO_END
        own = self._read_periods()
        return max((end for _, end in [*own, *self._read_others(own)]), default=0)

    @contextmanager
    def writing(self, began_ns: int | None) -> Iterator[None]:
        """Record a power cut that the mark shows, and prepare for the next one.

        Only one run at a time may be inside.

        Args:
            began_ns: when this run began, by the destination's clock; None if no lock keeps other
                runs out, so that a mark would prove nothing.

        Raises:
            OSError: the unsure periods cannot be saved.
        """
        self._boot_id = read_boot_id() if began_ns else None
        self._began_ns = began_ns or NO_END
        saved = self._read_periods()
        self._periods = [self._close_period(start, end) for start, end in saved]
        if self._boot_id:
            mark = self._read_mark()
            self._is_marked = mark is not None and mark[0] == self._boot_id
            if mark and not self._is_marked:
                self._periods.append(self._close_period(*self._report_cut(mark)))
        others = self._read_others(self._periods)
        self._periods += [self._close_period(start, end) for start, end in others]
        self._periods = _merge_oldest(self._periods)
        if self._periods != saved:
            self._save_periods(self._periods)
        if self._boot_id and not self._is_marked:
            self._mark.unlink(missing_ok=True)
        if self._boot_id and not self._place.shard:
            self._take_over_marks(self._boot_id)
        try:
            yield
        finally:
            self._boot_id, self._is_marked = None, False

    def _take_over_marks(self, boot_id: str) -> None:
        """Let the mark of this run hold for files of shards that have not settled."""
        notes = (_read_note(state, MARK_NAME) for state in self._place.shard_states())
        marks = [mark for note in notes if (mark := _MARK.fullmatch(note)) and mark[1] == boot_id]
        if not marks:
            return
        own = self._read_mark() if self._is_marked else None
        start = min([int(mark[2]) for mark in marks] + [own[1] if own else self._began_ns])
        new = self._mark.with_name(self._mark.name + ".new")
        self._write(new, f"{boot_id} {start}\n")
        os.replace(new, self._mark)
        self._place.sync_names()
        self._is_marked = True

    def ensure_mark(self) -> None:
        """Write the mark, if this run has none yet. Call it before an unsynced file is renamed.

        If the mark cannot be written for good, the run goes on without one.

        Raises:
            OSError: the limit of open files is reached, which may pass.
        """
        if self._boot_id is None or self._is_marked:
            return
        with self._marking:
            if not self._is_marked:
                try:
                    self._write(self._mark, f"{self._boot_id} {self._began_ns}\n")
                except OSError as error:
                    if descriptors.too_many_open_files(error):
                        raise
                    logger.info("%s: no mark is written: %s", escaped(str(self._place.path)), error)
                    self._boot_id = None
                else:
                    self._is_marked = True

    async def settle(self) -> None:
        """Wait until everything is on the disks, and remove the mark; call it inside `writing`."""
        if not self._is_marked:
            return
        try:
            with CancelScope(shield=True):  # a run that is stopped has written files too
                await in_thread(self._sync_disks)
            # Not in the thread, which may outlive this run and remove a later run's mark.
            self._mark.unlink()
        except (OSError, MachineError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._notice(
                f"cannot confirm that all files are on the disk ({reason});"
                " if the machine restarts, the next sync fetches this run's files again"
            )

    def _sync_disks(self) -> None:
        for folder in self._parts.all():
            sync_disk(folder)

    def _read_mark(self) -> tuple[str, int] | None:
        """Return boot id and time of the mark; None if it is missing or damaged."""
        text = _read_text(self._mark)
        if mark := _MARK.fullmatch(text):
            return mark[1], int(mark[2])
        if text:
            path = self._place.path / STATE_DIR / self._place.user / MARK_NAME
            self._notice(
                f"{escaped(str(path))}: is damaged; if the machine lost power, remove"
                " the files that the last sync wrote"
            )
        return None

    def _report_cut(self, mark: tuple[str, int]) -> tuple[int, int]:
        """Tell the user what a mark of another boot makes unsure; return that period."""
        start = mark[1]
        self._notice(
            "the machine stopped before all files of a sync were known to be on the disk:"
            f" files made since {format_time(start)} are unsure, and a sync fetches them again"
        )
        return start, NO_END

    def _close_period(self, start: int, end: int) -> tuple[int, int]:
        """Return the period without the times after the start of this run.

        If the clock was set back since the period began, files that changed in it seem to be from
        the future. Such a period is kept as it is until the clock has passed its start again.
        """
        return start, min(end, self._began_ns) if start < self._began_ns else end

    def _read_periods(self) -> list[tuple[int, int]]:
        return _parse_periods(_read_text(self._doubtful))

    def _read_others(self, own: UnsurePeriods) -> list[tuple[int, int]]:
        """Return what notes elsewhere make unsure and `own` periods do not cover yet.

        Those of other users, and of this one's whole runs and shards. The mark of a shard that is
        at work, on another machine perhaps, shows no power cut.
        """
        found: dict[int, int] = {}
        boot_id = read_boot_id()
        mine = chain(self._place.whole_state(), self._place.shard_states())
        for state in chain(self._place.doubtful(), mine):
            mark = _MARK.fullmatch(_read_note(state, MARK_NAME))
            periods = _parse_periods(_read_note(state, PERIODS_NAME))
            if mark and boot_id and mark[1] != boot_id and not is_at_work(state):
                periods.append((int(mark[2]), NO_END))
            for start, end in periods:
                found[start] = max(end, found.get(start, 0))
            if len(found) > MAX_PERIODS:  # thousands of shards may have as many each
                found = dict(_merge_oldest(sorted(found.items())))
        for start, _ in own:
            found.pop(start, None)
        return sorted(found.items())

    def _save_periods(self, periods: UnsurePeriods) -> None:
        new = self._doubtful.with_name(self._doubtful.name + ".new")
        self._write(new, "".join(f"{start} {end}\n" for start, end in periods))
        os.replace(new, self._doubtful)
        self._place.sync_names()

    def _write(self, path: Path, text: str) -> None:
        """Write a file and wait until it is on the disk."""
        with open(path, "wb", buffering=0, opener=open_readable) as file:
            file.write(text.encode())
            os.fsync(file.fileno())
        self._place.sync_names()


def read_boot_id() -> str | None:
    """Return the id of this boot of the system; None where the system has none.

    Raises:
        MachineError: no more files can be opened.
    """
    with suppress_lasting_errors():
        return BOOT.read_text(encoding="ascii").strip() or None
    return None


def sync_disk(folder: Path) -> None:
    """Wait until everything that was written to the folder's disk is there.

    Where there is no `syncfs`, this falls back to `os.sync`, which reports no error and waits for
    all disks of the machine, even one that does not answer.

    Raises:
        OSError: some of it is not.
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


def _merge_oldest(periods: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return at most `MAX_PERIODS` periods; the oldest become one, gaps between them included.

    Files of those gaps are fetched once more at most.
    """
    surplus = len(periods) - MAX_PERIODS
    if surplus <= 0:
        return periods
    old, new = periods[: surplus + 1], periods[surplus + 1 :]
    return [(min(start for start, _ in old), max(end for _, end in old)), *new]


def _read_note(state: Directory, name: str) -> str:
    return _decode(state.read(name, MAX_BYTES))


def _read_text(path: Path) -> str:
    """Return what the file holds; nothing if it cannot be read.

    Raises:
        MachineError: no more files can be opened.
    """
    with suppress_lasting_errors(), open(path, "rb", opener=open_private) as file:
        return _decode(file.read(MAX_BYTES))
    return ""


def _decode(content: bytes | None) -> str:
    return (content or b"").decode(errors="replace")


def _parse_periods(text: str) -> list[tuple[int, int]]:
    return [(int(start), int(end)) for start, end in _PERIOD.findall(text)]
