"""Sizes and durations as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.units import format_seconds, format_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (1_234_567, "1.23 MB"),
        (123_456_789, "123 MB"),
        (4_900_000_000, "4.9 GB"),
        (999_500_000_000, "1.0 TB"),
        (5_000_000_000_000_000, "5000.0 TB"),
        (0.4, "0 B"),
        (-1500, "-1.5 kB"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(size: float, text: str) -> None:
    """Units are decimal, as for disks and on bills."""
    assert format_size(size) == text


@given(st.integers(0, 10**14))
def test_size_is_never_far_from_what_is_shown(size: int) -> None:
    """It is within half a percent, and never 1000 of a unit."""
    figure, unit = format_size(size).split()
    assert float(figure) * 1000 ** ("B", "kB", "MB", "GB", "TB").index(unit) == pytest.approx(
        size, rel=0.06 if unit == "TB" else 0.0051
    )
    assert float(figure) < 1000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (3601, "1 h 1 s"),
        (5400, "1 h 30 min"),
        (2 * 86400 + 3600 + 60, "2 d 1 h"),
    ],
)
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    """Whoever waits for hours does not count seconds."""
    assert format_seconds(seconds) == text
