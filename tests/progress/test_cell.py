"""Bars as a notebook shows them."""

import re
from collections.abc import Sequence
from typing import TextIO

import pytest

from asyncsync.progress.bar import Bar, State
from asyncsync.progress.bars import Bars
from asyncsync.progress.cell import Cell, _table
from tests.rigs.outcomes import MB, downloaded, failed, page, transfer


class Seen(Cell):
    """A cell whose bars are looked at before they are made a table."""

    seconds_between_draws = 0
    file_rows = 2

    def __init__(self) -> None:
        super().__init__()
        self.bars: Sequence[Bar] = []

    def draw(self, bars: Sequence[Bar]) -> None:
        """Keep them."""
        self.bars = bars

    def say(self, line: str, stream: TextIO) -> None:
        """Nobody does."""

    @property
    def states(self) -> list[tuple[str, State]]:
        """The names and the states of the bars."""
        return [(bar.desc, bar.state) for bar in self.bars]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the bars, as the one element of a list."""
    now = [100.0]
    monkeypatch.setattr("asyncsync.progress.bar.monotonic", lambda: now[0])
    return now


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """The cell that bars are drawn in."""
    cell = Seen()
    monkeypatch.setattr("asyncsync.progress.bars._screen", lambda: cell)
    return cell


def test_bar_of_an_object_that_ended_stops_counting(cell: Seen, now: list[float]) -> None:
    """It stays as it is, until the bar of another object takes its place."""
    with Bars() as bars:
        bars.compared(page(*map(transfer, "abc")))
        bars.listed()
        for key in "ab":
            bars.started(transfer(key))
            bars.advanced(transfer(key), MB)
        now[0] += 4
        bars.advanced(transfer("a"), 9 * MB)
        bars.ended(downloaded(transfer("a")))
        now[0] += 10
        bars.draw()
        assert cell.states == [
            ("1/3 files", State.RUNNING),
            ("a", State.FINISHED),
            ("b", State.RUNNING),
        ]
        assert str(cell.bars[1]) == "a  100%  10.0 MB of 10.0 MB  2.50 MB/s  in 00:04"
        bars.started(transfer("c"))
        bars.advanced(transfer("c"), MB)
        bars.ended(failed("b"))
        assert cell.states[1:] == [("c", State.RUNNING), ("b", State.FAILED)]
    assert cell.states == [("2/3 files", State.STOPPED)]


@pytest.mark.parametrize("fails", [False, True])
def test_whole_run_leaves_its_bar(cell: Seen, now: list[float], *, fails: bool) -> None:
    """With its time and its mean rate."""
    with Bars() as bars:
        bars.compared(page(transfer("a"), transfer("b")))
        bars.listed()
        bars.ended(downloaded(transfer("a")))
        now[0] += 5
        bars.ended(failed("b") if fails else downloaded(transfer("b")))
        now[0] += 5
    state = State.FAILED if fails else State.FINISHED
    rate = "1.00 MB/s" if fails else "2.00 MB/s"
    assert cell.states == [("2/2 files", state)]
    assert str(cell.bars[0]) == f"2/2 files  100%  20.0 MB of 20.0 MB  {rate}  in 00:10"


def test_run_that_does_nothing_leaves_no_bar(cell: Seen) -> None:
    """A plan, for instance."""
    with Bars() as bars:
        bars.compared(page(transfer("a")))
        bars.listed()
    assert cell.bars == []
    assert _table(cell.bars) == ""


def test_table_has_a_row_of_the_same_columns_for_each_bar() -> None:
    """Names and figures line up, and a name is only text."""
    bars = [Bar("1/2 files", 20 * MB, 5 * MB), Bar("<img src=x>"), Bar("1hz/" + "x" * 100)]
    bars[0].rate = MB
    bars[2].end(State.FINISHED)
    lines = _table(bars).split("<tr")[1:]
    assert [line.count("<td") for line in lines] == [6, 6, 6]
    assert "<img" not in "".join(lines)
    assert re.findall(r">([^<>]+)<", lines[0]) == [
        *("1/2 files", "25%", "5.00 MB of 20.0 MB", "1.00 MB/s", "ETA 00:15")
    ]
    assert "width:25.0%" in lines[0]
    assert "width:100.0%" in lines[2]
    assert len(re.findall(r">(1hz/x+…x+)<", lines[2])[0]) == 60
