"""Lines: what a log gets instead of bars."""

import io
from dataclasses import replace

import pytest

from asyncsync.model import Compared, UpToDate
from asyncsync.progress.lines import SECONDS_BETWEEN_LINES, Lines
from tests.rigs.outcomes import MB, downloaded, failed, page, transfer


@pytest.fixture
def log() -> io.StringIO:
    """The stream of the lines."""
    return io.StringIO()


def test_lines_come_every_few_seconds(log: io.StringIO) -> None:
    """A line sums up all events since the last one; without events there is none."""
    now = 100.0
    lines = Lines(log, lambda: now)
    now = 200.0
    with lines:
        lines.compared(page(*(transfer(str(number)) for number in range(1200))))
        assert log.getvalue() == ""
        now += SECONDS_BETWEEN_LINES
        lines.ended(downloaded(transfer("0")))
        lines.ended(downloaded(transfer("1")))
        now += SECONDS_BETWEEN_LINES - 0.1
        lines.listed()
        now += 0.1
        lines.ended(downloaded(transfer("2")))
        now += SECONDS_BETWEEN_LINES
        lines.ended(failed("3"))
    assert log.getvalue().splitlines() == [
        "1 of 1,200+ files, 10 MB of 12 GB+, 2 MB/s",
        "3 of 1,200 files, 30 MB of 12 GB, 3 MB/s",
        "4 of 1,200 files, 40 MB of 12 GB, 2 MB/s",
    ]


def test_lines_hold_no_control_character(log: io.StringIO) -> None:
    """Whatever the keys are, there is no carriage return and no escape sequence."""
    now = 0.0
    with Lines(log, lambda: now) as lines:
        lines.compared(page(transfer("\x1b[2J\r")))
        for _ in range(20):
            now += SECONDS_BETWEEN_LINES
            lines.started(transfer("\x1b[2J\r"))
            lines.advanced(transfer("\x1b[2J\r"), MB)
        lines.ended(failed("\x1b[2J\r"))
        lines.say("said", log)
    assert len(log.getvalue().splitlines()) == 21
    assert all(line.isprintable() for line in log.getvalue().split("\n"))


def test_short_run_prints_no_line(log: io.StringIO) -> None:
    """Its summary is enough."""
    with Lines(log) as lines:
        lines.compared(page(transfer("a")))
        lines.ended(downloaded(transfer("a")))
    assert log.getvalue() == ""


def test_lines_say_how_many_files_are_still_to_be_read(log: io.StringIO) -> None:
    """Until each turns out to be its object, or another transfer."""
    now = 0.0
    with Lines(log, lambda: now) as lines:
        unproven = [transfer(str(number)) for number in range(3)]
        for each in (
            replace(page(), unproven=unproven),
            replace(page(unproven[0]), decides=True),
            Compared([], [UpToDate(unproven[1].remote)], [], decides=True),
            Compared([], [UpToDate(unproven[2].remote)], [], decides=True),
        ):
            now += SECONDS_BETWEEN_LINES
            lines.compared(each)
    assert log.getvalue().splitlines() == [
        "0 of 0+ files, 0 B of 0 B+, 0 B/s, 3 to read",
        "0 of 1+ files, 0 B of 10 MB+, 0 B/s, 2 to read",
        "0 of 1+ files, 0 B of 10 MB+, 0 B/s, 1 to read",
        "0 of 1+ files, 0 B of 10 MB+, 0 B/s",
    ]
