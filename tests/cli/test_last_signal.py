"""A signal that comes when all is done: what a run found is told, and its report saved."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from asyncsync.cli import signals
from asyncsync.cli.signals import Watch
from asyncsync.report import ReportFile
from tests.rigs.called import Run

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX ones"),
    pytest.mark.usefixtures("store"),
]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Send a signal while the report is saved; return with which codes the process was ended."""
    ends: list[int] = []
    handled = threading.Event()
    handle = Watch.handle

    def handle_and_tell(watch: Watch, number: int, _: object = None) -> None:
        handle(watch, number)
        handled.set()

    save = ReportFile.save

    def stop_and_save(file: ReportFile) -> None:
        if not handled.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(1200):  # where another thread got it, it is handled in between
                if handled.wait(0.05):
                    break
            assert handled.is_set()
        save(file)

    monkeypatch.setattr(Watch, "handle", handle_and_tell)
    monkeypatch.setattr(os, "_exit", ends.append)
    monkeypatch.setattr(signals, "GRACE", 600)
    monkeypatch.setattr(ReportFile, "save", stop_and_save)
    return ends


def test_run_that_ends_while_it_is_given_up_tells_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its end would be told twice, on a machine that is too busy to end it in time."""
    ends: list[int] = []
    told: list[signal.Signals] = []
    telling, left = threading.Event(), threading.Event()
    monkeypatch.setattr(os, "_exit", ends.append)
    monkeypatch.setattr(signals, "GRACE", 0)
    monkeypatch.setattr(signals, "LAST_WORDS", 60)

    def report_stop(number: signal.Signals) -> None:
        telling.set()
        if not left.wait(0.1):
            told.append(number)

    watch = Watch()
    with watch.stopping(int, report_stop):
        watch.handle(signal.SIGTERM)
        assert telling.wait(60)
    left.set()
    assert (told, ends) == ([signal.SIGTERM], [143])


def test_report_is_saved_and_the_end_told(run: Run, ends: list[int]) -> None:
    """The run is complete, and so is its exit code."""
    ran = run("--report", "new.csv")
    assert (ran.code, ends) == (0, [])
    assert ran.out.splitlines()[-1].startswith("3 downloaded ")
    assert len(Path("new.csv").read_text().splitlines()) == 4
    assert [path.name for path in Path().glob(".new*")] == []


def test_rounds_end_with_the_code_of_the_signal(run: Run, ends: list[int]) -> None:
    """No other round begins, so 0 would say too much."""
    assert (run("--report", "new.csv", "--every", "1h").code, ends) == (143, [])
