"""Several users on one machine: those who share a destination, and those who mean no good."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from asyncsync.disk import hold_lock
from tests.faults.files.scene import OBJECTS, run
from tests.rigs.child import SECONDS, started, until
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.users import FIRST, GROUP, SECOND, as_user, needs_root
from tests.rigs.watch import snapshot, tree
from tests.rigs.wrapped import wrapped

pytestmark = [pytest.mark.anyio, needs_root]

PARTS = os.urandom(20 << 20)
"""An object of three parts."""


@pytest.fixture
def around() -> Iterator[Path]:
    """A folder that every user may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def dest(around: Path) -> Path:
    """A destination of the first user that the group shares."""
    folder = around / "dest"
    folder.mkdir()
    os.chown(folder, FIRST, GROUP)
    folder.chmod(0o2775)
    return folder


def notes(dest: Path) -> set[str]:
    """Return whose state is in the shared folder."""
    return {path.name for path in (dest / ".asyncsync").iterdir() if path.is_dir()}


def has_pieces(dest: Path, user: int) -> bool:
    """Return whether a journal of this user's unfinished files lists a piece."""
    journals = (dest / ".asyncsync" / str(user) / "parts").glob("*.journal")
    return any(journal.read_bytes().count(b"\n") > 1 for journal in journals)


@pytest.mark.row(142, 166)
async def test_users_of_a_group_share_a_destination(dest: Path) -> None:
    """Each has a state of their own, which only they can write; data belongs to the group."""
    objects = dict(OBJECTS)
    async with ScriptedS3(objects) as s3:
        for user in (FIRST, SECOND, FIRST):
            s3.objects["new/" + str(len(s3.objects))] = b"new"
            s3.objects[f"new/{len(s3.objects)}.parquet"] = b"new"
            done = await run(as_user(user), s3, dest, "--include", "*", "--no-parquet-check")
            assert (done.code, done.err) == (0, "")
            assert tree(dest) == s3.objects
    assert notes(dest) == {str(FIRST), str(SECOND)}
    shared = (dest / ".asyncsync").stat()
    assert (stat.S_IMODE(shared.st_mode), shared.st_gid) == (0o3775, GROUP)
    lock = (dest / ".asyncsync" / "lock").stat()
    assert (stat.S_IMODE(lock.st_mode), lock.st_gid) == (0o664, GROUP)
    for user in (FIRST, SECOND):
        own = (dest / ".asyncsync" / str(user)).stat()
        assert (own.st_uid, stat.S_IMODE(own.st_mode) & 0o777) == (user, 0o711)
        parts = (dest / ".asyncsync" / str(user) / "parts").stat()
        assert stat.S_IMODE(parts.st_mode) & 0o777 == 0o700
    assert (dest / "a" / "1.parquet").stat().st_gid == GROUP


@pytest.mark.row(142, 191)
async def test_users_of_a_group_share_the_shards_of_a_run(dest: Path) -> None:
    """Each shard is one user's at a time, and what one user's has made the others know."""
    options = ("--quiet", "--include", "*", "--no-parquet-check", "--shard")
    async with ScriptedS3(dict(OBJECTS)) as s3:
        for user, shard in ((FIRST, "1/2"), (SECOND, "2/2"), (SECOND, "1/2")):
            done = await run(as_user(user), s3, dest, *options, shard)
            assert (done.code, done.err) == (0, "")
        assert tree(dest) == s3.objects
        lock = dest / ".asyncsync" / "lock-1-of-2"
        assert (stat.S_IMODE(lock.stat().st_mode), lock.stat().st_gid) == (0o664, GROUP)
        with hold_lock(lock):  # as another user's run of this shard does
            ran = [await run(as_user(SECOND), s3, dest, *options, n) for n in ("1/2", "2/2", "1/3")]
            assert [done.code for done in ran] == [6, 0, 6]
        edited = dest / "a" / "1.parquet"
        edited.write_bytes(b"x" * edited.stat().st_size)
        done = await run(as_user(SECOND), s3, dest, *options, "off")
        assert done.code == 0
        assert tree(dest) == s3.objects
    shards = dest / ".asyncsync" / str(FIRST) / "shards"
    assert stat.S_IMODE(shards.stat().st_mode) & 0o777 == 0o755
    assert {path.name for path in shards.iterdir()} == {"1-of-2"}  # those of others stay


@pytest.mark.row(142)
@pytest.mark.parametrize("first", ["root", "user"])
async def test_run_as_root_stands_in_nobodys_way(dest: Path, first: str) -> None:
    """Before a user's own runs, or between them."""
    order = [0, FIRST, 0, SECOND] if first == "root" else [FIRST, 0, FIRST, SECOND]
    async with ScriptedS3(OBJECTS) as s3:
        for user in order:
            wrapper = as_user(user, group=GROUP) if user else ()
            done = await run(wrapper, s3, dest, "--no-parquet-check")
            assert (done.code, done.err) == (0, "")
    assert notes(dest) == {"0", str(FIRST), str(SECOND)}


@pytest.mark.row(142)
async def test_state_that_root_left_in_an_older_version_stands_in_nobodys_way(dest: Path) -> None:
    """It was 0700, and of whoever came first."""
    (dest / ".asyncsync" / "parts").mkdir(parents=True)
    (dest / ".asyncsync").chmod(0o700)
    async with ScriptedS3(OBJECTS) as s3:
        done = await run(as_user(SECOND), s3, dest, "--no-parquet-check")
    assert done.code == 0
    assert tree(dest) == OBJECTS
    assert (dest / f".asyncsync-{SECOND}").stat().st_uid == SECOND


@pytest.mark.row(166)
async def test_each_user_continues_their_own_unfinished_files(dest: Path) -> None:
    """And leaves those of others alone."""
    key = "large.parquet"
    async with ScriptedS3({key: PARTS}) as s3:
        s3.allowance = len(PARTS) // 2
        arguments = ("--quiet", "--no-parquet-check", "--dest", str(dest))
        async with started(s3.environment, *arguments, wrapper=as_user(FIRST)) as child:
            await until(lambda: has_pieces(dest, FIRST))
            child.kill()
            await child.wait()
        before = snapshot(dest / ".asyncsync" / str(FIRST))
        s3.allowance = len(PARTS) // 4
        async with started(s3.environment, *arguments, wrapper=as_user(SECOND)) as child:
            await until(lambda: has_pieces(dest, SECOND))
            child.kill()
            await child.wait()
        assert snapshot(dest / ".asyncsync" / str(FIRST)) == before
        s3.allowance = None
        s3.requests.clear()
        done = await run(as_user(FIRST), s3, dest, "--no-parquet-check", "--json")
        assert done.code == 0
        assert done.summary["kept_bytes"] > 0
        assert os.listdir(dest / ".asyncsync" / str(SECOND) / "parts") != []
    assert tree(dest) == {key: PARTS}


@pytest.mark.row(116, 166)
async def test_run_of_another_user_is_named(dest: Path) -> None:
    """The lock is shared, and says who holds it."""
    async with ScriptedS3({"large.parquet": PARTS}) as s3:
        s3.allowance = len(PARTS) // 2
        arguments = ("--quiet", "--no-parquet-check", "--dest", str(dest))
        async with started(s3.environment, *arguments, wrapper=as_user(FIRST)) as child:
            with anyio.fail_after(SECONDS):
                await s3.used_up.wait()
            done = await run(as_user(SECOND), s3, dest)
            child.kill()
            await child.wait()
    assert done.code == 6
    assert f" of user {FIRST} on " in done.err


def planted(dest: Path, victim: Path) -> None:
    """Put links of another user where unfinished files, notes and the lock would lie."""
    state = dest / ".asyncsync" / str(FIRST)
    (state / "parts").mkdir(parents=True)
    for name in ("published", "unsynced", "doubtful", "mounts", "lock", "case"):
        (state / name).symlink_to(victim)
    (dest / ".asyncsync" / "lock").symlink_to(victim)
    for number in range(50):
        (state / "parts" / f"{number}.killed").symlink_to(victim)
    for path in (dest / ".asyncsync", *(dest / ".asyncsync").rglob("*")):
        os.lchown(path, SECOND, GROUP)
    (dest / ".asyncsync").chmod(0o777)
    state.chmod(0o777)
    (state / "parts").chmod(0o777)


def fifos(dest: Path, victim: Path) -> None:
    """Put pipes there, for which somebody would wait for ever."""
    planted(dest, victim)
    for path in (dest / ".asyncsync").rglob("*"):
        if path.is_symlink():
            path.unlink()
            os.mkfifo(path)
            path.chmod(0o666)


def link_to_another_folder(dest: Path, victim: Path) -> None:
    """Put a link in the place of the whole state folder."""
    (dest / ".asyncsync").symlink_to(victim.parent)


def link_in_it(dest: Path, victim: Path) -> None:
    """Put a link in the place of the first user's own folder."""
    (dest / ".asyncsync").mkdir()
    (dest / ".asyncsync").chmod(0o777)
    (dest / ".asyncsync" / str(FIRST)).symlink_to(victim.parent)
    os.lchown(dest / ".asyncsync" / str(FIRST), SECOND, GROUP)


def writable_by_others(dest: Path, victim: Path) -> None:
    """Make the first user's own state writable for all, as an odd copy may have left it."""
    (dest / ".asyncsync" / str(FIRST)).mkdir(parents=True)
    os.chown(dest / ".asyncsync" / str(FIRST), FIRST, GROUP)
    (dest / ".asyncsync" / str(FIRST)).chmod(0o777)
    (dest / ".asyncsync").chmod(0o777)


@pytest.mark.row(151, 152)
@pytest.mark.parametrize(
    "plant", [planted, fifos, link_to_another_folder, link_in_it, writable_by_others]
)
async def test_state_that_another_user_made_is_not_used(
    around: Path, dest: Path, plant: Callable[[Path, Path], None]
) -> None:
    """A line says so; nothing outside the destination changes, and every file arrives."""
    home = around / "home"
    home.mkdir()
    (home / "private").write_bytes(b"precious")
    os.chown(home, FIRST, FIRST)
    os.chown(home / "private", FIRST, FIRST)
    dest.chmod(0o2777)  # noqa: ASYNC240
    plant(dest, home / "private")
    before = snapshot(home)
    objects = {**OBJECTS, "large.parquet": PARTS}
    async with ScriptedS3(objects) as s3:
        arguments = ("--no-progress", "--no-parquet-check", "--dest", str(dest))
        done = await wrapped(as_user(FIRST), s3.environment, *arguments)
    assert done.code == 0
    assert "cannot be used (" in done.err
    assert {key: (dest / key).read_bytes() for key in objects} == objects
    assert snapshot(home) == before
    assert (dest / f".asyncsync-{FIRST}").stat().st_uid == FIRST


@pytest.mark.row(151)
async def test_state_that_is_renamed_away_in_the_middle_stays_in_use(
    around: Path, dest: Path
) -> None:
    """The run goes on in the folder that it has opened, not in what took its place."""
    objects = {**OBJECTS, "large.parquet": PARTS}
    dest.chmod(0o2777)  # noqa: ASYNC240
    async with ScriptedS3(objects) as s3:
        s3.allowance = len(PARTS) // 2
        arguments = ("--quiet", "--no-parquet-check", "--dest", str(dest))
        async with started(s3.environment, *arguments, wrapper=as_user(FIRST)) as child:
            with anyio.fail_after(SECONDS):
                await s3.used_up.wait()
            (dest / ".asyncsync").rename(around / "away")
            planted(dest, around / "nowhere")
            s3.allowance = None
            s3.hang_up()
            assert await child.wait() == 0
    assert {key: (dest / key).read_bytes() for key in objects} == objects
    assert not (around / "nowhere").exists()


@pytest.mark.row(152)
@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b"0 9223372036854775807\n" * 3000, b"\xff" * 1000],
    ids=["nested", "periods", "noise"],
)
async def test_notes_of_another_user_can_only_cause_more_downloads(
    dest: Path, content: bytes
) -> None:
    """Whatever they hold, and however long they say that they are."""
    theirs = dest / ".asyncsync" / str(SECOND)
    (theirs / "parts").mkdir(parents=True)
    for name in ("published", "unsynced", "doubtful", "mounts", "since-x.json"):
        (theirs / name).write_bytes(content)
    os.truncate(theirs / "published", 40 << 30)
    for path in (dest / ".asyncsync", theirs, *theirs.rglob("*")):
        os.chown(path, SECOND, GROUP)
    (dest / ".asyncsync").chmod(0o3777)
    async with ScriptedS3(OBJECTS) as s3:
        for _ in range(2):
            done = await run(as_user(FIRST), s3, dest, "--no-parquet-check")
            assert (done.code, done.err) == (0, "")
    assert tree(dest) == OBJECTS


@pytest.mark.row(120, 142)
async def test_power_cut_of_another_users_run_is_known(dest: Path) -> None:
    """What it may have damaged is fetched again, once, by whoever comes first."""
    async with ScriptedS3(OBJECTS) as s3:
        assert (await run(as_user(FIRST), s3, dest, "--no-parquet-check")).code == 0
        mark = dest / ".asyncsync" / str(FIRST) / "unsynced"
        mark.write_text("00000000-0000-4000-8000-000000000000 1\n", encoding="ascii")
        os.chown(mark, FIRST, GROUP)
        counts = []
        for _ in range(2):
            done = await run(as_user(SECOND), s3, dest, "--no-parquet-check", "--json")
            counts.append(done.summary["downloaded"])
    assert counts == [len(OBJECTS), 0]
