"""What the command line says when the time of a run is up."""

from functools import partial

import anyio
import pytest

from asyncsync import api
from asyncsync.model import Outcome
from asyncsync.pace import Deadline, deadline
from asyncsync.report import Report
from tests.rigs.called import OBJECTS, Run
from tests.rigs.memory_store import Act, MemoryStore


@pytest.fixture(autouse=True)
def _held(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One object never comes, and nobody waits for it; the time runs once all else has."""
    monkeypatch.setattr(deadline, "GRACE", 0.0)
    store.always("get", "1hz/b.parquet", Act(until=anyio.Event()))
    came: list[Report] = []
    ended = Report.ended

    def note(report: Report, outcome: Outcome) -> None:
        ended(report, outcome)
        came.append(report)

    async def sleep(seconds: float) -> None:
        while len(came) < len(OBJECTS) - 1 or not came[0].is_listed:  # noqa: ASYNC110 - in threads
            await anyio.sleep(0.005)
        await anyio.sleep(seconds)

    monkeypatch.setattr(Report, "ended", note)
    monkeypatch.setattr(api, "Deadline", partial(Deadline, sleep=sleep))


def test_run_whose_time_is_up_ends_with_7_and_says_what_is_left(run: Run) -> None:
    """On standard error, with `--quiet` as well; what has arrived is there."""
    ran = run("--quiet", "--max-duration", "1")
    assert (ran.code, ran.out) == (7, "")
    assert ran.err == (
        "asyncsync: stopped after 1 s, as --max-duration asks: 1 object (2 B) left; "
        "the next run goes on\n"
    )


def test_json_tells_what_is_left(run: Run) -> None:
    """The summary has it, beside the exit code."""
    ran = run("--json", "--max-duration", "1s")
    summary = ran.events[-1]
    assert (ran.code, summary["exit_code"], summary["error"]) == (7, 7, "")
    assert (summary["downloaded"], len(summary["left"])) == (2, 1)
