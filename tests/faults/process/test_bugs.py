"""Row 121 of the table of faults: bugs of this program."""

import asyncio
import gc
import inspect
import sys
from pathlib import Path
from pkgutil import resolve_name

import anyio
import pytest

from asyncsync.disk import Folder
from asyncsync.interfaces import ObserverError
from tests.rigs.process import OBJECTS, check_promises
from tests.rigs.scripted_s3 import ScriptedS3, sync
from tests.rigs.watch import Watcher

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors are POSIX ones"),
]


BUGS = {
    "listing": ("pipeline.list_objects", "s3.store.parse_page", "listing.paging.Paging._page"),
    "counting": ("disk.folder.Folder.count", "listing.landmarks.Landmarks.complete"),
    "comparing": (
        "compare.check.compare_page",
        "compare.collisions.Collisions.split",
        "disk.folder.Folder.compare",
    ),
    "small objects": (
        "download.download.Downloader._fetch_whole",
        "download.validate.check_answer",
        "download.validate.check_length",
    ),
    "large objects": (
        "disk.parts.partfile.PartFile.create",
        "disk.parts.partfile.PartFile.__aenter__",
        "disk.parts.partfile.PartFile.write",
        "disk.parts.partfile.PartFile._list",
        "download.parts.Parts._fetch_part",
    ),
    "asking HEAD": (
        "download.validate.check_head",
        "s3.store.S3Store.head",
        "s3.store.S3Store._head",
    ),
    "hashing": (
        "download.proof.Prover.follow",
        "download.proof.Prover._hash",
        "download.proof.Prover.finish",
    ),
    "writing in threads": (
        "download.proof.prove",
        "disk.publish.Publisher.publish",
        "disk.publish.Publisher.publish_parts",
    ),
    "retries": (
        "pace.pace.Pace.wait_for_turn",
        "pace.pace.Pace.note_success",
        "pace.pace.Pace.tune",
    ),
    "the end": (
        "disk.folder.Folder.clear_stale",
        "disk.folder.Folder.settle",
        "download.download.Downloader.report_unpinned",
    ),
}
"""Where a bug may be, by the task that meets it."""


@pytest.mark.row(121)
@pytest.mark.parametrize("place", [place for places in BUGS.values() for place in places])
async def test_bug_in_any_task_ends_the_run(
    dest: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The exception is raised unchanged; all other tasks are cancelled, without later errors."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    async def fail_later(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    is_task = inspect.iscoroutinefunction(resolve_name(f"asyncsync.{place}"))
    monkeypatch.setattr(f"asyncsync.{place}", fail_later if is_task else fail)
    await check_bug(dest, Watcher())


@pytest.mark.row(121)
@pytest.mark.parametrize("moment", ["started", "ended", "compared", "listed"])
async def test_bug_in_an_observer_ends_the_run(dest: Path, moment: str) -> None:
    """So does a bug in an observer; `asyncsync.sync` raises the exception in the error."""

    class Buggy(Watcher):
        def _fail(self, *arguments: object) -> None:
            raise ZeroDivisionError

    setattr(Buggy, moment, Buggy._fail)
    await check_bug(dest, Buggy(), raised=ObserverError)


async def check_bug(dest: Path, seen: Watcher, raised: type[Exception] = ZeroDivisionError) -> None:
    """The run raises the bug's exception and leaves no task, no lock and no unfinished file."""
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))
    before = len(asyncio.all_tasks())
    async with ScriptedS3(OBJECTS) as s3:
        with pytest.raises(raised, match=r"^$"):
            await sync(s3, dest, seen=seen)
    gc.collect()
    await anyio.lowlevel.checkpoint()
    assert len(asyncio.all_tasks()) == before
    assert unheard == []
    check_promises(dest)
    with Folder(dest).writing():  # so its lock was given back
        pass
