"""When a run gets movers: what the processors do decides, and what is left to deal."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from anyio import create_task_group
from anyio.lowlevel import checkpoint

import asyncsync
from asyncsync.download import SMALL
from asyncsync.model import Downloaded, Reason, RemoteObject, Transfer
from asyncsync.movers import need
from asyncsync.movers.need import ALONE, LOOK, OBJECT, WORTH, Need, idle_seconds
from tests.rigs.bucket import Bucket
from tests.rigs.clocks import Clock

pytestmark = pytest.mark.anyio

MB = 1_000_000
SECOND = 500 * MB
"""Bytes that arrive in a second of these tests."""


@dataclass(frozen=True)
class Seen:
    """What a look shows, as shares of it; `idle` of one processor, None where nothing is told."""

    busy: float
    idle: float | None
    rate: int = SECOND


class Looks(Clock):
    """Plays what `Need` sees, look after look, and says when it has seen enough."""

    def __init__(self, looks: Iterable[Seen], let_in: Callable[[], object] = int) -> None:
        super().__init__()
        self._looks: Iterator[Seen] = iter(looks)
        self._worked, self._idle = 0.0, 0.0
        self._tells = True
        self.under = self.pace()
        self.need = Need(
            self.under,
            let_in,
            self.sleep,
            lambda: self.now,
            lambda: self._worked,
            lambda: self._idle if self._tells else None,
        )

    async def sleep(self, seconds: float) -> None:
        """Let a look's time pass."""
        await super().sleep(seconds)
        seen = next(self._looks, None)
        if seen is None:
            raise EOFError
        self._worked += seen.busy * seconds
        self._tells = seen.idle is not None
        self._idle += (seen.idle or 0.0) * seconds
        self.under.note_bytes(int(seen.rate * seconds))

    async def seen(self) -> int | None:
        """Return how many looks it took until movers were needed; None if they never were."""
        try:
            await self.need.arises()
        except EOFError:
            return None
        return len(self.slept)


def transfer(size: int, number: int = 0) -> Transfer:
    key = f"1hz/{number}.parquet"
    return Transfer(RemoteObject(key, size, "0" * 32, 1), (key,), Reason.MISSING)


@pytest.mark.parametrize(
    ("looks", "enough"),
    [
        ([Seen(0.5, 1.0), Seen(1.0, 1.0)], 2),
        ([Seen(1.2, 0.6)], 1),
        ([Seen(1.0, None), Seen(1.0, None)], 1),
        ([Seen(0.8, 1.2)] * 5, None),
        ([Seen(1.0, 0.3)] * 5, None),
    ],
    ids=["once-busy", "threads-too", "untold", "waits-for-the-network", "no-processor-is-free"],
)
async def test_movers_are_needed_where_the_processor_is_what_the_run_waits_for(
    looks: list[Seen], enough: int | None
) -> None:
    """The process has to be busy, and another processor free, as far as the system tells."""
    run = Looks(looks)
    run.need.expect([transfer(10 * SECOND)])
    assert await run.seen() == enough


@pytest.mark.parametrize(("seconds", "enough"), [(WORTH + 0.1, 1), (WORTH - 0.1, None), (0, None)])
async def test_movers_are_needed_for_as_much_as_takes_a_while(
    seconds: float, enough: int | None
) -> None:
    """What is left to deal has to take longer than it takes until movers bring more."""
    run = Looks([Seen(1.0, 1.0)])
    if seconds:
        run.need.expect([transfer(int(seconds * SECOND) - OBJECT)])
    assert await run.seen() == enough


async def test_process_that_is_busy_with_something_else_needs_no_movers() -> None:
    """While nothing arrives, it is the listing or the disk that keeps it busy."""
    run = Looks([Seen(1.0, 1.0, 0)] * 5)
    run.need.expect([transfer(100 * SECOND)])
    assert await run.seen() is None


async def test_what_this_process_has_begun_is_not_left_to_deal() -> None:
    """One object that is under way gives movers nothing to do, however large it is."""
    run = Looks([Seen(1.0, 1.0)])
    large, begun = transfer(100 * SECOND), asyncio.Event()

    async def download(_: Transfer) -> Downloaded:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    run.need.expect([large])
    task = asyncio.create_task(run.need.alone(download, large))
    await begun.wait()
    assert await run.seen() is None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
def alone() -> "Alone":
    return Alone()


class Alone:
    """Downloads of a process that may get movers; each lasts until it is told to end."""

    def __init__(self) -> None:
        self.under = Clock().pace()
        self.let_in = 0
        self.need = Need(self.under, self._count)
        self._ends: dict[str, asyncio.Future[None]] = {}
        self._tasks: dict[str, asyncio.Task[Downloaded]] = {}

    def _count(self) -> None:
        self.let_in += 1

    async def begin(self, transfer: Transfer) -> None:
        """Begin to download an object."""
        end = self._ends[transfer.remote.key] = asyncio.get_running_loop().create_future()
        begun = asyncio.Event()

        async def download(each: Transfer) -> Downloaded:
            begun.set()
            await end
            return Downloaded(each, 1, 0.0)

        task = asyncio.create_task(self.need.alone(download, transfer))
        self._tasks[transfer.remote.key] = task
        await begun.wait()

    async def end(self, transfer: Transfer, error: Exception | None = None) -> None:
        """Let it end, with an error or without one."""
        end = self._ends[transfer.remote.key]
        if error:
            end.set_exception(error)
            with pytest.raises(type(error)):
                await self._tasks[transfer.remote.key]
        else:
            end.set_result(None)
            await self._tasks[transfer.remote.key]


async def test_this_process_leaves_large_objects_to_movers_that_may_come(alone: Alone) -> None:
    """It begins another one only while few bytes of those it has begun are still to come."""
    first, second, small = transfer(ALONE - 1, 1), transfer(SMALL + 1, 2), transfer(SMALL, 3)
    await alone.begin(first)
    assert alone.need.has_room_for(second)
    await alone.begin(second)
    assert not alone.need.has_room_for(first)
    assert alone.need.has_room_for(small)  # which would wait for as long as the large ones take
    assert alone.let_in == 1
    alone.under.note_bytes(SMALL + 1)
    assert alone.need.has_room_for(first)
    for each in (second, first):
        await alone.end(each)
    assert alone.let_in == 3


async def test_next_large_object_begins_before_the_last_has_ended(alone: Alone) -> None:
    """However large they are, no stream is idle while one ends."""
    first, second = transfer(10 * ALONE, 1), transfer(10 * ALONE, 2)
    await alone.begin(first)
    assert not alone.need.has_room_for(second)
    alone.under.note_bytes(9 * ALONE + 1)
    assert alone.need.has_room_for(second)
    await alone.end(first)


async def test_failed_objects_leave_room_for_others(alone: Alone) -> None:
    """Their bytes do not come, and are not waited for."""
    first, second = transfer(ALONE - 1, 1), transfer(2 * ALONE, 2)
    await alone.begin(first)
    await alone.begin(second)
    await alone.end(second, OSError("no"))
    assert alone.need.has_room_for(second)
    await alone.end(first)


async def test_who_waits_for_room_is_let_in_when_bytes_have_arrived() -> None:
    """Each look lets one in, if there is room."""
    let_in: list[None] = []
    run = Looks([Seen(0.5, 1.0)] * 3, lambda: let_in.append(None))
    assert await run.seen() is None
    assert len(let_in) == 3


async def test_this_process_downloads_no_more_at_once_than_there_may_be_requests() -> None:
    """Although there are workers for all movers: each object may hold a file open."""
    watched, under_way, most = Need(Clock().pace(workers=2), int), 0, 0

    async def download(each: Transfer) -> Downloaded:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await checkpoint()
        under_way -= 1
        return Downloaded(each, 1, 0.0)

    async with create_task_group() as group:
        for number in range(6):
            group.start_soon(watched.alone, download, transfer(1, number))
    assert (most, under_way) == (2, 0)


def test_idle_processors_are_those_that_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The system's ticks of idling and of waiting for disks are added up, for these alone."""
    stat = tmp_path / "stat"
    monkeypatch.setattr(need, "_STAT", stat)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2}, raising=False)
    monkeypatch.setattr("os.sysconf", lambda _: 100)
    stat.write_text(
        "cpu 1 1 1 900 1 1\ncpu0 9 9 9 100 20 9\ncpu1 9 9 9 700 9 9\ncpu2 9 9 9 200 30 9\nintr 5\n"
    )
    assert idle_seconds() == pytest.approx(3.5)
    stat.write_text("cpu 0 0 0 0 0\ncpu0 0 0 0 0 0\n")
    assert idle_seconds() is None  # a sandbox that tells nothing
    stat.unlink()
    assert idle_seconds() is None


async def test_a_run_that_needs_movers_gets_them_while_it_goes_on(
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is not begun when they are ready is theirs, and every object is told of once."""
    for name in ("LOOK", "BUSY", "FREE", "WORTH"):
        monkeypatch.setattr(need, name, 0.0)
    monkeypatch.setattr(need, "ALONE", 1)  # so that there is always something left to deal
    monkeypatch.setattr("asyncsync.movers.hire.usable_cores", lambda: 2)
    caplog.set_level("INFO", "asyncsync")
    size = SMALL + 1
    objects = {f"1hz/{number:02}.parquet": bytes([number]) * size for number in range(60)}
    bucket.put_many(objects)
    for name, value in bucket.server.environment().items():
        monkeypatch.setenv(name, value)
    report = await asyncsync.sync(dest=tmp_path / "dest", parquet_check=False)
    assert (report.downloaded, report.exit_code) == (len(objects), 0)
    assert {key: (tmp_path / "dest" / key).read_bytes() for key in objects} == objects
    assert "2 movers are started" in caplog.text


async def test_files_that_are_read_instead_of_downloaded_start_no_mover(
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only those that turn out to be no objects of the bucket are dealt to one."""
    caplog.set_level("INFO", "asyncsync")
    for name, value in bucket.server.environment().items():
        monkeypatch.setenv(name, value)
    dest, key = tmp_path / "dest", "1hz/a.parquet"
    bucket.put_many({key: b"content", "1hz/b.parquet": b"other"})
    (dest / "1hz").mkdir(parents=True)
    for name in "ab":
        (dest / f"1hz/{name}.parquet").write_bytes(b"content" if name == "a" else b"other")

    async def sync() -> int:
        report = await asyncsync.sync(dest=dest, compare="hash", parquet_check=False, processes=1)
        return report.downloaded

    assert await sync() == 0
    assert "movers are started" not in caplog.text
    (dest / key).write_bytes(b"changed")
    assert await sync() == 1
    assert (dest / key).read_bytes() == b"content"
    assert "movers are started" in caplog.text


def test_a_look_is_short() -> None:
    """Movers come within the first seconds of a run, or the waiting would cost what they bring."""
    assert LOOK <= WORTH / 2
