"""Values that are made out of columns."""

from dataclasses import FrozenInstanceError, fields
from itertools import repeat

import pytest

from asyncsync.columns import made_of
from asyncsync.model import RemoteObject, Transfer, UpToDate


def test_values_of_columns_are_as_if_made_one_by_one() -> None:
    """They are equal, have equal hashes, and are frozen."""
    keys, sizes = ["a", "b"], [1, 2]
    made = made_of(RemoteObject, keys, sizes, ["x", "y"], [3, 4], repeat(""))
    assert made == [RemoteObject("a", 1, "x", 3), RemoteObject("b", 2, "y", 4)]
    assert len({*made, RemoteObject("a", 1, "x", 3)}) == 2
    with pytest.raises(FrozenInstanceError):
        made[0].size = 0  # type: ignore[misc]  # that is what is refused


def test_nothing_is_made_of_no_rows_or_of_too_few_columns() -> None:
    """A column for each field is needed, even where the field has a default."""
    assert made_of(RemoteObject, [], [], [], [], repeat("")) == []
    with pytest.raises(ValueError, match="zip"):
        made_of(RemoteObject, ["a"], [1], ["x"], [3])


@pytest.mark.parametrize("kind", [RemoteObject, Transfer, UpToDate])
def test_what_is_made_of_columns_does_nothing_once_its_fields_are_set(
    kind: type[RemoteObject | Transfer | UpToDate],
) -> None:
    """It would not be done."""
    assert kind.__bases__ == (object,)
    assert not {"__post_init__", "__new__"} & vars(kind).keys()
    assert all(each.init for each in fields(kind))
