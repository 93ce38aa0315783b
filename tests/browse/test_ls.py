"""What `ls` shows of a bucket, and of what is here."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsync import browse
from asyncsync.browse import Entry, ListedObject, State
from asyncsync.errors import ListingError, SourceError
from asyncsync.model import Compare, Page
from asyncsync.pipeline import Job
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import OBJECTS, Rig
from tests.rigs.watch import snapshot

pytestmark = pytest.mark.anyio


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A bucket and a destination that does not exist yet."""
    return Rig(tmp_path / "dest")


async def listed(job: Job, depth: int | None = 1) -> list[str]:
    """Return what is shown, each with what is here of it."""
    shown: list[str] = []

    async def show(entries: Sequence[Entry]) -> None:
        shown.extend(
            f"{entry.state} {entry.remote.key}" if isinstance(entry, ListedObject) else entry.prefix
            for entry in entries
        )

    await browse.ls(job, depth=depth, show=show)
    return shown


async def test_folders_are_rolled_up(rig: Rig) -> None:
    """What is below a folder is not even listed."""
    assert await listed(rig.job()) == ["1hz/", "fft_hub1/", "missing root.parquet"]
    assert len(rig.store.requests) == 1
    rig.prefixes = ["1hz/"]
    assert await listed(rig.job()) == ["1hz/2026/", "missing 1hz/b.parquet"]


async def test_depth_says_how_deep(rig: Rig) -> None:
    """Objects above that depth are shown; the order is that of the keys."""
    assert await listed(rig.job(), 2) == [
        "1hz/2026/",
        "missing 1hz/b.parquet",
        "missing fft_hub1/c.parquet",
        "missing fft_hub1/empty.parquet",
        "missing root.parquet",
    ]


@pytest.mark.parametrize("page_size", [1, 2, 1000])
@pytest.mark.parametrize("depth", [10, None])
async def test_all_objects_are_shown(tmp_path: Path, page_size: int, depth: int | None) -> None:
    """Whatever the pages are; in the order of their keys."""
    rig = Rig(tmp_path / "dest", page_size=page_size)
    assert await listed(rig.job(), depth) == [f"missing {key}" for key in sorted(OBJECTS)]


async def test_prefix_may_end_within_a_name(rig: Rig) -> None:
    """As for a sync; what begins with it is shown."""
    rig.prefixes = ["1h", "root", "1hz/"]
    assert await listed(rig.job()) == ["1hz/", "missing root.parquet"]


async def test_state_is_what_a_sync_would_do(rig: Rig) -> None:
    """Nothing is written to find out."""
    await rig.sync()
    (rig.dest / "root.parquet").unlink()
    rig.store.put("1hz/b.parquet", b"new")
    rig.store.put("a//b.parquet", b"odd")
    before = snapshot(rig.dest)
    assert await listed(rig.job(), None) == [
        "here 1hz/2026/01/a.parquet",
        "changed 1hz/b.parquet",
        "refused a//b.parquet",
        "here fft_hub1/c.parquet",
        "here fft_hub1/empty.parquet",
        "missing root.parquet",
    ]
    assert snapshot(rig.dest) == before
    rig.prefixes = ["fft_hub1/"]
    by_hash = replace(rig.job(), compare=Compare.HASH)
    assert {line.split()[0] for line in await listed(by_hash)} == {State.UNSURE}


async def test_destination_is_not_made(rig: Rig) -> None:
    """A look changes nothing."""
    await listed(rig.job())
    assert not rig.dest.exists()


async def test_selection_is_that_of_a_sync(rig: Rig) -> None:
    """What is left out is counted; folder markers are neither shown nor left out."""
    rig.store.put_many({"notes.txt": b"n", "more.txt": b"m", "1hz/": b""})
    assert await listed(rig.job()) == ["1hz/", "fft_hub1/", "missing root.parquet"]
    assert rig.watcher.left_out == {"": 2}
    rig.include, rig.exclude = ["*"], ["more*"]
    assert "missing notes.txt" in await listed(rig.job())
    rig.prefixes = ["1hz/"]
    assert await listed(rig.job()) == ["1hz/2026/", "missing 1hz/b.parquet"]


async def test_prefix_without_anything_is_told(rig: Rig) -> None:
    """A key that is left out, or a folder, is something."""
    rig.store.put("notes.txt", b"n")
    rig.prefixes = ["1hz", "notes", "zzz"]
    await listed(rig.job())
    assert rig.watcher.absent_prefixes == ["zzz"]
    assert rig.watcher.unmatched_prefixes == ["notes", "zzz"]


async def test_listing_that_fails_is_an_error(rig: Rig) -> None:
    """What was shown before was all that is known."""
    rig.store.always("list", "", Act(error=ListingError("broken")))
    with pytest.raises(SourceError, match="broken"):
        await listed(rig.job())


async def test_server_that_rolls_up_a_folder_in_itself_is_not_followed_for_ever(rig: Rig) -> None:
    """The depth ends it."""
    rig.store.always("list", "", Act(page=Page([], ["1hz/"], "")))
    rig.store.always("list", "1hz/", Act(page=Page([], ["1hz/"], "")))
    assert await listed(rig.job(), browse.MOST_LEVELS) == ["1hz/"]
