"""The sync check: pages of a listing or a plan in, compared pages out."""

import os
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from asyncsync.compare import Check, PlanCheck, Selection
from asyncsync.compare.collisions import MOST_ASKED
from asyncsync.disk import Folder
from asyncsync.disk.folders.folding import Folding
from asyncsync.errors import KeyCollisionError, LocalFileError, UnsafeKeyError
from asyncsync.listing import has_object
from asyncsync.model import LAST, Compared, Reason, RemoteObject
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.watch import Watcher, quick_pace

pytestmark = pytest.mark.anyio


async def _ignore(_: Compared) -> None:
    pass


class Rig:
    """A sync check between a bucket in memory and a folder.

    Args:
        dest: the destination.
        keys: of the objects in the bucket, all of them small.
        prefixes: what to sync.
    """

    def __init__(
        self, dest: Path, keys: Iterable[str] = (), prefixes: tuple[str, ...] = ()
    ) -> None:
        self.dest = dest
        self.store = MemoryStore(dict.fromkeys(keys, b"x"))
        self.observer = Watcher()
        self.selection = Selection(["*"], ["*.no"], prefixes)
        self.handled: list[Compared] = []
        self.on_page: Callable[[Compared], Awaitable[object]] = _ignore
        self.check = Check(
            Folder(dest),
            self.selection,
            self.observer,
            self._handle,
            partial(has_object, self.store, quick_pace(), self.selection.needs_folder),
            prefixes or [""],
        )

    async def _handle(self, page: Compared) -> None:
        assert self.observer.pages[-1] is page  # the observer got it before
        self.handled.append(page)
        await self.on_page(page)

    async def page(self, *keys: str, complete_to: str = LAST) -> None:
        """Handle a page of the listing."""
        await self.check.handle_page([self.store.remote(key) for key in keys], complete_to)

    async def count(self) -> None:
        """Count the files."""
        await self.check.count_files(self.selection.select)

    @property
    def transfers(self) -> list[str]:
        """The keys to download, in the order in which they were passed on."""
        return [transfer.remote.key for page in self.handled for transfer in page.transfers]


def fill(dest: Path, files: Mapping[str, bytes]) -> None:
    """Write files."""
    for name, content in files.items():
        (dest / name).parent.mkdir(parents=True, exist_ok=True)
        (dest / name).write_bytes(content)


# Counting ---------------------------------------------------------------------------------------


async def test_page_waits_until_the_files_are_counted(tmp_path: Path) -> None:
    """So nothing is downloaded before, and no new file is counted."""
    fill(tmp_path, {"p/old": b"x", "p/left.no": b"x", "root": b"x"})
    rig = Rig(tmp_path, ["p/a", "p/b", "p/c"])
    async with anyio.create_task_group() as group:
        for key in ("p/a", "p/b", "p/c"):
            group.start_soon(rig.page, key)
        for _ in range(3):  # the disk is read in threads
            await anyio.to_thread.run_sync(int)
            await anyio.wait_all_tasks_blocked()
        assert (rig.handled, rig.observer.files) == ([], None)
        group.start_soon(rig.count)
    assert sorted(rig.transfers) == ["p/a", "p/b", "p/c"]
    assert rig.observer.files == {"p/": 1, "": 1}


async def test_end_of_the_listing_waits_until_the_files_are_counted(tmp_path: Path) -> None:
    """Even if the bucket is empty: the observer gets the count first."""
    rig = Rig(tmp_path)
    async with anyio.create_task_group() as group:
        group.start_soon(rig.check.finish)
        await anyio.wait_all_tasks_blocked()
        assert rig.observer.listings_ended == 0
        group.start_soon(rig.count)
    assert rig.observer.listings_ended == 1
    assert rig.observer.unmatched_prefixes == [""]


async def test_objects_that_the_globs_leave_out_are_counted(tmp_path: Path) -> None:
    """By top-level prefix, once, at the end; a folder marker is no such object."""
    rig = Rig(tmp_path, ["p/a", "p/b.no", "p/c.no", "q/a.no", "q/d/", "root.no"])
    await rig.count()
    await rig.page("p/a", "p/b.no", "p/c.no", complete_to="p/c.no")
    await rig.page("q/a.no", "q/d/", "root.no")
    assert rig.observer.left_out is None
    await rig.check.finish()
    assert rig.observer.left_out == {"p/": 2, "q/": 1, "": 1}
    assert rig.transfers == ["p/a"]


async def test_prefix_is_absent_if_no_key_begins_with_it(tmp_path: Path) -> None:
    """One that has only what the globs leave out, or a marker, is merely unmatched."""
    rig = Rig(tmp_path, ["out/a.no", "some/a"], ("marker/", "out/", "some/", "typo/"))
    rig.store.put("marker/", b"")
    await rig.count()
    await rig.page("marker/", "out/a.no", "some/a")
    await rig.check.finish()
    assert rig.observer.absent_prefixes == ["typo/"]
    assert rig.observer.unmatched_prefixes == ["marker/", "out/", "typo/"]
    assert rig.observer.left_out == {"out/": 1}


# Pages ------------------------------------------------------------------------------------------


async def test_page_is_compared_with_the_disk(tmp_path: Path) -> None:
    """Only selected objects are; refused keys come with their error."""
    rig = Rig(tmp_path, ["../x", "cut", "old.no", "present", "z"])
    fill(tmp_path, {"cut": b"", "present": b"x"})
    await rig.count()
    await rig.page("../x", "cut", "old.no", "present", "z")
    (page,) = rig.handled
    assert [(t.remote.key, t.reason) for t in page.transfers] == [
        ("cut", Reason.SIZE_DIFFERS),
        ("z", Reason.MISSING),
    ]
    assert [known.remote.key for known in page.up_to_date] == ["present"]
    assert [type(refused.error) for refused in page.refused] == [UnsafeKeyError]


async def test_page_without_a_selected_object_is_not_passed_on(tmp_path: Path) -> None:
    """There is nothing to compare."""
    rig = Rig(tmp_path, ["a.no", "b.no"])
    await rig.count()
    await rig.page("a.no", "b.no")
    assert (rig.handled, rig.observer.pages) == ([], [])


async def test_page_is_done_when_its_handler_is(tmp_path: Path) -> None:
    """A listing that is far ahead waits for the queue."""
    rig = Rig(tmp_path, ["a"])
    room, done = anyio.Event(), anyio.Event()
    rig.on_page = lambda _: room.wait()

    async def handle_page() -> None:
        await rig.page("a")
        done.set()

    await rig.count()
    async with anyio.create_task_group() as group:
        group.start_soon(handle_page)
        while not rig.handled:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        assert not done.is_set()
        room.set()
    assert done.is_set()


async def test_pages_handled_at_the_same_time_share_no_half_made_state(tmp_path: Path) -> None:
    """Every key is passed on or refused once, and every prefix matches, in any order of pages."""
    prefixes = tuple(f"{number:02}/" for number in range(20))
    names = ["a", "x", "x/1", "x/2", "y", "z.no"]
    rig = Rig(tmp_path, [prefix + name for prefix in prefixes for name in names], prefixes)
    rng = random.Random(1)

    async def list_prefix(prefix: str) -> None:
        cut = rng.randrange(1, len(names))  # a range ends here, or a page
        keys = [prefix + name for name in names]
        await rig.page(*keys[:cut], complete_to=keys[cut - 1])
        await rig.page(*keys[cut:])

    async def linger(page: Compared) -> None:
        for _ in range(rng.randrange(5)):
            await anyio.lowlevel.checkpoint()

    rig.on_page = linger
    async with anyio.create_task_group() as group:
        for prefix in rng.sample(prefixes, len(prefixes)):
            group.start_soon(list_prefix, prefix)
        group.start_soon(rig.count)
    await rig.check.finish()
    expected = [prefix + name for prefix in prefixes for name in ("a", "x/1", "x/2", "y")]
    assert sorted(rig.transfers) == expected
    assert rig.observer.failures == dict.fromkeys(
        (f"{prefix}x" for prefix in prefixes), KeyCollisionError
    )
    assert rig.observer.unmatched_prefixes == []
    assert rig.store.requests == []


# The end of the listing -------------------------------------------------------------------------


async def test_prefixes_without_a_selected_object_are_reported_in_order(tmp_path: Path) -> None:
    """An object that is left out does not count; one that is refused does."""
    prefixes = ("p/z", "p/none/", "p/", "p/../", "p/left")
    rig = Rig(tmp_path, ["p/../x", "p/left.no", "p/z"], prefixes)
    await rig.count()
    await rig.page("p/../x", "p/left.no", "p/z")
    assert rig.observer.unmatched_prefixes == []
    await rig.check.finish()
    assert rig.observer.unmatched_prefixes == ["p/left", "p/none/"]
    assert rig.observer.listings_ended == 1


# Collisions -------------------------------------------------------------------------------------


async def test_last_key_of_a_page_waits_for_the_next_page(tmp_path: Path) -> None:
    """It is refused if a key below it follows, and passed on at the end otherwise."""
    rig = Rig(tmp_path, ["a", "x", "x/y", "z"])
    await rig.count()
    await rig.page("a", "x", complete_to="x")
    assert rig.transfers == ["a"]
    await rig.page("x/y", "z", complete_to="z")
    assert rig.transfers == ["a", "x/y"]
    assert rig.observer.failures == {"x": KeyCollisionError}
    await rig.check.finish()
    assert rig.transfers == ["a", "x/y", "z"]
    assert rig.store.requests == []


async def test_listing_that_failed_leaves_waiting_keys_out(tmp_path: Path) -> None:
    """Without `finish` nothing is passed on that may collide with a key to come."""
    rig = Rig(tmp_path, ["x"])
    await rig.count()
    await rig.page("x", complete_to="x")
    assert rig.transfers == []
    assert rig.observer.listings_ended == 0


async def test_bucket_is_asked_about_a_key_whose_folder_is_listed_separately(
    tmp_path: Path,
) -> None:
    """Other keys of the page do not wait for the answer."""
    rig = Rig(tmp_path, ["a", "x", "x/y", "z", "z/left.no"])
    answered = anyio.Event()
    for key in ("x", "z"):
        rig.store.on("list", f"{key}/", Act(until=answered))
    fill(tmp_path, {"present": b"old"})
    rig.store.put("present", b"x")
    rig.check.add_separated(["x/", "z/"])

    async def answer_when_others_started(page: Compared) -> None:
        if any(transfer.remote.key == "present" for transfer in page.transfers):
            answered.set()

    rig.on_page = answer_when_others_started
    await rig.count()
    with anyio.fail_after(25):
        await rig.page("a", "present", "x", "z")
    assert sorted(rig.transfers) == ["a", "present", "z"]
    assert rig.observer.failures == {"x": KeyCollisionError}
    assert {request.key for request in rig.store.requests} == {"x/", "z/"}


async def test_bucket_is_asked_about_a_few_keys_only(tmp_path: Path) -> None:
    """All others wait for the end of the listing, which decides in the same way."""
    keys = [f"{number:03}" for number in range(2 * MOST_ASKED)]
    folders = [f"{key}/y" for key in keys[::2]]
    rig = Rig(tmp_path, [*keys, *folders])
    rig.check.add_separated([f"{key}/" for key in keys])
    await rig.count()
    await rig.page(*keys)
    assert rig.transfers == keys[1:MOST_ASKED:2]
    await rig.page(*folders)
    await rig.check.finish()
    assert sorted(rig.transfers) == sorted([*keys[1::2], *folders])
    assert rig.observer.failures == dict.fromkeys(keys[::2], KeyCollisionError)
    assert len(rig.store.requests) == MOST_ASKED


@pytest.mark.row(159)
@pytest.mark.parametrize("complete_to", ["", LAST], ids=["the listing", "the page"])
async def test_keys_out_of_order_wait_for_the_end_and_cost_no_request(
    tmp_path: Path, complete_to: str
) -> None:
    """A folder may be on any page; a file that is there already does not wait."""
    rig = Rig(tmp_path, ["z", "x/y/z", "x", "x/y", "new", "present"])
    fill(tmp_path, {"present": b"old"})
    await rig.count()
    await rig.page("z", "present", "x", complete_to=complete_to)
    assert rig.transfers == ["present"]
    await rig.page("x/y/z", "x/y", "new", complete_to=complete_to)
    await rig.check.decide()
    assert sorted(rig.transfers) == ["new", "present", "x/y/z", "z"]
    assert rig.observer.failures == {"x": KeyCollisionError, "x/y": KeyCollisionError}
    assert rig.store.requests == []


async def test_folder_in_the_way_is_a_collision_only_if_keys_need_it(tmp_path: Path) -> None:
    """The bucket knows whether they do."""
    rig = Rig(tmp_path, ["needed", "needed/a", "unused", "unused/left.no"])
    for name in ("needed", "unused"):
        (tmp_path / name).mkdir()
    await rig.count()
    await rig.page("needed", "unused")
    assert rig.observer.failures == {"needed": KeyCollisionError, "unused": LocalFileError}


# Names that are the same ------------------------------------------------------------------------


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that ignores the case of names."""
    monkeypatch.setattr("asyncsync.disk.folder.probe", lambda _: Folding(cases=True, forms=False))


async def test_order_is_needed_only_where_names_fold(tmp_path: Path) -> None:
    """Here they do not, so pages may be handled at the same time."""
    if Folder(tmp_path).folding():
        pytest.skip("this file system folds names")
    assert not Rig(tmp_path).check.needs_order
    assert not PlanCheck(
        Folder(tmp_path), Selection(["*"], []), Watcher(), Rig(tmp_path)._handle
    ).needs_order


@pytest.mark.usefixtures("folds")
async def test_first_key_gets_the_path_on_whatever_page_it_is(tmp_path: Path) -> None:
    """One that waits for the next page keeps its place before the keys of that page."""
    rig = Rig(tmp_path, ["A", "X", "a", "b", "x"])
    assert rig.check.needs_order
    await rig.count()
    await rig.page("A", "X", complete_to="X")
    await rig.page("a", "b", "x")
    await rig.check.finish()
    assert sorted(rig.transfers) == ["A", "X", "b"]
    assert rig.observer.failures == {"a": KeyCollisionError, "x": KeyCollisionError}


# A plan -----------------------------------------------------------------------------------------


async def test_plan_is_compared_without_a_selection(tmp_path: Path) -> None:
    """Only files of planned objects are counted, and no request is sent."""
    fill(tmp_path, {"p/cut": b"", "p/present": b"x", "p/other": b"x", "folder/below": b"x"})
    os.mkfifo(tmp_path / "p/fifo")
    rig = Rig(tmp_path, ["folder", "p/cut", "p/fifo", "p/missing", "p/present.no"])
    fill(tmp_path, {"p/present.no": b"x"})
    check = PlanCheck(Folder(tmp_path), rig.selection, rig.observer, rig._handle)

    def remotes(*keys: str) -> list[RemoteObject]:
        return [rig.store.remote(key) for key in keys]

    await check.handle_page(remotes("p/cut", "p/missing"))
    assert rig.observer.files == {"p/": 1}
    await check.handle_page(remotes("folder", "p/fifo", "p/present.no"))
    assert rig.observer.files == {"p/": 2}
    assert rig.transfers == ["p/cut", "p/missing"]
    assert [known.remote.key for page in rig.handled for known in page.up_to_date] == [
        "p/present.no"
    ]
    assert rig.observer.failures == {"folder": LocalFileError, "p/fifo": LocalFileError}
    assert rig.store.requests == []


@pytest.mark.usefixtures("folds")
async def test_planned_keys_of_the_same_name_collide(tmp_path: Path) -> None:
    """The first page that has the name gets the path."""
    rig = Rig(tmp_path, ["A", "a"])
    check = PlanCheck(Folder(tmp_path), rig.selection, rig.observer, rig._handle)
    assert check.needs_order
    for key in ("A", "a"):
        await check.handle_page([rig.store.remote(key)])
    assert rig.transfers == ["A"]
    assert rig.observer.failures == {"a": KeyCollisionError}
