"""Names that are one on some file systems: found by trying, told apart by the order of keys."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from asyncsync.compare.names import Names, in_order
from asyncsync.disk.folding import CASE, FORM, Folding, mark, probe
from asyncsync.errors import KeyCollisionError, LocalFileError
from asyncsync.model import Compared, Failed, Reason, RemoteObject, Transfer, UpToDate

NFC, NFD = (unicodedata.normalize(form, "\u00e9") for form in ("NFC", "NFD"))
BOTH = Folding(cases=True, forms=True)


# the probe --------------------------------------------------------------------------------------


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
    """By a file that is found under a name that it was not given."""
    folding = Folding(cases, forms)

    def found(path: Path) -> bool:
        return folding.fold(path.name) in map(folding.fold, os.listdir(path.parent))

    monkeypatch.setattr(os.path, "lexists", found)
    mark(tmp_path)
    assert probe(tmp_path) == folding
    assert bool(folding) == (cases or forms)


def test_nothing_is_known_and_nothing_is_written_before_the_mark(tmp_path: Path) -> None:
    """Nor where there is no folder."""
    assert not probe(tmp_path)
    assert not probe(tmp_path / "missing")
    assert os.listdir(tmp_path) == []


def test_twin_that_a_copy_has_brought_deceives_nobody(tmp_path: Path) -> None:
    """Some file systems give a file's name in another form than it was given."""
    (tmp_path / FORM[1]).touch()
    mark(tmp_path)
    assert not probe(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([CASE[0], FORM[0]])


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_link_in_place_of_a_mark_is_not_followed(tmp_path: Path) -> None:
    """Nothing is made where it leads."""
    (tmp_path / CASE[0]).symlink_to(tmp_path / "elsewhere")
    mark(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "error", [OSError(22, "no such name"), UnicodeEncodeError("ascii", NFC, 0, 1, "no such name")]
)
def test_file_system_without_such_a_letter_folds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It is no reason to end a run."""
    touch = Path.touch

    def refuse(path: Path, mode: int) -> None:
        if not path.name.isascii():
            raise error
        touch(path, mode)

    monkeypatch.setattr(Path, "touch", refuse)
    mark(tmp_path)
    assert not probe(tmp_path)


def test_disk_that_takes_no_file_is_told(tmp_path: Path) -> None:
    """As the error that it is."""
    with pytest.raises(FileNotFoundError):
        mark(tmp_path / "missing")


# the keys ---------------------------------------------------------------------------------------


def objects(keys: Sequence[str]) -> list[RemoteObject]:
    return [RemoteObject(key, 1, "etag", 1) for key in keys]


def refused(names: Names, *keys: str) -> list[str]:
    """Return the keys that are refused of a page on which every second one is in step."""
    found = objects(keys)
    transfers = [Transfer(remote, tuple(remote.key.split("/")), Reason.MISSING) for remote in found]
    page = names.kept(Compared(transfers[::2], [UpToDate(remote) for remote in found[1::2]], []))
    assert {type(failed.error) for failed in page.refused} <= {KeyCollisionError}
    left = [transfer.remote.key for transfer in page.transfers]
    left += [known.remote.key for known in page.up_to_date]
    lost = [failed.remote.key for failed in page.refused]
    assert sorted([*left, *lost]) == sorted(keys)
    return sorted(lost)


@pytest.mark.parametrize(
    ("keys", "lost"),
    [
        (["Case", "case"], ["case"]),
        (["case", "Case"], ["case"]),
        (["CASE", "Case", "b", "case"], ["Case", "case"]),
        ([NFC, NFD], [NFC]),
        ([f"A/{NFC}", f"a/{NFD}"], [f"a/{NFD}"]),
        (["A/x", "a/y"], []),
        (["A", "a/b"], ["a/b"]),
        (["A/b", "a"], ["a"]),
        (["A/b", "a/b/c"], ["a/b/c"]),
        (["a", "b", "a"], []),
        (["STRASSE", "straße"], ["straße"]),
    ],
)
def test_first_key_in_order_gets_the_path(keys: list[str], lost: list[str]) -> None:
    """On one page, in whatever order, or on one page for each."""
    assert refused(Names(BOTH), *keys) == lost
    names = Names(BOTH)
    assert [key for each in sorted(keys) for key in refused(names, each)] == lost


def test_only_what_folds_is_folded() -> None:
    """Cases on a file system that keeps forms apart, and the other way round."""
    assert refused(Names(Folding(cases=True, forms=False)), "A", "a", NFC, NFD) == ["a"]
    assert refused(Names(Folding(cases=False, forms=True)), "A", "a", NFC, NFD) == [NFC]


def test_refused_key_takes_nothing() -> None:
    """What lies below it is free for others."""
    assert refused(Names(BOTH), "A", "a/b/c", "b") == ["a/b/c"]
    names = Names(BOTH)
    assert refused(names, "A", "a/b") == ["a/b"]
    assert refused(names, "a/B") == ["a/B"]
    assert refused(names, "B") == []


def test_folder_of_another_key_that_lies_in_the_way_is_a_collision() -> None:
    """It has its file by then; what lies at the path of a key that takes none stays as it was."""
    told = [
        Failed(remote, LocalFileError(remote.key, "a folder has its path"))
        for remote in objects(["a", "b"])
    ]
    page = Names(BOTH).kept(Compared([], [UpToDate(objects(["A/x"])[0])], told))
    assert [type(failed.error) for failed in page.refused] == [KeyCollisionError, LocalFileError]


def test_pages_are_put_in_order() -> None:
    """On one page, if there is anything at all."""
    pages = [objects(["b", "a"]), objects(["C"])]
    assert [[remote.key for remote in page] for page in in_order(pages)] == [["C", "a", "b"]]
    assert list(in_order([])) == []
