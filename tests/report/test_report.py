"""The report: its counts, its exit code, and its text."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from asyncsync.errors import AccessDeniedError, UnsafeKeyError, VanishedError
from asyncsync.model import Downloaded, Outcome, Reason, UpToDate
from asyncsync.notices import Hint
from asyncsync.report import failure, outcome_json
from asyncsync.report.report import (
    MOST_FAILURES,
    Report,
    plan_summary,
    stop_summary,
    sync_summary,
    verify_summary,
)
from asyncsync.report.tally import Tally, table
from tests.rigs.outcomes import (
    HASHED,
    downloaded,
    failed,
    page,
    remote,
    report_of,
    transfer,
)

# counts


def test_tallies_are_by_top_level_prefix(report: Report) -> None:
    """Files that are not in the bucket count as local; refused objects count as in the bucket."""
    assert report.tallies == {
        "": Tally(local=1, in_bucket=1),
        "1hz/": Tally(3, in_bucket=4, missing=1, changed=1, to_download=2, bytes_to_download=1500),
        "old/": Tally(local=7),
        "fft/": Tally(0, in_bucket=1, changed=1, to_download=1, bytes_to_download=2_000_000),
    }
    assert report.total == Tally(11, 6, 1, 2, 0, 3, 2_001_500)
    assert Report().total == Tally()


def test_outcomes_are_counted(report: Report) -> None:
    """Downloads with bytes and retries; failed and skipped objects with their errors."""
    assert (report.downloaded, report.downloaded_bytes, report.retried) == (2, 2_001_000, 1)
    assert (report.up_to_date, report.verified) == (2, 0)
    assert (report.failed, report.skipped) == (1, 1)
    assert [failure.remote.key for failure in report.failures] == ["1hz//e", "1hz/b"]
    assert report.unmatched_prefixes == ["typo/"]


def test_file_that_is_up_to_date_is_verified() -> None:
    """Only a verification has such an outcome."""
    assert report_of(UpToDate(remote("a"))).verified == 1


def test_failures_do_not_fill_the_memory() -> None:
    """All are counted, and the first thousand are kept."""
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
def test_exit_code_is_that_of_the_worst_outcome(outcomes: Iterable[Outcome], code: int) -> None:
    """A failure is worse than a skipped key."""
    assert report_of(*outcomes).exit_code == code


# text


def test_table_shows_all_prefixes_in_columns(report: Report) -> None:
    """Sorted and aligned, with a name for the root and a total at the end."""
    assert list(table(report.tallies)) == [
        "prefix  local  in bucket  missing  changed  to download   bytes",
        "(root)      1          1        0        0            0     0 B",
        "1hz/        3          4        1        1            2  1.5 kB",
        "fft/        0          1        0        1            1    2 MB",
        "old/        7          0        0        0            0     0 B",
        "total      11          6        1        2            3    2 MB",
    ]


def test_table_of_many_prefixes_shows_those_with_most_to_download(report: Report) -> None:
    """One line counts the others, and the total includes them."""
    lines = [line.split("  ")[0] for line in table(report.tallies, 2)]
    assert lines == ["prefix", "1hz/", "fft/", "(2 more prefixes)", "total"]
    assert len({len(line) for line in table(report.tallies, 2)}) == 1
    assert len(list(table(report.tallies, 4))) == 6
    assert [line.split()[0] for line in table(report.tallies, 0)] == ["prefix", "(4", "total"]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (0, "prefix local in bucket missing changed to download bytes"),
        (68, "prefix local in bucket missing changed to download bytes"),
        (59, "prefix in bucket missing changed to download bytes"),
        (50, "prefix in bucket changed to download bytes"),
        (40, "prefix in bucket to download bytes"),
        (10, "prefix to download bytes"),
    ],
)
def test_table_leaves_out_columns_that_do_not_fit(report: Report, width: int, columns: str) -> None:
    """Wrapped lines could not be read; the columns about downloads always stay."""
    first, *rest = table(report.tallies, None, width)
    assert first.split() == columns.split()
    assert {len(line) for line in rest} == {len(first)}
    assert width in {0, 10} or len(first) <= width


def test_empty_table_is_header_and_total() -> None:
    """An empty bucket has no other rows."""
    assert [line.split()[0] for line in table({})] == ["prefix", "total"]


def test_large_counts_have_separators() -> None:
    """So that millions are readable."""
    report = Report()
    report.counted({"a/": 1_234_567})
    assert "1,234,567" in list(table(report.tallies))[1]


def test_hostile_prefix_and_key_are_shown_on_one_line() -> None:
    """Control characters in keys and errors are escaped."""
    report = Report()
    report.counted({"\x1b[2J/": 1})
    lines = [*table(report.tallies), failure(failed("a\nb", message="said \x1b]0;x\x07"))]
    assert all(line.isprintable() for line in lines)
    assert lines[-1] == r"failed: a\nb: said \x1b]0;x\x07"


def test_skipped_object_is_called_so() -> None:
    """A key that cannot be synced here is not a failure."""
    assert failure(failed("a", VanishedError, "gone")) == "skipped: a: gone"


def test_failure_is_told_with_what_to_do() -> None:
    """As text, as JSON and in a notebook."""
    denied = failed("a", AccessDeniedError, "access denied: 403")
    told = f"access denied: 403; {AccessDeniedError.hint}"
    assert failure(denied) == f"failed: a: {told}"
    assert outcome_json(denied)["message"] == told
    assert told in report_of(denied)._repr_html_()


def test_summaries_show_the_counts(report: Report) -> None:
    """In one line each; a count of 0 is left out, except for failures."""
    assert sync_summary(report) == (
        "2 downloaded (1 new, 1 replaced; 2 MB at 1 MB/s), 2 up to date, 1 failed, 1 skipped, "
        "1 after a retry, 1 without a content hash, in 2.0 s"
    )
    resumed = Report(seconds=2.0)
    resumed.ended(Downloaded(transfer("a", 10_000_000), 1, 0.5, kept=6_000_000, proven=HASHED))
    assert sync_summary(resumed) == (
        "1 downloaded (10 MB at 2 MB/s), 0 up to date, 0 failed, 6 MB kept from an earlier run, "
        "in 2.0 s"
    )
    assert sync_summary(Report()) == "0 downloaded, 0 up to date, 0 failed, in 0.0 s"
    assert plan_summary(report, 3_000_000) == (
        "3 to download (1 new, 2 replaced; 2 MB), 2 up to date, 1 failed, 1 skipped; "
        "fits: 3 MB free"
    )
    assert plan_summary(Report(), 0) == "0 to download (0 B), 0 up to date; fits: 0 B free"
    assert "DOES NOT FIT: 1 MB free" in plan_summary(report, 1_000_000)
    assert verify_summary(report_of(UpToDate(remote("a")), failed("b"))) == (
        "1 verified, 1 not in sync, 0 skipped, in 0.0 s"
    )
    deep = report_of(UpToDate(remote("a"), HASHED), UpToDate(remote("b")))
    deep.unlisted("c")
    assert verify_summary(deep) == (
        "2 verified, 0 not in sync, 0 skipped, 1 not in the bucket, content proven of 1, in 0.0 s"
    )
    assert (deep.extra_files, deep.extra_keys, deep.exit_code) == (1, ["c"], 0)


def test_summary_says_what_was_new_replaced_and_edited_here() -> None:
    """Of a sync and of a plan; where nothing was replaced there is nothing to say."""
    report = Report(seconds=1.0)
    old = [transfer(f"old/{n}", 10, Reason.NEWER) for n in range(3)]
    edited = replace(transfer("edited", 10, Reason.SIZE_DIFFERS), is_edited=True)
    found = [transfer("new", 10), *old, edited]
    report.compared(page(*found))
    for done in found:
        report.ended(Downloaded(done, 1, 0.1, proven=HASHED))
    kinds = "1 new, 4 replaced, 1 of them edited here; 50 B"
    assert sync_summary(report).startswith(f"5 downloaded ({kinds} at 50 B/s), ")
    assert plan_summary(report, 100).startswith(f"5 to download ({kinds}), ")
    assert (report.new, report.replaced, report.edited) == (1, 4, 1)
    assert report.total.edited == 1


def test_plan_counts_what_an_earlier_run_has_kept() -> None:
    """In the table, in the summary, and as space that is taken already."""
    report = Report()
    report.compared(page(replace(transfer("a/b", 3_000), kept=1_000), transfer("c/d", 500)))
    ends = [line.split()[-1:-3:-1] for line in table(report.tallies)]
    assert ends == [["kept", "bytes"], ["kB", "1"], ["B", "0"], ["kB", "1"]]
    assert "2 to download (3.5 kB, 1 kB of it kept already), " in plan_summary(report, 2_500)
    assert "; fits: 2.5 kB free" in plan_summary(report, 2_500)
    assert report.total.bytes_kept == 1_000


def test_stopped_sync_says_what_is_kept() -> None:
    """Files that are complete, what arrived of others, and what waits from an earlier run."""
    report = Report()
    assert stop_summary(report) == "stopped; run again to go on"
    waits = replace(transfer("waits", 3_000), kept=1_000)
    done, way, unpinned = (transfer(key, 3_000) for key in ("done", "way", "unpinned"))
    unpinned = replace(unpinned, remote=replace(unpinned.remote, etag=""))
    report.compared(page(waits, done, way, unpinned))
    assert stop_summary(report) == "stopped: 1 kB kept; run again to go on"
    report.listed()
    for started in (done, way, unpinned):
        report.started(started)
        report.advanced(started, 2_000)
    report.advanced(way, -500)
    report.ended(downloaded(done))
    assert stop_summary(report) == "stopped: 5.5 kB of 12 kB kept; run again to go on"
    assert sync_summary(report).startswith("1 downloaded (3 kB), "), "the rate is not known"
    report.ended(failed("way"))
    assert stop_summary(report) == "stopped: 4 kB of 12 kB kept; run again to go on"


def test_stopped_sync_says_what_it_has_deleted() -> None:
    """No file goes without a word."""
    report = Report()
    report.removed("1hz/a.parquet", 1000)
    assert stop_summary(report) == "stopped: 1 file deleted; run again to go on"


def test_objects_that_are_left_out_have_a_column_and_a_word(report: Report) -> None:
    """Without any there is neither; a narrow table does without the column."""
    assert "left out" not in f"{next(table(report.tallies))} {sync_summary(report)}"
    report.filtered({"1hz/": 1200, "csv/": 3})
    assert report.left_out == 1203
    rows = {line.split()[0]: line.split()[-1] for line in table(report.tallies)}
    assert rows == {
        "prefix": "out", "(root)": "0", "1hz/": "1,200", "csv/": "3", "fft/": "0", "old/": "0",
        "total": "1,203",
    }  # fmt: skip
    assert "left out" not in next(table(report.tallies, None, 10))
    for summary in (sync_summary(report), plan_summary(report, 0), verify_summary(report)):
        assert ", 1,203 left out" in summary


def test_summary_says_why_all_is_left_out() -> None:
    """What to do about it stands there as well; any other notice does not."""
    report = Report()
    report.filtered({"csv/": 3})
    report.noticed(Hint("no key matches --include 'x'; --include '*' includes all"))
    report.noticed("something else")
    said = "all 3 objects left out (no key matches --include 'x'; --include '*' includes all)"
    for summary in (sync_summary(report), plan_summary(report, 0), verify_summary(report)):
        assert said in summary


def test_deep_verification_tells_of_proven_contents_in_any_case() -> None:
    """Also if there is none, because the bucket tells no hash."""
    opaque = report_of(UpToDate(remote("a")), UpToDate(remote("b")))
    assert (opaque.content_proven, opaque.without_hash) == (0, 2)
    assert verify_summary(opaque, deep=True) == (
        "2 verified, 0 not in sync, 0 skipped, content proven of 0, in 0.0 s"
    )
    hashed = report_of(UpToDate(remote("a"), HASHED), UpToDate(remote("b"), HASHED))
    assert "content proven of 2" in verify_summary(hashed, deep=True)


def test_prefix_that_is_absent_makes_the_exit_code_3() -> None:
    """As a skipped key does; a failed object weighs more."""
    report = Report()
    report.unmatched("1hz/")
    assert report.exit_code == 0
    report.absent("typo/")
    assert report.exit_code == 3
    report.ended(failed("a"))
    assert report.exit_code == 1


def test_what_was_left_to_do_comes_last_in_the_exit_code() -> None:
    report = report_of()
    report.held_back("2 files were not deleted")
    assert report.exit_code == 7
    report.absent("b/")
    assert report.exit_code == 3
    assert report.left == ["2 files were not deleted"]
