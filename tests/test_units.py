"""Sizes and durations as people read and write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.units import format_count, format_seconds, format_size, parse_size


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


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("84", 84),
        ("84 B", 84),
        ("84k", 84 << 10),
        ("84M", 84 << 20),
        ("84MiB", 84 << 20),
        ("84mb", 84_000_000),
        ("1.5 GB", 1_500_000_000),
        ("2TiB", 2 << 40),
        *[
            (text, None)
            for text in ("", "M", "-1", "1e3", "84 X", "84 MB ", "8,4", "1_0", "\u0661")
        ],
    ],
)
def test_size_is_read_as_it_is_shown(text: str, size: int | None) -> None:
    """MB are powers of 1000; a letter alone is a power of 1024, as in curl, wget and rclone."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (12_345, "12,345 files")]
)
def test_count_is_shown_with_what_is_counted(count: int, text: str) -> None:
    """One of it has no s."""
    assert format_count(count, "file") == text


@given(st.integers(0, 10**14))
def test_size_that_was_shown_can_be_given(size: int) -> None:
    """It means the same."""
    shown = format_size(size)
    again = parse_size(shown)
    assert again is not None
    assert format_size(again) == shown
