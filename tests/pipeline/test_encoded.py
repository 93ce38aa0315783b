"""Runs that encode the paths of odd keys: such a key is synced like any other."""

from pathlib import Path

import pytest

from asyncsync import pipeline
from asyncsync.compare import Selection
from asyncsync.disk import Folder
from asyncsync.download.download import SMALL
from asyncsync.errors import ConnectionLostError, KeyCollisionError, UnsafeKeyError
from asyncsync.interfaces import Observers
from asyncsync.listing import Incremental, Scope
from asyncsync.model import Checks
from asyncsync.paths import OddKeys, Paths
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.watch import Watcher, quick_pace, snapshot, tree, unfinished

pytestmark = pytest.mark.anyio

PLAIN = {"a/b": b"plain", "z": b"z"}
ENCODED = {
    "a//b": ("a/%~/b", b"empty"),
    "../z": ("%~../z", b"above"),
    "dir/": ("dir/%~", b"of a folder"),
    "n" * 300: (f"%+{'n' * 253}/%~{'n' * 47}", b"long"),
    ".asyncsync/lock": ("%~.asyncsync/lock", b"state"),
    "%~/b": ("%~%25~/b", b"looks encoded"),
    "nul\0": ("%~nul%00", bytes(SMALL + 1)),
}
OBJECTS = PLAIN | {key: content for key, (_, content) in ENCODED.items()}
FILES = PLAIN | dict(ENCODED.values())


class Rig:
    """Runs from a bucket in memory into a folder."""

    def __init__(self, dest: Path, objects: dict[str, bytes]) -> None:
        self.dest = dest
        self.store = MemoryStore(objects, page_size=2)

    async def run(
        self,
        command: str = "sync",
        odd_keys: OddKeys = OddKeys.ENCODE,
        *,
        strips: str = "",
        deep: bool = False,
        since: bool = False,
    ) -> Watcher:
        """Run a command, and return what its observer saw."""
        seen = Watcher()
        self.store.requests.clear()
        paths = Paths(strips, encodes=odd_keys is OddKeys.ENCODE)
        folder = Folder(self.dest, paths=paths)
        scope = Scope("https://memory.example", "sensors", (), ("*",), (), strips, odd_keys)
        notes = Incremental(folder, scope, seen.noticed) if since else None
        job = pipeline.Job(
            store=self.store,
            folder=folder,
            selection=Selection(["*"], [], [strips] if strips else [], paths),
            pace=quick_pace(),
            observer=Observers(seen, notes) if notes else seen,
            checks=Checks(parquet=False),
            deep=deep,
            incremental=notes,
        )
        await getattr(pipeline, command)(job)
        return seen


@pytest.fixture
def rig(dest: Path) -> Rig:
    """A bucket with plain and odd keys of all kinds."""
    return Rig(dest, OBJECTS)


async def test_odd_keys_are_synced_like_others(rig: Rig) -> None:
    """Outcomes name the keys; a second run finds all up to date, and sends no request for one."""
    seen = await rig.run()
    assert tree(rig.dest) == FILES
    assert (seen.downloaded, seen.failures) == (sorted(OBJECTS), {})
    again = await rig.run()
    assert (again.downloaded, again.failures) == ([], {})
    assert again.files == {"": 3, "a/": 2, "../": 1, "dir/": 1, ".asyncsync/": 1, "%~/": 1}
    assert {request.verb for request in rig.store.requests} == {"list"}
    assert unfinished(rig.dest) == []


async def test_plan_has_the_paths(rig: Rig) -> None:
    """Nothing is written."""
    seen = await rig.run("plan")
    planned = {t.remote.key: "/".join(t.path) for page in seen.pages for t in page.transfers}
    assert planned == {key: path for key, (path, _) in ENCODED.items()} | {"a/b": "a/b", "z": "z"}
    assert not rig.dest.exists()


async def test_verification_knows_the_files_of_odd_keys(rig: Rig) -> None:
    """It reads them, and names what is not in the bucket by its key, or by its path if it has none.

    It does so too where odd keys are skipped.
    """
    await rig.run()
    rig.store.delete("a//b")
    (rig.dest / "%~../z").write_bytes(b"ABOVE")
    for name in ("%~mine", "%+mine", "%~%7A"):
        (rig.dest / name).write_bytes(b"mine")
    before = snapshot(rig.dest)
    verified = await rig.run("verify", deep=True)
    assert set(verified.failures) == {"../z"}
    assert verified.confirmed == sorted(OBJECTS.keys() - {"../z", "a//b"})
    extra = ["%+mine", "%~%7A", "%~mine", "a//b"]
    assert verified.extra_keys == extra
    skipping = await rig.run("verify", OddKeys.SKIP)
    assert set(skipping.failures) == ENCODED.keys() - {"a//b"}
    assert skipping.extra_keys == extra
    assert snapshot(rig.dest) == before


async def test_edited_file_of_an_odd_key_is_fetched_again(rig: Rig) -> None:
    """The notes of what was made here know whole keys."""
    await rig.run()
    (rig.dest / "%~../z").write_bytes(b"ABOVE")
    assert (await rig.run()).downloaded == ["../z"]
    assert tree(rig.dest) == FILES


async def test_plain_keys_keep_their_paths_when_odd_ones_are_encoded(rig: Rig) -> None:
    """A folder can change from one to the other, and back; what is here stays and is not mistaken.

    So a key that looks encoded is odd in both cases.
    """
    skipping = await rig.run(odd_keys=OddKeys.SKIP)
    assert skipping.failures == dict.fromkeys(ENCODED, UnsafeKeyError)
    assert tree(rig.dest) == PLAIN
    assert (await rig.run()).downloaded == sorted(ENCODED)
    assert tree(rig.dest) == FILES
    back = await rig.run(odd_keys=OddKeys.SKIP)
    assert (back.downloaded, back.failures) == ([], skipping.failures)
    assert tree(rig.dest) == FILES


async def test_listing_after_the_last_keys_begins_anew_when_odd_keys_are_encoded(
    dest: Path,
) -> None:
    """An odd key that sorts before them is found, and then left out like others."""
    rig = Rig(dest, {f"a/{number}": b"x" for number in range(9)} | {"a//": b"odd"})
    for odd_keys, new in [(OddKeys.SKIP, 9), (OddKeys.ENCODE, 1), (OddKeys.ENCODE, 0)]:
        seen = await rig.run(odd_keys=odd_keys, since=True)
        assert len(seen.downloaded) == new
    assert any(request.start_after == "a/8" for request in rig.store.requests)
    assert tree(dest)["a/%~/%~"] == b"odd"


@pytest.mark.parametrize(
    "objects", [{"x": b"x", "x//y": b"y"}, {"x": b"x", "x/": b"y"}, {"/": b"/", "//x": b"x"}]
)
async def test_folder_wins_over_an_odd_key_of_its_name(
    dest: Path, objects: dict[str, bytes]
) -> None:
    """As with plain keys: the longer key has the file."""
    key, longer = sorted(objects)
    seen = await Rig(dest, objects).run()
    assert seen.failures == {key: KeyCollisionError}
    assert tree(dest) == {"/".join(Paths(encodes=True).of(longer)): objects[longer]}


async def test_folder_marker_needs_no_folder(dest: Path) -> None:
    """Without content it is no object, and a file can have its name."""
    seen = await Rig(dest, {"x": b"x", "x/": b""}).run()
    assert (seen.failures, tree(dest)) == ({}, {"x": b"x"})


@pytest.mark.usefixtures("folds")
async def test_odd_keys_collide_where_names_are_folded(dest: Path) -> None:
    """The first key in byte order is fetched, in every run."""
    rig = Rig(dest, {"A//x": b"first", "a//x": b"second", "a/%~/x": b"third", "N" * 300: b"n"})
    for _ in range(2):
        seen = await rig.run()
        assert seen.failures == {"a//x": KeyCollisionError}
        assert {*tree(dest)} == {"A/%~/x", "a/%~%25~/x", "%+" + "N" * 253 + "/%~" + "N" * 47}


async def test_unfinished_file_of_an_odd_key_is_continued_or_removed(dest: Path) -> None:
    """A later run goes on where it stopped, or removes it if the object is gone."""
    content = bytes(3 * SMALL)
    rig = Rig(dest, {"big//": content, "gone//": content})
    lost = ConnectionLostError("lost")
    for key in ("big//", "gone//"):
        rig.store.always("get", key, Act(cut=2 * SMALL, cut_error=lost))
    assert len((await rig.run()).failures) == 2
    assert unfinished(dest)
    rig.store.behave()
    rig.store.delete("gone//")
    seen = await rig.run()
    assert seen.downloaded == ["big//"]
    assert sum(len(r.span) for r in rig.store.requests if r.span is not None) < len(content)
    assert tree(dest) == {"big/%~/%~": content}
    assert unfinished(dest) == []


async def test_prefix_is_stripped_before_a_path_is_encoded(dest: Path) -> None:
    """The prefix may be odd itself, and the key may be all of it."""
    rig = Rig(dest, {"%~//x": b"x", "%~//": b"marker", "%~//y//z": b"z", "%~//%~": b"looks"})
    assert (await rig.run(strips="%~//")).failures == {}
    assert tree(dest) == {"x": b"x", "%~": b"marker", "y/%~/z": b"z", "%~%25~": b"looks"}
    assert (await rig.run("verify", strips="%~//")).extra_keys == []
