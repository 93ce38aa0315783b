"""Bars: what a terminal shows at any moment."""

import re
import sys

import pytest

from asyncsync.keys import display_width
from asyncsync.progress.bars import Bars
from tests.rigs.child import until
from tests.rigs.outcomes import MB, downloaded, failed, page, transfer
from tests.rigs.terminal import Terminal

WIDTH, HEIGHT = 100, 7
ROWS = HEIGHT - 3
"""Bars of objects that fit between the bar of the whole run and the free line below."""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """An empty screen."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("LINES", str(HEIGHT))
    return Terminal(WIDTH)


@pytest.fixture
def bars(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Bars:
    """Bars that are drawn at every event, and not only some times per second."""
    monkeypatch.setattr("asyncsync.progress.terminal.Terminal.seconds_between_draws", 0)
    return Bars(terminal)


def shares(terminal: Terminal) -> list[tuple[str, str]]:
    """Return the name and the percentage of the bars that show one."""
    matches = (re.match(r"(.+?) +(?:#+\d? )? *(\d+%)", line) for line in terminal.lines)
    return [(match[1], match[2]) for match in matches if match]


def test_whole_run_and_large_objects_have_bars(terminal: Terminal, bars: Bars) -> None:
    """The first line is the whole run; each large object has a line with its name."""
    with bars:
        assert terminal.lines[0].startswith("listing")
        bars.compared(page(transfer("a"), transfer("b"), transfer("small", 1000)))
        assert terminal.lines[0].split() == ["0/3+", "files", "listing"]
        bars.listed()
        for key in "ab":
            bars.started(transfer(key))
        bars.advanced(transfer("a"), 5 * MB)
        bars.advanced(transfer("b"), 2 * MB)
        whole, first, second = terminal.lines
        assert re.match(r"0/3 files +#+\d? + 34% +7.00 MB of 20.0 MB", whole)
        assert re.match(r"a +#+\d? + 50% +5.00 MB of 10.0 MB", first)
        assert re.match(r"b +#+\d? + 20% +2.00 MB of 10.0 MB", second)
        assert len({line.index("%") for line in terminal.lines}) == 1


def test_second_run_starts_from_zero(terminal: Terminal, bars: Bars) -> None:
    """Bars may observe one run after another; nothing of the first shows in the second."""
    with bars:
        bars.compared(page(transfer("a")))
        bars.listed()
        bars.started(transfer("a"))
        bars.advanced(transfer("a"), 5 * MB)
    with bars:
        bars.compared(page(transfer("b"), transfer("c")))
        assert terminal.lines[0].split() == ["0/2+", "files", "listing"]
        assert len(terminal.lines) == 1


def test_small_objects_move_only_the_first_bar(terminal: Terminal, bars: Bars) -> None:
    """They have no bars of their own, which nobody could read."""
    with bars:
        small = [transfer(str(number), 1000) for number in range(100)]
        bars.compared(page(*small))
        for each in small:
            bars.ended(downloaded(each))
        assert len(terminal.lines) == 1
        assert terminal.lines[0].startswith("100/100+ files")


def test_discarded_bytes_move_bars_back(terminal: Terminal, bars: Bars) -> None:
    """Those of the object and of the whole run."""
    with bars:
        bars.compared(page(transfer("a")))
        bars.listed()
        bars.started(transfer("a"))
        bars.advanced(transfer("a"), 8 * MB)
        assert shares(terminal) == [("0/1 files", "80%"), ("a", "80%")]
        bars.advanced(transfer("a"), -8 * MB)
        assert shares(terminal) == [("0/1 files", "0%"), ("a", "0%")]
        bars.started(transfer("a"))
        bars.advanced(transfer("a"), 1 * MB)
        assert shares(terminal) == [("0/1 files", "10%"), ("a", "10%")]


def test_bars_never_leave_the_screen(terminal: Terminal, bars: Bars) -> None:
    """If there are more large objects than rows, they wait until a row is free."""
    large = [transfer(f"object-{number}") for number in range(ROWS + 3)]
    with bars:
        bars.compared(page(*large))
        for each in large:
            bars.started(each)
            bars.advanced(each, MB)
        assert len(terminal.lines) == 1 + ROWS
        bars.ended(downloaded(large[1]))
        assert [name for name, _ in shares(terminal)] == ["object-0", "object-2", "object-3"]
        bars.advanced(large[-1], MB)
        assert shares(terminal)[3] == ("object-6", "20%")
        bars.ended(failed("object-0"))
        bars.advanced(large[-2], -MB)
        assert len(terminal.lines) == ROWS  # discarded bytes alone do not take a row
        for each in large[2:]:
            bars.ended(downloaded(each))
            assert len(terminal.lines) <= 1 + ROWS
        assert len(terminal.lines) == 1
        assert terminal.lines[0].startswith(f"{ROWS + 3}/{ROWS + 3}+ files")


@pytest.mark.parametrize("lines", ["1", "3", "4"])
def test_low_terminal_shows_what_fits(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars, lines: str
) -> None:
    """The bar of the whole run comes first, and is the only one if nothing else fits."""
    monkeypatch.setenv("LINES", lines)
    with bars:
        bars.compared(page(transfer("a"), transfer("b")))
        for key in "ab":
            bars.started(transfer(key))
            bars.advanced(transfer(key), MB)
            bars.ended(downloaded(transfer(key)))
    assert terminal.lines == []


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_nothing_is_left_on_the_screen(
    terminal: Terminal, bars: Bars, error: type[BaseException] | None
) -> None:
    """All bars are cleared, however the run ends."""

    def run() -> None:
        with bars:
            bars.compared(page(transfer("a"), transfer("b")))
            for key in "ab":
                bars.started(transfer(key))
                bars.advanced(transfer(key), MB)
            bars.ended(downloaded(transfer("a")))
            if error:
                raise error

    if error:
        with pytest.raises(error):
            run()
    else:
        run()
    assert terminal.lines == []


def test_said_lines_stand_above_the_bars(terminal: Terminal, bars: Bars) -> None:
    """They are complete and in order, and the bars go on below them."""
    with bars:
        bars.compared(page(transfer("a")))
        bars.started(transfer("a"))
        bars.advanced(transfer("a"), MB)
        bars.say("failed: x: why", terminal)
        bars.say("failed: y: why", terminal)
        first, second, whole, one = terminal.lines
        assert [first, second] == ["failed: x: why", "failed: y: why"]
        assert whole.startswith("0/1+ files")
        assert one.startswith("a ")
    assert terminal.lines == ["failed: x: why", "failed: y: why"]


@pytest.mark.parametrize("ends", [False, True], ids=["flushed", "ended"])
def test_no_line_is_lost(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, *, ends: bool
) -> None:
    """Lines that wait for the next draw are printed by `flush` and at the end."""
    monkeypatch.setattr("asyncsync.progress.terminal.Terminal.seconds_between_draws", 1000)
    bars = Bars(terminal)
    with bars:
        for line in ("one", "two", "three"):
            bars.say(line, terminal)
        if not ends:
            bars.flush()
            assert terminal.lines == ["one", "two", "three"]
    assert terminal.lines == ["one", "two", "three"]


def test_typed_ctrl_c_leaves_nothing_on_the_screen(terminal: Terminal, bars: Bars) -> None:
    """A terminal shows it at the cursor; rows and lines are then drawn over it."""
    with bars:
        bars.compared(page(transfer("a")))
        before = terminal.lines
        terminal.write("^C")
        bars.draw()
        assert terminal.lines == before
        terminal.write("^C")
        bars.say("stopped", terminal)
        assert terminal.lines[0] == "stopped"
    assert terminal.lines == ["stopped"]


def test_hostile_key_is_only_text(terminal: Terminal, bars: Bars) -> None:
    """Control characters are escaped, and no placeholder is replaced."""
    keys = ["\x1b[2J\x9b31m", "%s{desc}{}", "\u202egpj", "line\nbreak"]
    with bars:
        bars.compared(page(*map(transfer, keys)))
        for key in keys:
            bars.started(transfer(key))
            bars.advanced(transfer(key), MB)
        names = [name for name, _ in shares(terminal)]
        assert names == [r"\x1b[2J\x9b31m", "%s{desc}{}", r"\u202egpj", r"line\nbreak"]


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40, 20, 8])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_bars_fit_every_width(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars, width: int, encoding: str
) -> None:
    """No row reaches the last column, whatever the names are, and columns are aligned."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(Terminal, "encoding", encoding)
    terminal.width = width
    names = ["a", "1hz/2026/01/" + "x" * 200, "日本語/" * 20, "e\u0301" * 30, "\x1b[31m" * 9]
    bars = Bars(terminal)
    with bars:
        bars.compared(page(*map(transfer, names)))
        bars.listed()
        for name in names:
            bars.started(transfer(name))
            bars.advanced(transfer(name), MB)
        lines = terminal.lines
        assert len(lines) == 1 + ROWS
        assert all(display_width(line) < width for line in lines)
        assert encoding == "utf-8" or "".join(lines).isascii()
        if width >= 40:
            assert len({display_width(line.partition("%")[0]) for line in lines}) == 1


def test_resized_terminal_is_drawn_again(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars
) -> None:
    """Wrapped rows are cleared, and rows that no longer fit are not drawn."""
    large = [transfer(f"object-{number}") for number in range(ROWS)]
    with bars:
        bars.compared(page(*large))
        for each in large:
            bars.started(each)
            bars.advanced(each, MB)
        assert len(terminal.lines) == 1 + ROWS
        monkeypatch.setenv("COLUMNS", "60")
        monkeypatch.setenv("LINES", "5")
        bars.advanced(large[0], MB)
        assert len(terminal.lines) == 3
        assert all(display_width(line) < 60 for line in terminal.lines)
        monkeypatch.setenv("LINES", str(HEIGHT))
        bars.advanced(large[0], MB)
        assert len(terminal.lines) == 1 + ROWS
    assert terminal.lines == []


def test_failed_object_counts_as_done(terminal: Terminal, bars: Bars) -> None:
    """Neither bytes nor total decrease, and the bar reaches 100% when the work ends."""
    with bars:
        bars.compared(page(transfer("a"), transfer("b")))
        bars.listed()
        bars.ended(failed("a"))
        assert re.search(r" 50% +10.0 MB of 20.0 MB", terminal.lines[0])
        bars.ended(downloaded(transfer("b")))
        assert re.search(r" 100% +20.0 MB of 20.0 MB", terminal.lines[0])


def test_rate_is_that_of_the_last_seconds(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars
) -> None:
    """It is shown after half a second, and disappears when no bytes arrive."""
    now = 100.0
    monkeypatch.setattr("asyncsync.progress.bar.monotonic", lambda: now)
    bars = Bars(terminal)
    with bars:
        bars.compared(page(transfer("a", 100 * MB)))
        bars.listed()
        bars.started(transfer("a", 100 * MB))
        seen = []
        for seconds, size in ((0.1, MB), (0.9, MB), (1, 2 * MB), (3, 0), (4, 0), (4, 0)):
            now += seconds
            bars.advanced(transfer("a", 100 * MB), size)
            seen.append(" ".join(terminal.lines[0].partition("MB ")[2].partition("MB")[2].split()))
    assert seen == ["", "2.00 MB/s ETA 00:49", "2.00 MB/s ETA 00:48", "800 kB/s ETA 02:00", "", ""]


def test_rate_goes_on_when_the_listing_ends(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars
) -> None:
    """It does not depend on the total."""
    now = 100.0
    monkeypatch.setattr("asyncsync.progress.bar.monotonic", lambda: now)
    bars = Bars(terminal)
    with bars:
        bars.compared(page(transfer("a", 100 * MB)))
        bars.started(transfer("a", 100 * MB))
        now += 2
        bars.advanced(transfer("a", 100 * MB), 20 * MB)
        bars.listed()
        assert terminal.lines[0].endswith(" 20.0 MB of 100 MB 10.0 MB/s   ETA 00:08")


@pytest.mark.parametrize("columns", ["100", "80"])
def test_rate_and_time_left_leave_out_what_was_kept(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars, columns: str
) -> None:
    """The bytes of an earlier run are done, but they have not arrived in this one."""
    now = 100.0
    monkeypatch.setattr("asyncsync.progress.bar.monotonic", lambda: now)
    monkeypatch.setenv("COLUMNS", columns)
    a = transfer("a", 100 * MB)
    with bars:
        bars.compared(page(a))
        bars.listed()
        bars.started(a)
        bars.kept(a, 60 * MB)
        now += 1
        bars.advanced(a, 10 * MB)
        now += 1
        bars.advanced(a, 10 * MB)
        whole, one = (line.split("%")[1].split() for line in terminal.lines)
        assert whole[:2] == ["80.0", "MB"]
        assert whole[-4:] == ["10.0", "MB/s", "ETA", "00:02"]
        assert one[-4:] == ["20.0", "MB/s", "ETA", "00:01"]


def test_second_attempt_goes_on_with_what_was_kept(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars
) -> None:
    """The object's bar goes back and on again, and its rate stays that of the network."""
    now = 100.0
    monkeypatch.setattr("asyncsync.progress.bar.monotonic", lambda: now)
    a = transfer("a", 100 * MB)
    with bars:
        bars.compared(page(a))
        bars.listed()
        bars.started(a)
        bars.advanced(a, 20 * MB)
        bars.advanced(a, -20 * MB)
        bars.started(a)
        bars.kept(a, 10 * MB)
        now += 2
        bars.advanced(a, 20 * MB)
        for line in terminal.lines:
            assert line.endswith(" 30%  30.0 MB of 100 MB 20.0 MB/s   ETA 00:03")


@pytest.mark.parametrize("fails", [True, False], ids=["failed", "started again"])
def test_failure_does_not_change_the_rate(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars, *, fails: bool
) -> None:
    """It is the rate of the network, so discarded bytes count, and lost ones do not."""
    now = 100.0
    monkeypatch.setattr("asyncsync.progress.bar.monotonic", lambda: now)
    bars = Bars(terminal)
    a, b = transfer("a", 100 * MB), transfer("b", 100 * MB)
    with bars:
        bars.compared(page(a, b))
        bars.listed()
        for each in (a, b):
            bars.started(each)
        for _ in range(4):
            now += 1
            for each in (a, b):
                bars.advanced(each, 5 * MB)
        bars.advanced(a, -20 * MB)
        if fails:
            bars.ended(failed("a", size=100 * MB))
        now += 1
        bars.advanced(b, 10 * MB)
        done = "130 MB of 200 MB" if fails else "30.0 MB of 200 MB"
        left = "00:07" if fails else "00:17"
        figures = " ".join(terminal.lines[0].split()[-9:])
        assert figures.endswith(f"{done} 10.0 MB/s ETA {left}")


@pytest.mark.anyio
async def test_bars_come_back_after_many_lines(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal
) -> None:
    """Lines wait for the next draw, which comes even if nothing else happens."""
    monkeypatch.setattr("asyncsync.progress.terminal.Terminal.seconds_between_draws", 1000)
    with Bars(terminal) as bars:
        bars.say("one", terminal)
        bars.say("two", terminal)
        assert terminal.lines == ["listing"]
        bars._draw_at = 0
        await until(lambda: terminal.lines != ["listing"])
        assert terminal.lines == ["one", "two", "listing"]


def test_bars_without_a_terminal_are_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One comes every few seconds, and those of the run are printed at once."""
    now = 100.0
    for module in ("bar", "bars"):
        monkeypatch.setattr(f"asyncsync.progress.{module}.monotonic", lambda: now)
    with Bars() as bars:
        bars.compared(page(transfer("a")))
        bars.listed()
        bars.say("said", sys.stderr)
        now += 5
        bars.ended(downloaded(transfer("a")))
    assert capsys.readouterr() == (
        "",
        "said\n1/1 files  100%  10.0 MB of 10.0 MB  2.00 MB/s  ETA 00:00\n",
    )
