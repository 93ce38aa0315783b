"""docs/tutorial.md: what it shows is what the program prints, but for the figures."""

import re
from collections import Counter

import pytest

from asyncsync.model import Proof
from asyncsync.report import Report, Tally, plan_summary, stop_summary, sync_summary, verify_summary
from asyncsync.report import table as table_of
from tests import ROOT
from tests.rigs.blocks import blocks

DOCUMENT = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
TABLES = [
    block.text
    for block in blocks()
    if block.document == "docs/tutorial.md" and not block.language and "\nprefix " in block.text
]
UNITS = {"B": 1, "MB": 1_000_000}


def tallies(lines: list[str]) -> dict[str, Tally]:
    """Return the counts that the rows of a table show."""
    found = {}
    for line in lines:
        prefix, *counts, size, unit = line.split()
        local, in_bucket, missing, changed, to_download = map(int, counts)
        found[prefix.replace("(root)", "")] = Tally(
            local=local,
            in_bucket=in_bucket,
            missing=missing,
            changed=changed,
            to_download=to_download,
            bytes_to_download=round(float(size) * UNITS[unit]),
        )
    return found


@pytest.mark.parametrize("block", TABLES)
def test_table_and_last_line_are_those_of_the_program(block: str) -> None:
    """The table to the space; in the last line, all but the figures."""
    start, *table, last = block.splitlines()
    counts = tallies(table[1:-1])
    report = Report(tallies=counts, seconds=1.0)
    assert list(table_of(counts)) == table
    report.up_to_date = report.total.in_bucket - report.total.to_download
    report.downloaded = report.total.to_download
    report.downloaded_bytes = report.total.bytes_to_download
    made = (
        plan_summary(report, 44_500_000_000) if start.startswith("plan: ") else sync_summary(report)
    )
    assert re.sub(r"[\d.]+", "0", last) == re.sub(r"[\d.]+", "0", made)


def test_other_lines_are_those_of_the_program() -> None:
    """Of a sync that has nothing to do, of one that is stopped, and of a proof."""
    again = Report(up_to_date=150, seconds=0.4)
    assert sync_summary(again) in DOCUMENT
    proven = Report(verified=150, proofs=Counter({Proof.MD5: 150}), seconds=0.4)
    assert verify_summary(proven, deep=True) in DOCUMENT
    total = Tally(to_download=150, bytes_to_download=74_700_000)
    stopped = Report(tallies={"": total}, downloaded_bytes=29_200_000, is_listed=True)
    assert f"asyncsync: {stop_summary(stopped)} (exit code 130)" in DOCUMENT
