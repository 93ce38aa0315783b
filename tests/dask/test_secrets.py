"""Nothing that Dask shows of a run has its secrets."""

import asyncio
import pickle
from pathlib import Path

import pytest
from distributed import Client, Scheduler, Worker

import asyncsync.dask
from asyncsync.dask.batch import Batch, Enlistment
from asyncsync.secret import Secret
from tests.dask.rigs import OBJECTS, Gate
from tests.rigs.scripted_s3 import ScriptedS3

SECRETS = ("the-secret", "the-token")


@pytest.mark.row(207)
@pytest.mark.anyio
async def test_what_dask_shows(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither keys, stories, logs, events nor the tasks themselves, while a run goes on."""
    async with ScriptedS3(OBJECTS) as s3:
        for name, value in {**s3.environment, "R2_SESSION_TOKEN": "the-token"}.items():
            monkeypatch.setenv(name, value)
        gate = Gate(s3, 6)
        run = asyncio.create_task(asyncsync.dask.sync(client, None, tmp_path / "dest"))
        await gate.is_full.wait()
        tasks = client.run_on_scheduler(_tasks)
        assert "<batch " in tasks
        keys = [key for keys in client.processing().values() for key in keys]
        client.dump_cluster_state(str(tmp_path / "dump"), format="yaml")
        shown = [
            tasks,
            *client.run(_tasks_of_worker).values(),
            str(client.story(*keys)),
            str(client.get_worker_logs()),
            str(client.get_scheduler_logs()),
            str(client.get_events()),
            str(client.call_stack()),
            (tmp_path / "dump.yaml").read_text(),
        ]
        gate.open()
        report = await run
    assert report.downloaded == len(OBJECTS)
    for text in [*shown, str(client.get_worker_logs()), str(client.get_events())]:
        assert not any(secret in text for secret in SECRETS)


@pytest.mark.row(207)
def test_enlistment_shows_nothing() -> None:
    """What has the secrets shows none of them, and arrives as it was sent; no task has any."""
    enlistment = Enlistment("run", 0, Secret("the-secret"), 0.0, 1.0)
    assert "the-secret" not in f"{enlistment} {enlistment!r}"
    assert pickle.loads(pickle.dumps(enlistment)) == enlistment  # noqa: S301 - its own
    assert "orders" not in Batch.__slots__


def _tasks(dask_scheduler: Scheduler) -> str:
    tasks = dask_scheduler.tasks.values()
    return " ".join(f"{task!r} {task.run_spec!r} {pickle.dumps(task.run_spec)!r}" for task in tasks)


def _tasks_of_worker(dask_worker: Worker) -> str:
    tasks = dask_worker.state.tasks.values()
    return " ".join(f"{task!r} {task.run_spec!r}" for task in tasks)
