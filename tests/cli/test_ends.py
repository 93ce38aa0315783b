"""How a run's end is told: in one colour for each kind of end, whatever the command."""

from types import SimpleNamespace

import pytest

from asyncsync import console
from asyncsync.cli import ends, every
from asyncsync.cli.looks import Person, Program
from asyncsync.cli.screen import JsonLines
from asyncsync.cli.signals import Watch
from asyncsync.console import RED, YELLOW
from asyncsync.interfaces import Urgent
from asyncsync.report import Report
from tests.cli.test_every import ARGUMENTS, Rounds
from tests.rigs.terminal import Terminal

LONG = "sensors " * 20
"""A terminal of 80 columns would break one of the words."""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns, which standard error leads to."""
    terminal = Terminal(80)
    monkeypatch.setattr(console, "sys", SimpleNamespace(stderr=terminal))  # pytest has sys.stderr
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return terminal


@pytest.mark.parametrize(
    ("code", "colour"),
    [(1, RED), (2, RED), (3, YELLOW), (5, RED), (7, YELLOW), (130, YELLOW), (143, YELLOW)],
)
def test_end_is_red_only_where_something_went_wrong(
    terminal: Terminal, code: int, colour: int
) -> None:
    """A signal, skipped keys and what an option leaves to do are yellow; lines are wrapped."""
    ends.say_end(code, LONG)
    assert "".join(terminal.written).startswith(f"\x1b[{colour}masyncsync: sensors")
    assert "senso" not in " ".join(terminal.lines).split()


@pytest.mark.parametrize("command", ["ls", "du"])
def test_stopped_look_is_yellow(terminal: Terminal, command: str) -> None:
    """As a stopped sync is."""
    Person(command, Report()).finish(130, "stopped by SIGINT")
    assert terminal.written[0].startswith("\x1b[33masyncsync: stopped by SIGINT")


def test_stopped_rounds_are_yellow(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """They came to the end that they have."""
    Rounds(monkeypatch)
    assert every.repeat(int, 600, ARGUMENTS, Watch()) == 143
    assert "\x1b[33masyncsync: stopped by SIGTERM" in "".join(terminal.written)


@pytest.mark.parametrize(
    "screen", [Person("ls", Report()), Program("ls", Report()), JsonLines("sync", Report())]
)
def test_notices_are_wrapped_and_urgent_ones_yellow(
    terminal: Terminal, screen: Person | JsonLines
) -> None:
    """Beside JSON lines as well, since people read standard error."""
    screen.noticed(LONG)
    screen.noticed(Urgent("look"))
    assert "senso" not in " ".join(terminal.lines).split()
    assert terminal.written[0].startswith("asyncsync: sensors")
    assert "\x1b[33masyncsync: look\x1b[0m" in "".join(terminal.written)
