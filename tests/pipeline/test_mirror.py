"""`--delete`: only files that asyncsync made, that are unchanged, and whose objects are gone.

Most of these have cost users of other tools their files.
"""

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

import asyncsync
from asyncsync import mirror, pipeline
from asyncsync.disk import Folder
from asyncsync.errors import (
    AccessDeniedError,
    ConfigError,
    HeadRefusedError,
    IncompleteListingError,
    IntegrityError,
    LocalFileError,
    LockHeldError,
    ServerError,
    SourceError,
    VanishedError,
)
from asyncsync.model import Page
from asyncsync.paths import Paths
from tests.rigs.memory_store import Act, MemoryStore, use_memory
from tests.rigs.pipeline import Rig
from tests.rigs.state import STATE
from tests.rigs.watch import Watcher, snapshot, tree

pytestmark = pytest.mark.anyio

KEYS = [f"{prefix}/{n:02d}.parquet" for prefix in ("1hz", "fft") for n in range(10)]
GONE = KEYS[3]


@pytest.fixture
async def rig(dest: Path) -> Rig:
    """A folder in step with a bucket of twenty objects, of which one is gone since."""
    rig = Rig(dest, {key: key.encode() for key in KEYS})
    await rig.sync()
    rig.store.delete(GONE)
    rig.max_delete = "10%"
    return rig


def here(rig: Rig) -> set[str]:
    return set(tree(rig.dest))


async def held_back(rig: Rig) -> str:
    """Sync, and return why nothing was deleted."""
    before = here(rig)
    seen = await rig.again()
    assert before <= here(rig)
    assert seen.removed_keys == []
    [why] = seen.left
    return why


async def test_file_whose_object_is_gone_is_deleted(rig: Rig) -> None:
    """It alone; and the next run has nothing to do and asks nothing but the listing."""
    seen = await rig.again()
    assert (seen.removed_keys, seen.extra_keys, seen.left) == ([GONE], [], [])
    assert here(rig) == {*KEYS} - {GONE}
    before = snapshot(rig.dest)
    seen = await rig.again()
    assert (seen.removed_keys, seen.left) == ([], [])
    assert {request.verb for request in rig.store.requests} == {"list"}
    assert snapshot(rig.dest) == before


async def test_nothing_is_deleted_unless_asked_for(rig: Rig) -> None:
    """Nor is a word said of it."""
    rig.max_delete = ""
    seen = await rig.again()
    assert (seen.removed_keys, seen.extra_keys, seen.left) == ([], [], [])
    assert here(rig) == {*KEYS}


async def test_deletions_come_last(rig: Rig) -> None:
    """What is new is here before anything goes."""
    rig.store.put("new.parquet", b"new")
    seen: list[set[str]] = []
    rig.store.on("head", GONE, Act(before=lambda: seen.append(here(rig))))
    assert (await rig.again()).removed_keys == [GONE]
    assert seen == [{*KEYS, "new.parquet"}]


async def test_plan_names_what_would_go(rig: Rig) -> None:
    """And what would keep a sync from it; it deletes nothing and asks for nothing."""
    rig.watcher = Watcher()
    rig.store.requests.clear()
    await pipeline.plan(rig.job())
    assert (rig.watcher.removed_keys, rig.watcher.notices) == ([GONE], [])
    assert {request.verb for request in rig.store.requests} == {"list"}
    rig.max_delete = "0"
    rig.watcher = Watcher()
    await pipeline.plan(rig.job())
    assert rig.watcher.removed_keys == [GONE]
    assert "would delete nothing: 1 of 20 files would go" in rig.watcher.notices[0]
    assert here(rig) == {*KEYS}


# What was not made here ---------------------------------------------------------------------------


def edit(path: Path) -> None:
    path.write_bytes(b"mine now")


def touch(path: Path) -> None:
    os.utime(path)


def replace(path: Path) -> None:
    status = path.stat()
    new = path.with_name("new")
    new.write_bytes(path.read_bytes())
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(path)


@pytest.mark.row(181)
@pytest.mark.parametrize("change", [edit, touch, replace])
async def test_file_that_was_changed_here_is_kept(rig: Rig, change: Callable[[Path], None]) -> None:
    """Edited, touched, or put there by another tool: it is told of, and stays."""
    change(rig.dest / GONE)
    seen = await rig.again()
    assert (seen.removed_keys, seen.extra_keys, seen.left) == ([], [GONE], [])
    assert here(rig) == {*KEYS}


@pytest.mark.row(181)
async def test_file_that_was_never_in_the_bucket_is_kept(rig: Rig) -> None:
    """As when the destination is a folder of somebody's own files, such as their home."""
    (rig.dest / "thesis.parquet").write_bytes(b"years")
    (rig.dest / "1hz" / "notes.parquet").write_bytes(b"of work")
    seen = await rig.again()
    assert seen.removed_keys == [GONE]
    assert seen.extra_keys == ["1hz/notes.parquet", "thesis.parquet"]
    assert {"thesis.parquet", "1hz/notes.parquet"} <= here(rig)


@pytest.mark.row(181)
async def test_file_behind_a_link_is_kept(rig: Rig, tmp_path: Path) -> None:
    """Also one that was made here, before its folder was moved to another place."""
    (rig.dest / "1hz").rename(tmp_path / "elsewhere")
    (rig.dest / "1hz").symlink_to(tmp_path / "elsewhere")
    for key in KEYS[:10]:
        rig.store.delete(key)
    seen = await rig.again()
    assert (seen.removed_keys, seen.left) == ([], [])
    assert len(os.listdir(tmp_path / "elsewhere")) == 10


@pytest.mark.row(181)
async def test_file_behind_a_link_that_is_followed_is_kept(rig: Rig, tmp_path: Path) -> None:
    """It is in a folder that is not the destination's, whoever made it there."""
    (rig.dest / "1hz").rename(tmp_path / "elsewhere")
    (rig.dest / "1hz").symlink_to(tmp_path / "elsewhere")
    rig.follows_links = True
    seen = await rig.again()
    assert (seen.downloaded, seen.removed_keys, seen.extra_keys) == ([], [], [GONE])
    assert seen.failures == {}
    assert len(os.listdir(tmp_path / "elsewhere")) == 10


@pytest.mark.row(181)
async def test_file_of_an_earlier_version_is_kept(rig: Rig) -> None:
    """Which has not recorded how it made it."""
    (rig.dest / STATE / "made").unlink()
    assert (await rig.again()).extra_keys == [GONE]
    assert GONE in here(rig)


@pytest.mark.row(182)
async def test_files_of_another_bucket_are_kept(dest: Path) -> None:
    """One folder holds the objects of two buckets, and each run deletes its own bucket's only."""
    one, other = Rig(dest, {"a.parquet": b"a", "b.parquet": b"b"}), Rig(dest, {"c.parquet": b"c"})
    for each, name in ((one, "one"), (other, "other")):
        each.source, each.max_delete, each.allow_empty = name, "100%", True
        await each.sync()
    one.store.delete("a.parquet")
    other.store.delete("c.parquet")
    assert (await one.again()).removed_keys == ["a.parquet"]
    assert (await other.again()).removed_keys == ["c.parquet"]
    assert tree(dest) == {"b.parquet": b"b"}


@pytest.mark.row(182)
@pytest.mark.parametrize(
    ("include", "exclude", "prefixes"),
    [(["*.json"], [], []), (["*"], ["1hz/*"], []), (["*"], [], ["fft/"])],
    ids=["include", "exclude", "prefix"],
)
async def test_files_that_the_run_does_not_select_are_kept(
    rig: Rig, include: list[str], exclude: list[str], prefixes: list[str]
) -> None:
    """Filters and prefixes hold for both sides."""
    rig.include, rig.exclude, rig.prefixes = include, exclude, prefixes
    seen = await rig.again()
    assert (seen.removed_keys, seen.extra_keys, seen.left) == ([], [], [])
    assert GONE in here(rig)


# What the listing does not say --------------------------------------------------------------------


@pytest.mark.row(183)
async def test_listing_that_fails_deletes_nothing(rig: Rig) -> None:
    """Neither at its first page nor at a later one."""
    rig.store.page_size = 5
    for acts in ([Act(error=SourceError("refused"))], [Act(), Act(error=SourceError("refused"))]):
        rig.store.on("list", "", *acts)
        with pytest.raises(SourceError, match="refused"):
            await rig.again()
        assert rig.watcher.removed_keys == []
    rig.store.always("list", "", Act(error=ServerError("busy")))
    with pytest.raises(SourceError):
        await rig.again()
    assert here(rig) == {*KEYS}


@pytest.mark.row(183)
async def test_listing_that_contradicts_itself_deletes_nothing(rig: Rig) -> None:
    """It shows a folder that no page of keys does, and so may have left out more."""
    listed = [rig.store.remote(key) for key in KEYS[10:]]
    pages = [Page(listed[:5], [], "more"), Page(listed[5:], [], "")]
    rig.store.on("list", "", *[Act(page=page) for page in pages])
    with pytest.raises(IncompleteListingError):
        await rig.again()
    assert rig.watcher.removed_keys == []
    assert here(rig) == {*KEYS}


@pytest.mark.row(184)
async def test_object_that_the_listing_lacks_keeps_all_files(rig: Rig) -> None:
    """The bucket is asked about each; if it has one, the listing is not believed."""
    listed = [rig.store.remote(key) for key in KEYS if key not in {GONE, KEYS[7]}]
    rig.store.on("list", "", Act(page=Page(listed, [], "")))
    assert f"the listing lacks {KEYS[7]}, but the bucket has it" in await held_back(rig)
    rig.store.behave()
    assert (await rig.again()).removed_keys == [GONE]


@pytest.mark.row(184)
@pytest.mark.parametrize("error", [AccessDeniedError, HeadRefusedError, IntegrityError])
async def test_object_of_which_nothing_is_known_keeps_all_files(
    rig: Rig, error: type[AccessDeniedError]
) -> None:
    """Only the answer that there is none will do."""
    rig.store.on("head", GONE, Act(error=error(GONE, "not told")))
    assert "not told" in await held_back(rig)


@pytest.mark.row(184)
async def test_answer_that_is_not_the_buckets_keeps_all_files(rig: Rig) -> None:
    """Such as the page of a proxy that has found nothing."""
    rig.store.on("head", GONE, Act(error=VanishedError(GONE, "404", is_certain=False)))
    assert "404" in await held_back(rig)


@pytest.mark.row(185)
@pytest.mark.parametrize("prefixes", [[], ["1hz/"], ["1hz/", "fft/"]])
async def test_empty_listing_deletes_nothing(rig: Rig, prefixes: list[str]) -> None:
    """A bucket that was emptied, or never filled, is more often a mistake than a wish."""
    rig.prefixes, rig.max_delete = prefixes, "100%"
    for key in KEYS if not prefixes else KEYS[:10]:
        rig.store.delete(key)
    rig.store.put("1hz/other.txt")  # it is not selected
    why = await held_back(rig)
    assert f"nothing is left {'under 1hz/' if prefixes else 'in the bucket'}" in why
    rig.allow_empty = True
    seen = await rig.again()
    assert seen.removed_keys == (KEYS[:10] if prefixes else KEYS)
    assert not (rig.dest / "1hz").exists()


async def test_empty_prefix_without_files_holds_nothing_back(rig: Rig) -> None:
    """There is nothing to lose under it."""
    rig.prefixes = ["1hz/", "nothing/"]
    rig.max_delete = "1"
    assert (await rig.again()).removed_keys == [GONE]


@pytest.mark.row(186)
async def test_more_deletions_than_allowed_are_none(rig: Rig) -> None:
    """Not the first so many, and then an error; and the message says how to have them all."""
    rig.store.delete(KEYS[4])
    rig.store.delete(KEYS[5])
    for limit in ("0", "2", "10%", "14.9%"):
        rig.max_delete = limit
        why = await held_back(rig)
        assert f"3 of 20 files would go, more than --max-delete {limit} allows" in why
        assert "set --max-delete 3" in why
    rig.max_delete = "15%"
    assert (await rig.again()).removed_keys == KEYS[3:6]


@pytest.mark.row(186)
async def test_new_files_do_not_raise_the_share(rig: Rig) -> None:
    """It is one of the files that were here when the run began, as a plan tells it."""
    rig.store.delete(KEYS[4])
    rig.store.delete(KEYS[5])
    rig.store.put_many({f"new/{n}.parquet": b"" for n in range(50)})
    assert "3 of 20 files" in await held_back(rig)


@pytest.mark.row(187)
async def test_failed_object_keeps_all_files(rig: Rig) -> None:
    """All that is to be here has to be here first."""
    rig.store.put("new.parquet", b"new")
    rig.store.on("get", "new.parquet", Act(error=AccessDeniedError("new.parquet", "no")))
    assert "1 object failed" in await held_back(rig)
    assert (await rig.again()).removed_keys == [GONE]


@pytest.mark.row(187)
async def test_skipped_object_keeps_no_file_but_its_own(rig: Rig) -> None:
    """A key that can never be synced, or an object that was deleted meanwhile, is no failure."""
    rig.store.put("a//b.parquet", b"odd")
    rig.store.put("new.parquet", b"new")
    rig.store.on("get", "new.parquet", Act(error=VanishedError("new.parquet", "gone")))
    assert (await rig.again()).removed_keys == [GONE]


# Names ------------------------------------------------------------------------------------------


async def test_names_that_begin_alike_are_told_apart(dest: Path) -> None:
    """A folder `test/` beside `test-1` and `test.x`, which sort around it, costs none of them."""
    keys = ["test-1.parquet", "test.parquet", "test/a.parquet", "test0.parquet"]
    rig = Rig(dest, dict.fromkeys(keys, b"data"), page_size=1)
    rig.max_delete = "100%"
    for _ in range(3):
        assert (await rig.again()).removed_keys == []
        assert sorted(here(rig)) == keys
    rig.store.delete("test/a.parquet")
    assert (await rig.again()).removed_keys == ["test/a.parquet"]
    assert not (dest / "test").exists()


@pytest.mark.row(188)
@pytest.mark.usefixtures("folds")
async def test_file_that_another_spelling_of_its_name_needs_is_kept(dest: Path) -> None:
    """Where the file system takes both for one, the file of `Case` is that of `case` as well."""
    rig = Rig(dest, {"Case.parquet": b"data", "other.parquet": b""})
    rig.max_delete = "100%"
    await rig.sync()
    remote = rig.store.remote("Case.parquet")
    rig.store.delete("Case.parquet")
    rig.store.put("case.parquet", b"data")
    os.link(dest / "Case.parquet", dest / "case.parquet")  # as it looks there
    os.utime(dest / "case.parquet", ns=(remote.modified_ns + 10**10,) * 2)
    seen = await rig.again()
    assert (seen.removed_keys, seen.extra_keys) == ([], [])


async def test_files_of_odd_keys_are_found(dest: Path) -> None:
    """Their paths are encoded, and lead back to the keys."""
    rig = Rig(dest, {"a//b.parquet": b"odd", "c.parquet": b"", "%~x/d.parquet": b"d"})
    rig.max_delete = "100%"

    encoding = Paths(encodes=True)
    await pipeline.sync(rig.job(encoding))
    assert (dest / "a" / "%~" / "b.parquet").exists()
    rig.store.delete("a//b.parquet")
    await pipeline.sync(rig.job())  # it skips odd keys, so it does not know of their paths
    assert (rig.watcher.removed_keys, rig.watcher.extra_keys) == ([], ["a//b.parquet"])
    await pipeline.sync(rig.job(encoding))
    assert rig.watcher.removed_keys == ["a//b.parquet"]
    rig.store.delete("%~x/d.parquet")
    await pipeline.sync(rig.job(encoding))
    assert rig.watcher.removed_keys == ["a//b.parquet", "%~x/d.parquet"]
    assert tree(dest) == {"c.parquet": b""}


async def test_files_without_their_prefix_are_found(dest: Path) -> None:
    """Their keys have it, and those of another prefix have no files here."""
    rig = Rig(dest, {"1hz/a.parquet": b"a", "1hz/b.parquet": b"b", "fft/a.parquet": b"other"})
    rig.prefixes, rig.max_delete = ["1hz/"], "100%"
    await pipeline.sync(rig.job(Paths("1hz/")))
    rig.store.delete("1hz/b.parquet")
    await pipeline.sync(rig.job(Paths("1hz/")))
    assert rig.watcher.removed_keys == ["1hz/b.parquet"]
    assert tree(dest) == {"a.parquet": b"a"}


# While it goes on ---------------------------------------------------------------------------------


@pytest.mark.row(189)
async def test_file_that_changes_while_the_bucket_is_asked_is_kept(rig: Rig) -> None:
    """It is looked at once more, right before it would be removed."""
    rig.store.on("head", GONE, Act(before=lambda: edit(rig.dest / GONE)))
    seen = await rig.again()
    assert (seen.removed_keys, seen.extra_keys) == ([], [GONE])
    assert (rig.dest / GONE).read_bytes() == b"mine now"


@pytest.mark.row(189)
async def test_run_that_holds_the_folder_keeps_all_files(rig: Rig) -> None:
    """Its files may have come since the listing; a run that has nothing to delete is not in it."""
    with anyio.fail_after(25), Folder(rig.dest).writing(), pytest.raises(LockHeldError):
        await rig.again()
    assert here(rig) == {*KEYS}


@pytest.mark.row(190)
async def test_file_that_cannot_be_deleted_fails(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and all others go."""
    rig.store.delete(KEYS[4])
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if path == Path(GONE).name:
            raise PermissionError(13, "Permission denied")
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    seen = await rig.again()
    assert seen.removed_keys == [KEYS[4]]
    assert seen.failures == {GONE: LocalFileError}


@pytest.mark.row(190)
async def test_interrupted_deletions_go_on_next_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was deleted is told, and nothing else is gone."""
    monkeypatch.setattr(mirror, "BATCH", 2)
    rig.max_delete = "100%"
    for key in KEYS[:9]:
        rig.store.delete(key)

    class Stops(Watcher):
        def removed(self, key: str, size: int) -> None:
            super().removed(key, size)
            scope.cancel()

    rig.watcher = Stops()
    with anyio.CancelScope() as scope:
        await pipeline.sync(rig.job())
    assert rig.watcher.removed_keys == KEYS[:2]
    assert here(rig) == {*KEYS[2:]}
    assert (await rig.again()).removed_keys == KEYS[2:9]


# The Python API --------------------------------------------------------------------------------


async def test_sync_deletes_what_is_gone_and_reports(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only if that is asked for; and a plan tells it before."""
    store = MemoryStore({f"1hz/{name}.parquet": b"PAR1PAR1PAR1" for name in "ab"})
    use_memory(monkeypatch, store)
    await asyncsync.sync(dest=tmp_path)
    store.delete("1hz/b.parquet")
    assert (await asyncsync.sync(dest=tmp_path)).deleted == 0
    held = await asyncsync.sync(dest=tmp_path, delete=True)
    assert (held.deleted, held.exit_code) == (0, 7)
    assert "set --max-delete 1" in held.left[0]
    plan = await asyncsync.plan(dest=tmp_path, delete=True, max_delete=1)
    assert (plan.deleted, plan.deleted_bytes, plan.left, len(plan)) == (1, 12, [], 0)
    with pytest.raises(ConfigError, match=r"^delete: a plan lists nothing"):
        await asyncsync.sync(plan=plan, delete=True)
    report = await asyncsync.sync(dest=tmp_path, delete=True, max_delete="50%")
    assert (report.deleted, report.deleted_bytes, report.exit_code) == (1, 12, 0)
    assert "1hz/b.parquet" not in tree(tmp_path)
