"""The files that are new in a run: a sequence, of which memory holds only the last."""

import copy
import json
import pickle
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest

from asyncsync.errors import DestinationError
from asyncsync.model import Downloaded, Proof, Reason, UpToDate
from asyncsync.paths import Paths
from asyncsync.report import NewFile, NewFiles, Report
from asyncsync.report.files import MOST_HELD
from tests.rigs.outcomes import HASHED, failed, remote, transfer

NOON = 1_800_000_000_123_456_000
DEST = Paths(root="/srv/data")


def done(key: str, size: int = 7) -> Downloaded:
    """Return the outcome of a download into the destination."""
    moved = transfer(key, size, Reason.NEWER, NOON)
    return Downloaded(moved, 1, 0.1, proven=HASHED, paths=DEST)


def many(number: int) -> NewFiles:
    files = NewFiles()
    for each in range(number):
        files.ended(done(f"1hz/{each:06}.parquet", each))
    return files


def test_new_file_says_what_it_is() -> None:
    """Where it is, of which object, in which version, why it came and what is proven."""
    files = NewFiles()
    files.ended(done("1hz/a.parquet"))
    files.ended(failed("1hz/b.parquet"))
    files.ended(UpToDate(remote("1hz/c.parquet")))
    (file,) = files
    assert file == NewFile(
        path=Path("/srv/data/1hz/a.parquet"),
        key="1hz/a.parquet",
        size=7,
        etag="etag",
        modified=datetime(2027, 1, 15, 8, 0, 0, 123456, UTC),
        reason=Reason.NEWER,
        proven=("size", "version", "md5-of-parts"),
    )


def test_key_that_is_no_text_is_kept_as_it_is() -> None:
    """Also where the disk keeps it."""
    files = many(MOST_HELD)
    files.ended(done('"q"\n\udcff.parquet'))
    files.ended(done("z"))
    again = pickle.loads(pickle.dumps(files))  # noqa: S301 - made here
    assert again[-2] == files[-2]
    assert again[-2].path == Path('/srv/data/"q"\n\udcff.parquet')


@pytest.mark.parametrize("number", [0, 1, MOST_HELD, MOST_HELD + 1, MOST_HELD + 1500])
def test_files_are_a_sequence(number: int) -> None:
    """In the order in which they arrived, from the disk and from memory."""
    files = many(number)
    assert len(files) == number
    assert bool(files) == (number > 0)
    assert [file.size for file in files] == [*range(number)]
    assert [file.size for file in files[3:9:2]] == [*range(number)][3:9:2]
    assert [file.size for file in files[:-3:-1]] == [*range(number)][:-3:-1]
    assert [file.size for file in files[-2:0:-7]] == [*range(number)][-2:0:-7]
    assert [file.size for file in reversed(files)] == [*reversed(range(number))]
    assert repr(files) == f"<{number:,} new files>"
    with pytest.raises(IndexError):
        _ = files[number]
    if number:
        assert (files[0].size, files[-1].size) == (0, number - 1)
        assert files[0] in files


@pytest.mark.parametrize("place", [0, 1234, 4999, 5000, -1])
def test_file_is_found_without_the_others(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """However many there are; in a copy as well."""
    files = many(MOST_HELD + 5000)
    again = pickle.loads(pickle.dumps(files))  # noqa: S301 - made here
    read, loads = list[bytes](), json.loads

    def noted(line: bytes) -> object:
        read.append(line)
        return loads(line)

    monkeypatch.setattr(json, "loads", noted)
    for each in (files, again):
        expected = place % len(files)
        assert each[place].size == expected
        assert [file.size for file in each[expected : expected + 2]][:1] == [expected]
    assert len(read) < 1000


def test_two_can_read_while_files_arrive() -> None:
    """Each goes on where it was."""
    files = many(MOST_HELD + 1)
    first, second = iter(files), iter(files)
    assert next(first) == next(second)
    files.ended(done("late"))
    assert [file.size for file in first][:2] == [1, 2]
    assert [file.size for file in second][:2] == [1, 2]


def test_memory_does_not_grow_with_the_files() -> None:
    """Fifty thousand more take as good as nothing."""
    files = many(MOST_HELD + 5000)
    tracemalloc.start()
    for each in range(50_000):
        files.ended(done(f"1hz/{each:06}.parquet"))
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < MOST_HELD * 1000
    assert len(files) == MOST_HELD + 55_000


def test_full_temporary_folder_ends_no_run() -> None:
    """Who asks for the files is told."""
    files = many(MOST_HELD)
    files._file = open("/dev/full", "r+b")  # type: ignore[assignment]  # noqa: SIM115
    for each in range(1500):
        files.ended(done(str(each)))
    assert len(files) == MOST_HELD + 1500
    with pytest.raises(DestinationError, match="No space left on device; set TMPDIR"):
        list(files)
    assert files._file.closed


def test_report_with_files_can_be_copied() -> None:
    """Into another process as well."""
    report = Report(downloaded=1)
    report.files.ended(done("1hz/a.parquet"))
    for again in (copy.deepcopy(report), pickle.loads(pickle.dumps(report))):  # noqa: S301
        assert again == report
        assert [*again.files] == [*report.files]


def test_report_prints_as_its_summary() -> None:
    """So does a plan."""
    report = Report(up_to_date=3, seconds=0.5)
    assert str(report) == report.summary() == "0 downloaded, 3 up to date, 0 failed, in 0.5 s"


def test_new_files_are_an_arrow_table() -> None:
    """With a column for each field; without files it has the same columns."""
    report = Report()
    empty = report.to_arrow()
    report.files.ended(done("1hz/a.parquet"))
    report.files.ended(Downloaded(transfer("b\udcff"), 1, 0.1, proven=Proof.SIZE, paths=DEST))
    table = report.to_arrow()
    assert isinstance(table, pyarrow.Table)
    assert table.schema == empty.schema
    assert empty.num_rows == 0
    assert table.to_pylist() == [
        {
            "path": "/srv/data/1hz/a.parquet",
            "key": "1hz/a.parquet",
            "size": 7,
            "etag": "etag",
            "modified": datetime(2027, 1, 15, 8, 0, 0, 123456, UTC),
            "reason": "newer",
            "proven": ["size", "version", "md5-of-parts"],
        },
        {
            "path": "/srv/data/b\\udcff",
            "key": "b\\udcff",
            "size": 10_000_000,
            "etag": "etag",
            "modified": None,
            "reason": "missing",
            "proven": ["size"],
        },
    ]


def test_printed_report_names_prefixes_that_matched_nothing() -> None:
    """So a script that prints it shows the mistyped prefix; an interactive Python shows as much."""
    report = Report()
    report.unmatched("2hz/")
    assert str(report) == f"{report.summary()}; no object selected at 2hz/"
    assert repr(report) == f"<Report: {report}>"
