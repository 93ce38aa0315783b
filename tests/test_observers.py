"""What happens when an observer of the user's raises an exception."""

import asyncio
import errno
from pathlib import Path

import pytest

import asyncsync
from asyncsync import SilentObserver
from asyncsync.disk import Folder
from asyncsync.errors import DiskFullError, NetworkError, VanishedError
from tests.rigs.memory_store import MemoryStore, use_memory

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("error")]

LARGE = bytes(1_000_000)
ERRORS = [
    OSError(errno.ENOSPC, "no space in the observer's own file"),
    OSError(errno.EMFILE, "too many open files of the observer"),
    TimeoutError("the observer's own"),
    VanishedError("1hz/a.parquet", "the observer's own"),
    NetworkError("the observer's own"),
    DiskFullError("the observer's own"),
    ZeroDivisionError("the observer's own"),
]
MOMENTS = ["counted", "compared", "listed", "started", "advanced", "ended", "unmatched"]


def raising(moment: str, error: BaseException) -> SilentObserver:
    """Return an observer that raises the error whenever it is notified of this."""

    def fail(*_: object) -> None:
        raise error

    observer = SilentObserver()
    setattr(observer, moment, fail)
    return observer


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """A bucket with a small and a large object."""
    store = MemoryStore({"1hz/a.parquet": b"a", "1hz/large.parquet": LARGE})
    use_memory(monkeypatch, store)
    return store


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("moment", MOMENTS)
async def test_what_an_observer_raises_reaches_the_caller(
    store: MemoryStore, tmp_path: Path, moment: str, error: Exception
) -> None:
    """It is that very exception, and never a failure of an object."""
    with pytest.raises(type(error)) as caught:
        await asyncsync.sync(
            dest=tmp_path / "dest", prefixes=["1hz/", "none/"], observer=raising(moment, error)
        )
    assert caught.value is error
    with Folder(tmp_path / "dest").writing():  # so its lock was given back
        pass


@pytest.mark.parametrize("moment", MOMENTS)
async def test_no_observer_cancels_the_run(store: MemoryStore, tmp_path: Path, moment: str) -> None:
    """A CancelledError of its own ends it as a bug, not as a success or a cancellation."""
    observer = raising(moment, asyncio.CancelledError())
    with pytest.raises(RuntimeError, match="an observer raised CancelledError") as caught:
        await asyncsync.sync(dest=tmp_path, prefixes=["1hz/", "none/"], observer=observer)
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


async def test_observer_of_a_verification_or_a_plan_ends_it(
    store: MemoryStore, tmp_path: Path
) -> None:
    """As it ends a sync."""
    (tmp_path / "extra.parquet").touch()
    for moment in ("unlisted", "ended"):
        await asyncsync.sync(dest=tmp_path)
        with pytest.raises(KeyError, match="own"):
            await asyncsync.verify(dest=tmp_path, observer=raising(moment, KeyError("own")))
    with pytest.raises(KeyError, match="own"):
        await asyncsync.plan(dest=tmp_path, observer=raising("compared", KeyError("own")))


async def test_observer_of_a_stream_or_a_script_ends_it(store: MemoryStore, tmp_path: Path) -> None:
    """The generator and the thread pass its exception on."""
    error = OSError("own")
    with pytest.raises(OSError, match="own") as caught:
        async for _ in asyncsync.stream(dest=tmp_path, observer=raising("advanced", error)):
            pass
    assert caught.value is error
    with pytest.raises(OSError, match="own"):
        await asyncio.to_thread(
            asyncsync.run, dest=tmp_path, observer=raising("listed", OSError("own"))
        )


async def test_real_cancellation_stays_one(store: MemoryStore, tmp_path: Path) -> None:
    """Who cancels the run gets a CancelledError, also where an observer is the one who asks."""

    class Stopping(SilentObserver):
        def listed(self) -> None:
            running.cancel()

    running = asyncio.ensure_future(asyncsync.sync(dest=tmp_path, observer=Stopping()))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert running.cancelled()
