"""Which buckets the files here are from, so that no file of another one counts as up to date.

    .asyncsync/<uid>/sources    {"format": 1, "sources": ["host/bucket", ...]}

The first sync notes its bucket, and so does each that is for another one. Where only one is noted,
a file of the right size and time is up to date. Where there are more, it is so only if it was made
here from the bucket of the run (`published.py`); otherwise its hash has to prove it, once. Notes of
other users count as well, since they can only cause more of that. Without any note, as before the
first sync or after one of an earlier version, the files are trusted.
"""

import json
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path

from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state.notes import write_shared_note
from asyncsync.disk.state.place import Place
from asyncsync.interfaces import Urgent
from asyncsync.keys import escaped

NAME = "sources"
FORMAT = 1
MOST_BYTES = 1 << 16
UNKNOWN = "an unknown bucket"
"""Stands for what a note said that cannot be read."""
MOST_OTHERS = 64
"""Sources that are read of another user's note."""
MOST_OTHERS_IN_ALL = 4096
"""Sources that are read of the notes of all other users, who may have thousands of shards."""
LONGEST_OTHER = 1024
"""Characters of a source in another user's note: a host's name and a bucket's are shorter."""


class Sources:
    """The buckets of one destination. All calls block.

    Args:
        place: the destination.
        current: the bucket of this run, the same however its endpoint is spelled; empty for a run
            that is for none.
        notice: called with a message for the user.
    """

    def __init__(
        self, place: Place, current: str = "", notice: Callable[[str], object] = str
    ) -> None:
        self._place = place
        self._notice = notice
        self.current = current
        self._own: list[str] | None = None
        self._shared: list[str] | None = None
        self._others: list[str] | None = None

    @property
    def own(self) -> list[str]:
        """What the note of this run's state folder says, in the order in which it was noted."""
        if self._own is None:
            self._own = _read(self._place.state / NAME)
        return self._own

    @property
    def noted(self) -> list[str]:
        """What all notes of this user say that count for this run, those of whole runs in front."""
        found = (
            [*self._shared_notes, *self.own]
            if self._place.shard
            else [*self.own, *self._shared_notes]
        )
        return [*dict.fromkeys(found)]

    @property
    def _shared_notes(self) -> list[str]:
        """What the notes of this user's whole runs and shards say; see `Records.layers`."""
        if self._shared is None:
            states = chain(self._place.whole_state(), self._place.shard_states())
            self._shared = [source for each in states for source in noted_in(each)]
        return self._shared

    @property
    def others(self) -> list[str]:
        """What the notes of other users say."""
        if self._others is None:
            found = (source for each in self._place.others() for source in noted_in(each))
            self._others = [*islice(found, MOST_OTHERS_IN_ALL)]
        return self._others

    @property
    def is_noted(self) -> bool:
        """Whether this user has noted the bucket of this run."""
        return not self.current or self.current in self.own

    @property
    def is_mixed(self) -> bool:
        """Whether files here may be from other buckets than that of this run."""
        return bool(self.current and self._foreign())

    def announce(self) -> None:
        """Tell the user if the bucket of this run is another one than that of the files here."""
        if self.is_mixed and self.current not in (*self.noted, *self.others):
            self._notice(
                Urgent(
                    f"{escaped(str(self._place.path))}: was synced from "
                    f"{escaped(', '.join(self._foreign()))}, and this run is for {self.current}; "
                    "files that look up to date are read, and count only if their hash agrees"
                )
            )

    def note(self) -> None:
        """Note the bucket of this run, and wait until that is on the disk.

        Raises:
            OSError: the note cannot be written.
        """
        self._own = None  # another run may have noted its own since
        if self.is_noted:
            return
        self._write([*self.own, self.current])

    def take_over(self) -> None:
        """Note what shards have noted as well.

        Raises:
            OSError: the note cannot be written.
        """
        if self.noted != self.own:
            self._write(self.noted)

    def _write(self, noted: list[str]) -> None:
        content = json.dumps({"format": FORMAT, "sources": noted}).encode()
        write_shared_note(self._place, NAME, content)
        self._own = noted

    def _foreign(self) -> list[str]:
        found = dict.fromkeys([*self.noted, *self.others])
        return [source for source in found if source != self.current]


def noted_in(state: Directory) -> list[str]:
    """Return what another user's note says; nothing if there is none of a reasonable size."""
    content = state.read(NAME, MOST_BYTES)
    found = [] if content is None else _parse(content)[:MOST_OTHERS]
    return [source if len(source) <= LONGEST_OTHER else UNKNOWN for source in found]


def _read(path: Path) -> list[str]:
    try:
        with Directory(str(path.parent)) as state:
            return _parse(state.read(NAME, MOST_BYTES)) if state.exists(NAME) else []
    except OSError:  # no state folder
        return []


def _parse(content: bytes | None) -> list[str]:
    """Return the sources in a note; `UNKNOWN` for one that cannot be read, nothing for none."""
    if content is None:
        return [UNKNOWN]
    try:
        note = json.loads(content)
        sources = note["sources"] if note["format"] == FORMAT else [UNKNOWN]
        return [source if isinstance(source, str) else UNKNOWN for source in sources] or [UNKNOWN]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [UNKNOWN]
