"""How many movers a run may have."""

import pytest

from asyncsync.model import Settings
from asyncsync.movers import Hire
from asyncsync.movers.hire import MOST


def hire(number: int | None) -> Hire:
    return Hire(number, Settings("id", "secret", "https://host", "bucket"), 30.0, None, 256, 3)


@pytest.mark.parametrize(("cores", "wanted"), [(1, 0), (2, 2), (4, 4), (64, MOST)])
def test_there_is_one_for_each_processor(
    cores: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many processors one brain can feed only so many; with a single one, none would help."""
    monkeypatch.setattr("asyncsync.movers.hire.usable_cores", lambda: cores)
    assert hire(None).wanted == wanted


@pytest.mark.parametrize("number", [0, 1, 3, 64])
def test_who_says_how_many_gets_as_many(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has."""
    monkeypatch.setattr("asyncsync.movers.hire.usable_cores", lambda: 1)
    assert hire(number).wanted == number
