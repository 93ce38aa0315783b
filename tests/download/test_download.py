"""Download one object: it becomes one validated file, whatever happens meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest

from asyncsync.disk import PART, Folder
from asyncsync.download.download import SMALL, STARTS, Downloader
from asyncsync.errors import (
    AccessDeniedError,
    AuthError,
    ConnectionLostError,
    EncodedObjectError,
    IntegrityError,
    KeyCollisionError,
    LocalFileError,
    ProtocolError,
    RemoteChangedError,
    RetriesExhaustedError,
    ServerError,
    ThrottledError,
    TransferError,
    TransientError,
    VanishedError,
)
from asyncsync.model import Checks, Downloaded, Head, Reason, Transfer
from asyncsync.pace import Pace
from asyncsync.pace.pace import LARGE_AT_ONCE
from asyncsync.paths import Paths
from tests.rigs.memory_store import Act, MemoryStore, Verb
from tests.rigs.watch import Watcher, quick_pace, tree, unfinished

pytestmark = pytest.mark.anyio

KEY = "1hz/2026/a.parquet"
LARGE = os.urandom(2 * PART + 17)
OTHER = bytes(reversed(LARGE))
KINDS = pytest.mark.parametrize("data", [b"some data", LARGE], ids=["small", "large"])
CUT = Act(cut=300_000)
HELD: dict[Path, Folder] = {}
"""The folder that holds the lock of a test's destination."""


class Rig:
    """A downloader between a store and a folder."""

    def __init__(self, dest: Path, data: bytes = b"", *, head: bool = True) -> None:
        self.dest = dest
        self.store = MemoryStore({KEY: data})
        self.pace: Pace = quick_pace()
        self.watcher = Watcher()
        self.folder = HELD[dest]
        self.checks = Checks(head=head, parquet=False)

    async def download(self, key: str = KEY, *, etag: str | None = None) -> Downloaded:
        """Download the object as it is listed now, or as if it were listed with another ETag."""
        remote = self.store.remote(key)
        if etag is not None:
            remote = replace(remote, etag=etag)
        transfer = Transfer(remote, Paths().of(key), Reason.MISSING)
        downloader = Downloader(self.store, self.folder, self.pace, self.watcher, self.checks)
        with anyio.fail_after(25):
            return await downloader.download(transfer)

    @contextmanager
    def fails(self, kind: type[TransferError], match: str | None = None) -> Iterator[None]:
        """Expect an error and unchanged files; complete parts stay if a retry may succeed."""
        before = tree(self.dest)
        with pytest.raises(kind, match=match) as caught:
            yield
        assert caught.value.key == KEY
        assert tree(self.dest) == before
        self.check_tidy(may_keep=isinstance(caught.value, RetriesExhaustedError))

    def check_tidy(self, *, may_keep: bool = False) -> None:
        """Check that no file is unfinished, and that all slots are free."""
        assert may_keep or unfinished(self.dest) == []
        assert self.pace.slot.used == self.pace.large.used == 0


@pytest.fixture
def dest(tmp_path: Path) -> Iterator[Path]:
    """A destination whose lock is held."""
    path = tmp_path / "dest"
    HELD[path] = Folder(path)
    with HELD[path].writing():
        yield path
    del HELD[path]


# no errors ---------------------------------------------------------------------------------------


@pytest.mark.row(53)
@pytest.mark.parametrize(
    "size",
    [0, 1, SMALL - 1, SMALL, SMALL + 1, PART - 1, PART, PART + 1, 2 * PART],
)
async def test_object_arrives_byte_for_byte(dest: Path, size: int) -> None:
    """Also if its size is exactly at, just below or just above a limit."""
    rig = Rig(dest, LARGE[:size])
    done = await rig.download()
    assert tree(dest) == {KEY: LARGE[:size]}
    assert (done.attempts, done.transfer.remote) == (1, rig.store.remote(KEY))
    assert (dest / KEY).stat().st_mtime_ns == rig.store.remote(KEY).modified_ns
    rig.check_tidy()


async def test_small_object_takes_one_get_and_one_head(dest: Path) -> None:
    """It is requested as a whole, and its progress is not reported."""
    rig = Rig(dest, b"data")
    await rig.download()
    assert rig.store.spans(KEY) == [None]
    assert rig.store.count("head", KEY) == 1
    assert len(rig.store.requests) == 2
    assert rig.watcher.begun == []


@pytest.mark.parametrize(("size", "waits"), [(PART, False), (PART + 1, True)])
async def test_objects_in_several_parts_delay_only_each_other(
    dest: Path, size: int, waits: bool
) -> None:
    """However many of them are in flight, an object of one part does not wait."""
    rig = Rig(dest, LARGE[:size])
    for _ in range(LARGE_AT_ONCE):
        await rig.pace.large.__aenter__()
    async with anyio.create_task_group() as group:
        group.start_soon(rig.download)
        await anyio.wait_all_tasks_blocked()
        assert (rig.pace.large.waiting == 1) == waits
        for _ in range(LARGE_AT_ONCE):
            await rig.pace.large.__aexit__(None, None, None)
    assert tree(dest) == {KEY: LARGE[:size]}
    rig.check_tidy()


async def test_large_object_takes_a_get_for_each_part_and_one_head(dest: Path) -> None:
    """The ranges cover the object, each byte once."""
    rig = Rig(dest, LARGE)
    await rig.download()
    spans = sorted(rig.store.spans(KEY), key=lambda span: span.start if span else -1)
    assert spans == [range(PART), range(PART, 2 * PART), range(2 * PART, len(LARGE))]
    assert rig.store.count("head", KEY) == 1
    assert rig.watcher.begun == [KEY]
    assert sum(rig.watcher.bytes[KEY]) == len(LARGE)


@KINDS
async def test_head_can_be_switched_off(dest: Path, data: bytes) -> None:
    """The headers of the GET are enough then."""
    rig = Rig(dest, data, head=False)
    await rig.download()
    assert rig.store.count("head") == 0
    assert tree(dest) == {KEY: data}


@KINDS
async def test_head_runs_beside_the_get(dest: Path, data: bytes) -> None:
    """Here each waits until the other has been requested."""
    rig = Rig(dest, data)
    head_asked, get_asked = anyio.Event(), anyio.Event()
    rig.store.on("head", KEY, Act(before=head_asked.set, until=get_asked))
    rig.store.on("get", KEY, Act(before=get_asked.set, until=head_asked))
    await rig.download()


async def test_parts_are_downloaded_at_the_same_time(dest: Path) -> None:
    """Here the first waits until the last has been requested."""
    rig = Rig(dest, LARGE)
    last_asked = anyio.Event()
    rig.store.on("get", KEY, Act(until=last_asked), Act(), Act(before=last_asked.set))
    await rig.download()
    assert tree(dest) == {KEY: LARGE}


async def test_parts_keep_to_the_slots(dest: Path) -> None:
    """With one slot there is one request for a part at a time."""
    rig = Rig(dest, LARGE, head=False)
    rig.pace = quick_pace(workers=1)
    busiest = 0

    def look() -> None:
        nonlocal busiest
        busiest = max(busiest, rig.pace.slot.used)

    rig.store.always("get", KEY, Act(before=look))
    await rig.download()
    assert busiest == 1


@KINDS
async def test_file_appears_only_when_all_agree(dest: Path, data: bytes) -> None:
    """Before HEAD has answered, the path is unchanged, even if all bytes have arrived."""
    rig = Rig(dest, data)
    (dest / "1hz/2026").mkdir(parents=True)
    (dest / KEY).write_bytes(b"old file")
    asked, go_on = anyio.Event(), anyio.Event()
    rig.store.on("head", KEY, Act(before=asked.set, until=go_on))
    async with anyio.create_task_group() as group:
        group.start_soon(rig.download)
        await asked.wait()
        await anyio.wait_all_tasks_blocked()
        assert tree(dest) == {KEY: b"old file"}
        go_on.set()
    assert tree(dest) == {KEY: data}


# transient errors -------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(
    "error",
    [
        ConnectionLostError("cut"),
        ProtocolError("nonsense"),
        ServerError("500"),
        ThrottledError("503", retry_after=50.0),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("verb", ["get", "head"])
async def test_transient_error_costs_an_attempt(
    dest: Path, data: bytes, error: TransientError, verb: str
) -> None:
    """The object arrives anyway, and reports its number of attempts."""
    rig = Rig(dest, data)
    rig.store.on("get" if verb == "get" else "head", KEY, Act(error=error), Act(error=error))
    done = await rig.download()
    assert tree(dest) == {KEY: data}
    assert done.attempts in {2, 3}  # the two errors may meet two parts
    rig.check_tidy()


@pytest.mark.parametrize(("verb", "gets", "heads"), [("get", 2, 1), ("head", 1, 2)])
async def test_only_what_failed_of_get_and_head_is_sent_again(
    dest: Path, verb: Verb, gets: int, heads: int
) -> None:
    """What has been answered is not requested a second time."""
    rig = Rig(dest, b"some data")
    rig.store.on(verb, KEY, Act(error=ThrottledError("busy", 2.0)))
    assert (await rig.download()).attempts == 2
    assert (rig.store.count("get"), rig.store.count("head")) == (gets, heads)
    assert tree(dest) == {KEY: b"some data"}
    rig.check_tidy()


async def test_longer_wish_of_get_and_head_is_kept(dest: Path) -> None:
    """Both were refused: neither is sent again before its server's time has come."""
    rig = Rig(dest, b"some data")
    rig.store.on("get", KEY, Act(error=ThrottledError("busy", 1.0)))
    rig.store.on("head", KEY, Act(error=ThrottledError("busy", 30.0)))
    pauses: list[float | None] = []
    really = rig.pace.pause

    async def pause(error: TransientError, attempt: int) -> None:
        pauses.append(error.retry_after if isinstance(error, ThrottledError) else None)
        await really(error, attempt)

    rig.pace.pause = pause  # type: ignore[method-assign]  # to see what it is asked for
    await rig.download()
    assert pauses == [30.0]


async def test_cut_body_of_a_small_object_is_fetched_again(dest: Path) -> None:
    """It is held in memory, so it starts again from its first byte."""
    rig = Rig(dest, b"some data")
    rig.store.on("get", KEY, Act(cut=4), Act(cut=0))
    done = await rig.download()
    assert done.attempts == 3
    assert rig.store.spans(KEY) == [None, None, None]
    assert tree(dest) == {KEY: b"some data"}


async def test_cut_part_goes_on_where_it_broke_off(dest: Path) -> None:
    """Only the missing bytes are requested again, and none is counted twice."""
    rig = Rig(dest, LARGE[:PART])
    rig.store.on("get", KEY, Act(cut=300_000), Act(cut=5))
    done = await rig.download()
    assert rig.store.spans(KEY) == [range(PART), range(300_000, PART), range(300_005, PART)]
    assert done.attempts == 3
    assert tree(dest) == {KEY: LARGE[:PART]}
    assert sum(rig.watcher.bytes[KEY]) == PART
    assert min(rig.watcher.bytes[KEY]) > 0


@KINDS
@pytest.mark.parametrize("verb", ["get", "head"])
async def test_permanent_error_fails_the_object(dest: Path, data: bytes, verb: str) -> None:
    """After all attempts the error names the last cause; an old file is unchanged."""
    rig = Rig(dest, data)
    (dest / "1hz/2026").mkdir(parents=True)
    (dest / KEY).write_bytes(b"old file")
    last = ServerError("500")
    rig.store.always("get" if verb == "get" else "head", KEY, Act(error=last))
    with rig.fails(RetriesExhaustedError, "3 attempts: 500"):
        await rig.download()
    assert rig.store.count("head") <= 3
    assert rig.store.count("get") <= 3 * 3


async def test_part_that_breaks_off_every_time_is_given_up(dest: Path) -> None:
    """The attempts are limited even if each one brings some bytes."""
    rig = Rig(dest, LARGE[:PART])
    rig.store.always("get", KEY, Act(cut=1))
    with rig.fails(RetriesExhaustedError):
        await rig.download()
    assert len(rig.store.spans(KEY)) == 3
    assert sum(rig.watcher.bytes[KEY]) == 0


# answers that do not agree ----------------------------------------------------------------------


@KINDS
async def test_other_size_in_head_never_publishes(dest: Path, data: bytes) -> None:
    """After a few starts the object fails; the error has both sizes."""
    rig = Rig(dest, data)
    head = Head(len(data) + 1, rig.store.remote(KEY).etag)
    rig.store.always("head", KEY, Act(head=head))
    with rig.fails(IntegrityError, f"listed with {len(data)} bytes, but HEAD says {len(data) + 1}"):
        await rig.download()
    assert rig.store.count("head") == STARTS


@KINDS
async def test_other_size_in_head_once_costs_another_start(dest: Path, data: bytes) -> None:
    """The object is listed and downloaded again."""
    rig = Rig(dest, data)
    rig.store.on("head", KEY, Act(head=Head(3, rig.store.remote(KEY).etag)))
    await rig.download()
    assert rig.store.count("list", KEY) == 1
    assert tree(dest) == {KEY: data}
    rig.check_tidy()


@KINDS
async def test_other_size_in_the_answer_to_get_never_publishes(dest: Path, data: bytes) -> None:
    """Even without HEAD."""
    rig = Rig(dest, data, head=False)
    rig.store.always("get", KEY, Act(head=Head(3, rig.store.remote(KEY).etag)))
    with rig.fails(IntegrityError, "GET says 3"):
        await rig.download()


@KINDS
@pytest.mark.parametrize("change", [-1, 1, 100_000], ids=["short", "long", "too long"])
async def test_body_of_another_length_never_publishes(dest: Path, data: bytes, change: int) -> None:
    """Whatever the headers say; its bytes are subtracted from the progress."""
    rig = Rig(dest, data)
    body = (data[:PART] + bytes(max(change, 0)))[: min(len(data), PART) + change]
    rig.store.always("get", KEY, Act(body=body))
    with rig.fails(TransferError):
        await rig.download()
    assert sum(rig.watcher.bytes.get(KEY, [])) == 0


@pytest.mark.row(4, 38)
async def test_parts_of_wrong_lengths_that_add_up_never_publish(dest: Path) -> None:
    """One part is a byte short and another a byte long, so only the sum is right."""
    rig = Rig(dest, LARGE)
    short, long = Act(body=LARGE[: PART - 1]), Act(body=LARGE[PART : 2 * PART] + b"x")
    rig.store.on("get", KEY, *[short, long, Act()] * STARTS)
    with rig.fails(TransferError):
        await rig.download()


@KINDS
async def test_decompressed_object_is_requested_as_it_is_stored(dest: Path, data: bytes) -> None:
    """Once it has come in another way, and every part of it."""
    rig = Rig(dest, data)
    rig.store.decompressed.add(KEY)
    await rig.download()
    assert tree(dest) == {KEY: data}
    asked = [request.as_stored for request in rig.store.requests if request.verb == "get"]
    assert asked == sorted(asked)
    assert asked.count(True) == max(1, -(-len(data) // PART) if len(data) > SMALL else 1)
    assert rig.store.count("list") == 0
    rig.check_tidy()


async def test_new_version_of_a_decompressed_object_is_requested_as_any_other(dest: Path) -> None:
    """It may be stored without an encoding, and be compressed for those who accept that."""
    rig = Rig(dest, b"old")
    rig.store.decompressed.add(KEY)

    def replace() -> None:
        rig.store.decompressed.clear()
        rig.store.put(KEY, b"new")

    rig.store.on("get", KEY, Act(), Act(before=replace))
    await rig.download()
    assert tree(dest) == {KEY: b"new"}
    asked = [request.as_stored for request in rig.store.requests if request.verb == "get"]
    assert asked == [False, True, False]


@KINDS
async def test_object_that_never_comes_as_it_is_stored_fails(dest: Path, data: bytes) -> None:
    """After it was requested in both ways, once each; the hint says what to do."""
    rig = Rig(dest, data)
    decompressed = EncodedObjectError(KEY, "the server seems to decompress it")
    rig.pace = quick_pace(workers=1)
    rig.store.always("get", KEY, Act(error=decompressed))
    with rig.fails(EncodedObjectError, "decompress"):
        await rig.download()
    assert rig.store.count("get") == 2
    assert rig.store.count("list") == 0
    assert "`Cache-Control: no-transform`" in decompressed.advice


@pytest.mark.parametrize("error", [AccessDeniedError(KEY, "403"), TransferError(KEY, "400")])
async def test_denied_object_is_not_retried(dest: Path, error: TransferError) -> None:
    """A permanent error costs one request."""
    rig = Rig(dest, b"data")
    rig.store.always("get", KEY, Act(error=error))
    with rig.fails(type(error)):
        await rig.download()
    assert rig.store.count("get") == 1


async def test_error_about_the_source_is_raised(dest: Path) -> None:
    """No object can be downloaded without credentials."""
    rig = Rig(dest, LARGE)
    rig.store.always("get", KEY, Act(error=AuthError("expired")))
    with pytest.raises(AuthError, match="expired"):
        await rig.download()
    rig.check_tidy()


# objects that change ----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "head"])
@pytest.mark.parametrize(
    ("old", "new"),
    [(b"old data", b"new data"), (b"small", LARGE), (LARGE, b"small"), (LARGE, OTHER)],
    ids=["small", "grown", "shrunk", "large"],
)
async def test_replaced_object_arrives_in_its_new_version(
    dest: Path, old: bytes, new: bytes, verb: str
) -> None:
    """It starts again with the version that is listed by then; versions are never mixed."""
    rig = Rig(dest, old)
    replaced = Act(before=partial(rig.store.put, KEY, new))
    rig.store.on("get" if verb == "get" else "head", KEY, replaced)
    done = await rig.download()
    assert tree(dest) == {KEY: new}
    assert done.transfer.remote == rig.store.remote(KEY)
    assert (dest / KEY).stat().st_mtime_ns == rig.store.remote(KEY).modified_ns
    rig.check_tidy()


@pytest.mark.row(42, 43)
async def test_object_replaced_between_two_parts_is_not_mixed(dest: Path) -> None:
    """The first part of the old version has arrived before the replacement."""
    rig = Rig(dest, LARGE, head=False)
    rig.pace = quick_pace(workers=1)
    rig.store.on("get", KEY, Act(), Act(before=partial(rig.store.put, KEY, OTHER)))
    await rig.download()
    assert tree(dest) == {KEY: OTHER}
    arrived = rig.watcher.bytes[KEY]
    assert -PART in arrived
    assert sum(arrived) == len(OTHER)


@pytest.mark.row(45)
async def test_object_replaced_after_its_last_byte_is_noticed(dest: Path) -> None:
    """A late HEAD shows the new version, so the old one is not published."""
    rig = Rig(dest, LARGE)
    all_arrived = anyio.Event()
    arrived = rig.watcher.advanced

    def advanced(transfer: Transfer, size: int) -> None:
        arrived(transfer, size)
        if sum(rig.watcher.bytes[KEY]) == len(LARGE):
            rig.store.put(KEY, OTHER)
            all_arrived.set()

    rig.watcher.advanced = advanced  # type: ignore[method-assign]  # sees when the last byte comes
    rig.store.on("head", KEY, Act(until=all_arrived))
    await rig.download()
    assert tree(dest) == {KEY: OTHER}


@KINDS
async def test_object_that_changes_all_the_time_fails(dest: Path, data: bytes) -> None:
    """After a few starts."""
    rig = Rig(dest, data)
    versions = iter(range(100))

    def replace() -> None:
        rig.store.put(KEY, str(next(versions)).encode().ljust(len(data)))

    rig.store.always("head", KEY, Act(before=replace))
    with rig.fails(RemoteChangedError, "replaced since it was listed"):
        await rig.download()
    assert rig.store.count("head") == STARTS


@KINDS
@pytest.mark.parametrize("verb", ["get", "head"])
async def test_deleted_object_is_skipped(dest: Path, data: bytes, verb: str) -> None:
    """An old file stays."""
    rig = Rig(dest, data)
    (dest / "1hz/2026").mkdir(parents=True)
    (dest / KEY).write_bytes(b"old file")
    rig.store.on(
        "get" if verb == "get" else "head", KEY, Act(before=partial(rig.store.delete, KEY))
    )
    with rig.fails(VanishedError):
        await rig.download()


async def test_object_that_is_replaced_and_then_deleted_is_skipped(dest: Path) -> None:
    """A second listing does not have it, although another key starts with its name."""
    rig = Rig(dest, b"old data")
    rig.store.put(KEY + ".parquet", b"another")
    gone = Act(before=partial(rig.store.delete, KEY))
    rig.store.on("list", KEY, gone)
    rig.store.on("get", KEY, Act(before=partial(rig.store.put, KEY, b"new data")))
    with rig.fails(VanishedError):
        await rig.download()


# the local side ---------------------------------------------------------------------------------


@KINDS
async def test_folder_at_the_path_is_a_collision(dest: Path, data: bytes) -> None:
    """The folder stays, with everything in it."""
    rig = Rig(dest, data)
    (dest / KEY).mkdir(parents=True)
    (dest / KEY / "inside").write_bytes(b"precious")
    with rig.fails(KeyCollisionError):
        await rig.download()


@KINDS
async def test_file_in_place_of_a_folder_is_a_collision(dest: Path, data: bytes) -> None:
    """The file stays unchanged."""
    rig = Rig(dest, data)
    (dest / "1hz").write_bytes(b"precious")
    with rig.fails(KeyCollisionError):
        await rig.download()


@KINDS
async def test_link_in_place_of_a_folder_is_not_followed(
    dest: Path, data: bytes, tmp_path: Path
) -> None:
    """Nothing is ever written outside the destination."""
    rig = Rig(dest, data)
    outside = tmp_path / "outside"
    outside.mkdir()
    (dest / "1hz").symlink_to(outside)
    with rig.fails(LocalFileError):
        await rig.download()
    assert list(outside.iterdir()) == []


@KINDS
async def test_cancelled_transfer_leaves_nothing_behind(dest: Path, data: bytes) -> None:
    """No unfinished file, no slot, and no file with the final name."""
    rig = Rig(dest, data)
    rig.store.on("get", KEY, Act(), Act(until=anyio.Event()))
    asked = anyio.Event()
    rig.store.always("head", KEY, Act(before=asked.set, until=anyio.Event()))
    async with anyio.create_task_group() as group:
        group.start_soon(rig.download)
        await asked.wait()
        group.cancel_scope.cancel()
    assert tree(dest) == {}
    rig.check_tidy()


async def test_object_without_a_strong_etag_is_downloaded_in_one_piece(dest: Path) -> None:
    """After an interruption it starts from its first byte, because the version may be another."""
    rig = Rig(dest, LARGE)
    rig.store.on("get", KEY, CUT, Act(before=lambda: rig.store.put(KEY, OTHER)))
    await rig.download(etag="")
    assert rig.store.spans(KEY) == [range(len(LARGE))] * 2
    assert tree(dest) == {KEY: OTHER}
    assert sum(rig.watcher.bytes[KEY]) == len(LARGE)
