"""Sets of very many hashes."""

from hypothesis import given
from hypothesis import strategies as st

from asyncsync.hashset import HashSet

HASHES = st.integers(-(1 << 63), (1 << 63) - 1)


@given(st.lists(st.lists(HASHES)), st.lists(HASHES))
def test_it_has_what_was_added_and_nothing_else(added: list[list[int]], others: list[int]) -> None:
    """Whatever was looked up before in it."""
    hashes, known = HashSet(), set[int]()
    for some in added:
        hashes.update(some)
        known.update(some)
        assert [each in hashes for each in (*some, *others)] == [
            each in known for each in (*some, *others)
        ]


def test_it_has_nothing_that_is_no_hash() -> None:
    """As a set has not, where nothing of the kind was added."""
    hashes = HashSet()
    hashes.update([1])
    assert "1" not in hashes
