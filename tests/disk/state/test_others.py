"""What is read of the state of other users, who may have thousands of shards."""

import json
import sys
from itertools import count, islice
from pathlib import Path

import pytest

from asyncsync.disk.state import published, unsynced
from asyncsync.disk.state.mounts import PartFolders
from asyncsync.disk.state.place import Place
from asyncsync.disk.state.published import Published
from asyncsync.disk.state.records import HEADER, MIN_COUNT, hash_of
from asyncsync.disk.state.sources import MOST_OTHERS, MOST_OTHERS_IN_ALL, UNKNOWN, Sources


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "dest"


def shards_of_another_user(dest: Path, count: int) -> list[Path]:
    """Make the state folders of so many shards of one."""
    folder = dest / ".asyncsync" / "4294967294"
    found = [folder / "shards" / f"{number}-of-4096" for number in range(1, count + 1)]
    for each in found:
        each.mkdir(parents=True)
    return [folder, *found]


@pytest.mark.row(152)
def test_records_of_another_users_shards_are_read_within_a_bound(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the other users' whole runs are read first."""
    whole, *shards = shards_of_another_user(dest, 4)
    for name, folder in {"whole": whole, **{each.name: each for each in shards}}.items():
        header = HEADER.pack(b"asyncpub", folder.stat().st_ino, MIN_COUNT)
        (folder / "published").write_bytes(header + hash_of(name).to_bytes(8, sys.byteorder))
    names = ["whole", *[each.name for each in shards]]
    assert Published(Place(dest)).known(names) == {*names}
    size = (whole / "published").stat().st_size
    monkeypatch.setattr(published, "MOST_OTHERS_BYTES_IN_ALL", 3 * size)
    assert Published(Place(dest)).known(names) == {*names[:3]}


@pytest.mark.row(152)
def test_sources_of_another_users_shards_are_read_within_a_bound(dest: Path) -> None:
    """And none is longer than a source can be."""
    noted = json.dumps({"format": 1, "sources": ["h/b" * 9999, *["h/c"] * 99]})
    folders = shards_of_another_user(dest, 80)
    for folder in folders:
        (folder / "sources").write_text(noted, encoding="utf-8")
    found = Sources(Place(dest)).others
    assert len(found) == MOST_OTHERS_IN_ALL < MOST_OTHERS * len(folders)
    assert {*found} == {UNKNOWN, "h/c"}


@pytest.mark.row(152)
def test_periods_of_another_users_shards_are_merged(dest: Path) -> None:
    """Nothing that they name becomes sure by that."""
    starts = count(1, 2)
    for folder in shards_of_another_user(dest, 3):
        lines = [f"{start} {start + 1}\n" for start in islice(starts, unsynced.MAX_PERIODS)]
        (folder / "doubtful").write_text("".join(lines), encoding="ascii")
    place = Place(dest)
    notes = unsynced.Unsynced(place, PartFolders(place), str)
    found = notes._read_others([])
    assert len(found) == unsynced.MAX_PERIODS
    assert (found[0][0], found[-1][1]) == (1, next(starts) - 1)
