"""What Dask runs in a worker: `fetch` as a task, and the others beside the tasks.

`enlist` brings a mover into the process (`resident.py`). It stays for all batches, with its
connections and what it has found out about the server, until the run has ended, or its client is
gone, or no batch has come for a while; then the next batch says that it is to be enlisted again.
"""

import threading
from functools import partial

from distributed import Worker, get_worker

from asyncsync import __version__
from asyncsync.dask.batch import Batch, Enlistment
from asyncsync.dask.resident import Resident
from asyncsync.disk import Sign
from asyncsync.errors import MachineError
from asyncsync.movers import encode
from asyncsync.report import Json
from asyncsync.threads import in_thread

_residents: dict[str, Resident] = {}
"""By the ids of their runs."""
_changing = threading.Lock()


def fetch(batch: Batch) -> bytes:
    """Download a batch of objects; return a line for each, and some about the worker.

    The files have no name yet, which only the brain gives them. Blocks until all have ended. A
    worker that is not enlisted, or only with older credentials, says so instead.
    """
    worker = get_worker()
    about: Json = {"event": "worker", "address": worker.address}
    if why := check(batch.sign, batch.version):
        return encode(about) + encode({"event": "unshared", "message": why})
    with _changing:
        resident = _residents.get(batch.run)
        if resident is None or resident.has_ended or resident.generation < batch.generation:
            return encode(about) + encode({"event": "unlisted"})
        resident.users += 1
    try:
        return encode(about) + resident.fetch(batch, partial(_is_wanted, worker, batch.key))
    finally:
        with _changing:
            resident.users -= 1


async def enlist(enlistment: Enlistment, dask_worker: Worker) -> None:
    """Have a mover in this process for a run, with these credentials."""
    await in_thread(_enlist, enlistment, dask_worker)


def _enlist(enlistment: Enlistment, worker: Worker) -> None:
    run = enlistment.run
    with _changing:
        old = _residents.get(run)
        if old and not old.has_ended and old.generation >= enlistment.generation:
            return
        if old:
            old.leave()
        tell = partial(worker.log_event, run)
        may_end, forget = partial(_may_end, run), partial(_forget, run)
        _residents[run] = Resident(enlistment, tell, may_end, forget)


def check(sign: Sign, version: str) -> str:
    """Return why this worker cannot download for a run; empty if it can."""
    if version != __version__:
        return f"it has asyncsync {__version__}, and the client has {version}"
    try:
        sign.check()
    except OSError as error:
        return f"{sign.parts}: {error.strerror}"
    except MachineError as error:
        return f"{sign.parts}: {error}"
    return ""


def version() -> str:
    """Return the version of asyncsync in this worker."""
    return __version__


def pause(run: str, seconds: float) -> None:
    """Let the requests for a run pause: the server has asked another worker for that."""
    if resident := _residents.get(run):
        resident.pause(seconds)


async def stop(run: str) -> None:
    """End what this worker does for a run; what has arrived of large objects is kept."""
    with _changing:
        resident = _residents.pop(run, None)
    if resident:
        await in_thread(resident.end)


def _may_end(run: str, resident: Resident) -> bool:
    """Return whether a resident that has nothing to do may end: nobody has just entered."""
    with _changing:
        if not resident.users and _residents.get(run) is resident:
            del _residents[run]
        return not resident.users


def _forget(run: str, resident: Resident) -> None:
    """Forget a resident that has ended."""
    with _changing:
        if _residents.get(run) is resident:
            del _residents[run]


def _is_wanted(worker: Worker, key: str) -> bool:
    """Return whether anybody still waits for what a task returns: its client may be gone."""
    task = worker.state.tasks.get(key)
    return task is not None and task.state != "cancelled"
