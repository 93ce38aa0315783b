"""A report's file: each kind says the same, it appears as a whole, and nobody else chose it."""

import csv
import errno
import json
import os
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from asyncsync.errors import ConfigError, DestinationError, SourceError, VanishedError
from asyncsync.model import Compared, Downloaded, Outcome, Reason, UpToDate
from asyncsync.paths import PLAIN, Paths
from asyncsync.report import reporting
from tests.rigs.failing_disk import failing_call
from tests.rigs.outcomes import HASHED, failed, remote, transfer
from tests.rigs.users import OTHER, needs_root

KINDS = [".jsonl", ".json", ".csv", ".parquet"]
ODD = 'a "quoted",\nkey-\udcff.parquet'
DONE = Downloaded(
    transfer("1hz/a.parquet", 7, Reason.NEWER, 1_800_000_000_123_456_000),
    attempts=1,
    seconds=0.1,
    proven=HASHED,
    paths=Paths(root="/srv/data"),
)
OUTCOMES: list[Outcome] = [DONE, failed(ODD), UpToDate(remote("b"))]
ROWS: list[dict[str, Any]] = [
    {
        "outcome": "skipped",
        "path": None,
        "key": "gone",
        "size": None,
        "etag": "etag",
        "modified": None,
        "reason": None,
        "proven": [],
        "error": "VanishedError",
        "message": "why",
    },
    {
        "outcome": "downloaded",
        "path": "/srv/data/1hz/a.parquet",
        "key": "1hz/a.parquet",
        "size": 7,
        "etag": "etag",
        "modified": "2027-01-15T08:00:00.123456Z",
        "reason": "newer",
        "proven": ["size", "version", "md5-of-parts"],
        "error": None,
        "message": None,
    },
    {
        "outcome": "failed",
        "path": None,
        "key": ODD,
        "size": 10_000_000,
        "etag": "etag",
        "modified": None,
        "reason": None,
        "proven": [],
        "error": "IntegrityError",
        "message": "why",
    },
]


def write(path: Path | str) -> None:
    """Write the report of a run with an object of each kind."""
    with reporting(path, PLAIN, bool) as written:
        for report in written:
            report.compared(Compared([], [], [failed("gone", VanishedError, size=-1)]))
            for outcome in OUTCOMES:
                report.ended(outcome)


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".JSONL"])
def test_json_lines_have_every_column(tmp_path: Path, ending: str) -> None:
    """Keys come out exactly as they are in the bucket."""
    write(tmp_path / f"new{ending}")
    lines = (tmp_path / f"new{ending}").read_text("ascii").splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert {tuple(json.loads(line)) for line in lines} == {tuple(ROWS[0])}


def test_csv_has_every_column(tmp_path: Path) -> None:
    """What is no UTF-8 in a key is escaped, so that all of the file is."""
    write(tmp_path / "new.csv")
    with open(tmp_path / "new.csv", encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    expected = [{**row, "proven": " ".join(row["proven"])} for row in ROWS]
    expected[2]["key"] = ODD.replace("\udcff", "\\udcff")
    assert rows == [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in expected
    ]


def test_csv_has_a_row_for_each_object(tmp_path: Path) -> None:
    """Whatever ends a line stands in quotes, in each version of Python."""
    keys = ["a\rb", "a\nb", "a\r\nb", "a\x0bb\x85\u2028"]
    with reporting(tmp_path / "new.csv", PLAIN, bool) as (report,):
        for key in keys:
            report.ended(failed(key))
    with open(tmp_path / "new.csv", encoding="utf-8", newline="") as file:
        assert [row["key"] for row in csv.DictReader(file)] == keys


def test_parquet_has_every_column(tmp_path: Path) -> None:
    """With types: numbers, times and lists."""
    write(tmp_path / "new.parquet")
    rows = parquet.read_table(tmp_path / "new.parquet").to_pylist()
    expected = [dict(row) for row in ROWS]
    expected[1]["modified"] = datetime(2027, 1, 15, 8, 0, 0, 123456, UTC)
    expected[2]["key"] = ODD.replace("\udcff", "\\udcff")
    assert rows == expected


def test_parquet_of_many_rows_is_written_piece_by_piece(tmp_path: Path) -> None:
    """It has all of them."""
    with reporting(tmp_path / "new.parquet", PLAIN, bool) as (report,):
        for _ in range(12_000):
            report.ended(DONE)
    found = parquet.ParquetFile(tmp_path / "new.parquet").metadata
    assert (found.num_rows, found.num_row_groups) == (12_000, 2)


@pytest.mark.parametrize("ending", KINDS)
def test_report_of_a_run_without_news_is_valid(tmp_path: Path, ending: str) -> None:
    """It takes the place of the last one; CSV and Parquet name the columns."""
    path = tmp_path / f"new{ending}"
    write(path)
    with reporting(path, PLAIN, bool):
        pass
    match ending:
        case ".parquet":
            assert parquet.read_table(path).column_names == [*ROWS[0]]
        case ".csv":
            assert path.read_text() == f"{','.join(ROWS[0])}\n"
        case _:
            assert path.read_text() == ""


@pytest.mark.parametrize("name", ["a.parquet", "1hz/b.parquet", ".asyncsync/x.jsonl"])
def test_report_is_no_file_of_the_run(tmp_path: Path, name: str) -> None:
    """It would replace what was proven, or count as a file of the bucket; others lie where asked.

    So it is also through a link to the folder.
    """
    dest = tmp_path / "dest"
    (dest / name).parent.mkdir(parents=True)
    (tmp_path / "link").symlink_to(dest)
    for folder in (dest, tmp_path / "link"):
        with (
            pytest.raises(ConfigError, match=r"count as a file of the bucket|state folder"),
            reporting(folder / name, Paths(root=str(dest)), lambda key: key == name),
        ):
            pass
        assert not (dest / name).exists()
        with reporting(folder / "new.csv", Paths(root=str(dest)), lambda key: key == name):
            pass
        assert (dest / "new.csv").exists()


def test_no_report_is_written_where_none_is_asked_for() -> None:
    """Then nothing is told of the outcomes."""
    with reporting(None, PLAIN, bool) as written:
        assert not written


@pytest.mark.parametrize("name", ["new.txt", "new", "csv", "new.csv.gz", ".parquet"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written."""
    with pytest.raises(ConfigError, match=r"ends in none of \.jsonl, \.csv and \.parquet"):
        write(tmp_path / name)
    assert [*tmp_path.iterdir()] == []


def test_missing_pyarrow_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do; other kinds need none."""
    monkeypatch.delitem(sys.modules, "asyncsync.report.arrow", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install pyarrow"):
        write(tmp_path / "new.parquet")
    assert [*tmp_path.iterdir()] == []
    write(tmp_path / "new.csv")


@pytest.mark.parametrize("ending", KINDS)
def test_report_appears_as_a_whole(tmp_path: Path, ending: str) -> None:
    """Until the end, what had its name stays; also when the run ends early."""
    path = tmp_path / f"new{ending}"
    path.write_text("old")
    with pytest.raises(SourceError, match="gone"), reporting(path, PLAIN, bool) as (report,):  # noqa: PT012
        report.ended(DONE)
        assert path.read_text() == "old"
        (temporary,) = [each.name for each in tmp_path.iterdir() if each != path]
        assert temporary.startswith(f".new{ending}.")
        raise SourceError("gone")
    assert path.read_bytes() != b"old"
    assert [*tmp_path.iterdir()] == [path]


def test_saved_report_takes_no_more(tmp_path: Path) -> None:
    """It is saved once."""
    with reporting(tmp_path / "new.jsonl", PLAIN, bool) as (report,):
        report.save()
        report.ended(DONE)
    assert (tmp_path / "new.jsonl").read_text() == ""


@pytest.mark.parametrize("ending", KINDS)
def test_full_disk_leaves_the_report_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """The run goes on, and its end tells; where it failed by itself, that is told first."""
    path = tmp_path / f"new{ending}"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", failing_call(errno.ENOSPC))
    with pytest.raises(DestinationError, match=r"cannot be written: No space left on device$"):
        write(path)
    with pytest.raises(SourceError, match="gone") as caught, reporting(path, PLAIN, bool):
        raise SourceError("gone")
    assert "No space left" in caught.value.__notes__[0]
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("ending", KINDS)
def test_disk_that_fills_up_meanwhile_fails_the_report(tmp_path: Path, ending: str) -> None:
    """Not the run: it hears of it when the report is saved."""
    path = tmp_path / f"new{ending}"
    with (  # noqa: PT012
        pytest.raises(DestinationError, match=r"cannot be written: No space left on device$"),
        reporting(path, PLAIN, bool) as (report,),
    ):
        with open("/dev/full", "wb", buffering=0) as full:
            os.dup2(full.fileno(), report._file.fileno())
        for _ in range(20_000):
            report.ended(DONE)
    assert [*tmp_path.iterdir()] == []


def test_report_has_the_mode_of_other_files(tmp_path: Path) -> None:
    """So who may read it is up to the umask, as with other output."""
    before = os.umask(0o027)
    try:
        write(tmp_path / "new.csv")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.csv").stat().st_mode) == 0o640


def make_folder(path: Path) -> None:
    path.mkdir()


def make_parent_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.touch()


def remove_parent(path: Path) -> None:
    path.parent.rmdir()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (make_folder, "is a folder"),
        (make_parent_a_file, "Not a directory"),
        (remove_parent, "there is no such folder"),
    ],
)
def test_place_that_cannot_be_written_is_named_at_once(
    tmp_path: Path, spoil: Callable[[Path], None], why: str
) -> None:
    """Before the run begins."""
    path = tmp_path / "below" / "new.csv"
    path.parent.mkdir()
    spoil(path)
    with pytest.raises(ConfigError, match=rf"^report: .*new\.csv.*{why}"):
        write(path)


def test_link_at_its_name_is_replaced(tmp_path: Path) -> None:
    """What it leads to stays as it is."""
    (tmp_path / "other.csv").write_text("other")
    (tmp_path / "new.csv").symlink_to("other.csv")
    write(tmp_path / "new.csv")
    assert (tmp_path / "other.csv").read_text() == "other"
    assert not (tmp_path / "new.csv").is_symlink()


@needs_root
def test_link_of_another_user_on_the_way_is_refused(tmp_path: Path) -> None:
    """It would choose where the report goes."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "link").symlink_to("precious")
    os.lchown(tmp_path / "link", OTHER, OTHER)
    with pytest.raises(ConfigError, match=r"link 'link' on the way belongs to another user"):
        write(tmp_path / "link" / "new.csv")
    assert [*(tmp_path / "precious").iterdir()] == []
