"""Fixtures for tests of reports."""

import pytest

from asyncsync.errors import UnsafeKeyError
from asyncsync.model import Compared, Downloaded, Reason, UpToDate
from asyncsync.report import Report
from tests.rigs.outcomes import HASHED, failed, remote, transfer


@pytest.fixture
def report() -> Report:
    """The report of a sync with outcomes of each kind."""
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
    report.ended(Downloaded(transfer("fft/c", 2_000_000, Reason.NEWER), 2, 1.23456))
    report.ended(failed("1hz/b"))
    report.unmatched("typo/")
    return report
