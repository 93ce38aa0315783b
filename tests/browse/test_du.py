"""What `du` adds up."""

from dataclasses import astuple
from pathlib import Path

import pytest

from asyncsync import browse
from asyncsync.browse import Usage, usage_of_all
from asyncsync.download.download import SMALL
from asyncsync.errors import ListingError, SourceError
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import Rig
from tests.rigs.watch import snapshot

pytestmark = pytest.mark.anyio


async def used(rig: Rig, depth: int = 1) -> dict[str, tuple[int, ...]]:
    """Return objects, bytes, those here, those to download and their bytes, by folder."""
    usages = dict[str, Usage]()
    await browse.du(rig.job(), depth=depth, usages=usages)
    return {prefix: astuple(usage) for prefix, usage in usages.items()}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A bucket and a destination that does not exist yet."""
    return Rig(tmp_path / "dest")


async def test_folders_are_added_up(rig: Rig) -> None:
    """Objects outside of any folder stand under the empty one."""
    assert await used(rig) == {
        "": (1, 4, 0, 1, 4),
        "1hz/": (2, 3, 0, 2, 3),
        "fft_hub1/": (2, SMALL + 1, 0, 2, SMALL + 1),
    }
    assert not rig.dest.exists()


async def test_depth_counts_from_the_prefix(rig: Rig) -> None:
    """What lies above that depth is counted where it lies."""
    assert sorted(await used(rig, 2)) == ["", "1hz/", "1hz/2026/", "fft_hub1/"]
    rig.prefixes = ["1hz/"]
    assert sorted(await used(rig)) == ["1hz/", "1hz/2026/"]
    assert sorted(await used(rig, 2)) == ["1hz/", "1hz/2026/01/"]
    rig.prefixes = ["1h", "fft"]
    assert sorted(await used(rig)) == ["1hz/", "fft_hub1/"]
    rig.prefixes = ["ro"]
    assert sorted(await used(rig)) == [""]


async def test_what_is_here_and_what_is_missing(rig: Rig) -> None:
    """Those of both add up to all, but for what a sync would skip or read; nothing is written."""
    await rig.sync()
    (rig.dest / "1hz/b.parquet").unlink()
    rig.store.put("1hz/a//b.parquet", b"odd")
    before = snapshot(rig.dest)
    found = await used(rig)
    assert found["1hz/"] == (3, 6, 1, 1, 2)
    assert found["fft_hub1/"] == (2, SMALL + 1, 2, 0, 0)
    assert snapshot(rig.dest) == before
    assert usage_of_all(Usage(*each) for each in found.values()) == Usage(6, SMALL + 11, 4, 1, 2)


async def test_total_of_nothing_is_zero() -> None:
    """As of an empty bucket."""
    assert usage_of_all([]) == Usage()


async def test_selection_is_that_of_a_sync(rig: Rig) -> None:
    """What is left out is told, and a prefix without anything."""
    rig.store.put("notes.txt", b"n")
    rig.prefixes = ["notes", "zzz"]
    assert await used(rig) == {}
    assert rig.watcher.left_out == {"": 1}
    assert rig.watcher.absent_prefixes == ["zzz"]
    assert rig.watcher.unmatched_prefixes == ["notes", "zzz"]


async def test_listing_that_fails_is_an_error(rig: Rig) -> None:
    """Half a sum would be wrong."""
    rig.store.always("list", "", Act(error=ListingError("broken")))
    with pytest.raises(SourceError, match="broken"):
        await used(rig)
