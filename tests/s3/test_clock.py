"""The time to sign with: this machine's, until a server says by how much that is off."""

from datetime import UTC, datetime, timedelta

import pytest

from asyncsync.s3.clock import STAMP, Clock, agree

NOW = datetime(2026, 1, 1, 12, 30, 59, tzinfo=UTC)


class Watch:
    """A clock, the time of its machine, and what was noticed."""

    def __init__(self) -> None:
        self.now = NOW
        self.notices: list[str] = []
        self.clock = Clock(self.notices.append, lambda: self.now.timestamp())


def stamp(time: datetime) -> str:
    """Return a time as requests have it."""
    return time.strftime(STAMP)


def test_time_is_this_machines() -> None:
    """As long as nobody objects, in UTC."""
    before = stamp(datetime.now(UTC))
    clock = Clock(print)
    assert before <= clock.stamp() <= stamp(datetime.now(UTC))
    assert not clock.is_corrected


@pytest.mark.row(31)
@pytest.mark.parametrize("ahead", [3600.0, -3600.0, 70.5, 86399.0])
def test_clock_is_put_right_once(ahead: float) -> None:
    """What was signed before then is worth another attempt; what was signed since is not."""
    watch = Watch()
    early = watch.clock.stamp()
    assert watch.clock.corrects(ahead, early)
    assert watch.clock.is_corrected
    assert watch.clock.stamp() == stamp(NOW - timedelta(seconds=ahead))
    watch.now += timedelta(seconds=20)
    late = watch.clock.stamp()
    watch.now += timedelta(seconds=2)
    for said in (ahead, -ahead, 2 * ahead, None):
        assert watch.clock.corrects(said, early)
        assert not watch.clock.corrects(said, late)
    assert watch.clock.stamp() == stamp(watch.now - timedelta(seconds=ahead))
    assert len(watch.notices) == 1
    assert f"off by {ahead:+.0f} s" in watch.notices[0]


@pytest.mark.row(31, 161)
@pytest.mark.parametrize("ahead", [None, 0.0, 3.0, -59.0, 86401.0, -1e6, 1e10, -2.5e11])
def test_date_that_explains_nothing_is_not_believed(ahead: float | None) -> None:
    """It is missing, no other than this machine's, or more than a day off."""
    watch = Watch()
    assert not watch.clock.corrects(ahead, watch.clock.stamp())
    assert (watch.clock.stamp(), watch.notices) == (stamp(NOW), [])


@pytest.mark.row(31)
def test_clocks_agree_within_a_minute() -> None:
    """A server whose time is unknown agrees with nobody."""
    assert [agree(ahead) for ahead in (0.0, 59.0, -59.0)] == [True] * 3
    assert [agree(ahead) for ahead in (None, 60.0, -60.0, 1e9)] == [False] * 4


@pytest.mark.row(31)
def test_unexplained_refusal_may_pass_a_few_times() -> None:
    """Each object has three in a minute; what was signed long ago may pass always."""
    watch = Watch()
    early = watch.clock.stamp()
    for key in ("a", None):
        passes = [watch.clock.may_pass(key, watch.clock.stamp()) for _ in range(5)]
        assert passes == [True, True, True, False, False]
    watch.now += timedelta(seconds=59)
    assert not watch.clock.may_pass("a", watch.clock.stamp())
    watch.now += timedelta(seconds=1)
    assert watch.clock.may_pass("a", watch.clock.stamp())
    assert all(watch.clock.may_pass("a", early) for _ in range(9))
