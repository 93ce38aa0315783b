"""Sizes and moments as people write them: `20M`, `1.5 GB`, `30d`, `2026-11-01`."""

import re
from datetime import UTC, date, datetime, time, timedelta

from asyncsync.settings.durations import parse_span
from asyncsync.units import parse_size

_NUMBER = re.compile(r"\d{1,7}(\.\d*)?", re.ASCII)


def parse_bytes(text: str) -> int | None:
    """Return a number of bytes, None for `off`.

    Raises:
        ValueError: it is no size.
    """
    if text == "off":
        return None
    if (size := parse_size(text)) is None:
        raise ValueError(f"{text!r} is neither off nor a size such as 500k, 20M or 1.5G")
    return size


def parse_moment(text: str) -> datetime | None:
    """Return the moment that a text names, None for `off`.

    That is a date or a time in ISO 8601, in UTC unless it has an offset, or an age such as `30d`,
    which counts back from now.

    Raises:
        ValueError: it is neither.
    """
    if text == "off":
        return None
    try:
        if (age := parse_span(text)) is not None:
            return _ago(age)
    except OverflowError:
        raise ValueError(f"{text!r} is longer ago than there are dates") from None
    if _NUMBER.fullmatch(text):
        raise ValueError(
            f"{text!r} is a number without a unit: write {text}d for days, or "
            "a whole date such as 2026-11-01"
        )
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is neither off, an age such as 30d or 12h, nor a date such as 2026-11-01 or "
            "2026-11-01T06:30Z"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def as_moment(given: object) -> datetime | None:
    """Return the moment that a caller has given, as text or as an object of Python's.

    Raises:
        ValueError: it is a time without a zone, which is local time in Python and UTC in text; or
            an age that no date is back; or text that names none.
        TypeError: it is none of these.
    """
    match given:
        case None:
            return None
        case str():
            return parse_moment(given)
        case datetime():
            if given.tzinfo is None:
                raise ValueError(f"{given} is without a time zone; use datetime.now(UTC)")
            return given
        case date():
            return datetime.combine(given, time(), UTC)
        case timedelta():
            try:
                return _ago(given)
            except OverflowError:
                raise ValueError(f"{given} is longer ago than there are dates") from None
        case _:
            raise TypeError


def _ago(age: timedelta) -> datetime:
    if age < timedelta():
        raise ValueError(f"an age of {age} is in the future")
    return datetime.now(UTC) - age
