"""Files that exist already, and times of objects that cannot be right (rows 58 to 60)."""

import os
from pathlib import Path

import pytest

from tests.faults.remote.scene import KEY, SMALL, assert_done
from tests.rigs.acts import in_listing
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Rule
from tests.rigs.fault_run import synced

pytestmark = pytest.mark.anyio


@pytest.mark.row(58)
@pytest.mark.parametrize("in_place", [True, False])
async def test_edited_file_of_the_same_size_is_fetched_again(
    bucket: Bucket, dest: Path, in_place: bool
) -> None:
    """Its time has changed, whether it was edited in place or replaced."""
    await synced(bucket, dest)
    path = dest / KEY
    edited = path if in_place else dest / "new"
    edited.write_bytes(bytes(reversed(SMALL)))
    os.utime(edited, ns=(1, path.stat().st_mtime_ns + 3_600_000_000_000))
    edited.rename(path)
    run = await synced(bucket, dest)
    assert_done(run, SMALL)
    assert run.report.downloaded == 1
    again = await synced(bucket, dest)
    assert (again.report.downloaded, again.report.up_to_date) == (0, 2)


@pytest.mark.row(59)
@pytest.mark.parametrize("content", [SMALL[:-1], SMALL + b"x", b""], ids=["cut", "grown", "empty"])
async def test_file_of_another_size_is_fetched_again(
    bucket: Bucket, dest: Path, content: bytes
) -> None:
    """A file of another size is out of date, whatever its time."""
    await synced(bucket, dest)
    (dest / KEY).write_bytes(content)
    run = await synced(bucket, dest)
    assert_done(run, SMALL)
    assert run.report.downloaded == 1


@pytest.mark.row(60)
@pytest.mark.parametrize(
    "time",
    ["2199-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "yesterday", "", "1601-01-01T00:00:00Z"],
)
async def test_odd_time_does_no_harm(bucket: Bucket, dest: Path, time: str) -> None:
    """The object is downloaded once; a time that cannot be parsed has no effect."""
    odd = Rule("LIST", "*", in_listing("<LastModified>[^<]*<", f"<LastModified>{time}<"))
    assert_done(await synced(bucket, dest, odd), SMALL)
    again = await synced(bucket, dest, odd)
    assert_done(again, SMALL)
    assert (again.report.downloaded, again.report.up_to_date) == (0, 2)
