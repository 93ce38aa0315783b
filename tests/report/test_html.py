"""Reports in a notebook: what they show, and that keys are escaped."""

import re

from asyncsync.model import Reason, RemoteObject, Transfer
from asyncsync.report.html import MOST_SHOWN
from asyncsync.report.plan import Plan
from asyncsync.report.report import Report, sync_summary
from asyncsync.report.tally import table
from tests.rigs.outcomes import failed, report_of


def test_notebook_shows_summary_check_and_failures(report: Report) -> None:
    """As tables; that of the failures can be unfolded."""
    shown = report._repr_html_()
    assert f"<p>{sync_summary(report)}</p>" in shown
    for row in table(report.tallies):
        assert all(cell in shown for cell in re.split("  +", row))
    assert "<summary>2 failed or skipped</summary>" in shown
    assert "1hz/b" in shown
    assert "<details>" not in Report()._repr_html_()


def test_notebook_shows_what_the_globs_leave_out(report: Report) -> None:
    """In the summary, and in a column of the check."""
    report.filtered({"1hz/": 7})
    shown = report._repr_html_()
    assert ", 7 left out" in shown
    assert ">left out</th>" in shown


def test_notebook_escapes_keys() -> None:
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


def test_notebook_shows_encoded_paths_of_a_plan() -> None:
    """Beside their keys."""
    odd = Transfer(RemoteObject("a//b", 7, "etag", 0), ("a", "%~", "b"), Reason.MISSING)
    shown = Plan(transfers=[odd])._repr_html_()
    assert "a//b -&gt; a/%~/b" in shown


def test_notebook_is_not_flooded() -> None:
    """It shows the first rows and counts the others; the `repr` is short as well."""
    report = report_of(*[failed(f"{number}/x") for number in range(2000)])
    report.counted({f"{number}/": 1 for number in range(2000)})
    shown = report._repr_html_()
    assert shown.count("<tr>") == 2 * MOST_SHOWN + 4
    assert "(1,950 more prefixes)" in shown
    assert "and 1,950 more" in shown
    assert len(repr(report)) < 400
