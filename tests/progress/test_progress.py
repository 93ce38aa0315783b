"""Progress: what a terminal shows at any moment, and what a log gets instead."""

import io
import re
import subprocess
import sys

import pytest

from asyncsync.errors import IntegrityError
from asyncsync.keys import display_width
from asyncsync.model import Compared, Downloaded, Failed, Reason, RemoteObject, Transfer, UpToDate
from asyncsync.progress.progress import SECONDS_BETWEEN_LINES, Bars, Lines, Progress, shortened
from tests.rigs.terminal import Terminal

MB = 1_000_000
WIDTH, HEIGHT = 100, 7
ROWS = HEIGHT - 3
"""File bars that fit: above them the whole, below them the cursor's line."""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """An empty screen."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("LINES", str(HEIGHT))
    return Terminal(WIDTH)


@pytest.fixture
def bars(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Bars:
    """Bars on the screen that are drawn at every event, and not a few times a second."""
    monkeypatch.setattr("asyncsync.progress.terminal.SECONDS_BETWEEN_DRAWS", 0)
    return Bars(terminal)


def transfer(key: str, size: int = 10 * MB) -> Transfer:
    remote = RemoteObject(key, size, "etag", 0)
    return Transfer(remote, tuple(key.split("/")), Reason.MISSING)


def downloaded(done: Transfer) -> Downloaded:
    return Downloaded(done, 1, 0.1)


def failed(given: Transfer) -> Failed:
    return Failed(given.remote, IntegrityError(given.remote.key, "why"))


def found(*transfers: Transfer, up_to_date: int = 0) -> Compared:
    known = [UpToDate(RemoteObject(str(number), 1, "", 0)) for number in range(up_to_date)]
    return Compared(list(transfers), known, [])


def figures(progress: Progress) -> tuple[int, int, int, int]:
    """Return objects ended, objects, bytes arrived, bytes."""
    return progress.ended_objects, progress.objects, progress.arrived, progress.size


# counting


class Counting(Progress):
    """Progress that nobody sees."""

    def draw(self) -> None:
        """Draw nothing."""


@pytest.fixture
def counting() -> Counting:
    """Two objects found, a small one and a large one."""
    counting = Counting()
    counting.compared(found(transfer("small", 1000), transfer("large"), up_to_date=3))
    return counting


def test_bytes_count_as_they_arrive_and_only_once(counting: Counting) -> None:
    """A large object counts by blocks, a small one at its end."""
    counting.started(transfer("large"))
    for _ in range(10):
        counting.advanced(transfer("large"), MB)
    assert figures(counting) == (0, 2, 10 * MB, 10 * MB + 1000)
    counting.ended(downloaded(transfer("large")))
    assert figures(counting) == (1, 2, 10 * MB, 10 * MB + 1000)
    counting.ended(downloaded(transfer("small", 1000)))
    assert figures(counting) == (2, 2, 10 * MB + 1000, 10 * MB + 1000)
    assert counting.underway == {}


def test_rewound_bytes_are_discounted(counting: Counting) -> None:
    """A transfer that starts again counts its bytes once in the end."""
    large = transfer("large")
    counting.started(large)
    counting.advanced(large, 4 * MB)
    counting.advanced(large, -4 * MB)
    assert counting.arrived == 0
    counting.started(large)
    counting.advanced(large, 10 * MB)
    counting.ended(downloaded(large))
    assert counting.arrived == 10 * MB


@pytest.mark.parametrize("rewound", [True, False], ids=["while arriving", "when all had arrived"])
def test_failed_object_is_no_longer_expected(counting: Counting, *, rewound: bool) -> None:
    """Its bytes are lost, and the bytes that came of it do not count, whenever it failed."""
    large = transfer("large")
    counting.started(large)
    counting.advanced(large, 10 * MB)
    if rewound:
        counting.advanced(large, -10 * MB)
    counting.ended(failed(large))
    counting.ended(downloaded(transfer("small", 1000)))
    assert figures(counting) == (2, 2, 1000, 10 * MB + 1000)
    assert counting.lost == 10 * MB


def test_verified_files_count_as_objects() -> None:
    """A verification has nothing to fetch, and never tells of more ended objects than there are."""
    counting = Counting()
    counting.compared(found(up_to_date=2))
    for key in ("a", "b"):
        counting.ended(UpToDate(transfer(key).remote))
    assert figures(counting) == (2, 2, 0, 0)


# bars


def shares(terminal: Terminal) -> list[tuple[str, str]]:
    """Return name and share of the bars that show one."""
    found = (re.match(r"(.+?)  +.* (\d+%)", line) for line in terminal.lines)
    return [(match[1], match[2]) for match in found if match]


def test_whole_and_large_objects_have_bars(terminal: Terminal, bars: Bars) -> None:
    """The first line is the whole; each large object has its own line with its name."""
    with bars:
        assert terminal.lines[0].startswith("listing")
        bars.compared(found(transfer("a"), transfer("b"), transfer("small", 1000)))
        assert terminal.lines[0].split() == ["0/3+", "files", "listing"]
        bars.listed()
        for key in "ab":
            bars.started(transfer(key))
        bars.advanced(transfer("a"), 5 * MB)
        bars.advanced(transfer("b"), 2 * MB)
        whole, first, second = terminal.lines
        assert re.match(r"0/3 files +#+\d? + 34% +7 MB of 20 MB", whole)
        assert re.match(r"a +#+\d? + 50% +5 MB of 10 MB", first)
        assert re.match(r"b +#+\d? + 20% +2 MB of 10 MB", second)
        assert len({line.index("%") for line in terminal.lines}) == 1


def test_small_objects_move_the_whole_only(terminal: Terminal, bars: Bars) -> None:
    """Thousands of them would not be read anyway."""
    with bars:
        small = [transfer(str(number), 1000) for number in range(100)]
        bars.compared(found(*small))
        for each in small:
            bars.ended(downloaded(each))
        assert len(terminal.lines) == 1
        assert terminal.lines[0].startswith("100/100+ files")


def test_rewound_object_moves_its_bar_back(terminal: Terminal, bars: Bars) -> None:
    """And that of the whole."""
    with bars:
        bars.compared(found(transfer("a")))
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
    """More large objects than rows: the rest waits for a row, and rows are used again."""
    large = [transfer(f"object-{number}") for number in range(ROWS + 3)]
    with bars:
        bars.compared(found(*large))
        for each in large:
            bars.started(each)
            bars.advanced(each, MB)
        assert len(terminal.lines) == 1 + ROWS
        bars.ended(downloaded(large[1]))
        assert terminal.lines[2] == ""
        bars.advanced(large[-1], MB)
        assert shares(terminal)[1] == ("object-6", "20%")
        bars.ended(failed(large[0]))
        bars.advanced(large[-2], -MB)
        assert terminal.lines[1] == ""  # a rewind alone is no reason to get a row
        for each in large[2:]:
            bars.ended(downloaded(each))
            assert len(terminal.lines) <= 1 + ROWS
        assert len(terminal.lines) == 1
        assert terminal.lines[0].startswith(f"{ROWS + 3}/{ROWS + 3}+ files")


@pytest.mark.parametrize("lines", ["1", "3", "4"])
def test_low_terminal_shows_what_fits(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars, lines: str
) -> None:
    """The whole comes first; where nothing else fits, there is nothing else."""
    monkeypatch.setenv("LINES", lines)
    with bars:
        bars.compared(found(transfer("a"), transfer("b")))
        for key in "ab":
            bars.started(transfer(key))
            bars.advanced(transfer(key), MB)
            bars.ended(downloaded(transfer(key)))
    assert terminal.lines == []


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_nothing_is_left_on_the_screen(
    terminal: Terminal, bars: Bars, error: type[BaseException] | None
) -> None:
    """However the run ends, all bars are cleared away."""

    def run() -> None:
        with bars:
            bars.compared(found(transfer("a"), transfer("b")))
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
    """Whole, in order, and the bars go on below them."""
    with bars:
        bars.compared(found(transfer("a")))
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
def test_no_line_is_kept_back(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, *, ends: bool
) -> None:
    """What waits to be drawn with the bars is printed when there is no more time to wait."""
    monkeypatch.setattr("asyncsync.progress.terminal.SECONDS_BETWEEN_DRAWS", 1000)
    bars = Bars(terminal)
    with bars:
        for line in ("one", "two", "three"):
            bars.say(line, terminal)
        if not ends:
            bars.flush()
            assert terminal.lines == ["one", "two", "three"]
    assert terminal.lines == ["one", "two", "three"]


def test_typed_ctrl_c_leaves_nothing_on_the_screen(terminal: Terminal, bars: Bars) -> None:
    """A terminal shows it where the cursor is, and moves on; rows and lines are drawn over it."""
    with bars:
        bars.compared(found(transfer("a")))
        before = terminal.lines
        terminal.write("^C")
        bars.draw()
        bars._whole.display()
        assert terminal.lines == before
        terminal.write("^C")
        bars.say("stopped", terminal)
        assert terminal.lines[0] == "stopped"
    assert terminal.lines == ["stopped"]


def test_hostile_key_draws_nothing_but_its_name(terminal: Terminal, bars: Bars) -> None:
    """Control characters are escaped, and no sign has a meaning."""
    keys = ["\x1b[2J\x9b31m", "%s{desc}{}", "\u202egpj", "line\nbreak"]
    with bars:
        bars.compared(found(*map(transfer, keys)))
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
    """No row reaches the last column, whatever the names are made of; columns are aligned."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(Terminal, "encoding", encoding)
    terminal.width = width
    names = ["a", "1hz/2026/01/" + "x" * 200, "日本語/" * 20, "e\u0301" * 30, "\x1b[31m" * 9]
    bars = Bars(terminal)
    with bars:
        bars.compared(found(*map(transfer, names)))
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


def test_resized_terminal_is_drawn_anew(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars
) -> None:
    """What a narrower terminal made of the rows is cleared; those that no longer fit wait."""
    large = [transfer(f"object-{number}") for number in range(ROWS)]
    with bars:
        bars.compared(found(*large))
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


def test_failed_object_is_done_with(terminal: Terminal, bars: Bars) -> None:
    """Neither bytes nor total run backwards; the bar ends when the work does."""
    with bars:
        bars.compared(found(transfer("a"), transfer("b")))
        bars.listed()
        bars.ended(failed(transfer("a")))
        assert re.search(r" 50% +10 MB of 20 MB", terminal.lines[0])
        bars.ended(downloaded(transfer("b")))
        assert re.search(r" 100% +20 MB of 20 MB", terminal.lines[0])


def test_rate_is_that_of_late(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars
) -> None:
    """It is known after half a second, and falls to nothing when nothing comes."""
    now = 100.0
    monkeypatch.setattr("asyncsync.progress.terminal.monotonic", lambda: now)
    bars = Bars(terminal)
    with bars:
        bars.compared(found(transfer("a", 100 * MB)))
        bars.listed()
        bars.started(transfer("a", 100 * MB))
        seen = []
        for seconds, size in ((0.1, MB), (0.9, MB), (1, 2 * MB), (3, 0), (4, 0), (4, 0)):
            now += seconds
            bars.advanced(transfer("a", 100 * MB), size)
            seen.append(" ".join(terminal.lines[0].partition("MB ")[2].partition("MB")[2].split()))
    assert seen == ["", "2 MB/s ETA 00:49", "2 MB/s ETA 00:48", "800 kB/s ETA 02:00", "", ""]


def test_rate_goes_on_when_the_listing_ends(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars
) -> None:
    """What is known of it does not depend on the total."""
    now = 100.0
    monkeypatch.setattr("asyncsync.progress.terminal.monotonic", lambda: now)
    bars = Bars(terminal)
    with bars:
        bars.compared(found(transfer("a", 100 * MB)))
        bars.started(transfer("a", 100 * MB))
        now += 2
        bars.advanced(transfer("a", 100 * MB), 20 * MB)
        bars.listed()
        assert terminal.lines[0].endswith(" 20 MB of 100 MB   10 MB/s   ETA 00:08")


@pytest.mark.parametrize("fails", [True, False], ids=["failed", "begun again"])
def test_rate_outlives_a_failure(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal, bars: Bars, *, fails: bool
) -> None:
    """It is that of the line; bytes that came for nothing have come, and none come at once."""
    now = 100.0
    monkeypatch.setattr("asyncsync.progress.terminal.monotonic", lambda: now)
    bars = Bars(terminal)
    a, b = transfer("a", 100 * MB), transfer("b", 100 * MB)
    with bars:
        bars.compared(found(a, b))
        bars.listed()
        for each in (a, b):
            bars.started(each)
        for _ in range(4):
            now += 1
            for each in (a, b):
                bars.advanced(each, 5 * MB)
        bars.advanced(a, -20 * MB)
        if fails:
            bars.ended(failed(a))
        now += 1
        bars.advanced(b, 10 * MB)
        done = "130 MB of 200 MB" if fails else "30 MB of 200 MB"
        left = "00:07" if fails else "00:17"
        figures = " ".join(terminal.lines[0].split()[-9:])
        assert figures.endswith(f"{done} 10 MB/s ETA {left}")


@pytest.mark.anyio
async def test_bars_come_back_after_many_lines(
    monkeypatch: pytest.MonkeyPatch, terminal: Terminal
) -> None:
    """Even if nothing else happens: the bars stay until lines and bars are drawn together."""
    monkeypatch.setattr("asyncsync.progress.terminal.SECONDS_BETWEEN_DRAWS", 1000)
    with Bars(terminal) as bars:
        bars.say("one", terminal)
        bars.say("two", terminal)
        assert terminal.lines == ["listing"]
        monkeypatch.setattr("asyncsync.progress.terminal.SECONDS_BETWEEN_DRAWS", 0)
        assert bars._terminal is not None
        bars._terminal._draw_at = 0
        bars._terminal.tick()
        assert terminal.lines == ["one", "two", "listing"]


def test_bars_fit_wherever_they_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream it is a notebook's cell, or standard error where there is no notebook."""
    with Bars() as bars:
        bars.compared(found(transfer("a")))
        bars.ended(downloaded(transfer("a")))
    out, error = capsys.readouterr()
    assert out == ""
    assert "files" in error or "listing" in error


# lines


@pytest.fixture
def log() -> io.StringIO:
    """Where lines go."""
    return io.StringIO()


def test_lines_come_every_few_seconds(log: io.StringIO) -> None:
    """One line for all that happened since the last, none when nothing did."""
    now = 100.0
    lines = Lines(log, lambda: now)
    now = 200.0
    with lines:
        lines.compared(found(*(transfer(str(number)) for number in range(1200))))
        assert log.getvalue() == ""
        now += SECONDS_BETWEEN_LINES
        lines.ended(downloaded(transfer("0")))
        lines.ended(downloaded(transfer("1")))
        now += SECONDS_BETWEEN_LINES - 0.1
        lines.listed()
        now += 0.1
        lines.ended(downloaded(transfer("2")))
        now += SECONDS_BETWEEN_LINES
        lines.ended(failed(transfer("3")))
    assert log.getvalue().splitlines() == [
        "1 of 1,200+ files, 10 MB of 12 GB+, 2 MB/s",
        "3 of 1,200 files, 30 MB of 12 GB, 3 MB/s",
        "4 of 1,200 files, 40 MB of 12 GB, 2 MB/s",
    ]


def test_lines_hold_no_control_character(log: io.StringIO) -> None:
    """A log is text: no carriage return, no escape, whatever the keys are."""
    now = 0.0
    with Lines(log, lambda: now) as lines:
        lines.compared(found(transfer("\x1b[2J\r")))
        for _ in range(20):
            now += SECONDS_BETWEEN_LINES
            lines.started(transfer("\x1b[2J\r"))
            lines.advanced(transfer("\x1b[2J\r"), MB)
        lines.ended(failed(transfer("\x1b[2J\r")))
        lines.say("said", log)
    assert len(log.getvalue().splitlines()) == 21
    assert all(line.isprintable() for line in log.getvalue().split("\n"))


def test_short_run_leaves_no_line(log: io.StringIO) -> None:
    """Its summary says it all."""
    with Lines(log) as lines:
        lines.compared(found(transfer("a")))
        lines.ended(downloaded(transfer("a")))
    assert log.getvalue() == ""


def test_long_name_loses_its_beginning() -> None:
    """Names differ at their end; what is cut is marked."""
    assert shortened("x" * 32) == "x" * 32
    assert shortened("1hz/2026/01/" + "a" * 22 + ".parquet") == "…/" + "a" * 22 + ".parquet"
    assert shortened("abcdef", width=4) == "…def"


# beside others


@pytest.mark.parametrize("stream", ["sys.stderr", "None"])
def test_bars_take_no_semaphore(stream: str) -> None:
    """Python would warn of it at the end; a program's own bars have the lock that they expect."""
    draw = f"""
import sys
from asyncsync.progress import Bars
from tqdm import tqdm
with Bars({stream}) as bars:
    bars.say("said", sys.stdout)
print("multiprocessing.synchronize" in sys.modules)
print(type(tqdm.get_lock()).__name__)
print("multiprocessing.synchronize" in sys.modules)
"""
    command = [sys.executable, "-c", draw]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["said", "False", "TqdmDefaultWriteLock", "True"]
