"""Whether the file system treats two names as one: found out with two files."""

import os
from pathlib import Path

import pytest

from asyncsync.disk.folders.folding import CASE, FORM, Folding, mark, probe


def test_file_system_that_keeps_names_apart_is_seen(tmp_path: Path) -> None:
    """The one that the tests run on does."""
    mark(tmp_path)
    if (tmp_path / CASE[1]).exists() or (tmp_path / FORM[1]).exists():
        pytest.skip("this file system folds names")
    assert not probe(tmp_path)


@pytest.mark.parametrize("cases", [False, True])
@pytest.mark.parametrize("forms", [False, True])
def test_file_system_that_folds_names_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cases: bool, forms: bool
) -> None:
    """By a file that is found under a name it was not given."""
    folding = Folding(cases, forms)

    def found(path: Path) -> bool:
        return folding.fold(path.name) in map(folding.fold, os.listdir(path.parent))

    monkeypatch.setattr(os.path, "lexists", found)
    mark(tmp_path)
    assert probe(tmp_path) == folding
    assert bool(folding) == (cases or forms)


def test_nothing_is_known_and_nothing_is_written_before_the_mark(tmp_path: Path) -> None:
    """`probe` only reads, and a missing folder folds nothing."""
    assert not probe(tmp_path)
    assert not probe(tmp_path / "missing")
    assert os.listdir(tmp_path) == []


def test_other_spelling_that_a_copy_brought_is_removed(tmp_path: Path) -> None:
    """Some file systems return a file's name in another form than it was given."""
    (tmp_path / FORM[1]).touch()
    mark(tmp_path)
    assert not probe(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([CASE[0], FORM[0]])


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_link_in_place_of_a_mark_is_not_followed(tmp_path: Path) -> None:
    """Nothing is created where it leads."""
    (tmp_path / CASE[0]).symlink_to(tmp_path / "elsewhere")
    mark(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "error", [OSError(22, "no such name"), UnicodeEncodeError("ascii", "é", 0, 1, "no such name")]
)
def test_file_system_without_such_a_letter_folds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A name that cannot be created is no reason to end a run."""
    touch = Path.touch

    def refuse(path: Path, mode: int) -> None:
        if not path.name.isascii():
            raise error
        touch(path, mode)

    monkeypatch.setattr(Path, "touch", refuse)
    mark(tmp_path)
    assert not probe(tmp_path)


def test_folder_that_cannot_be_written_raises(tmp_path: Path) -> None:
    """With the system's error."""
    with pytest.raises(FileNotFoundError):
        mark(tmp_path / "missing")
