"""Cuts of a listing at keys whose files exist already."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asyncsync.listing.landmarks import MIN_FILES, MOST_SAMPLES, Landmarks


def landmarks(*keys: str) -> Landmarks:
    """Return landmarks that have recorded these keys."""
    found_files = Landmarks()
    assert found_files.recording(list)(keys) == [*keys]
    found_files.complete()
    return found_files


def numbered(count: int) -> list[str]:
    return [f"{number:06}" for number in range(count)]


def test_cuts_make_pieces_of_similar_size() -> None:
    """In whatever order the files were found."""
    found = landmarks(*numbered(10_000)[::-1]).cuts("", "1", 3)
    assert [round(int(cut), -2) for cut in found] == [2500, 5000, 7500]


def test_pieces_have_at_least_two_pages() -> None:
    """A smaller one would cost an extra request, however many slots are free."""
    assert landmarks(*numbered(MIN_FILES - 1)).cuts("", "1", 16) == []
    assert len(landmarks(*numbered(3 * MIN_FILES)).cuts("", "1", 16)) == 3


def test_files_that_do_not_match_are_not_sampled() -> None:
    """Other files say nothing about the listing."""
    found_files = Landmarks()
    record = found_files.recording(lambda keys: [key for key in keys if key.endswith("0")])
    pieces = [numbered(10_000)[start : start + 333] for start in range(0, 10_000, 333)]
    assert sum(len(record(piece)) for piece in pieces) == 1000
    found_files.complete()
    assert found_files.cuts("", "1", 16) == []


def test_only_a_few_names_are_kept() -> None:
    """They stay evenly spread, and memory does not grow with the files."""
    found_files = landmarks(*numbered(50 * MOST_SAMPLES))
    found = found_files.cuts("", "9", 3)
    assert len(found_files.cuts("", "9", 2 * MOST_SAMPLES)) < MOST_SAMPLES
    for cut, share in zip(found, (1, 2, 3), strict=True):
        assert abs(int(cut) - share * 50 * MOST_SAMPLES // 4) < MOST_SAMPLES


def test_names_that_are_not_utf8_are_left_out() -> None:
    """No request could hold them."""
    names = [f"{key}\udcff" for key in numbered(3 * MIN_FILES)]
    assert landmarks(*names).cuts("", "9", 16) == []


@given(st.lists(st.text("ab", max_size=4), unique=True), *[st.text("ab", max_size=4)] * 2)
def test_cuts_lie_inside_the_range_and_ascend(keys: list[str], last: str, until: str) -> None:
    """For any files and any range."""
    found_files = Landmarks(min_files=1)
    for key in keys:
        found_files.recording(list)([key])
    found_files.complete()
    found = found_files.cuts(last, until, 5)
    assert len(found) <= 5
    assert all(last < cut < until for cut in found)
    assert all(one < other for one, other in pairwise(found))
