"""What the command line prints: for people on two streams, for programs one object a line."""

import json
import logging
import sys
from pathlib import Path
from typing import TextIO

import pytest

from asyncsync.cli.screen import MOST_ROWS, JsonLines, Log, Text
from asyncsync.console import print_line
from asyncsync.disk import Folder
from asyncsync.errors import IntegrityError, UnsafeKeyError
from asyncsync.model import Compared, Downloaded, Failed, Reason, RemoteObject, Transfer, UpToDate
from asyncsync.report import Report

OBJECT = RemoteObject("1hz/\x1b[2J", 1500, "etag", 0)
TRANSFER = Transfer(OBJECT, ("1hz", "\x1b[2J"), Reason.NEWER)
REFUSED = Failed(RemoteObject("../x", 1, "", 0), UnsafeKeyError("../x", "unsafe"))
BROKEN = Failed(OBJECT, IntegrityError(OBJECT.key, "other\nsize"))
SUM = (
    "1 downloaded (1.5 kB at 1.5 kB/s), 1 up to date, 1 failed, 1 skipped, "
    "1 without a content hash, in 1.0 s"
)
PAGE = Compared([TRANSFER], [UpToDate(OBJECT)], [REFUSED])


class Told:
    """What a person saw on each stream."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.error: list[str] = []

    def say(self, line: str, stream: TextIO) -> None:
        """Take in a line."""
        assert stream in {sys.stdout, sys.stderr}
        (self.out if stream is sys.stdout else self.error).append(line)


def story(
    told: Told,
    folder: Path,
    command: str = "sync",
    *,
    verbose: bool = False,
    quiet: bool = False,
    error: str = "",
) -> None:
    """Tell a whole run with one object of each kind."""
    figures = Report(seconds=1.0)
    text = Text(command, figures, Folder(folder), told.say, verbose=verbose, quiet=quiet)
    for observer in (figures, text):
        observer.counted({"1hz/": 1})
        observer.compared(PAGE)
        observer.unmatched("typo\n/")
        observer.listed()
        observer.ended(Downloaded(TRANSFER, 1, 0.1))
        observer.ended(BROKEN)
    text.closing(1, error)


@pytest.fixture
def told() -> Told:
    """Nothing yet."""
    return Told()


def test_person_is_told_the_check_what_failed_and_the_sum(told: Told, tmp_path: Path) -> None:
    """Warnings and failures go to standard error, the rest to standard output."""
    story(told, tmp_path)
    assert [line.split()[0] for line in told.out] == ["prefix", "../", "1hz/", "total", "1"]
    assert told.out[-1] == SUM
    unmatched = r"typo\n/: no key begins so, or --include and --exclude leave none"
    assert told.error == [
        "skipped: ../x: unsafe",
        f"nothing to sync under prefix {unmatched}",
        r"failed: 1hz/\x1b[2J: other\nsize",
    ]


def test_verbose_names_every_object(told: Told, tmp_path: Path) -> None:
    """What is going to be fetched and why, and what has arrived."""
    story(told, tmp_path, verbose=True)
    assert r"newer: 1hz/\x1b[2J (1.5 kB)" in told.out
    assert r"downloaded: 1hz/\x1b[2J" in told.out


def test_quiet_prints_failures_only(told: Told, tmp_path: Path) -> None:
    """Standard output stays empty."""
    story(told, tmp_path, quiet=True, verbose=True)
    assert told.out == []
    assert len(told.error) == 3


def test_what_ended_the_run_comes_last(told: Told, tmp_path: Path) -> None:
    """On standard error, with the exit code, on one line."""
    story(told, tmp_path, error="no\nnetwork")
    assert told.error[-1] == r"asyncsync: no\nnetwork (exit code 1)"


def test_run_that_found_nothing_has_no_summary(told: Told, tmp_path: Path) -> None:
    """Zeros, or that a plan fits, would say something that nobody knows."""
    text = Text("plan", Report(), Folder(tmp_path), told.say, verbose=False, quiet=False)
    assert text.closing(4, "no network") == 4
    assert (told.out, told.error) == ([], ["asyncsync: no network (exit code 4)"])


def test_log_holds_every_outcome_and_the_end(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """What was refused, what arrived, what failed, the summary, and what ended the run."""
    caplog.set_level(logging.INFO, "asyncsync")
    figures = Report(seconds=1.0)
    log = Log("sync", figures, Folder(tmp_path))
    for observer in (figures, log):
        observer.compared(PAGE)
        observer.ended(Downloaded(TRANSFER, 1, 0.1))
        observer.ended(BROKEN)
    log.closing(4, "no\nnetwork")
    assert caplog.messages == [
        "skipped: ../x: unsafe",
        r"downloaded: 1hz/\x1b[2J",
        r"failed: 1hz/\x1b[2J: other\nsize",
        SUM,
        r"no\nnetwork (exit code 4)",
    ]
    assert {record.levelno for record in caplog.records} == {logging.INFO}


@pytest.mark.parametrize(
    ("command", "words"),
    [("sync", "1 downloaded"), ("plan", "fits:"), ("verify", "0 verified, 1 not in sync")],
)
def test_each_command_has_its_summary(told: Told, tmp_path: Path, command: str, words: str) -> None:
    """It answers what was asked."""
    story(told, tmp_path, command)
    assert words in told.out[-1]


def test_nothing_told_holds_a_control_character(told: Told, tmp_path: Path) -> None:
    """Keys, prefixes and errors reach the terminal escaped."""
    story(told, tmp_path, verbose=True, error="\x1b]0;x\x07")
    assert all(line.isprintable() for line in (*told.out, *told.error))


def test_long_check_is_cut_unless_all_is_to_be_named(told: Told, tmp_path: Path) -> None:
    """A bucket of many prefixes does not scroll the rest away."""
    figures = Report()
    figures.counted({f"{number}/": 1 for number in range(MOST_ROWS + 5)})
    for verbose, rows in ((False, MOST_ROWS + 3), (True, MOST_ROWS + 5 + 2)):
        told.out.clear()
        text = Text("sync", figures, Folder(tmp_path), told.say, verbose=verbose, quiet=False)
        text.listed()
        assert len(told.out) == rows


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"COLUMNS": "0"}, False),
    ],
)
def test_failures_and_the_sum_have_colours(
    monkeypatch: pytest.MonkeyPatch,
    told: Told,
    tmp_path: Path,
    environment: dict[str, str],
    *,
    colours: bool,
) -> None:
    """Red, or green if all is well; only in a terminal, and not if no colours are wanted."""
    monkeypatch.setenv("COLUMNS", "80")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    story(told, tmp_path)
    assert told.error[-1].startswith("\x1b[31mfailed: ") is colours
    assert told.error[-1].endswith("\x1b[0m") is colours
    assert told.out[-1].startswith("\x1b[31m1 downloaded") is colours
    Text("sync", Report(), Folder(tmp_path), told.say, verbose=False, quiet=False).closing(0, "")
    assert told.out[-1].startswith("\x1b[32m0 downloaded") is colours


def test_printed_line_is_a_whole_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without bars, lines are printed as they are."""
    Text("sync", Report(), Folder(tmp_path), print_line, verbose=False, quiet=False).unmatched("x/")
    said = (
        "nothing to sync under prefix x/: no key begins so, or --include and --exclude leave none"
    )
    assert capsys.readouterr() == ("", f"{said}\n")


@pytest.mark.parametrize(
    ("command", "events"),
    [
        ("sync", ["skipped", "downloaded", "failed", "summary"]),
        ("plan", ["skipped", "transfer", "summary"]),
        ("verify", ["skipped", "up-to-date", "failed", "summary"]),
    ],
)
def test_program_is_told_one_object_a_line(
    capsys: pytest.CaptureFixture[str], command: str, events: list[str]
) -> None:
    """A plan names what would be fetched; a summary comes last; nothing else is printed."""
    figures = Report()
    lines = JsonLines(command, figures)
    for observer in (figures, lines):
        observer.counted({})
        observer.compared(PAGE)
        observer.unmatched("typo/")
        observer.listed()
        if command == "sync":
            observer.started(TRANSFER)
            observer.advanced(TRANSFER, 1500)
            observer.ended(Downloaded(TRANSFER, 1, 0.1))
        if command == "verify":
            observer.ended(UpToDate(OBJECT))
        if command != "plan":
            observer.ended(BROKEN)
    lines.closing(1, "why")
    out, error = capsys.readouterr()
    assert error == ""
    told = [json.loads(line) for line in out.splitlines()]
    assert [value["event"] for value in told] == events
    assert out.replace("\n", "").isprintable()
    assert (told[-1]["command"], told[-1]["exit_code"], told[-1]["error"]) == (command, 1, "why")
    assert told[-1]["unmatched"] == ["typo/"]
