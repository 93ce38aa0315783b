"""New files as an Arrow table, and rows as a Parquet file. Imported only where that is asked for.

Raises:
    ConfigError: pyarrow is not installed.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO

from asyncsync.errors import ConfigError
from asyncsync.model import Downloaded, Failed
from asyncsync.report.files import NewFile
from asyncsync.report.naming import Json
from asyncsync.report.rows import NOT_UTF8, row

try:
    import pyarrow
    from pyarrow import parquet
except ImportError as error:
    raise ConfigError(
        "pyarrow is not installed, which Parquet and Arrow need: run `pip install pyarrow`, or "
        "write .jsonl or .csv"
    ) from error

_BATCH = 500
"""Rows that are converted at once: few enough that the run does not wait for it."""
_BATCHES = 20
"""Of them, so many are written at once: enough for a file that is small and quick to read."""

_TEXT = pyarrow.string()
_OF_FILES = [
    pyarrow.field("path", _TEXT),
    pyarrow.field("key", _TEXT),
    pyarrow.field("size", pyarrow.int64()),
    pyarrow.field("etag", _TEXT),
    pyarrow.field("modified", pyarrow.timestamp("us", "UTC")),
    pyarrow.field("reason", _TEXT),
    pyarrow.field("proven", pyarrow.list_(_TEXT)),
]
_FILES = pyarrow.schema(_OF_FILES)
_ROWS = pyarrow.schema(
    [
        pyarrow.field("outcome", _TEXT),
        *_OF_FILES,
        pyarrow.field("error", _TEXT),
        pyarrow.field("message", _TEXT),
    ]
)


def table(files: Iterable[NewFile]) -> pyarrow.Table:
    """Return a table of the files."""
    return pyarrow.Table.from_batches(_batches(files), _FILES)


def _batches(files: Iterable[NewFile]) -> Iterator[pyarrow.RecordBatch]:
    names = _FILES.names
    rows = (
        {name: getattr(each, name) for name in names} | {"path": str(each.path)} for each in files
    )
    while some := list(islice(rows, _BATCH * _BATCHES)):
        yield _batch(some, _FILES)


class ParquetRows:
    """Writes rows as Parquet.

    Args:
        file: where they go; it stays open.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._writer = parquet.ParquetWriter(file, _ROWS, compression="zstd")
        self._rows: list[Json] = []
        self._batches: list[pyarrow.RecordBatch] = []

    def write(self, outcome: Downloaded | Failed) -> None:
        """Write the row of an outcome, later."""
        self._rows.append(row(outcome) | {"modified": outcome.modified})
        if len(self._rows) == _BATCH:
            self._convert()
            if len(self._batches) == _BATCHES:
                self._flush()

    def finish(self) -> None:
        """Write what is left, and the end of the file."""
        self._convert()
        self._flush()
        self._writer.close()

    def _convert(self) -> None:
        self._batches.append(_batch(self._rows, _ROWS))
        self._rows = []

    def _flush(self) -> None:
        self._writer.write_table(pyarrow.Table.from_batches(self._batches, _ROWS))
        self._batches = []


def _batch(rows: list[Json], schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    return pyarrow.RecordBatch.from_pylist([_valid(row) for row in rows], schema)


def _valid(row: Json) -> Json:
    """Return the row without characters that Arrow's text cannot hold."""
    return {
        name: value.encode("utf-8", NOT_UTF8).decode() if isinstance(value, str) else value
        for name, value in row.items()
    }
