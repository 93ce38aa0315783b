"""Times: as nanoseconds, as S3 and JSON write them, and as HTTP headers do."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.times import (
    format_http_date,
    format_time,
    parse_http_date,
    parse_time,
    parse_times,
)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("2026-01-31T23:59:59.123Z", 1_769_903_999_123_000_000),
        ("2026-02-01T01:59:59.123+02:00", 1_769_903_999_123_000_000),
        ("1969-12-31T23:59:59.999999Z", -1000),
        ("", 0),
        ("yesterday", 0),
        ("2026-01-31T23:59:59", 0),
        ("2026-02-30T00:00:00Z", 0),
        ("9999-12-31T23:59:59-14:00", 0),
        ("0001-01-01T00:00:00+14:00", 0),
    ],
)
def test_time_is_parsed_or_0(text: str, time: int) -> None:
    """An invalid time is 0, and so is one without a zone."""
    assert parse_time(text) == time


@given(st.datetimes(timezones=st.just(UTC)))
def test_time_comes_back_as_it_was(time: datetime) -> None:
    """Every time that a listing can show is kept to the microsecond."""
    found = parse_time(str(time))
    assert parse_time(format_time(found)) == found


def test_unknown_time_is_an_empty_string() -> None:
    """A known one is formatted as S3 does it."""
    assert format_time(0) == ""
    assert format_time(1_769_903_999_123_000_000) == "2026-01-31T23:59:59.123000Z"


def test_time_in_a_header_is_rounded_up_to_a_second() -> None:
    """For a server that compares milliseconds, an object is newer than its time rounded down."""
    first = "Sat, 31 Jan 2026 23:59:59 GMT"
    assert format_http_date(1_769_903_999_000_000_000) == first
    assert format_http_date(1_769_903_998_000_000_001) == first
    assert parse_http_date(first) == 1_769_903_999
    assert parse_http_date("no time") is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_any_time_has_a_header(time: datetime) -> None:
    """Even the last one of the year 9999."""
    assert format_http_date(parse_time(str(time))).endswith(" GMT")


@given(st.datetimes(timezones=st.just(UTC)))
def test_time_in_a_header_is_that_of_a_mail(time: datetime) -> None:
    """HTTP took the format from there."""
    time = time.replace(microsecond=0)
    header = format_datetime(time, usegmt=True)
    assert format_http_date(parse_time(str(time))) == header
    assert parse_http_date(header) == time.timestamp()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Saturday, 31-Jan-26 23:59:59 GMT", 1_769_903_999),
        ("Sat Jan 31 23:59:59 2026", 1_769_903_999),
        ("Sun, 01 Feb 2026 01:59:59 +0200", 1_769_903_999),
        ("Sat, 31 Jan 2026 23:59:60 GMT", 1_769_904_000),
        ("Thu, 01 Jan 0000 00:00:00 GMT", parse_http_date("Thu, 1 Jan 0000 00:00:00 GMT")),
        ("Sat, 31 Jan 2026 23:59:59 GMT, Sat", 1_769_903_999),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
    ],
)
def test_time_in_a_header_may_look_otherwise(header: str, seconds: float | None) -> None:
    """As older servers write it, and as mails do, or with a leap second."""
    assert parse_http_date(header) == seconds


@given(
    st.lists(
        st.one_of(
            st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
            st.sampled_from(["", "yesterday", "2026-01-31T23:59:59", "9999-12-31T23:59:59-14:00"]),
        )
    )
)
def test_times_of_a_page_are_those_that_are_read_one_by_one(texts: list[str]) -> None:
    """One that is no time makes none of the others wrong."""
    assert parse_times(texts) == [*map(parse_time, texts)]
