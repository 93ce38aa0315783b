"""How many requests the limit of open files allows."""

import errno
import resource

import pytest

from asyncsync.descriptors import EACH, OTHERS, affordable_requests, refused
from asyncsync.errors import ThrottledError

Limits = dict[str, tuple[int, int]]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Limits:
    """Limits that are those of nobody; ten files are open."""
    found: Limits = {"now": (1024, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: found["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: found.update(now=pair))
    monkeypatch.setattr("asyncsync.descriptors._open_now", lambda: 10)
    return found


def test_limit_that_is_high_enough_stays(limits: Limits) -> None:
    """Nothing about the process is changed without need."""
    assert affordable_requests(128) == 128
    assert limits["now"] == (1024, 4096)


def test_limit_is_raised_to_what_is_needed(limits: Limits) -> None:
    """And no further: some programs suffer from a very high one."""
    assert affordable_requests(1000) == 1000
    assert limits["now"] == (10 + OTHERS + EACH * 1000, 4096)


@pytest.mark.parametrize("open_files", [0, 43, 64, 100])
def test_hard_limit_lowers_the_number_of_requests(limits: Limits, open_files: int) -> None:
    """One is made in any case."""
    limits["now"] = (open_files, open_files)
    found = affordable_requests(128)
    assert found == max(1, (open_files - 10 - OTHERS) // EACH)


def test_system_that_refuses_to_raise_the_limit_is_lived_with(
    limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose hard limit is not what it says."""

    def refuse(*arguments: object) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert affordable_requests(1000) == (1024 - 10 - OTHERS) // EACH


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_refusal_asks_for_fewer_requests(number: int) -> None:
    """Any other error is none of its business."""
    assert isinstance(refused(OSError(number, "too many")), ThrottledError)
    assert refused(OSError(errno.ENOENT, "not there")) is None
