"""`--every`: rounds that follow each other, until a signal comes."""

import gc
import logging
import signal
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from asyncsync.cli import every
from asyncsync.cli.signals import Watch
from asyncsync.errors import AsyncSyncError, AuthError, ConfigError, NetworkError
from tests.rigs.called import OBJECTS, Run
from tests.rigs.memory_store import Act, MemoryStore

ARGUMENTS = Namespace(quiet=False, json=False)


class Rounds:
    """Rounds that end as is said, with a clock that they and the waits between them move.

    Args:
        patch: replaces the clock and the wait.
        between: called after each round but the last, which a signal ends.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, between: Iterable[Callable[[], object]] = ()
    ) -> None:
        self.now = 1000.0
        self.waited: list[float] = []
        self._between = iter(between)
        patch.setattr(every, "clock", lambda: self.now)
        patch.setattr(every, "wait", self.wait)

    def wait(self, seconds: float, _: object, line: str, stream: TextIO) -> signal.Signals | None:
        """Let the time pass at once."""
        if line:
            print(line, file=stream)
        self.waited.append(seconds)
        self.now += seconds
        if following := next(self._between, None):
            following()
            return None
        return signal.SIGTERM


def test_rounds_begin_a_fixed_time_after_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that took longer is followed at once, and the next is not sooner for it."""
    rounds = Rounds(monkeypatch, [int, int])
    begun, lasting = [], iter([100.0, 700.0, 0.0])

    def run() -> int:
        begun.append(rounds.now)
        rounds.now += next(lasting)
        return 0

    assert every.repeat(run, 600, ARGUMENTS, Watch()) == 143
    assert (begun, rounds.waited) == ([1000, 1600, 2300], [500, 0, 600])
    said = capsys.readouterr()
    first, second, third = said.out.splitlines()
    assert first.endswith(", in 8 min 20 s")
    assert second == "the next round begins now"
    assert third.endswith(", in 10 min")
    assert said.err == "asyncsync: stopped by SIGTERM (exit code 143)\n"


def test_rounds_go_on_whatever_goes_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The network, credentials, a full disk, another run, and settings that are wrong later."""
    Rounds(monkeypatch, [int] * 5)
    ends: Iterator[AsyncSyncError | int]
    ends = iter([NetworkError("no way"), AuthError("expired"), 5, 6, ConfigError("cut"), 0])

    def run() -> int:
        end = next(ends)
        if isinstance(end, int):
            return end
        raise end

    assert every.repeat(run, 600, Namespace(quiet=True, json=False), Watch()) == 143
    said = capsys.readouterr()
    assert (said.out, said.err.splitlines()) == (
        "",
        [
            "asyncsync: no way (exit code 4)",
            "asyncsync: expired (exit code 4)",
            "asyncsync: cut (exit code 2)",
            "asyncsync: stopped by SIGTERM (exit code 143)",
        ],
    )


def test_settings_that_are_wrong_from_the_start_end_it(run: Run) -> None:
    """Nobody would notice a service that never did anything."""
    ran = run("--every", "10m")
    assert (ran.code, ran.out) == (2, "")
    assert "settings are missing" in ran.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--every", "soon"], "--every: 'soon' is not a duration such as 90s, 30m, 2h or 1h30m"),
        (["--every", "0"], "--every: '0' is not a duration such as 90s, 30m, 2h or 1h30m"),
        (["--every", "1h", "--plan", "x"], "--every: goes without --plan, which fetches the same"),
        (["--every", "1h", "--files-from", "-"], "--every: standard input can be read once; give"),
    ],
)
def test_rounds_that_make_no_sense_are_refused(run: Run, arguments: list[str], why: str) -> None:
    """Before anything is read."""
    ran = run(*arguments)
    assert (ran.code, ran.err.startswith(f"asyncsync: {why}")) == (2, True)


@pytest.mark.usefixtures("store")
def test_each_round_reads_the_settings_anew_and_has_its_json(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard output holds the events alone: a start and a summary for each."""

    def rotate() -> None:
        Path(".env").write_text("ASYNCSYNC_DEST=elsewhere\n")
        Path(".env").chmod(0o600)

    Rounds(monkeypatch, [rotate])
    ran = run("--every", "1h", "--json")
    assert ran.code == 143
    kinds = ["start", *["downloaded"] * len(OBJECTS), "summary"]
    assert [event["event"] for event in ran.events] == kinds * 2
    dests = [Path(event["dest"]).name for event in ran.events if event["event"] == "start"]
    assert dests == ["downloads", "elsewhere"]
    assert "the next round begins at " in ran.err


def test_round_after_an_error_syncs(
    run: Run, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is told as by a single run, in what is logged as well."""
    Rounds(monkeypatch, [int])
    store.on("list", "", Act(error=AuthError("the token has expired")))
    ran = run("--every", "1h", "--log-file", "sync.log")
    assert ran.code == 143
    assert "asyncsync: the token has expired (exit code 4)\n" in ran.err
    assert "3 downloaded" in ran.out
    logged = Path("sync.log").read_text()
    assert logged.count("INFO sync: ") == 2
    assert "the token has expired (exit code 4)" in logged


@pytest.mark.usefixtures("store")
def test_log_may_be_moved_between_two_rounds(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each opens it anew."""
    Rounds(monkeypatch, [lambda: Path("sync.log").rename("sync.log.1")])
    assert run("--every", "1h", "--log-file", "sync.log").code == 143
    assert "3 downloaded" in Path("sync.log.1").read_text()
    assert "3 up to date" in Path("sync.log").read_text()


def test_memory_does_not_grow_with_the_rounds(
    run: Run, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some, no round leaves objects behind."""
    logging.getLogger("asyncsync").setLevel(logging.NOTSET)  # the tests keep what is logged
    alive: list[int] = []

    def count() -> None:
        store.requests.clear()
        gc.collect()
        alive.append(len(gc.get_objects()))

    Rounds(monkeypatch, [count] * 20)
    assert run("--every", "1h").code == 143
    assert min(alive[10:]) - min(alive[:10]) < 20, alive
