"""Keys whose paths the file system treats as one: the first in order gets the path."""

import unicodedata
from collections.abc import Sequence

import pytest

from asyncsync.compare.names import Names, in_order
from asyncsync.disk.folders.folding import Folding
from asyncsync.errors import KeyCollisionError, LocalFileError, UnsafeKeyError
from asyncsync.model import Compared, Failed, Reason, RemoteObject, Transfer, UpToDate
from asyncsync.paths import PLAIN, Paths

NFC, NFD = (unicodedata.normalize(form, "\u00e9") for form in ("NFC", "NFD"))
BOTH = Folding(cases=True, forms=True)


def objects(keys: Sequence[str]) -> list[RemoteObject]:
    return [RemoteObject(key, 1, "etag", 1) for key in keys]


def refused(names: Names, *keys: str) -> list[str]:
    """Return which keys of a page are refused; every second one is up to date."""
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
    """In any order on one page, and with one page for each key."""
    assert refused(Names(BOTH, PLAIN), *keys) == lost
    names = Names(BOTH, PLAIN)
    assert [key for each in sorted(keys) for key in refused(names, each)] == lost


def test_only_what_folds_is_folded() -> None:
    """Case on a file system that keeps forms apart, and the other way round."""
    assert refused(Names(Folding(cases=True, forms=False), PLAIN), "A", "a", NFC, NFD) == ["a"]
    assert refused(Names(Folding(cases=False, forms=True), PLAIN), "A", "a", NFC, NFD) == [NFC]


def test_refused_key_takes_nothing() -> None:
    """The paths below it are free for other keys."""
    assert refused(Names(BOTH, PLAIN), "A", "a/b/c", "b") == ["a/b/c"]
    names = Names(BOTH, PLAIN)
    assert refused(names, "A", "a/b") == ["a/b"]
    assert refused(names, "a/B") == ["a/B"]
    assert refused(names, "B") == []


def test_folder_of_another_key_that_lies_in_the_way_is_a_collision() -> None:
    """A folder that no key has created is still a local error."""
    failed = [
        Failed(remote, LocalFileError(remote.key, "a folder has its path"))
        for remote in objects(["a", "b"])
    ]
    page = Names(BOTH, PLAIN).kept(Compared([], [UpToDate(objects(["A/x"])[0])], failed))
    assert [type(failed.error) for failed in page.refused] == [KeyCollisionError, LocalFileError]


def test_pages_are_put_in_order() -> None:
    """All objects are on one page, and there is no empty one."""
    pages = [objects(["b", "a"]), objects(["C"])]
    assert [[remote.key for remote in page] for page in in_order(pages)] == [["C", "a", "b"]]
    assert list(in_order([])) == []


def test_encoded_paths_are_compared_as_they_are_on_the_disk() -> None:
    """`A//x` and `a//x` are one file there, and a key without a path takes none."""
    names = Names(BOTH, Paths(encodes=True))
    assert refused(names, "A//x", "a//x", "a/x", "%~/x", "/x") == ["a//x"]
    assert refused(names, "N" * 300, "n" * 300, "n" * 253) == ["n" * 300]
    long = Failed(RemoteObject("n" * 2000, 1, "etag", 1), UnsafeKeyError("n" * 2000, "too long"))
    assert names.kept(Compared([], [], [long])).refused == [long]
