"""Cuts of a listing at keys whose files are here already."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asyncsync.listing.landmarks import MIN_FILES, MOST_SAMPLES, Landmarks


def landmarks(*keys: str) -> Landmarks:
    """Return landmarks that have passed these keys."""
    passed = Landmarks()
    assert all(map(passed.recording(lambda _: True), keys))
    passed.complete()
    return passed


def numbered(count: int) -> list[str]:
    return [f"{number:06}" for number in range(count)]


def test_cuts_make_like_pieces() -> None:
    """Whatever the order in which the files were found."""
    found = landmarks(*numbered(10_000)[::-1]).cuts("", "1", 3)
    assert [round(int(cut), -2) for cut in found] == [2500, 5000, 7500]


def test_pieces_have_two_pages_at_least() -> None:
    """A smaller one would cost a request too many, however many slots are free."""
    assert landmarks(*numbered(MIN_FILES - 1)).cuts("", "1", 16) == []
    assert len(landmarks(*numbered(3 * MIN_FILES)).cuts("", "1", 16)) == 3


def test_what_does_not_count_is_no_landmark() -> None:
    """Files of other keys say nothing."""
    passed = Landmarks()
    matches = passed.recording(lambda key: key.endswith("0"))
    assert sum(map(matches, numbered(10_000))) == 1000
    passed.complete()
    assert passed.cuts("", "1", 16) == []


def test_only_a_few_names_are_kept() -> None:
    """They stay evenly spread, and memory does not grow with the files."""
    passed = landmarks(*numbered(50 * MOST_SAMPLES))
    found = passed.cuts("", "9", 3)
    assert len(passed.cuts("", "9", 2 * MOST_SAMPLES)) < MOST_SAMPLES
    for cut, share in zip(found, (1, 2, 3), strict=True):
        assert abs(int(cut) - share * 50 * MOST_SAMPLES // 4) < MOST_SAMPLES


def test_names_that_are_no_text_are_left_out() -> None:
    """A request could not hold them."""
    names = [f"{key}\udcff" for key in numbered(3 * MIN_FILES)]
    assert landmarks(*names).cuts("", "9", 16) == []


@given(st.lists(st.text("ab", max_size=4), unique=True), *[st.text("ab", max_size=4)] * 2)
def test_cuts_lie_inside_the_range_and_ascend(keys: list[str], last: str, until: str) -> None:
    """Whatever the files, and whatever the range."""
    passed = Landmarks(min_files=1)
    for key in keys:
        passed.recording(lambda _: True)(key)
    passed.complete()
    found = passed.cuts(last, until, 5)
    assert len(found) <= 5
    assert all(last < cut < until for cut in found)
    assert all(one < other for one, other in pairwise(found))
