"""Sizes and moments as people write them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from asyncsync.settings.amounts import as_moment, parse_bytes, parse_moment


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("12b", 12),
        ("500k", 500 << 10),
        ("20M", 20 << 20),
        ("20MB", 20_000_000),
        ("20 MiB", 20 << 20),
        ("1.5g", 3 << 29),
        ("2TiB", 2 << 40),
        ("off", None),
    ],
)
def test_size_is_a_number_with_a_unit(text: str, size: int | None) -> None:
    """As everywhere: MB are powers of 1000, MiB and a letter alone powers of 1024."""
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1,5M", "20X", "20iB", "1e9", "20M/s", "٣"])
def test_other_text_is_no_size(text: str) -> None:
    """The message shows what is one."""
    with pytest.raises(ValueError, match=r"neither off nor a size such as 500k, 20M or 1\.5G"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("12h", timedelta(hours=12)),
        ("1.5d", timedelta(hours=36)),
        ("2w", timedelta(weeks=2)),
        ("2M", timedelta(days=60)),
        ("1y", timedelta(days=365)),
        ("1d12h", timedelta(hours=36)),
    ],
)
def test_age_counts_back_from_now(text: str, age: timedelta) -> None:
    """The units are those of rclone: `m` is a minute, `M` are 30 days."""
    before = datetime.now(UTC)
    for found in (parse_moment(text), as_moment(age)):
        assert found
        assert before - age <= found <= datetime.now(UTC) - age


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T06:30", datetime(2026, 11, 1, 6, 30, tzinfo=UTC)),
        ("2026-11-01 06:30:15Z", datetime(2026, 11, 1, 6, 30, 15, tzinfo=UTC)),
        ("2026-11-01T06:30+02:00", datetime(2026, 11, 1, 4, 30, tzinfo=UTC)),
        ("off", None),
    ],
)
def test_date_is_in_utc_unless_it_has_an_offset(text: str, moment: datetime | None) -> None:
    """So that it means the same on each machine."""
    assert parse_moment(text) == moment


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("yesterday", "neither off, an age such as 30d or 12h, nor a date such as 2026-11-01"),
        ("2026-13-01", "neither off, an age"),
        ("", "neither off, an age"),
        ("30", "a number without a unit: write 30d for days, or a whole date"),
        ("99999999y", "longer ago than there are dates"),
        ("900000000000y", "longer ago than there are dates"),
    ],
)
def test_other_text_is_no_moment(text: str, why: str) -> None:
    """The message shows what is one."""
    with pytest.raises(ValueError, match=why):
        parse_moment(text)


def test_callers_may_give_what_python_has_for_a_moment() -> None:
    """A date begins in UTC, as in text; a time keeps its zone."""
    assert as_moment(date(2026, 11, 1)) == datetime(2026, 11, 1, tzinfo=UTC)
    there = datetime(2026, 11, 1, tzinfo=timezone(timedelta(hours=2)))
    assert as_moment(there) is there
    assert as_moment(None) is None


def test_time_without_a_zone_is_refused() -> None:
    """It would be local time in Python, and UTC in text."""
    with pytest.raises(ValueError, match=r"without a time zone; use datetime\.now\(UTC\)"):
        as_moment(datetime(2026, 11, 1))  # noqa: DTZ001 - that is what is refused


@pytest.mark.parametrize("days", [-1, 900_000])
def test_age_that_no_date_is_back_is_refused(days: int) -> None:
    """One in the future, and one before all years."""
    with pytest.raises(ValueError, match=r"in the future|longer ago than there are dates"):
        as_moment(timedelta(days=days))
