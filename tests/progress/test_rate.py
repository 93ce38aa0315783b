"""The rate of the last seconds."""

from asyncsync.progress.rate import Rate


def test_rate_is_that_of_the_last_seconds() -> None:
    """What came before does not count any more."""
    rate = Rate(0.0)
    assert [rate.at(float(second), 100 * min(second, 10)) for second in range(1, 18)] == [
        *[100.0] * 10,
        *[80.0, 60.0, 40.0, 20.0],
        *[0.0] * 3,
    ]


def test_rate_is_unknown_at_first() -> None:
    """A fraction of a second says too little."""
    rate = Rate(5.0)
    assert rate.at(5.0, 0) == rate.at(5.4, 1000) == 0.0
    assert rate.at(6.0, 1000) == 1000.0
