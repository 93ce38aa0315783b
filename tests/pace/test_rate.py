"""The rate of requests after a refusal, with a clock of the test."""

import pytest

from asyncsync.pace.rate import FORGOTTEN, LESS, WINDOW, RequestRate


def sent(rate: RequestRate, begin: float, seconds: float, takes: float) -> int:
    """Send at the rate to a server that accepts `takes` requests per second; return how many."""
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


def test_no_request_waits_before_a_refusal() -> None:
    """There is no limit, however many requests are sent."""
    rate = RequestRate()
    for number in range(1000):
        rate.answered(number / 1e6)
    assert [rate.reserve(1.0) for _ in range(1000)] == [0.0] * 1000


def test_refusal_makes_the_rate_of_the_answers_the_limit() -> None:
    """A little less; each request gets its own time slot."""
    rate = RequestRate()
    for number in range(101):
        rate.answered(number / 100)
    rate.refused(1.0)
    waits = [rate.reserve(1.0) for _ in range(4)]
    assert waits == pytest.approx([n / (LESS * 101) for n in range(1, 5)], rel=0.02)


def test_old_answers_do_not_count() -> None:
    """What the server accepted before it became busy shows nothing."""
    rate = RequestRate()
    for number in range(1000):
        rate.answered(number / 1000)
    for number in range(10):
        rate.answered(5 + number / 10)
    rate.refused(5 + WINDOW)
    assert rate.reserve(5 + WINDOW) == pytest.approx(1 / (LESS * 10), rel=0.2)


@pytest.mark.parametrize("later", [FORGOTTEN - 1, FORGOTTEN + 1, 3600.0, 1e9])
def test_refusal_is_forgotten(later: float) -> None:
    """Also if the clock stands still between two requests."""
    rate = RequestRate()
    for number in range(100):
        rate.answered(number / 100)
    rate.refused(1.0)
    assert all(rate.reserve(1.0 + later) < 0.001 for _ in range(100))


@pytest.mark.parametrize("answers", [0, 1])
def test_server_that_answers_nothing_still_gets_requests(answers: int) -> None:
    """About once a second, or soon after its only answer."""
    rate = RequestRate()
    for _ in range(answers):
        rate.answered(0.0)
    rate.refused(0.0)
    assert 0 < rate.reserve(0.0) < 1.1


def test_many_waiting_requests_share_the_growing_rate() -> None:
    """A server that was busy for a moment does not delay a run for minutes."""
    rate = RequestRate()
    rate.refused(0.0)
    waits = [rate.reserve(0.0) for _ in range(512)]
    assert waits == sorted(waits)
    assert waits[-1] < 15


def test_rate_grows_fast_if_it_was_not_the_limit() -> None:
    """Without another refusal it grows to a hundred times in ten seconds."""
    rate = RequestRate()
    rate.answered(0.0)
    rate.refused(0.0)
    assert rate.reserve(10.0) == 0
    assert rate.reserve(10.0) < 1 / (LESS * 100 / WINDOW)


def test_about_a_hundredth_is_refused_at_a_constant_limit() -> None:
    """And almost as much is sent as the server accepts."""
    rate = RequestRate()
    for number in range(300):
        rate.answered(number / 300)
    rate.refused(1.0)
    many = sent(rate, 1.0, 20.0, takes=300)
    served = 20 * 300
    assert 0.85 * served < many < 1.1 * served
