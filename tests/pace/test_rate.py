"""The rate of requests after a refusal, in a time that the test makes up."""

import pytest

from asyncsync.pace.rate import FORGOTTEN, LESS, WINDOW, RequestRate


def sent(rate: RequestRate, begin: float, seconds: float, takes: float) -> int:
    """Send as fast as the rate allows, to a server that takes so many a second; return how many."""
    now, many, served = begin, 0, 0.0
    while now < begin + seconds:
        now += rate.reserve(now)
        many += 1
        if served <= (now - begin) * takes:
            served += 1
            rate.answered(now)
        else:
            rate.refused(now)
        now += 0.001
    return many


def test_nobody_waits_before_a_refusal() -> None:
    """There is no rate to keep to, however many are sent."""
    rate = RequestRate()
    for number in range(1000):
        rate.answered(number / 1e6)
    assert [rate.reserve(1.0) for _ in range(1000)] == [0.0] * 1000


def test_refusal_makes_the_rate_of_the_answers_the_limit() -> None:
    """Less a little; each request gets a moment of its own."""
    rate = RequestRate()
    for number in range(101):
        rate.answered(number / 100)
    rate.refused(1.0)
    waits = [rate.reserve(1.0) for _ in range(4)]
    assert waits == pytest.approx([n / (LESS * 101) for n in range(1, 5)], rel=0.02)


def test_old_answers_do_not_count() -> None:
    """What the server took before it became busy says nothing."""
    rate = RequestRate()
    for number in range(1000):
        rate.answered(number / 1000)
    for number in range(10):
        rate.answered(5 + number / 10)
    rate.refused(5 + WINDOW)
    assert rate.reserve(5 + WINDOW) == pytest.approx(1 / (LESS * 10), rel=0.2)


@pytest.mark.parametrize("later", [FORGOTTEN - 1, FORGOTTEN + 1, 3600.0, 1e9])
def test_refusal_is_forgotten(later: float) -> None:
    """Also where the clock does not go on from one request to the next."""
    rate = RequestRate()
    for number in range(100):
        rate.answered(number / 100)
    rate.refused(1.0)
    assert all(rate.reserve(1.0 + later) < 0.001 for _ in range(100))


@pytest.mark.parametrize("answers", [0, 1])
def test_server_that_answers_nothing_is_asked_all_the_same(answers: int) -> None:
    """About once a second, or soon after its only answer."""
    rate = RequestRate()
    for _ in range(answers):
        rate.answered(0.0)
    rate.refused(0.0)
    assert 0 < rate.reserve(0.0) < 1.1


def test_many_that_wait_have_the_growth_before_them() -> None:
    """A server that was away for a moment does not hold up a run for minutes."""
    rate = RequestRate()
    rate.refused(0.0)
    waits = [rate.reserve(0.0) for _ in range(512)]
    assert waits == sorted(waits)
    assert waits[-1] < 15


def test_rate_that_was_no_limit_is_soon_forgotten() -> None:
    """It grows ever faster while nothing is refused: a hundred times in ten seconds."""
    rate = RequestRate()
    rate.answered(0.0)
    rate.refused(0.0)
    assert rate.reserve(10.0) == 0
    assert rate.reserve(10.0) < 1 / (LESS * 100 / WINDOW)


def test_a_hundredth_or_so_is_refused_where_there_is_a_limit() -> None:
    """And hardly less is sent than the server takes."""
    rate = RequestRate()
    for number in range(300):
        rate.answered(number / 300)
    rate.refused(1.0)
    many = sent(rate, 1.0, 20.0, takes=300)
    served = 20 * 300
    assert 0.85 * served < many < 1.1 * served
