"""One bar, and its figures."""

import subprocess
import sys
from contextlib import closing
from io import StringIO

import pytest
from tqdm import tqdm

from asyncsync.keys import display_width
from asyncsync.progress.bar import Bar, State, interval, shorten, steady_size
from tests.rigs.outcomes import MB


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1.00 kB"),
        (1_200_000, "1.20 MB"),
        (9_994_000, "9.99 MB"),
        (9_996_000, "10.0 MB"),
        (84_000_000, "84.0 MB"),
        (99_960_000, "100 MB"),
        (311_400_000, "311 MB"),
        (999_600_000, "1.00 GB"),
        (12.3e15, "12.3 PB"),
    ],
)
def test_size_has_three_digits(size: float, text: str) -> None:
    """Trailing zeros stay."""
    assert steady_size(size) == text


def test_size_that_grows_keeps_its_width() -> None:
    """It never takes more than seven cells."""
    assert {len(steady_size(1.013**step)) for step in range(600, 2500)} <= {6, 7}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5.9, "00:05"), (3723, "1:02:03"), (359_999, "99:59:59"), (864_000, "10 days")],
)
def test_duration_fits_its_column(seconds: float, text: str) -> None:
    """A long one is told in days."""
    assert interval(seconds) == text


def test_long_name_loses_its_middle() -> None:
    """Its end, where names differ, and its folder are left."""
    assert shorten("x" * 32, 32) == "x" * 32
    assert shorten("fft_hub1/raw/2026/01/2026-01-05.parquet", 24) == "fft_hub…26-01-05.parquet"
    assert shorten("abcdef", 4) == "a…ef"


@pytest.mark.parametrize("name", ["日本語" * 20, "e\u0301" * 30, "a日" * 20])
@pytest.mark.parametrize("width", [1, 2, 5, 12, 13])
def test_short_name_fits_its_cells(name: str, width: int) -> None:
    """Also where a character takes two cells, or none."""
    assert width - 2 <= display_width(shorten(name, width)) <= width


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the bars, as the one element of a list."""
    now = [100.0]
    monkeypatch.setattr("asyncsync.progress.bar.monotonic", lambda: now[0])
    return now


def test_bar_is_text_where_nothing_can_be_drawn() -> None:
    """What is not known is left out."""
    assert str(Bar("listing")) == "listing"
    known = Bar("1/2 files", 20 * MB, 5 * MB)
    known.rate = MB
    assert str(known) == "1/2 files  25%  5.00 MB of 20.0 MB  1.00 MB/s  ETA 00:15"


def test_rate_is_that_of_what_the_network_brought(now: list[float]) -> None:
    """What an earlier run had brought is not; what was discarded is."""
    bar = Bar("a", 100 * MB, done=40 * MB)
    now[0] += 2
    bar.update(20 * MB)
    bar.measure()
    assert bar.figures["percent"] == "60%"
    assert bar.figures["speed"] == "10.0 MB/s"
    assert bar.figures["end"] == "ETA 00:04"
    bar.update(-20 * MB)
    bar.initial -= 20 * MB
    bar.measure()
    assert bar.figures["percent"] == "40%"
    assert bar.figures["speed"] == "10.0 MB/s"


def test_bar_that_ended_stands_still(now: list[float]) -> None:
    """It shows how long all took, and the mean rate of that time."""
    bar = Bar("a", 100 * MB)
    bar.update(100 * MB)
    now[0] += 3725
    bar.end(State.FINISHED)
    before = bar.figures
    assert before["end"] == "in 1:02:05"
    assert before["speed"] == "26.8 kB/s"
    now[0] += 5
    assert bar.figures == before


def test_bar_never_shows_all_before_all_is_there() -> None:
    """Nor does one that has more than its total, or less than nothing, break."""
    figures = [Bar("a", 1000, done).figures["percent"] for done in (999, 1000, 1200, -5)]
    assert figures == ["99%", "100%", "100%", "0%"]
    for done in (1200, -5):
        assert Bar("a", 1000, done).format_meter(**Bar("a", 1000, done).format_dict)


def test_bars_are_apart_from_those_of_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither moves or clears the other, whatever tqdm is told for the program's."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(tqdm, "monitor_interval", 0)
    with closing(Bar("a", 100)) as bar, tqdm(total=10, disable=False, file=StringIO()) as own:
        bar.update(50)
        tqdm.write("said", file=sys.stderr)
        assert own.pos == 0
        assert bar.figures["percent"] == "50%"
    assert capsys.readouterr() == ("", "said\n")


def test_tqdm_starts_no_thread_and_makes_no_semaphore() -> None:
    """The screen is drawn without a thread, and Python would warn that the semaphore leaks."""
    code = """
import threading
from asyncsync.progress.bar import Bar
from tqdm.std import TqdmDefaultWriteLock
Bar("a").close()
print(threading.active_count(), hasattr(TqdmDefaultWriteLock, "mp_lock"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "1 False\n"
