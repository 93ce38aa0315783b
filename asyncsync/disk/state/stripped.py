"""Which prefix the paths of a destination leave out, so that no run mistakes its files.

With `--strip-prefix`, `1hz/a.parquet` and `2hz/a.parquet` have the same path. A run that finds the
one's file there, of the same size and time, would take it for the other's. So a run that strips a
prefix notes it in the state folder before its first file, and each run on files that were published
here must strip the same one, or none where there is no note; also if a shard has made them. Notes
of other users cannot keep a run out: where theirs differ, what looks up to date has to be proven by
its hash, in each run.
"""

from collections.abc import Iterator
from pathlib import Path

from asyncsync.descriptors import suppress_lasting_errors
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state.notes import read_note, write_shared_note
from asyncsync.disk.state.place import Place
from asyncsync.disk.state.published import NAME as PUBLISHED
from asyncsync.disk.state.published import Published
from asyncsync.disk.state.records import HEADER
from asyncsync.disk.state.shardstates import is_at_work
from asyncsync.errors import ConfigError
from asyncsync.keys import MAX_KEY_BYTES, escaped, shown

NAME = "stripped"
MOST_BYTES = 4 * MAX_KEY_BYTES


class Stripped:
    """The prefix that the paths of one run leave out. All calls block.

    Args:
        place: the destination.
        published: which keys' files were made here.
        prefix: what is left out; empty for nothing.
    """

    def __init__(self, place: Place, published: Published, prefix: str) -> None:
        self._prefix = prefix.encode("utf-8", "surrogatepass")
        self._place = place
        self._published = published
        self._is_shard = place.shard is not None
        self._is_mixed: bool | None = None

    @property
    def is_mixed(self) -> bool:
        """Whether files of other users may have other paths here than this run gives them."""
        if self._is_mixed is None:
            self._is_mixed = any(map(self._differs, self._published.others()))
        return self._is_mixed

    def _differs(self, state: Directory) -> bool:
        return (state.read(NAME, MOST_BYTES) or b"") != self._prefix

    def check(self) -> bool:
        """Return whether the prefix is noted, or is none and needs no note.

        Raises:
            ConfigError: the files here have other paths than those that this run would give them.
        """
        _ = self.is_mixed  # known from now on: requests may use up the limit of open files
        for state in self._of_this_user():
            if (files := state.look_up(PUBLISHED)) and files.size > HEADER.size:
                self._refuse(state.read(NAME, MOST_BYTES) or b"", if_any=self._differs(state))
                break  # all that have made files agree
        noted = self._noted()
        if (noted or b"") != self._prefix:
            self._refuse(noted or b"", if_any=not self._published.is_empty())
            return False
        return noted is not None or not self._is_shard

    def note(self) -> None:
        """Note the prefix before the first file is published, and wait until it is on the disk.

        A shard does so in any case, and then looks what those have noted that are at work: of two
        that begin at once, one sees the other's note.

        Raises:
            ConfigError: as for `check`.
            OSError: the note cannot be written.
        """
        if not self.check():
            write_shared_note(self._place, NAME, self._prefix)
        for state in self._place.shard_states(siblings=True) if self._is_shard else ():
            if state.exists(NAME) and self._differs(state):
                self._refuse(state.read(NAME, MOST_BYTES) or b"", if_any=is_at_work(state))

    def _noted(self) -> bytes | None:
        with suppress_lasting_errors():
            return read_note(self._place.state / NAME)
        return None

    def _of_this_user(self) -> Iterator[Directory]:
        """Yield the other state folders of this user, each open for one step."""
        yield from self._place.whole_state()
        yield from self._place.shard_states(siblings=True)

    def _refuse(self, noted: bytes, *, if_any: bool) -> None:
        """Raise the error that says what was noted, if any files were made so."""
        if if_any:
            held, stripped = (each.decode("utf-8", "replace") for each in (noted, self._prefix))
            raise ConfigError(_refusal(self._place.path, held, stripped))


def _refusal(path: Path, held: str, stripped: str) -> str:
    dest = f"dest: {escaped(str(path))}"
    if not held:
        return f"{dest}: holds files with whole keys as paths; strip prefixes into another folder"
    there = f"{dest}: holds {shown(held)} without that prefix"
    if stripped:
        return f"{there}; choose another folder for {shown(stripped)}"
    return f"{there}; use --strip-prefix, or choose another folder"
