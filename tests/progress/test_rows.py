"""The figures of a bar."""

import pytest

from asyncsync.keys import display_width
from asyncsync.progress.rows import Row, clock, shorten, steady_size
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
        (12.3e15, "12300 TB"),
    ],
)
def test_size_has_three_digits(size: float, text: str) -> None:
    """Trailing zeros stay."""
    assert steady_size(size) == text


def test_size_that_grows_keeps_its_width() -> None:
    """Up to a thousand terabytes, it never takes more than seven cells."""
    assert {len(steady_size(1.013**step)) for step in range(600, 2500)} <= {6, 7}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0:00"), (5.9, "0:05"), (119, "1:59"), (3723, "1:02:03"), (864_000, "10 days")],
)
def test_duration_is_that_of_a_clock(seconds: float, text: str) -> None:
    """A long one is told in days."""
    assert clock(seconds) == text


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


def test_row_is_text_where_nothing_can_be_drawn() -> None:
    """What is not known is left out."""
    assert str(Row("listing", 0, 0)) == "listing"
    known = Row("1/2 files", 5 * MB, 20 * MB, rate=MB)
    assert str(known) == "1/2 files  25%  5.00 MB of 20.0 MB  1.00 MB/s  ETA 0:15"
