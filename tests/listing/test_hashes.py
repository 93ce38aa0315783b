"""Hashes of the keys that a listing has shown, most of them in a file."""

import tempfile
from io import FileIO
from pathlib import Path

import pytest

from asyncsync.errors import DestinationError
from asyncsync.listing.hashes import MOST_HELD, Hashes, Spill

PAGE = 1000


def pages(first: int, count: int) -> list[list[int]]:
    """Return pages of numbers from `first` on, some of them negative."""
    numbers = [(-1) ** number * number for number in range(first, first + count * PAGE)]
    return [numbers[start : start + PAGE] for start in range(0, len(numbers), PAGE)]


def test_ranges_share_a_file_and_keep_their_order() -> None:
    """Each yields what was added to it, as often as it is asked."""
    spill = Spill()
    one, other = Hashes(spill), Hashes(spill)
    for mine, yours in zip(pages(0, 20), pages(10**9, 20), strict=True):
        one.extend(mine)
        other.extend(yours)
    for _ in range(2):
        assert [*one] == [number for page in pages(0, 20) for number in page]
        assert [*other] == [number for page in pages(10**9, 20) for number in page]
    one.extend([7])
    assert [*one][-1] == 7


def test_short_listing_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most have a few pages in each range."""
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    hashes = Hashes(Spill())
    hashes.extend(range(MOST_HELD - 1))
    assert [*hashes] == [*range(MOST_HELD - 1)]


@pytest.mark.parametrize("writes", [0, 1])
def test_what_cannot_be_written_stays_in_memory(
    writes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A full disk ends no listing: the rest of its hashes is held, and none is lost."""

    class Full(FileIO):
        left = writes

        def write(self, content: bytes) -> int:  # type: ignore[override]  # of the typeshed's
            self.left -= 1
            return super().write(content if self.left >= 0 else content[:100])

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full(tmp_path / "file", "w+"))
    hashes = Hashes(Spill())
    for page in pages(0, 20):
        hashes.extend(page)
    assert [*hashes] == [number for page in pages(0, 20) for number in page]


def test_no_temporary_folder_ends_no_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then all hashes are held."""

    def fail(**_: object) -> None:
        raise OSError

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    hashes = Hashes(Spill())
    for page in pages(0, 20):
        hashes.extend(page)
    assert [*hashes] == [number for page in pages(0, 20) for number in page]


def test_file_that_was_cut_off_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keys that a run has handled must not be taken for new ones, or new ones for handled."""
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FileIO(tmp_path / "file", "w+"))
    hashes = Hashes(Spill())
    for page in pages(0, 20):
        hashes.extend(page)
    for size in (8 * PAGE, 8 * PAGE + 3):
        with (tmp_path / "file").open("r+b") as file:
            file.truncate(size)
        with pytest.raises(DestinationError, match="cannot be read again"):
            list(hashes)
