"""The files that are new in a run, however many: memory holds the last, the disk all others."""

import json
import tempfile
import weakref
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import overload

from asyncsync.errors import DestinationError
from asyncsync.interfaces import SilentObserver
from asyncsync.model import Downloaded, Outcome, Proof, Reason
from asyncsync.times import to_datetime

MOST_HELD = 10_000
"""Outcomes that are held in memory."""
_AT_ONCE = 200
"""So many of them go to the disk at once: few enough that the run does not wait for it."""
_BUFFER = 1 << 20
"""Bytes that need no file."""
_PIECE = 1 << 16
"""Bytes that are read at once, and a line more."""

Row = tuple[str, str, int, str, int, str, int]
"""A file as JSON has it: path, key, size, ETag, nanoseconds, reason, number of the proof."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is new in a run: downloaded, validated, and there under its name."""

    path: Path
    """Where it is; an absolute path."""
    key: str
    """That of its object."""
    size: int
    """Bytes."""
    etag: str
    """That of the version, without its quotes; empty if the server sends none."""
    modified: datetime | None
    """The object's LastModified in UTC; None if it cannot be parsed."""
    reason: Reason
    """Why the object was downloaded: `missing` if there was no file."""
    proven: tuple[str, ...]
    """What was proven of the file, such as `size`, `version`, `md5` and `parquet`."""


class NewFiles(SilentObserver, Sequence[NewFile]):
    """The files that are new in a run, in the order in which they arrived.

    A sequence: `for file in report.files`, `len(report.files)`, `report.files[:10]`. Of more than
    ten thousand files, the first are kept in an unnamed file of the system's temporary folder, so
    memory does not grow with their number.
    """

    def __init__(self) -> None:
        self._held: list[Downloaded] = []
        self._written = 0
        self._firsts: list[int] = []
        """Of each block that was written at once, the number of its first file."""
        self._places: list[int] = []
        """Where each of these blocks begins."""
        self._lost: OSError | None = None
        # It must be open as long as this object, so no `with` can hold it.
        self._file = tempfile.SpooledTemporaryFile(_BUFFER)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def ended(self, outcome: Outcome) -> None:
        """Keep a downloaded file."""
        if isinstance(outcome, Downloaded):
            self._held.append(outcome)
            if len(self._held) > MOST_HELD:
                self._write(map(_row, self._held[:_AT_ONCE]))
                del self._held[:_AT_ONCE]

    def __len__(self) -> int:
        """Return the number of files."""
        return self._written + len(self._held)

    def __iter__(self) -> Iterator[NewFile]:
        """Iterate over the files.

        Raises:
            DestinationError: those of the temporary folder could not be written, or read again.
        """
        return self._from(0)

    @overload
    def __getitem__(self, place: int) -> NewFile: ...

    @overload
    def __getitem__(self, place: slice) -> list[NewFile]: ...

    def __getitem__(self, place: int | slice) -> NewFile | list[NewFile]:
        """Return a file, or several; of what is on the disk, little more is read."""
        places = range(len(self))[place]
        if isinstance(places, int):
            return next(self._from(places))
        if places.step < 0:
            return self[slice(places[-1], places[0] + 1, -places.step)][::-1] if places else []
        return [*islice(self._from(places.start), 0, len(places) * places.step, places.step)]

    def __reversed__(self) -> Iterator[NewFile]:
        """Iterate over the files, the last one first."""
        for end in range(len(self), 0, -_AT_ONCE):
            yield from reversed(self[max(end - _AT_ONCE, 0) : end])

    def __repr__(self) -> str:
        return f"<{len(self):,} new files>"

    def __reduce__(self) -> tuple[object, tuple[list[Row]]]:
        """Let it be copied and pickled, as the report that it is a part of."""
        return _restored, ([*self._rows()],)

    def _write(self, rows: Iterable[Row]) -> None:
        lines = [f"{json.dumps(row)}\n".encode() for row in rows]
        first, self._written = self._written, self._written + len(lines)
        if self._lost:
            return
        try:
            place = self._file.seek(0, 2)
            self._file.writelines(lines)
            self._file.flush()
            self._firsts.append(first)
            self._places.append(place)
        except OSError as error:  # the run has better things to do than to fail for this
            self._lost = error
            with suppress(OSError):  # what it still holds cannot be written either
                self._file.close()

    def _from(self, number: int) -> Iterator[NewFile]:
        return map(_file, self._rows(number))

    def _rows(self, number: int = 0) -> Iterator[Row]:
        """Return an iterator over the rows from the one of this number on."""
        if self._written <= number:
            return map(_row, islice(self._held, number - self._written, None))
        block = bisect(self._firsts, number) - 1
        place, first = (self._places[block], self._firsts[block]) if self._places else (0, 0)
        rows = chain(self._read(place), map(_row, self._held))
        return islice(rows, number - first, None)

    def _read(self, place: int) -> Iterator[Row]:
        """Yield what is written. Each piece is sought anew: others may read at the same time."""
        lines = [b""]
        while lines:
            try:
                if self._lost:
                    raise self._lost
                self._file.seek(place)
                lines = self._file.readlines(_PIECE)
                place = self._file.tell()
            except OSError as error:
                raise DestinationError(
                    f"the list of new files cannot be kept in {tempfile.gettempdir()}: "
                    f"{error.strerror}; set TMPDIR to a folder with more space"
                ) from error
            yield from map(json.loads, lines)


def _restored(rows: Iterable[Row]) -> NewFiles:
    files, rows = NewFiles(), iter(rows)
    while some := [*islice(rows, _AT_ONCE)]:
        files._write(some)  # noqa: SLF001 - a copy is made from within
    return files


def _row(done: Downloaded) -> Row:
    remote, reason = done.remote, done.transfer.reason.value
    where = str(done.file), remote.key
    return *where, remote.size, remote.etag, remote.modified_ns, reason, done.proven.value


def _file(row: Row) -> NewFile:
    path, key, size, etag, modified_ns, reason, proof = row
    modified, why = to_datetime(modified_ns), Reason(reason)
    return NewFile(Path(path), key, size, etag, modified, why, _names(proof))


@cache
def _names(proof: int) -> tuple[str, ...]:
    return tuple(Proof(proof).names)
