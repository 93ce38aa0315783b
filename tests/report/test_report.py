"""The report: what is counted, the exit code, and how it all is told in text and JSON."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.console import print_line
from asyncsync.errors import IntegrityError, TransferError, UnsafeKeyError, VanishedError
from asyncsync.model import (
    Compared,
    Downloaded,
    Failed,
    Outcome,
    Proof,
    Reason,
    RemoteObject,
    Transfer,
    UpToDate,
)
from asyncsync.report import report as telling
from asyncsync.report.report import MOST_FAILURES, MOST_SHOWN, Report, Tally, table
from asyncsync.units import format_size

HASHED = Proof.SIZE_AND_VERSION | Proof.MD5_OF_PARTS


def remote(key: str, size: int = 10) -> RemoteObject:
    return RemoteObject(key, size, "etag", 0)


def transfer(key: str, size: int = 10, reason: Reason = Reason.MISSING) -> Transfer:
    return Transfer(remote(key, size), tuple(key.split("/")), reason)


def failed(key: str, kind: type[TransferError] = IntegrityError, message: str = "why") -> Failed:
    return Failed(remote(key), kind(key, message))


def report_of(*outcomes: Outcome) -> Report:
    report = Report()
    for outcome in outcomes:
        report.ended(outcome)
    return report


@pytest.fixture
def report() -> Report:
    """A sync with a bit of everything."""
    report = Report(seconds=2.0)
    report.counted({"": 1, "1hz/": 3, "old/": 7})
    report.compared(
        Compared(
            transfers=[
                transfer("1hz/a", 1000),
                transfer("1hz/b", 500, Reason.SIZE_DIFFERS),
                transfer("fft/c", 2_000_000, Reason.NEWER),
            ],
            up_to_date=[UpToDate(remote("root")), UpToDate(remote("1hz/d"))],
            refused=[failed("1hz//e", UnsafeKeyError, "unsafe")],
        )
    )
    report.ended(Downloaded(transfer("1hz/a", 1000), 1, 0.5, proven=HASHED))
    report.ended(Downloaded(transfer("fft/c", 2_000_000), 2, 1.23456))
    report.ended(failed("1hz/b"))
    report.unmatched("typo/")
    return report


# counts


def test_tallies_are_by_top_level_prefix(report: Report) -> None:
    """Files that the bucket does not have count as local; what is refused is in the bucket."""
    assert report.tallies == {
        "": Tally(local=1, in_bucket=1),
        "1hz/": Tally(3, in_bucket=4, missing=1, to_download=2, bytes_to_download=1500),
        "old/": Tally(local=7),
        "fft/": Tally(0, in_bucket=1, missing=0, to_download=1, bytes_to_download=2_000_000),
    }
    assert report.total == Tally(11, 6, 1, 3, 2_001_500)
    assert Report().total == Tally()


def test_outcomes_are_counted(report: Report) -> None:
    """Downloaded ones with their bytes and retries; failed and skipped ones with their reasons."""
    assert (report.downloaded, report.downloaded_bytes, report.retried) == (2, 2_001_000, 1)
    assert (report.up_to_date, report.verified) == (2, 0)
    assert (report.failed, report.skipped) == (1, 1)
    assert [failure.remote.key for failure in report.failures] == ["1hz//e", "1hz/b"]
    assert report.unmatched_prefixes == ["typo/"]


def test_checked_file_is_verified() -> None:
    """Only a verification ends with files that were in step already."""
    assert report_of(UpToDate(remote("a"))).verified == 1


def test_failures_do_not_fill_the_memory() -> None:
    """A thousand reasons are kept, all are counted."""
    report = report_of(*[failed(str(number)) for number in range(MOST_FAILURES + 5)])
    assert report.failed == MOST_FAILURES + 5
    assert len(report.failures) == MOST_FAILURES
    assert report.failures[0].remote.key == "0"


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], 0),
        ([Downloaded(transfer("a"), 1, 0.1), UpToDate(remote("b"))], 0),
        ([failed("a", VanishedError)], 3),
        ([failed("a")], 1),
        ([failed("a", UnsafeKeyError), failed("b"), failed("c", VanishedError)], 1),
    ],
)
def test_exit_code_is_the_worst_of_all(outcomes: Iterable[Outcome], code: int) -> None:
    """A failed object outweighs a skipped one, and both outweigh success."""
    assert report_of(*outcomes).exit_code == code


# text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (1_234_567, "1.23 MB"),
        (123_456_789, "123 MB"),
        (4_900_000_000, "4.9 GB"),
        (999_500_000_000, "1.0 TB"),
        (5_000_000_000_000_000, "5000.0 TB"),
        (0.4, "0 B"),
        (-1500, "-1.5 kB"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(size: float, text: str) -> None:
    """Decimal units, as disks and bills have them."""
    assert format_size(size) == text


@given(st.integers(0, 10**14))
def test_size_is_never_far_from_what_is_shown(size: int) -> None:
    """The figure is within half a percent, and no 1000 of a unit is shown."""
    figure, unit = format_size(size).split()
    assert float(figure) * 1000 ** ("B", "kB", "MB", "GB", "TB").index(unit) == pytest.approx(
        size, rel=0.06 if unit == "TB" else 0.0051
    )
    assert float(figure) < 1000


def test_table_shows_all_prefixes_in_columns(report: Report) -> None:
    """Sorted, aligned, the root by name, and a total last."""
    assert list(table(report)) == [
        "prefix  local  in bucket  missing  to download   bytes",
        "(root)      1          1        0            0     0 B",
        "1hz/        3          4        1            2  1.5 kB",
        "fft/        0          1        0            1    2 MB",
        "old/        7          0        0            0     0 B",
        "total      11          6        1            3    2 MB",
    ]


def test_table_of_many_prefixes_shows_those_with_most_to_download(report: Report) -> None:
    """The rest is one line that says how many it stands for, and counts in the total."""
    lines = [line.split("  ")[0] for line in table(report, 2)]
    assert lines == ["prefix", "1hz/", "fft/", "(2 more prefixes)", "total"]
    assert len({len(line) for line in table(report, 2)}) == 1
    assert len(list(table(report, 4))) == 6
    assert [line.split()[0] for line in table(report, 0)] == ["prefix", "(4", "total"]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (0, "prefix local in bucket missing to download bytes"),
        (59, "prefix local in bucket missing to download bytes"),
        (50, "prefix in bucket missing to download bytes"),
        (40, "prefix in bucket to download bytes"),
        (10, "prefix to download bytes"),
    ],
)
def test_table_does_without_columns_that_do_not_fit(
    report: Report, width: int, columns: str
) -> None:
    """A wrapped table is none; what is to be downloaded is told in any case."""
    first, *rest = table(report, None, width)
    assert first.split() == columns.split()
    assert {len(line) for line in rest} == {len(first)}
    assert width in {0, 10} or len(first) <= width


def test_empty_table_is_header_and_total() -> None:
    """An empty bucket has nothing to show."""
    assert [line.split()[0] for line in table(Report())] == ["prefix", "total"]


def test_large_counts_have_separators() -> None:
    """Millions can be read."""
    report = Report()
    report.counted({"a/": 1_234_567})
    assert "1,234,567" in list(table(report))[1]


def test_hostile_prefix_and_key_are_shown_on_one_line() -> None:
    """No line of text holds a control character of a key or of an error."""
    report = Report()
    report.counted({"\x1b[2J/": 1})
    lines = [*table(report), telling.failure(failed("a\nb", message="said \x1b]0;x\x07"))]
    assert all(line.isprintable() for line in lines)
    assert lines[-1] == r"failed: a\nb: said \x1b]0;x\x07"


def test_skipped_object_is_called_so() -> None:
    """What nothing can be done about is not a failure."""
    assert telling.failure(failed("a", VanishedError, "gone")) == "skipped: a: gone"


def test_summaries_tell_the_figures(report: Report) -> None:
    """One line each; what did not happen is left out, apart from failures."""
    assert telling.sync_summary(report) == (
        "2 downloaded (2 MB at 1 MB/s), 2 up to date, 1 failed, 1 skipped, 1 after a retry, "
        "1 without a content hash, in 2.0 s"
    )
    resumed = Report(seconds=2.0)
    resumed.ended(Downloaded(transfer("a", 10_000_000), 1, 0.5, kept=6_000_000, proven=HASHED))
    assert telling.sync_summary(resumed) == (
        "1 downloaded (10 MB at 2 MB/s), 0 up to date, 0 failed, 6 MB kept from an earlier run, "
        "in 2.0 s"
    )
    assert telling.sync_summary(Report()) == "0 downloaded, 0 up to date, 0 failed, in 0.0 s"
    assert telling.plan_summary(report, 3_000_000) == (
        "3 to download (2 MB), 2 up to date, 1 failed, 1 skipped; fits: 3 MB free"
    )
    assert telling.plan_summary(Report(), 0) == "0 to download (0 B), 0 up to date; fits: 0 B free"
    assert "DOES NOT FIT: 1 MB free" in telling.plan_summary(report, 1_000_000)
    assert telling.verify_summary(report_of(UpToDate(remote("a")), failed("b"))) == (
        "1 verified, 1 not in step, 0 skipped, in 0.0 s"
    )
    deep = report_of(UpToDate(remote("a"), HASHED), UpToDate(remote("b")))
    deep.unlisted("c")
    assert telling.verify_summary(deep) == (
        "2 verified, 0 not in step, 0 skipped, 1 not in the bucket, content proven of 1, in 0.0 s"
    )
    assert (deep.extra_files, deep.extra_keys, deep.exit_code) == (1, ["c"], 0)


# printing


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_line_reaches_a_stream_of_any_encoding(encoding: str) -> None:
    """What the encoding does not have is escaped; nothing is lost and nothing raises."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding)
    print_line("größe 日本", stream)
    shown = raw.getvalue().decode(encoding)
    assert shown.encode().decode("unicode_escape" if encoding == "ascii" else "utf-8").strip() in {
        "größe 日本",
        r"größe \u65e5\u672c",
    }


def test_stream_without_an_encoding_is_written_as_well() -> None:
    """As a notebook's or a test's may be."""
    stream = io.StringIO()
    print_line("日本", stream)
    assert stream.getvalue() == "日本\n"


def test_closed_pipe_does_not_end_the_run() -> None:
    """When nobody reads any more (`| head`), the lines go nowhere, also at exit."""
    code = (
        "import sys; from asyncsync.console import print_line\n"
        "for _ in range(9): print_line('x', {})"
    )
    for stream in ("sys.stdout", "sys.stderr"):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as broken:
            out, error = (broken, None) if stream == "sys.stdout" else (None, broken)
            done = subprocess.run(
                [sys.executable, "-c", code.format(stream)], stdout=out, stderr=error, timeout=30
            )
        assert done.returncode == 0


def test_full_disk_behind_the_output_does_not_end_the_run() -> None:
    """A log on a full disk costs its lines and not the sync."""
    code = "import sys; from asyncsync.console import print_line; print_line('x', sys.stdout)"
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, timeout=30)
    assert done.returncode == 0


# HTML


def test_notebook_shows_summary_check_and_failures(report: Report) -> None:
    """As tables; the failures are there to unfold."""
    shown = report._repr_html_()
    assert f"<p>{telling.sync_summary(report)}</p>" in shown
    for row in table(report):
        assert all(cell in shown for cell in re.split("  +", row))
    assert "<summary>2 failed or skipped</summary>" in shown
    assert "1hz/b" in shown
    assert "<details>" not in Report()._repr_html_()


def test_notebook_shows_keys_and_never_obeys_them() -> None:
    """Markup, control characters and lone surrogates are text on one line."""
    hostile = "<img src=x onerror='x'>&\x1b[2J\udcff/"
    report = report_of(failed(f"{hostile}a", message="said <b>"))
    report.counted({hostile: 1})
    shown = report._repr_html_()
    assert "<img" not in shown
    assert "<b>" not in shown
    assert shown.count("&lt;img src=x onerror=&#x27;x&#x27;&gt;&amp;\\x1b[2J\\udcff/") == 2
    assert shown.isprintable()
    assert shown.encode()


def test_notebook_is_not_flooded() -> None:
    """Of many rows the first are shown, and the others counted; nor is the plain text long."""
    report = report_of(*[failed(f"{number}/x") for number in range(2000)])
    report.counted({f"{number}/": 1 for number in range(2000)})
    shown = report._repr_html_()
    assert shown.count("<tr>") == 2 * MOST_SHOWN + 4
    assert "(1,950 more prefixes)" in shown
    assert "and 1,950 more" in shown
    assert len(repr(report)) < 400
