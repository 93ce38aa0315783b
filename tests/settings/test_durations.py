"""Durations as people write them."""

import pytest

from asyncsync.errors import ConfigError
from asyncsync.settings import Options, parse_duration, parse_option


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3600", 3600),
        ("90s", 90),
        ("90m", 5400),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("30m1h", 5400),
        ("1d", 86400),
        ("1M", 30 * 86400),
        ("1y", 365 * 86400),
        ("1w2d3h4m5s", 788645),
    ],
)
def test_units_may_be_joined(text: str, seconds: int) -> None:
    """They are those of ages, so `M` are months; a number alone is seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "0.5s", "-1", "h", "1 h", "1h ", "2x", "1H30M", "\u0663", "1e3"]
)
def test_other_text_is_refused(text: str) -> None:
    """The message says how a duration is written."""
    with pytest.raises(ValueError, match="is not a duration such as 90s, 30m, 2h or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["367d", "999999999", "999999999w"])
def test_duration_of_more_than_a_year_is_refused(text: str) -> None:
    """No clock is asked for a time that it cannot tell."""
    with pytest.raises(ValueError, match="is more than a year"):
        parse_duration(text)


def test_run_may_take_as_long_as_it_needs_by_default() -> None:
    """So it may where the environment says otherwise, with `off`."""
    assert Options().max_duration is None
    assert parse_option("max_duration", "off") is None
    assert Options(max_duration="2h").max_duration == 7200  # type: ignore[arg-type]  # as in Python
    with pytest.raises(ConfigError, match="max_duration: 0 is less than a second"):
        Options(max_duration=0)
