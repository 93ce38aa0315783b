"""What became of each object as rows of a table, which are written as JSON lines or as CSV."""

import csv
import json
from io import TextIOWrapper
from typing import BinaryIO, Protocol

from asyncsync.model import UNKNOWN_SIZE, Downloaded, Failed
from asyncsync.report.naming import Json, word
from asyncsync.times import format_time

COLUMNS = (
    *("outcome", "path", "key", "size", "etag", "modified", "reason", "proven"),
    *("error", "message"),
)

NOT_UTF8 = "backslashreplace"
r"""How bytes of a key that are no UTF-8 are written, so that readers take the rest: `\udc80`."""


def row(outcome: Downloaded | Failed) -> Json:
    """Return what became of an object, by column; None where there is nothing to say."""
    remote = outcome.remote
    found = dict.fromkeys(COLUMNS) | {
        "key": remote.key,
        "size": None if remote.size == UNKNOWN_SIZE else remote.size,
        "etag": remote.etag,
        "modified": format_time(remote.modified_ns) or None,
        "proven": [],
    }
    match outcome:
        case Downloaded(transfer, proven=proven):
            return found | {
                "outcome": "downloaded",
                "path": str(outcome.file),
                "reason": transfer.reason.value,
                "proven": proven.names,
            }
        case Failed(_, error):
            return found | {
                "outcome": word(outcome),
                "error": type(error).__name__,
                "message": error.advice,
            }


class Rows(Protocol):
    """Writes rows to an open file."""

    def write(self, outcome: Downloaded | Failed) -> None:
        """Write the row of an outcome, now or later."""

    def finish(self) -> None:
        """Write what is left."""


class JsonRows:
    """Writes rows as JSON lines.

    Args:
        file: where they go; it stays open.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, outcome: Downloaded | Failed) -> None:
        """Write the row of an outcome."""
        self._file.write(f"{json.dumps(row(outcome))}\n".encode())

    def finish(self) -> None:
        """Do nothing: each line is complete."""


class CsvRows:
    """Writes rows as CSV, below the names of the columns.

    Args:
        file: where they go; it stays open.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._text = TextIOWrapper(file, "utf-8", NOT_UTF8, newline="")
        # Behind "\n" alone, some Pythons would not quote a "\r", which ends a line for readers.
        self._csv = csv.DictWriter(self._text, COLUMNS, lineterminator="\r\n")
        self._csv.writeheader()

    def write(self, outcome: Downloaded | Failed) -> None:
        """Write the row of an outcome, whose proofs are one word each."""
        proven = outcome.proven.names if isinstance(outcome, Downloaded) else []
        self._csv.writerow(row(outcome) | {"proven": " ".join(proven)})

    def finish(self) -> None:
        """Write what is buffered."""
        self._text.detach()
