"""Keys that need the same path, and names that a file system treats as the same."""

import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from asyncsync import pipeline
from asyncsync.errors import KeyCollisionError, ListingError
from asyncsync.listing import Landmarks
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.pipeline import Rig
from tests.rigs.watch import Watcher, snapshot, tree

pytestmark = pytest.mark.anyio

NFC, NFD = (unicodedata.normalize(form, "\u00e9.parquet") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
@pytest.mark.parametrize("top", ["", "1hz/"])
async def test_folder_wins_over_a_key_of_its_name(dest: Path, page_size: int, top: str) -> None:
    """On the same page or on different ones, in every run, and in a plan."""
    names = ["x.parquet", "x.parquet-1.parquet", "x.parquet.parquet", "x.parquet/y/z.parquet"]
    objects = {top + name: b"data" for name in [*names, "y.parquet", "y.parquet/notes.txt"]}
    rig = Rig(dest, objects, page_size=page_size)
    await pipeline.plan(rig.job())
    assert rig.watcher.failures == {f"{top}x.parquet": KeyCollisionError}
    for _ in range(2):
        seen = await rig.again()
        assert seen.failures == {f"{top}x.parquet": KeyCollisionError}
        assert tree(dest) == {top + name: b"data" for name in [*names[1:], "y.parquet"]}


async def test_file_of_an_earlier_run_is_not_removed_for_a_folder(dest: Path) -> None:
    """Keys below it are refused, without a request, until the file is moved away."""
    rig = Rig(dest, {"x.parquet": b"old"})
    await rig.sync()
    rig.store.put_many({"x.parquet": b"newer", "x.parquet/y.parquet": b"deep"})
    for _ in range(2):
        seen = await rig.again()
        assert seen.failures == {"x.parquet/y.parquet": KeyCollisionError}
        assert tree(dest) == {"x.parquet": b"newer"}
        assert rig.store.count("get", "x.parquet/y.parquet") == 0
    (dest / "x.parquet").unlink()
    seen = await rig.again()
    assert seen.failures == {"x.parquet": KeyCollisionError}
    assert tree(dest) == {"x.parquet/y.parquet": b"deep"}


async def test_collisions_need_no_requests_of_their_own(dest: Path) -> None:
    """The pages already show which folders are needed."""
    keys = [
        "a.parquet",
        "b.parquet",
        *(f"1hz/{number}.parquet" for number in range(9)),
        "c/d.parquet",
    ]
    rig = Rig(dest, dict.fromkeys(keys, b"x"), page_size=3)
    for run in (rig.sync, rig.again):
        await run()
        assert {r.key for r in rig.store.requests if r.verb == "list"} == {""}
    assert sorted(tree(dest)) == sorted(keys)


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5, 1000])
@pytest.mark.parametrize("prefixes", [[], ["p/"], [""]])
async def test_folder_wins_wherever_a_page_ends(
    dest: Path, page_size: int, prefixes: list[str]
) -> None:
    """Its keys may come pages later, after others that sort before them, and not be selected."""
    names = ["x", "x!", "x-1", "x-2", "x.parquet", "x/a.no", "x/b.no", "x/c", "x0", "z", "z/a.no"]
    rig = Rig(dest, {f"p/{name}": b"x" for name in names}, page_size=page_size)
    rig.prefixes, rig.include, rig.exclude = prefixes, ["*"], ["*.no"]
    await rig.sync()
    assert rig.watcher.failures == {"p/x": KeyCollisionError}
    assert set(tree(dest)) == {f"p/{name}" for name in names if name[-3:] != ".no"} - {"p/x"}


@pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
async def test_folder_wins_in_the_root(dest: Path, page_size: int) -> None:
    """Its keys come on the same page or on a later one."""
    rig = Rig(dest, dict.fromkeys(["r", "r!", "r/s", "t", "t/a.no"], b"x"), page_size=page_size)
    rig.include, rig.exclude = ["*"], ["*.no"]
    await rig.sync()
    assert rig.watcher.failures == {"r": KeyCollisionError}
    assert set(tree(dest)) == {"r!", "r/s", "t"}


@pytest.mark.parametrize("page_size", range(3, 20))
async def test_folder_wins_where_the_listing_is_cut_before_its_keys(
    dest: Path, monkeypatch: pytest.MonkeyPatch, page_size: int
) -> None:
    """An existing file between `x` and `x/1` decides where to cut."""
    monkeypatch.setattr(pipeline, "Landmarks", partial(Landmarks, 4))
    names = [f"p/{place}{number:02}.parquet" for place in "az" for number in range(20)]
    rig = Rig(dest, dict.fromkeys([*names, "p/x.parquet-old.parquet"], b"here"))
    await rig.sync()
    rig.store.put("p/x.parquet", b"file")
    rig.store.put("p/x.parquet/1.parquet", b"deep")
    rig.store.page_size, rig.prefixes = page_size, ["p/"]
    seen = await rig.again()
    assert seen.failures == {"p/x.parquet": KeyCollisionError}
    assert "p/x.parquet/1.parquet" in tree(dest)


async def test_folder_wins_when_the_listing_failed_before_its_keys(dest: Path) -> None:
    """No file is downloaded while its collisions are unknown."""
    rig = Rig(dest, {"p/x.parquet": b"file", "p/x.parquet/1.parquet": b"deep"}, page_size=1)
    rig.prefixes = ["p/"]
    rig.store.on("list", "p/", Act(), Act(error=ListingError("no more")))
    with pytest.raises(ListingError):
        await rig.sync()
    seen = await rig.again()
    assert seen.failures == {"p/x.parquet": KeyCollisionError}
    assert tree(dest) == {"p/x.parquet/1.parquet": b"deep"}


@pytest.mark.row(82, 83)
@pytest.mark.usefixtures("folds")
@pytest.mark.parametrize(
    ("first", "second"),
    [("Case/a.parquet", "case/a.parquet"), ("A.parquet", "a.parquet"), (NFD, NFC)],
)
@pytest.mark.parametrize("page_size", [1, 1000])
@pytest.mark.parametrize("turned", [False, True])
async def test_first_key_gets_the_file_where_two_names_are_the_same(
    dest: Path, first: str, second: str, page_size: int, turned: bool
) -> None:
    """In every run, whatever their order on the page or in time."""
    keys = [second, first] if turned else [first, second]
    objects = {key: key.encode() for key in keys}
    rig = Rig(dest, objects, page_size=page_size)
    if page_size > 1:  # then the server may list them in the order in which they were stored
        rig.store = MemoryStore(objects, order=lambda key: [keys.index(key)])
    rig.prefixes = [key[0] for key in keys] if first.startswith("C") else []
    await rig.sync()
    for _ in range(2):
        assert rig.watcher.failures == {second: KeyCollisionError}
        assert tree(dest) == {first: first.encode()}
        assert {request.key for request in rig.store.requests if request.verb == "get"} <= {first}
        await rig.again()


@pytest.mark.row(82, 83)
async def test_both_keys_get_a_file_where_names_are_different(dest: Path) -> None:
    """As the real file system here does, unless it folds names."""
    keys = ["Case/a.parquet", "case/a.parquet", "case/A.parquet", NFC, NFD]
    rig = Rig(dest, {key: key.encode() for key in keys})
    await rig.sync()
    if rig.job().folder.folding():
        pytest.skip("this file system folds names")
    assert rig.watcher.failures == {}
    assert tree(dest) == {key: key.encode() for key in keys}


@pytest.mark.row(83)
@pytest.mark.usefixtures("folds")
@pytest.mark.parametrize("command", [pipeline.plan, pipeline.verify])
async def test_plan_and_verify_refuse_the_keys_that_sync_does(
    dest: Path, command: Callable[[pipeline.Job], Awaitable[None]]
) -> None:
    """And they change nothing."""
    rig = Rig(dest, {"A/x.parquet": b"1", "a/X.parquet": b"2", "a/y.parquet": b"3"})
    await rig.sync()
    before = snapshot(dest)
    rig.watcher = Watcher()
    await command(rig.job())
    assert rig.watcher.failures == {"a/X.parquet": KeyCollisionError}
    assert snapshot(dest) == before


@pytest.mark.row(83)
@pytest.mark.usefixtures("folds")
async def test_file_and_folder_of_the_same_name_collide(dest: Path) -> None:
    """The first key gets the path, whether it is a file or a folder there."""
    keys = ["A.parquet", "B.parquet/x.parquet", "a.parquet/x.parquet", "b.parquet"]
    rig = Rig(dest, dict.fromkeys(keys, b"x"))
    seen = await rig.sync()
    assert seen.failures == dict.fromkeys(keys[2:], KeyCollisionError)
    assert seen.downloaded == keys[:2]


@pytest.mark.row(83)
@pytest.mark.usefixtures("folds")
async def test_planned_objects_of_the_same_name_collide(dest: Path) -> None:
    """Even if the plan lists them in another order, as one from before the first sync may."""
    rig = Rig(dest, {"A.parquet": b"1", "a.parquet": b"2", "b.parquet": b"3"})
    pages = iter([[rig.store.remote(f"{name}.parquet")] for name in "baA"])
    await pipeline.sync(replace(rig.job(), planned=pages))
    assert rig.watcher.failures == {"a.parquet": KeyCollisionError}
    assert tree(dest) == {"A.parquet": b"1", "b.parquet": b"3"}
