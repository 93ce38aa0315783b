"""`--shard I/N`: disjoint runs that together do what the whole run does."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

import asyncsync
from asyncsync import pipeline
from asyncsync.errors import AbsentError, KeyCollisionError
from asyncsync.model import RemoteObject
from asyncsync.report import start_json
from asyncsync.shards import MOST_SHARDS, Shard
from tests.rigs.memory_store import MemoryStore, use_memory
from tests.rigs.pipeline import Rig
from tests.rigs.watch import Watcher, tree

pytestmark = pytest.mark.anyio

COUNT = 3
SHARDS = [Shard(number, COUNT) for number in range(1, COUNT + 1)]
KEYS = [f"{prefix}/{n:02d}.parquet" for prefix in ("1hz", "fft") for n in range(20)]

Failures = dict[str, type[Exception]]


def owner(key: str) -> Shard:
    [shard] = [shard for shard in SHARDS if shard.has(key)]
    return shard


def named(owners: Sequence[Shard], name: Callable[[int], str]) -> Iterator[str]:
    """Yield names, one for each shard that is to own one: the first that it owns."""
    for shard in owners:
        yield next(key for number in range(1000) if shard.has(key := name(number)))


async def each(rig: Rig, order: Sequence[Shard] = SHARDS) -> list[Watcher]:
    """Sync each shard, and return what each has seen."""
    seen = []
    for shard in order:
        rig.shard = shard
        seen.append(await rig.again())
    return seen


def failures(seen: Sequence[Watcher]) -> Failures:
    found: Failures = {}
    for watcher in seen:
        assert not found.keys() & watcher.failures
        found |= watcher.failures
    return found


async def test_shards_together_are_the_whole_run(dest: Path) -> None:
    """Each fetches the keys of its own, and none of another's."""
    rig = Rig(dest, {key: key.encode() for key in KEYS}, page_size=7)
    here: set[str] = set()
    for shard in SHARDS:
        rig.shard = shard
        seen = await rig.again()
        own = {key for key in KEYS if shard.has(key)}
        assert tree(dest).keys() == here | own
        here |= own
    assert here == {*KEYS}
    rig.shard = None
    seen = await rig.again()
    assert rig.store.count("get") == 0
    assert sum(len(page.up_to_date) for page in seen.pages) == len(KEYS)


async def test_each_shard_says_what_it_lists(dest: Path) -> None:
    """In a plan as well: a rule by the key's hash cannot share the listing."""
    rig = Rig(dest, dict.fromkeys(KEYS, b"x"))
    rig.shard = SHARDS[1]
    await pipeline.plan(rig.job())
    [notice] = rig.watcher.notices
    assert notice.startswith(
        "shard 2/3: each of the 3 lists all 40 keys; one plan for all lists once"
    )
    planned = {t.remote.key for page in rig.watcher.pages for t in page.transfers}
    assert planned == {key for key in KEYS if SHARDS[1].has(key)}


async def test_shard_of_thousands_lists_page_after_page(dest: Path) -> None:
    """Its files are too few to show where to cut the listing."""
    rig = Rig(dest, {key: key.encode() for key in KEYS}, page_size=4)
    rig.shard = Shard(MOST_SHARDS, MOST_SHARDS)
    assert f"lists all {len(KEYS)} keys" in "".join((await rig.again()).notices)


async def test_prefix_that_only_another_shard_has_keys_of_is_no_mistake(dest: Path) -> None:
    """It is told of only where none has any."""
    key = KEYS[0]
    rig = Rig(dest, {key: b"x"})
    rig.prefixes = ["1hz/", "none/"]
    for seen in await each(rig):
        assert seen.unmatched_prefixes == ["none/"]
    assert tree(dest) == {key: b"x"}


@pytest.mark.parametrize("page_size", [1, 2, 1000])
async def test_folder_wins_whichever_shard_needs_it(dest: Path, page_size: int) -> None:
    """All shards agree with the whole run which of two keys gets the path, in any order."""
    files = [*named(SHARDS, lambda n: f"x{n}.parquet")]
    keys = [*files, *KEYS]
    for file in files:  # below the path of each, a key of every shard
        keys += named(SHARDS, lambda n, file=file: f"{file}/{n}.parquet")  # type: ignore[misc]
    rig = Rig(dest, {key: key.encode() for key in keys}, page_size=page_size)
    expected: Failures = dict.fromkeys(files, KeyCollisionError)
    for order in (SHARDS, SHARDS[::-1]):
        assert failures(await each(rig, order)) == expected
        assert tree(dest).keys() == {*keys} - {*files}
    rig.keys = sorted(keys)
    assert failures(await each(rig)) == expected


@pytest.mark.usefixtures("folds")
async def test_first_key_keeps_a_folded_name_whichever_shard_it_is_in(dest: Path) -> None:
    """The other is refused by its own shard, also with a plan and with named keys."""
    first = next(named(SHARDS[2:], lambda n: f"A{n}.parquet"))
    other = first.lower()
    assert owner(first) != owner(other)
    below = f"{first.title()}/x.parquet"
    rig = Rig(dest, {key: key.encode() for key in (first, other, below)})
    whole = Rig(dest.with_name("whole"))
    whole.store = rig.store
    expected = failures([await whole.again()])
    assert expected == dict.fromkeys(sorted([first, other, below])[1:], KeyCollisionError)
    for order in (SHARDS, SHARDS[::-1]):
        assert failures(await each(rig, order)) == expected
    rig.keys = sorted([first, other, below])
    assert failures(await each(rig)) == expected
    found: Failures = {}
    for shard in SHARDS:
        rig.shard, rig.watcher = shard, Watcher()
        pages = iter([[rig.store.remote(key) for key in rig.keys]])
        await pipeline.sync(replace(rig.job(), planned=pages))
        found |= rig.watcher.failures
    assert found == expected


async def test_plan_is_split_without_a_listing(dest: Path) -> None:
    """One run lists for all, and each shard fetches its own part of the plan."""
    rig = Rig(dest, {key: key.encode() for key in KEYS})
    pages: list[list[RemoteObject]] = [[rig.store.remote(key)] for key in KEYS]
    for shard in SHARDS:
        rig.shard, before = shard, {*tree(dest)}
        with anyio.fail_after(25):
            await pipeline.sync(replace(rig.job(), planned=iter(pages)))
        assert tree(dest).keys() - before == {key for key in KEYS if shard.has(key)}
    assert tree(dest).keys() == {*KEYS}
    assert rig.store.count("list") == 0


async def test_named_keys_are_looked_up_by_their_own_shard_only(dest: Path) -> None:
    """And what is absent is told of once."""
    rig = Rig(dest, {key: key.encode() for key in KEYS})
    absent = ["none/1.parquet", "none/2.parquet"]
    rig.keys = sorted([*KEYS[:10], *absent])
    requests = 0
    seen = []
    for shard in SHARDS:
        rig.shard = shard
        seen.append(await rig.again())
        requests += rig.store.count("list")
    assert failures(seen) == dict.fromkeys(absent, AbsentError)
    assert requests == len(rig.keys)
    assert tree(dest).keys() == {*KEYS[:10]}


async def test_shard_deletes_files_of_its_own_keys_only(dest: Path) -> None:
    """And a share of `--max-delete` is one of its own files."""
    rig = Rig(dest, {key: key.encode() for key in KEYS})
    await each(rig)
    gone = {shard: [key for key in KEYS if shard.has(key)][:2] for shard in SHARDS}
    for keys in gone.values():
        for key in keys:
            rig.store.delete(key)
    rig.max_delete = "10%"
    for seen in await each(rig):
        [why] = seen.left
        assert why.startswith("nothing was deleted: 2 of 1")  # of its own files, and not of 40
    rig.max_delete = "2"
    here = {*KEYS}
    for shard in SHARDS:
        rig.shard = shard
        seen = await rig.again()
        assert sorted(seen.removed_keys) == gone[shard]
        here -= {*gone[shard]}
        assert tree(dest).keys() == here
        assert seen.extra_keys == []


async def test_empty_share_of_a_bucket_deletes_nothing_by_accident(dest: Path) -> None:
    """A shard whose objects are all gone is held back, although other shards have some."""
    rig = Rig(dest, {key: key.encode() for key in KEYS})
    await each(rig)
    shard = SHARDS[0]
    for key in filter(shard.has, KEYS):
        rig.store.delete(key)
    rig.max_delete, rig.shard = "10%", shard
    seen = await rig.again()
    assert seen.removed_keys == []
    assert len(seen.left) == 1


async def test_verify_tells_of_own_files_only(dest: Path) -> None:
    """Files without an object are told of by the shard of their key."""
    rig = Rig(dest, {key: key.encode() for key in KEYS})
    await rig.sync()
    for key in KEYS[:6]:
        rig.store.delete(key)
    for shard in SHARDS:
        rig.shard, rig.watcher = shard, Watcher()
        await pipeline.verify(rig.job())
        assert sorted(rig.watcher.extra_keys) == [key for key in KEYS[:6] if shard.has(key)]
        assert rig.watcher.confirmed == [key for key in KEYS[6:] if shard.has(key)]


async def test_each_shard_goes_on_behind_last_keys_of_its_own(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--incremental`, what one shard has listed leaves nothing out of another's listing."""
    keys = [f"1hz/{number:04d}.parquet" for number in range(60)]
    store = MemoryStore(dict.fromkeys(keys[:50], b"x"), page_size=5)
    use_memory(monkeypatch, store)
    requests = []
    for _ in range(2):
        for number in (1, 2):
            store.requests.clear()
            await asyncsync.sync("1hz/", dest, shard=f"{number}/2", incremental=True)
            requests.append(store.count("list"))
        store.put_many(dict.fromkeys(keys[50:], b"new"))
    assert tree(dest).keys() == {*keys}
    assert max(requests[2:]) < min(requests[:2])


async def test_shard_is_an_argument_and_a_variable(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only looks is not split: `ls` and `du` show the whole."""
    store = MemoryStore(dict.fromkeys(KEYS, b"x"))
    use_memory(monkeypatch, store)
    own = {key for key in KEYS if Shard(2, 2).has(key)}
    assert {each.remote.key async for each in asyncsync.stream(dest=dest, shard="2/2")} == own
    monkeypatch.setenv("ASYNCSYNC_SHARD", "1/2")
    assert len((await asyncsync.plan(dest=dest)).transfers) == len(KEYS) - len(own)
    assert sum(usage.objects for usage in (await asyncsync.du(dest=dest)).values()) == len(KEYS)
    with pytest.raises(asyncsync.ConfigError, match="shard: '2' is no shard; write I/N"):
        await asyncsync.sync(dest=dest, shard="2")


async def test_plan_of_a_shard_is_for_that_shard(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another shard would find nothing in it, and say that all is done."""
    store = MemoryStore(dict.fromkeys(KEYS, b"x"))
    use_memory(monkeypatch, store)
    plan = await asyncsync.plan(dest=dest, shard="2/2")
    own = {key for key in KEYS if Shard(2, 2).has(key)}
    assert {each.remote.key for each in plan} == own
    with pytest.raises(asyncsync.ConfigError, match="made for shard 2/2, not 1/2; make another"):
        await asyncsync.sync(plan=plan, shard="1/2")
    for shard in ("2/2", None):
        await asyncsync.sync(plan=plan, shard=shard)
        assert tree(dest).keys() == own
    whole = await asyncsync.plan(dest=dest)
    await asyncsync.sync(plan=whole, shard="1/2")
    assert tree(dest).keys() == {*KEYS}
    assert "shard" not in start_json("plan", whole.route)
    assert start_json("plan", plan.route)["shard"] == "2/2"
