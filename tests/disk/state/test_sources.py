"""Which buckets the files are from: noted once for each, and told by its records."""

import json
import os
from pathlib import Path

import pytest

from asyncsync.disk.state.place import Place
from asyncsync.disk.state.published import Published
from asyncsync.disk.state.records import HASH_BYTES, HEADER
from asyncsync.disk.state.sources import UNKNOWN, Sources
from asyncsync.interfaces import Urgent
from tests.rigs.state import STATE

ONE, OTHER = "one.example/sensors", "other.example/sensors"
BIG = str(os.geteuid() + 1)
"""The state folder of another user."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A destination with a state folder."""
    (tmp_path / STATE).mkdir(parents=True, mode=0o700)
    return tmp_path


def noted(root: Path) -> object:
    return json.loads((root / STATE / "sources").read_text())


def publish(root: Path, source: str, *keys: str) -> None:
    """Do what a sync from this bucket does."""
    sources = Sources(Place(root), source)
    sources.note()
    records = Published(Place(root), sources)
    with records.writing():
        records.add(keys)


def from_here(root: Path, source: str, *keys: str) -> set[str]:
    return Published(Place(root), Sources(Place(root), source)).from_current(keys)


def test_each_bucket_is_noted_once_in_order(root: Path) -> None:
    """In a small file that any later version can read."""
    for source in (ONE, ONE, OTHER, ONE, ""):
        Sources(Place(root), source).note()
    assert noted(root) == {"format": 1, "sources": [ONE, OTHER]}


def test_another_bucket_is_announced_until_it_is_noted(root: Path) -> None:
    """To those who asked for quiet as well; a folder without a note has nothing to say."""
    notices: list[str] = []
    for source in (ONE, ONE, OTHER, OTHER, ONE):
        sources = Sources(Place(root), source, notices.append)
        sources.announce()
        sources.note()
    [notice] = notices
    assert isinstance(notice, Urgent)
    assert f"was synced from {ONE}, and this run is for {OTHER}" in notice


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[" * 100_000, b'{"format": 2}', b'{"format": 1}', b"x" * 100_000, b"3"],
)
def test_note_that_cannot_be_read_stands_for_an_unknown_bucket(root: Path, content: bytes) -> None:
    """So nothing is trusted that may be of another one."""
    (root / STATE / "sources").write_bytes(content)
    sources = Sources(Place(root), ONE)
    assert sources.is_mixed
    assert sources.own == [UNKNOWN]


def test_file_is_from_the_bucket_that_published_it_last(root: Path) -> None:
    """Whichever was there first, and whatever the other one has published."""
    publish(root, ONE, "a", "b", "c")
    publish(root, OTHER, "b", "c", "d")
    publish(root, ONE, "c")
    assert from_here(root, ONE, "a", "b", "c", "d", "e") == {"a", "c"}
    assert from_here(root, OTHER, "a", "b", "c", "d", "e") == {"b", "d"}
    assert from_here(root, "third.example/x", "a", "b") == set()


def test_records_from_any_bucket_show_that_a_file_was_made_here(root: Path) -> None:
    """So it is known to be edited when it is younger than its object."""
    publish(root, ONE, "a")
    publish(root, OTHER, "b")
    for source in (ONE, OTHER, ""):
        records = Published(Place(root), Sources(Place(root), source))
        assert records.known(["a", "b", "c"]) == {"a", "b"}


def test_rewriting_keeps_which_bucket_was_last(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And each record once."""
    monkeypatch.setattr("asyncsync.disk.state.records.MIN_COUNT", 1)
    for _ in range(3):
        publish(root, ONE, "a", "b")
        publish(root, OTHER, "a")
    publish(root, ONE)
    size = (root / STATE / "published").stat().st_size
    assert size <= HEADER.size + 2 * 3 * HASH_BYTES
    assert from_here(root, ONE, "a", "b") == {"b"}
    assert from_here(root, OTHER, "a", "b") == {"a"}


def test_notes_of_other_users_only_raise_doubts(root: Path) -> None:
    """What another user brought from elsewhere is not this one's, nor is what they say they did."""
    publish(root, ONE, "a", "b")
    other = root / ".asyncsync" / BIG
    (root / STATE).rename(other)
    (root / STATE).mkdir(mode=0o700)
    sources = Sources(Place(root), OTHER)
    assert sources.is_mixed
    assert not Sources(Place(root), ONE).is_mixed
    assert from_here(root, ONE, "a") == set()
    publish(root, OTHER, "a", "c")
    assert from_here(root, OTHER, "a", "c") == {"c"}
