"""Writes what became of each object to a file: JSON lines, CSV or Parquet, as its name ends.

The file gets its name when the run ends, also where that is early; until then it is a temporary
file beside it. It is written while the run goes on, so its length costs no memory.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from asyncsync.errors import NO_FOLDER, ConfigError, ReportError
from asyncsync.interfaces import SilentObserver
from asyncsync.keys import escaped, is_state_name
from asyncsync.model import Compared, Downloaded, Failed, Outcome
from asyncsync.others import PlantedError, open_file
from asyncsync.paths import Paths

if TYPE_CHECKING:
    from asyncsync.report.rows import Rows


class ReportFile(SilentObserver):
    """A report that is being written. It is there once it is saved.

    Raises:
        ConfigError: its name has another ending, it cannot be written, or pyarrow is missing.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = os.path.abspath(path)
        self._shown = escaped(str(path))
        kind = _writer(str(path))
        folder, name = os.path.split(self._path)
        self._temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}")
        if os.path.isdir(self._path):
            raise ConfigError(f"report: {self._shown} is a folder; name a file in it")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            opened = open_file(self._temporary, flags, mode=0o666)
        except PlantedError as error:
            raise ConfigError(f"report: {self._shown}: {error}; name another file") from None
        except FileNotFoundError:
            raise ConfigError(f"report: {self._shown}: {NO_FOLDER}") from None
        except OSError as error:
            raise ConfigError(f"report: {self._shown}: {error.strerror}") from error
        self._file: BinaryIO = os.fdopen(opened, "wb")
        self._rows: Rows = kind(self._file)
        self._failed: OSError | None = None
        self._is_saved = False

    def compared(self, page: Compared) -> None:
        """Write the refused objects."""
        for refused in page.refused:
            self._write(refused)

    def ended(self, outcome: Outcome) -> None:
        """Write a downloaded or a failed object."""
        if isinstance(outcome, Downloaded | Failed):
            self._write(outcome)

    def save(self) -> None:
        """Give the file its name, in the place of what had it before; only once.

        Raises:
            ReportError: it could not be written; what had its name before is unchanged.
        """
        if self._is_saved:
            return
        self._is_saved = True
        try:
            if self._failed:
                raise self._failed
            self._rows.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._temporary, self._path)
        except OSError as error:
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                os.unlink(self._temporary)
            raise ReportError(
                f"report: {self._shown} cannot be written: {error.strerror}"
            ) from error

    def _write(self, outcome: Downloaded | Failed) -> None:
        if self._is_saved or self._failed:
            return
        try:
            self._rows.write(outcome)
        except OSError as error:  # the run goes on, and its end tells
            self._failed = error


@contextmanager
def reporting(
    path: Path | str | None, paths: Paths, selects: Callable[[str], bool]
) -> Iterator[Sequence[ReportFile]]:
    """Yield what writes a report, which is saved at the end at the latest; none without a path.

    Args:
        path: the file.
        paths: how the keys of the run become paths in its destination.
        selects: returns whether the run may make a file of a key.

    Raises:
        ConfigError: it cannot be written, or not of this kind, or would be one of the run's files.
        ReportError: it could not be saved. If the run fails for another reason, that is raised
            instead, with a note.
    """
    if path is None:
        yield ()
        return
    _check_place(path, paths, selects)
    report = ReportFile(path)
    try:
        yield (report,)
    except BaseException as error:
        try:
            report.save()
        except ReportError as unsaved:
            error.add_note(str(unsaved))
        raise
    report.save()


def _check_place(path: Path | str, paths: Paths, selects: Callable[[str], bool]) -> None:
    """Check that the report does not take the name of a file that the run makes, or has proven."""
    folder, name = os.path.split(os.path.abspath(path))
    file, dest = Path(os.path.realpath(folder), name), Path(paths.root)
    if any(map(is_state_name, file.parts)):
        raise ConfigError(
            f"report: {escaped(str(path))} is in the state folder of a destination; name another"
        )
    if dest in file.parents:
        below = file.relative_to(dest).as_posix()
        if selects(paths.key_of(paths.stripped + below)):
            raise ConfigError(
                f"report: {escaped(str(path))} would count as a file of the bucket; "
                "name one beside the destination"
            )


def _writer(path: str) -> "Callable[[BinaryIO], Rows]":
    from asyncsync.report import rows  # only a run with a report waits for it

    match os.path.splitext(path)[1].lower():
        case ".jsonl" | ".json":
            return rows.JsonRows
        case ".csv":
            return rows.CsvRows
        case ".parquet":
            from asyncsync.report.arrow import ParquetRows  # which may be missing

            return ParquetRows
    raise ConfigError(
        f"report: {path!r} ends in none of .jsonl, .csv and .parquet; the ending says what to write"
    )
