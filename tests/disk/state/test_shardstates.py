"""Shards that share a destination: who may work when, and what each knows of what others made."""

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from asyncsync import pipeline
from asyncsync.disk import PART, Folder
from asyncsync.disk.parts.journal import header
from asyncsync.disk.state import unsynced
from asyncsync.disk.state.lock import hold_lock
from asyncsync.errors import ConfigError, LockHeldError
from asyncsync.model import Reason, RemoteObject
from asyncsync.paths import Paths
from asyncsync.pipeline import plan, verify
from asyncsync.shards import Shard
from tests.rigs.memory_store import Act
from tests.rigs.pipeline import Rig
from tests.rigs.state import STATE
from tests.rigs.watch import Watcher, tree

pytestmark = pytest.mark.anyio

ONE, TWO, OTHER = Shard(1, 2), Shard(2, 2), Shard(1, 3)
KEYS = [f"{number:02d}.parquet" for number in range(48)]
BOTH = [key for key in KEYS if ONE.has(key) and OTHER.has(key)]
"""Keys that the first shard of two and the first of three have."""


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "dest"


@pytest.fixture
def rig(dest: Path) -> Rig:
    return Rig(dest, {key: key.encode() for key in KEYS})


async def run(rig: Rig, shard: Shard | None) -> Watcher:
    rig.shard = shard
    return await rig.again()


def folder_of(dest: Path, shard: Shard) -> Path:
    return dest / STATE / "shards" / shard.name


def left_over(dest: Path) -> list[Path]:
    return [path for path in dest.rglob("parts/*") if path.is_file()]


def reasons(seen: Watcher) -> dict[str, Reason]:
    return {each.remote.key: each.reason for page in seen.pages for each in page.transfers}


def edit(path: Path) -> None:
    """Change a file as an editor does, without a change of its size."""
    path.write_bytes(b"x" * path.stat().st_size)


# who may work at the same time ------------------------------------------------------------------


@pytest.mark.row(191)
@pytest.mark.parametrize("first", [None, ONE], ids=["whole", "shard"])
@pytest.mark.parametrize("second", [None, ONE, TWO, OTHER], ids=["whole", "same", "two", "other"])
def test_runs_that_may_write_the_same_files_exclude_each_other(
    dest: Path, first: Shard | None, second: Shard | None
) -> None:
    """Shards of one count go together; nothing else does, and nothing is left held."""
    for _ in range(2):  # the second time nothing has to be made
        with Folder(dest, shard=first).writing():
            if first and second == TWO:
                with Folder(dest, shard=second).writing(), Folder(dest, shard=second).reading():
                    pass
                continue
            with pytest.raises(LockHeldError) as caught, Folder(dest, shard=second).writing():
                pytest.fail("both work on one folder")
            assert str(dest) in str(caught.value)
            if (first, second) == (ONE, OTHER):
                assert "one of 2 shards works on this folder, and this run is one of 3" in str(
                    caught.value
                )
    with Folder(dest, shard=second).writing():
        pass


@pytest.mark.row(191)
async def test_shard_with_nothing_to_do_finds_out_as_well_who_works(rig: Rig, dest: Path) -> None:
    """It takes no lock, and looks at those of others."""
    await run(rig, ONE)
    with Folder(dest, shard=TWO).writing():
        await run(rig, ONE)
    for other in (ONE, OTHER, None):
        with Folder(dest, shard=other).writing():
            rig.shard = ONE if other else TWO
            with pytest.raises(LockHeldError):
                await rig.again()
        await run(rig, ONE)


@pytest.mark.row(151)
@pytest.mark.parametrize(
    ("name", "others"),
    [("lock", "whole runs of other users"), ("lock-1-of-2", "runs of other users")],
)
def test_shard_tells_whom_a_lock_that_cannot_be_used_lets_in(
    dest: Path, name: str, others: str
) -> None:
    """It goes on; the lock of whole runs may be unusable where its own is not."""
    (dest / ".asyncsync").mkdir(parents=True)
    (dest / ".asyncsync" / name).symlink_to(dest / "elsewhere")
    notices: list[str] = []
    with Folder(dest, shard=ONE, notice=notices.append).writing():
        assert len(notices) == 1
        assert f"/{name} cannot be used" in notices[0]
        assert notices[0].endswith(f"; {others} are not kept out")
    assert not (dest / "elsewhere").exists()


HOLDER = """
import sys
from pathlib import Path
from asyncsync.disk import Folder
from asyncsync.shards import Shard
with Folder(Path(sys.argv[1]), shard=Shard.parse(sys.argv[2])).writing():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.row(191)
def test_killed_shard_holds_nothing(dest: Path) -> None:
    """Its locks are the system's, and end with it."""
    command = [sys.executable, "-c", HOLDER, str(dest), str(ONE)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        for shard in (None, ONE, OTHER):
            with pytest.raises(LockHeldError, match=f"process {child.pid} of user"):
                Folder(dest, shard=shard).writing().__enter__()
        with Folder(dest, shard=TWO).writing():
            pass
        child.kill()
        child.wait()
    for shard in (ONE, OTHER, None):
        with Folder(dest, shard=shard).writing():
            pass


# what a whole run takes over --------------------------------------------------------------------


@pytest.mark.row(192)
async def test_whole_run_takes_over_what_shards_have_left(rig: Rig, dest: Path) -> None:
    """Afterwards nothing of theirs is left, and all is known that they knew."""
    for shard in (ONE, TWO):
        await run(rig, shard)
    assert {path.name for path in (dest / STATE / "shards").iterdir()} == {"1-of-2", "2-of-2"}
    edit(dest / KEYS[0])
    seen = await run(rig, None)
    assert reasons(seen) == {KEYS[0]: Reason.EDITED}
    assert not (dest / STATE / "shards").exists()
    assert not list((dest / ".asyncsync").glob("lock-*"))
    edit(dest / KEYS[1])
    assert reasons(await run(rig, None)) == {KEYS[1]: Reason.EDITED}
    assert not rig.watcher.notices


@pytest.mark.row(192)
@pytest.mark.parametrize("after", [None, OTHER], ids=["whole", "another count"])
async def test_file_that_a_shard_made_is_known_to_later_runs(
    rig: Rig, dest: Path, after: Shard | None
) -> None:
    """One that was edited since is no other tool's; a plan and a verification know it as well."""
    await run(rig, ONE)
    edit(dest / BOTH[0])
    rig.shard, rig.watcher = after, Watcher()
    await plan(rig.job())
    assert reasons(rig.watcher)[BOTH[0]] is Reason.EDITED
    assert reasons(await run(rig, after))[BOTH[0]] is Reason.EDITED


@pytest.mark.row(192)
async def test_file_that_a_whole_run_made_is_known_to_a_shard(rig: Rig, dest: Path) -> None:
    """Also once shards have worked here before."""
    await run(rig, None)
    own = [key for key in KEYS if ONE.has(key)]
    for key in own[:2]:
        edit(dest / key)
        assert reasons(await run(rig, ONE)) == {key: Reason.EDITED}


@pytest.mark.parametrize("after", [ONE, OTHER, None], ids=["same", "another count", "whole"])
@pytest.mark.parametrize("before", [ONE, None], ids=["shard", "whole"])
async def test_what_was_made_before_may_be_deleted(
    rig: Rig, dest: Path, before: Shard | None, after: Shard | None
) -> None:
    """Whoever has made a file, by its records; and not what somebody has replaced."""
    await run(rig, before)
    gone, replaced = BOTH[:2]
    for key in (gone, replaced):
        rig.store.delete(key)
    edit(dest / replaced)
    os.replace(dest / replaced, dest / "new")
    (dest / replaced).write_bytes(b"mine")
    (dest / "new").unlink()
    rig.max_delete = "1"
    seen = await run(rig, after)
    assert (seen.removed_keys, seen.left) == ([gone], [])
    assert replaced in tree(dest)


async def test_file_that_shards_of_two_counts_have_made_is_kept(rig: Rig, dest: Path) -> None:
    """Nobody knows which of them was the last; until a whole run has made it again."""
    key = BOTH[0]
    for made in (ONE, OTHER):
        rig.store.put(key, str(made).encode() * 9)
        await run(rig, made)
    stored = rig.store.remote(key)
    rig.store.delete(key)
    rig.max_delete = "1"
    for shard in (ONE, OTHER, None, None):
        assert (await run(rig, shard)).removed_keys == []
    assert tree(dest)[key] == b"1/3" * 9
    rig.store.put(key, b"newer than all")
    assert stored.modified_ns < rig.store.remote(key).modified_ns
    await run(rig, None)
    rig.store.delete(key)
    assert (await run(rig, None)).removed_keys == [key]


# unfinished files -------------------------------------------------------------------------------

LARGE = bytes(range(256)) * (2 * PART // 256 + 1)


async def stop(rig: Rig, key: str) -> None:
    """Stop a sync in the middle of a large object."""
    rig.store.put(key, LARGE)
    rig.store.on("get", key, Act(), *[Act(until=anyio.Event())] * 2)
    async with anyio.create_task_group() as group:
        group.start_soon(pipeline.sync, rig.job())
        with anyio.fail_after(25):
            while sum(rig.watcher.bytes.get(key, [])) < PART:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    rig.store.behave()


@pytest.mark.row(192)
@pytest.mark.parametrize(
    ("before", "after"),
    [(ONE, ONE), (ONE, None), (None, ONE), (ONE, OTHER)],
    ids=["same", "whole after shard", "shard after whole", "another count"],
)
async def test_unfinished_file_is_continued(
    rig: Rig, dest: Path, before: Shard | None, after: Shard | None
) -> None:
    """By whatever run has its key next; a plan counts it, and nothing is left in the end."""
    key = BOTH[0]
    rig.shard = before
    await stop(rig, key)
    rig.shard, rig.watcher = after, Watcher()
    await plan(rig.job())
    [kept] = [t.kept for page in rig.watcher.pages for t in page.transfers if t.remote.key == key]
    assert kept >= PART
    seen = await run(rig, after)
    assert seen.kept_bytes[key] >= PART
    assert tree(dest)[key] == LARGE
    assert left_over(dest) == []


async def test_shard_leaves_the_unfinished_files_of_others(rig: Rig, dest: Path) -> None:
    """Those of keys that are not its own, and those of shards of its count."""
    key = BOTH[0]
    rig.shard = ONE
    await stop(rig, key)
    before = {path.name for path in folder_of(dest, ONE).joinpath("parts").iterdir()}
    assert len(before) == 2
    for shard in (TWO, Shard(2, 3), Shard(3, 3)):
        await run(rig, shard)
        assert {path.name for path in folder_of(dest, ONE).joinpath("parts").iterdir()} == before
    assert (await run(rig, ONE)).kept_bytes[key] >= PART


@pytest.mark.row(192)
@pytest.mark.parametrize("after", [OTHER, None], ids=["another count", "whole"])
def test_unfinished_files_on_other_disks_are_found(dest: Path, after: Shard | None) -> None:
    """Each disk has a parts folder for each shard, and the next run takes over what is its own."""
    (dest / "disk").mkdir(parents=True)
    own = [key for key in KEYS if ONE.has(key)]
    before = dest / "disk" / STATE / "shards" / ONE.name / "parts"
    with (working := Folder(dest, shard=ONE)).writing():
        assert working._part_folders.add_for(("disk", "x.parquet"))
        for key in own:
            remote = RemoteObject(key, 9, "etag", 1)
            (before / f"{key}.run").write_bytes(b"data")
            (before / f"{key}.run.journal").write_bytes(header(remote))
    with (working := Folder(dest, shard=after)).writing():
        taken = {key for key in own if not after or after.has(key)}
        parts = dest / "disk" / STATE / (f"shards/{after.name}/parts" if after else "parts")
        found = {path.name for path in parts.iterdir()}
        assert found == {f"{key}.run{end}" for key in taken for end in ("", ".journal")}
        assert working._part_folders.find(("disk", "x.parquet")).path.samefile(parts)
    assert before.exists() == (after is not None)
    with (working := Folder(dest, shard=after)).writing():
        assert len(working._part_folders.all()) == 2


def test_shard_keeps_its_state_beside_where_the_usual_folder_cannot_be_used(dest: Path) -> None:
    """It says so once, and a whole run finds it there."""
    dest.mkdir()
    (dest / ".asyncsync").write_bytes(b"in the way")
    notices: list[str] = []
    with Folder(dest, shard=ONE, notice=notices.append).writing():
        beside = dest / f".asyncsync-{os.geteuid()}"
        assert {path.name for path in (beside / "shards").iterdir()} == {ONE.name}
        with pytest.raises(LockHeldError), Folder(dest).writing():
            pytest.fail("a whole run works beside a shard")
    assert len(notices) == 1
    with Folder(dest).writing():
        pass
    assert not (beside / "shards").exists()


# power cuts -------------------------------------------------------------------------------------


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A machine with boots; call it to start another one."""
    path, number = tmp_path / "boot_id", 0
    monkeypatch.setattr(unsynced, "BOOT", path)

    def restart() -> None:
        nonlocal number
        number += 1
        path.write_text(f"00000000-0000-4000-8000-{number:012}\n", encoding="ascii")
        began = path.stat().st_ctime_ns
        while path.stat().st_ctime_ns == began:  # until the disk's clock has ticked
            path.touch()

    restart()
    return restart


async def run_and_kill(rig: Rig, shard: Shard | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync, and leave what a kill would leave after the last file."""
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "settle", _nothing)
        await run(rig, shard)


async def _nothing(folder: Folder) -> None:
    """Do not wait for the disk."""


@pytest.mark.row(192)
@pytest.mark.parametrize("after", [ONE, OTHER, None], ids=["same", "another count", "whole"])
async def test_files_of_a_shard_that_lost_power_are_unsure_for_all(
    rig: Rig,
    boot: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    after: Shard | None,
) -> None:
    """Whoever has their keys next fetches them again, once; a verification says so."""
    await run(rig, TWO)
    await run_and_kill(rig, ONE, monkeypatch)
    boot()
    assert reasons(await run(rig, TWO)) == {}  # it has other keys, and leaves the mark
    rig.shard, rig.watcher = after, Watcher()
    await verify(rig.job())
    lost = {key for key in KEYS if ONE.has(key) and (not after or after.has(key))}
    assert lost <= rig.watcher.failures.keys()
    seen = await run(rig, after)
    assert {key for key, why in reasons(seen).items() if why is Reason.UNSURE} == lost
    assert Reason.UNSURE not in reasons(await run(rig, after)).values()


@pytest.mark.row(192)
async def test_mark_of_a_killed_shard_holds_until_a_whole_run_has_settled(
    rig: Rig, boot: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same boot its files are not lost; they are if the power fails after the take-over."""
    await run_and_kill(rig, ONE, monkeypatch)
    await run_and_kill(rig, None, monkeypatch)
    boot()
    seen = await run(rig, None)
    assert reasons(seen) == dict.fromkeys(KEYS, Reason.UNSURE)
    await run_and_kill(rig, ONE, monkeypatch)
    await run(rig, None)
    boot()
    assert reasons(await run(rig, None)) == {}


async def test_mark_of_a_shard_that_is_at_work_elsewhere_shows_no_power_cut(
    rig: Rig, dest: Path, boot: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines of a cluster have other boots, and a look at the folder is no false alarm."""
    await run_and_kill(rig, ONE, monkeypatch)
    boot()
    with hold_lock(folder_of(dest, ONE) / "lock"):
        rig.shard, rig.watcher = None, Watcher()
        await plan(rig.job())
        assert Reason.UNSURE not in reasons(rig.watcher).values()
        assert not rig.watcher.notices


# what shards must agree about -------------------------------------------------------------------


@pytest.mark.row(193)
def test_shards_must_strip_the_same_prefix(dest: Path) -> None:
    """One that strips another is refused while the first is at work, and once it has made files."""
    with Folder(dest, shard=ONE, paths=Paths("1hz/")).writing():
        with (
            pytest.raises(ConfigError, match="holds 1hz/ without that prefix"),
            Folder(dest, shard=TWO).writing(),
        ):
            pytest.fail("two shards give files different paths")
        with Folder(dest, shard=TWO, paths=Paths("1hz/")).writing():
            pass
    with Folder(dest, shard=TWO).writing():  # nothing was made
        pass


@pytest.mark.row(193)
@pytest.mark.parametrize("after", [TWO, OTHER, None], ids=["two", "another count", "whole"])
async def test_prefix_that_a_shard_has_stripped_holds_for_all(
    rig: Rig, dest: Path, after: Shard | None
) -> None:
    """Its files would be taken for those of other keys."""
    await run(rig, ONE)
    folder = Folder(dest, shard=after)
    folder._stripped._prefix = b"1hz/"
    with pytest.raises(ConfigError, match="holds files with whole keys"), folder.reading():
        pytest.fail("its files have other paths")


@pytest.mark.row(193)
@pytest.mark.parametrize("after", [OTHER, None], ids=["another count", "whole"])
async def test_files_that_a_shard_has_synced_from_another_bucket_are_proven(
    rig: Rig, dest: Path, after: Shard | None
) -> None:
    """They look up to date by chance; the records of a shard say of which bucket they are."""
    rig.source = "host/first"
    await run(rig, ONE)
    rig.source = "host/second"
    seen = await run(rig, after)
    assert any("was synced from host/first" in notice for notice in seen.notices)
    doubted = {each.remote.key for page in seen.pages for each in page.unproven}
    assert doubted == {key for key in KEYS if ONE.has(key) and (not after or after.has(key))}
    seen = await run(rig, after)
    assert not [each for page in seen.pages for each in page.unproven] or after


# kills and wrong states -------------------------------------------------------------------------

TAKER = """
import os, sys
from pathlib import Path
from asyncsync.disk import Folder

left = int(sys.argv[2])
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.truncate", "os.utime"}

def die(event, args):
    global left
    writes = event == "open" and isinstance(args[2], int) and args[2] & os.O_ACCMODE
    if event in CHANGES or writes:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)

sys.addaudithook(die)
with Folder(Path(sys.argv[1]), source="host/bucket").writing():
    pass
print("done")
"""


def kill_while_taking_over(dest: Path, changes: int) -> bool:
    """Kill a whole run after so many changes on the disk; return whether it had not ended."""
    command = [sys.executable, "-c", TAKER, str(dest), str(changes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, -9}, done.stderr
    return done.returncode == -9


@pytest.mark.row(192)
async def test_kill_at_any_point_of_the_take_over_hurts_nothing(dest: Path) -> None:
    """The next run knows all that shards knew, and takes the rest over."""
    rig = Rig(dest, dict.fromkeys(KEYS[:4], b"x"))
    rig.source = "host/bucket"
    large, changes, lost = BOTH[0], 0, 0
    for made in (name for number in count() if ONE.has(name := f"{number}.parquet")):
        rig.store.put(made, b"made by a shard")
        for shard in (ONE, OTHER):
            await run(rig, shard)
        rig.shard, rig.watcher = ONE, Watcher()
        await stop(rig, large)
        edit(dest / made)
        was_killed = kill_while_taking_over(dest, changes)
        seen = await run(rig, None if changes % 2 else ONE)
        assert seen.failures == {}
        assert reasons(seen)[made] is Reason.EDITED, changes
        assert tree(dest)[large] == LARGE
        if seen.kept_bytes.get(large, 0) < PART:
            assert was_killed
            lost += 1
        await run(rig, None)
        assert not list((dest / STATE).glob("shards/*"))
        if not was_killed:
            break
        changes += 1
    assert changes > 20
    assert lost <= 2  # between the two files of one object


@pytest.mark.row(193)
async def test_state_of_a_shard_that_others_could_write_is_not_used(rig: Rig, dest: Path) -> None:
    """A shard that finds its own so ends; a whole run passes over it."""
    await run(rig, ONE)
    folder_of(dest, ONE).chmod(0o777)
    edit(dest / BOTH[0])
    assert reasons(await run(rig, None)).get(BOTH[0]) is None
    assert folder_of(dest, ONE).is_dir()


@pytest.mark.row(192, 193)
async def test_state_of_a_shard_that_others_could_write_still_makes_files_unsure(
    rig: Rig, dest: Path, boot: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mark of a power cut counts, once, since that can only cause downloads."""
    await run_and_kill(rig, ONE, monkeypatch)
    folder_of(dest, ONE).chmod(0o777)
    boot()
    unsure = {key for key, why in reasons(await run(rig, None)).items() if why is Reason.UNSURE}
    assert unsure == {key for key in KEYS if ONE.has(key)}
    assert Reason.UNSURE not in reasons(await run(rig, None)).values()


@pytest.mark.row(193)
async def test_files_of_another_bucket_are_proven_where_others_could_write_its_note(
    rig: Rig, dest: Path
) -> None:
    """A whole run keeps the note, as it has not taken it over."""
    rig.source = "host/first"
    await run(rig, ONE)
    folder_of(dest, ONE).chmod(0o777)
    rig.source = "host/second"
    seen = await run(rig, None)
    assert any("was synced from host/first" in notice for notice in seen.notices)
    doubted = {each.remote.key for page in seen.pages for each in page.unproven}
    assert doubted == {key for key in KEYS if ONE.has(key)}


@pytest.mark.parametrize(
    "name", ["published", "made", "stripped", "unsynced", "doubtful", "mounts"]
)
async def test_damaged_state_of_a_shard_ends_no_run(rig: Rig, dest: Path, name: str) -> None:
    """At worst something is fetched again."""
    for made in (ONE, OTHER):
        await run(rig, made)
    (folder_of(dest, ONE) / name).write_bytes(b"\xff" * 99)
    if name != "stripped":
        for shard in (OTHER, ONE, None):
            assert (await run(rig, shard)).failures == {}
    else:
        with pytest.raises(ConfigError):
            await run(rig, None)
