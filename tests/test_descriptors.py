"""How many requests the limit on open files allows."""

import errno
import resource

import pytest

from asyncsync.descriptors import EACH, OTHERS, affordable_requests, too_many_open_files
from asyncsync.errors import ThrottledError

Limits = dict[str, tuple[int, int]]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Limits:
    """Made-up soft and hard limits of a process that has ten files open."""
    found: Limits = {"now": (1024, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: found["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: found.update(now=pair))
    monkeypatch.setattr("asyncsync.descriptors._count_open", lambda: 10)
    return found


def test_limit_that_is_high_enough_stays(limits: Limits) -> None:
    """The process is not changed without need."""
    assert affordable_requests(128) == 128
    assert limits["now"] == (1024, 4096)


def test_limit_is_raised_to_what_is_needed(limits: Limits) -> None:
    """It is raised no further, because some programs become slow with a very high limit."""
    assert affordable_requests(1000) == 1000
    assert limits["now"] == (10 + OTHERS + EACH * 1000, 4096)


@pytest.mark.parametrize("open_files", [0, 43, 64, 100])
def test_hard_limit_lowers_the_number_of_requests(limits: Limits, open_files: int) -> None:
    """At least one request is made."""
    limits["now"] = (open_files, open_files)
    found = affordable_requests(128)
    assert found == max(1, (open_files - 10 - OTHERS) // EACH)


def test_limit_that_cannot_be_raised_lowers_the_number_of_requests(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may refuse although the hard limit would allow it."""

    def refuse(*arguments: object) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert affordable_requests(1000) == (1024 - 10 - OTHERS) // EACH


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_reached_limit_asks_for_fewer_requests(number: int) -> None:
    """Any other error is not translated."""
    assert isinstance(too_many_open_files(OSError(number, "too many")), ThrottledError)
    assert too_many_open_files(OSError(errno.ENOENT, "not there")) is None
