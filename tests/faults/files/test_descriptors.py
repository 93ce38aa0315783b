"""Row 105 of the table of faults: the limit of open files is reached."""

import asyncio
import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from pkgutil import resolve_name

import aiofiles
import pytest

from asyncsync.disk import Folder, PartFile
from asyncsync.disk.folders.directory import Directory
from asyncsync.disk.state import unsynced
from asyncsync.download.download import SMALL
from asyncsync.errors import RetriesExhaustedError
from tests.faults.files.scene import LARGE, run
from tests.rigs import scripted_s3
from tests.rigs.failing_disk import failing_call
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, sync
from tests.rigs.watch import Watcher, tree
from tests.rigs.wrapped import limited

pytestmark = pytest.mark.anyio


@pytest.mark.row(105)
@pytest.mark.parametrize(("size", "count"), [(3, 200), (300_000, 60), (20_000_000, 3)])
async def test_few_descriptors_slow_the_run_down_and_no_more(
    tmp_path: Path, size: int, count: int
) -> None:
    """With a limit of 64 open files, all objects are downloaded."""
    objects = {f"{number % 20}/{number}.parquet": bytes([number]) * size for number in range(count)}
    async with ScriptedS3(objects) as s3:
        done = await run(limited("-n", 64), s3, tmp_path / "dest")
    assert (done.code, done.err) == (0, "")
    assert tree(tmp_path / "dest") == objects


@pytest.mark.row(105)
async def test_limit_of_descriptors_that_nothing_can_do_with_is_named(tmp_path: Path) -> None:
    """The error does not blame the destination."""
    async with ScriptedS3({"1.parquet": b"1"}) as s3:
        done = await run(limited("-n", 12), s3, tmp_path / "dest")
    assert done.code == 5
    assert "Too many open files; stop other programs, raise the limit (ulimit" in done.err


@pytest.mark.row(105)
async def test_descriptors_that_others_have_used_up_are_waited_for(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole machine has none left for a while: the run makes fewer requests at once."""
    original, refusals = aiofiles.open, iter([errno.EMFILE, errno.ENFILE])

    def opened(*arguments: object, **options: object) -> object:
        if number := next(refusals, 0):
            raise OSError(number, os.strerror(number))
        return original(*arguments, **options)  # type: ignore[call-overload]  # as it came

    monkeypatch.setattr(aiofiles, "open", opened)
    async with ScriptedS3({"a/1.parquet": LARGE}) as s3:
        ran = await sync(s3, dest)
    assert (ran.code, tree(dest)) == (0, {"a/1.parquet": LARGE})


@pytest.mark.row(105)
@pytest.mark.parametrize(
    ("place", "size"),
    [
        ("folders.directory.Directory.create", 3),
        ("folders.directory.Directory._open", 3),
        ("folders.directory.Directory._open", SMALL + 1),
        ("state.unsynced.Unsynced._write", 3),
        ("state.unsynced.Unsynced._write", SMALL + 1),
        ("folders.directory.Directory.sync_file", 3),
        ("folders.directory.Directory.sync_file", SMALL + 1),
        ("durable.SyncedFolders._sync", 3),
        ("parts.partfile.open", SMALL + 1),
        ("parts.partfile.find_leftovers", SMALL + 1),
        ("parts.partfile.FileIO", SMALL + 1),
    ],
)
async def test_file_is_published_when_there_are_descriptors_again(
    dest: Path, monkeypatch: pytest.MonkeyPatch, place: str, size: int
) -> None:
    """Wherever they run out, publishing is retried without another GET."""
    if place.endswith(("sync_file", "SyncedFolders._sync")):
        monkeypatch.setattr(scripted_s3, "Folder", partial(Folder, durable=True))
    if place.startswith("state.unsynced."):
        monkeypatch.setattr(unsynced, "BOOT", dest / "boot")
        monkeypatch.setattr(unsynced, "sync_disk", str)
        (dest / "boot").write_text("0" * 36)
    watcher, refusals, has_begun = Watcher(), iter([errno.EMFILE, errno.ENFILE]), asyncio.Event()
    module, _, name = f"asyncsync.disk.{place}".rpartition(".")
    original: Callable[..., object] = getattr(resolve_name(module), name, open)

    def scarce(*arguments: object, **options: object) -> object:
        if has_begun.is_set() and (number := next(refusals, 0)):
            raise OSError(number, os.strerror(number))
        return original(*arguments, **options)

    def begin(_: object) -> None:
        has_begun.set()

    monkeypatch.setattr(f"{module}.{name}", scarce, raising=False)
    async with ScriptedS3({"new/1.parquet": os.urandom(size)}) as s3:
        s3.on_object = begin
        if place.startswith("parts."):  # before the first request
            watcher = Watcher(on_compared=has_begun.set)
        ran = await sync(s3, dest, seen=watcher)
        assert ran.code == 0
        assert tree(dest)["new/1.parquet"] == s3.objects["new/1.parquet"]
    assert [*refusals] == []
    assert s3.count("GET") == 1


@pytest.mark.row(105)
async def test_unfinished_file_is_read_when_there_are_descriptors_again(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier run has downloaded is not discarded for lack of descriptors."""
    original, refusals = PartFile.take_over, iter([errno.EMFILE, errno.ENFILE])

    def take_over(part: PartFile, old: Path) -> None:
        for number in refusals:
            with monkeypatch.context() as scarce:
                scarce.setattr(
                    "asyncsync.disk.parts.partfile.open", failing_call(number), raising=False
                )
                original(part, old)
        original(part, old)

    def break_off(request: Request) -> Answer | None:
        if request.verb == "HEAD":
            return None
        return Answer(status=500) if "range" in request.headers else Answer(LARGE, cut=SMALL)

    async with ScriptedS3({"a/1.parquet": LARGE}) as s3:
        s3.on_object = break_off
        assert (await sync(s3, dest, alone=False)).code == 1
        s3.on_object = lambda _: None
        monkeypatch.setattr(PartFile, "take_over", take_over)
        ran = await sync(s3, dest)
    assert (ran.code, tree(dest)) == (0, {"a/1.parquet": LARGE})
    assert ran.report.kept_bytes == SMALL


@pytest.mark.row(105)
async def test_file_that_finds_no_descriptors_fails_alone(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After as many attempts as any request has."""
    monkeypatch.setattr(Directory, "create", failing_call(errno.EMFILE))
    async with ScriptedS3({"a/1.parquet": b"new", "a/2.parquet": LARGE}) as s3:
        ran = await sync(s3, dest)
    assert (ran.code, ran.seen.failures) == (1, {"a/1.parquet": RetriesExhaustedError})
    assert tree(dest) == {"a/1.parquet": b"old one", "a/2.parquet": LARGE}
