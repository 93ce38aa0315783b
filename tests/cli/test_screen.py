"""What the command line prints: text on two streams, or JSON lines; and what it logs."""

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TextIO

import pytest

from asyncsync.cli.screen import MAX_ROWS, JsonLines, Log, Text
from asyncsync.console import print_line
from asyncsync.errors import IntegrityError, UnsafeKeyError
from asyncsync.model import Compared, Downloaded, Failed, Reason, RemoteObject, Transfer, UpToDate
from asyncsync.report import PlanCounts, Report, Verification

OBJECT = RemoteObject("1hz/\x1b[2J", 1500, "etag", 0)
TRANSFER = Transfer(OBJECT, ("1hz", "\x1b[2J"), Reason.NEWER)
REFUSED = Failed(RemoteObject("../x", 1, "", 0), UnsafeKeyError("../x", "unsafe"))
BROKEN = Failed(OBJECT, IntegrityError(OBJECT.key, "other\nsize"))
SUM = (
    "1 downloaded (1 replaced; 1.5 kB at 1.5 kB/s), 1 up to date, 1 failed, 1 skipped, "
    "1 without a content hash, in 1.0 s"
)
PAGE = Compared([TRANSFER], [UpToDate(OBJECT)], [REFUSED])
FIGURES: dict[str, Callable[..., Report]] = {
    "sync": Report,
    "plan": partial(PlanCounts, free_bytes=10_000),
    "verify": Verification,
}


class Printed:
    """What was printed on each stream."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.error: list[str] = []

    def say(self, line: str, stream: TextIO) -> None:
        """Keep a line."""
        assert stream in {sys.stdout, sys.stderr}
        (self.out if stream is sys.stdout else self.error).append(line)


def report_run(
    printed: Printed,
    command: str = "sync",
    *,
    verbose: bool = False,
    quiet: bool = False,
    error: str = "",
) -> None:
    """Report a whole run with one object of each kind to `Text`."""
    figures = FIGURES[command](seconds=1.0)
    text = Text(command, figures, printed.say, verbose=verbose, quiet=quiet)
    for observer in (figures, text):
        observer.counted({"1hz/": 1})
        observer.compared(PAGE)
        observer.absent("typo\n/")
        observer.unmatched("typo\n/")
        observer.listed()
        observer.ended(Downloaded(TRANSFER, 1, 0.1))
        observer.ended(BROKEN)
    text.finish(1, error)


@pytest.fixture
def printed() -> Printed:
    """What the test prints."""
    return Printed()


def test_text_has_the_check_the_failures_and_the_summary(printed: Printed) -> None:
    """Warnings and failures go to standard error, the rest to standard output."""
    report_run(printed)
    assert [line.split()[0] for line in printed.out] == ["prefix", "../", "1hz/", "total", "1"]
    assert printed.out[-1] == SUM
    unmatched = r"typo\n/: no key begins with it; `asyncsync ls` shows what there is"
    assert printed.error == [
        "skipped: ../x: unsafe",
        f"nothing to sync under prefix {unmatched}",
        r"failed: 1hz/\x1b[2J: other\nsize",
    ]


def test_verbose_text_names_every_object(printed: Printed) -> None:
    """It names missing objects with the reason, and downloaded ones."""
    report_run(printed, verbose=True)
    assert r"newer: 1hz/\x1b[2J (1.5 kB)" in printed.out
    assert r"downloaded: 1hz/\x1b[2J" in printed.out


def test_quiet_text_has_failures_only(printed: Printed) -> None:
    """Standard output stays empty."""
    report_run(printed, quiet=True, verbose=True)
    assert printed.out == []
    assert len(printed.error) == 3


def test_error_that_ended_the_run_comes_last(printed: Printed) -> None:
    """It is on standard error, on one line, with the exit code."""
    report_run(printed, error="no\nnetwork")
    assert printed.error[-1] == r"asyncsync: no\nnetwork (exit code 1)"


def test_run_that_found_nothing_has_no_summary(printed: Printed) -> None:
    """Zeros, or that a plan fits, would state what is not known."""
    text = Text("plan", PlanCounts(), printed.say, verbose=False, quiet=False)
    assert text.finish(4, "no network") == 4
    assert (printed.out, printed.error) == ([], ["asyncsync: no network (exit code 4)"])


def test_log_holds_every_outcome_and_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """It has refused, downloaded and failed objects, the summary, and the error."""
    caplog.set_level(logging.INFO, "asyncsync")
    figures = Report(seconds=1.0)
    log = Log("sync", figures)
    for observer in (figures, log):
        observer.compared(PAGE)
        observer.ended(Downloaded(TRANSFER, 1, 0.1))
        observer.ended(BROKEN)
    log.finish(4, "no\nnetwork")
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
    [
        ("sync", "1 downloaded"),
        ("plan", "fits:"),
        ("verify", "0 verified, 1 fetched again, 1 not in sync"),
    ],
)
def test_each_command_has_its_summary(printed: Printed, command: str, words: str) -> None:
    """A sync counts downloads, a plan the space, and a verification the verified files."""
    report_run(printed, command)
    assert words in printed.out[-1]


def test_text_holds_no_control_character(printed: Printed) -> None:
    """Keys, prefixes and errors are escaped."""
    report_run(printed, verbose=True, error="\x1b]0;x\x07")
    assert all(line.isprintable() for line in (*printed.out, *printed.error))


def test_long_check_is_cut_unless_verbose(printed: Printed) -> None:
    """The check of a bucket with many prefixes does not scroll the rest away."""
    figures = Report()
    figures.counted({f"{number}/": 1 for number in range(MAX_ROWS + 5)})
    for verbose, rows in ((False, MAX_ROWS + 3), (True, MAX_ROWS + 5 + 2)):
        printed.out.clear()
        text = Text("sync", figures, printed.say, verbose=verbose, quiet=False)
        text.listed()
        assert len(printed.out) == rows


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"COLUMNS": "0"}, False),
    ],
)
def test_failures_and_the_summary_have_colours(
    monkeypatch: pytest.MonkeyPatch,
    printed: Printed,
    environment: dict[str, str],
    *,
    colours: bool,
) -> None:
    """They tell what failed from what is well; only in a terminal, and not with NO_COLOR."""
    monkeypatch.setenv("COLUMNS", "80")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    report_run(printed)
    assert printed.error[-1].startswith("\x1b[31mfailed: ") is colours
    assert printed.error[-1].endswith("\x1b[0m") is colours
    assert printed.out[-1].startswith("\x1b[31m1 downloaded") is colours
    assert printed.error[0].startswith("\x1b[33mskipped: ") is colours
    text = Text("sync", Report(), printed.say, verbose=False, quiet=False)
    for code, colour in ((0, 32), (1, 31), (3, 33), (4, 31), (5, 31), (7, 33), (130, 33)):
        text.finish(code, "")
        is_coloured = printed.out.pop().startswith(f"\x1b[{colour}m0 downloaded")
        assert is_coloured is colours, code


def test_stopped_run_says_what_it_has_kept_and_no_zeros(printed: Printed) -> None:
    """The summary comes only if there is something in it."""
    figures = Report()
    text = Text("sync", figures, printed.say, verbose=False, quiet=False)
    figures.compared(PAGE)
    text.finish(130, "stopped: 0 B kept; run again to go on")
    last = "asyncsync: stopped: 0 B kept; run again to go on (exit code 130)"
    assert (printed.out, printed.error) == ([], [last])
    figures.ended(Downloaded(TRANSFER, 1, 0.1))
    text.finish(143, "stopped: 1.5 kB kept; run again to go on")
    assert printed.out[-1].startswith("1 downloaded (1 replaced; 1.5 kB")


def test_edited_files_are_named_before_they_are_replaced(printed: Printed) -> None:
    """As many as a table has rows, and the summary counts all; none if none is replaced."""
    edited = replace(TRANSFER, is_edited=True)
    page = Compared([TRANSFER, edited], [], [])
    for replaces, named in ((True, MAX_ROWS), (False, 0)):
        say = printed.say
        text = Text("sync", Report(), say, verbose=False, quiet=False, replaces=replaces)
        for _ in range(MAX_ROWS + 1):
            text.compared(page)
        line = r"edited here: 1hz/\x1b[2J; the bucket's replaces it"
        assert printed.out == [line] * named
        printed.out.clear()


def test_log_names_every_edited_file(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody may have seen the screen."""
    caplog.set_level(logging.INFO, "asyncsync")
    log = Log("sync", Report())
    for _ in range(MAX_ROWS + 1):
        log.compared(Compared([TRANSFER, replace(TRANSFER, is_edited=True)], [], []))
    assert caplog.messages == [r"edited here: 1hz/\x1b[2J"] * (MAX_ROWS + 1)


def test_long_messages_are_wrapped_at_words_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    """Only there: elsewhere a message is one line, for whatever reads it."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "dumb")
    why = "this is a message of more than sixty characters, in which words must stay whole"
    long = Failed(OBJECT, IntegrityError(OBJECT.key, why))
    text = Text("sync", Report(), printed.say, verbose=False, quiet=False)
    text.ended(long)
    text.noticed(why)
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    text.ended(long)
    text.noticed(why)
    text.held_back(why)
    assert [line.count("\n") for line in printed.error] == [0, 0, 1, 1, 1]
    for whole, broken in zip(printed.error[:2], printed.error[2:], strict=False):
        lines = broken.split("\n")
        assert " ".join(line.removeprefix("  ") for line in lines) == whole
        assert max(map(len, lines)) <= 60


def test_text_is_printed_as_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Without bars, each line goes to its stream with a line end."""
    Text("sync", Report(), print_line, verbose=False, quiet=False).unmatched("x/")
    out, error = capsys.readouterr()
    assert out == ""
    assert error == "nothing to sync under prefix x/: it is empty\n"


@pytest.mark.parametrize(
    ("command", "events"),
    [
        ("sync", ["skipped", "downloaded", "failed", "summary"]),
        ("plan", ["skipped", "transfer", "summary"]),
        ("verify", ["skipped", "up-to-date", "failed", "summary"]),
    ],
)
def test_json_has_one_object_a_line(
    capsys: pytest.CaptureFixture[str], command: str, events: list[str]
) -> None:
    """A plan names the missing objects; the summary comes last; nothing else is printed."""
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
    lines.finish(1, "why")
    out, error = capsys.readouterr()
    assert error == ""
    values = [json.loads(line) for line in out.splitlines()]
    assert [value["event"] for value in values] == events
    assert out.replace("\n", "").isprintable()
    assert (values[-1]["command"], values[-1]["exit_code"], values[-1]["error"]) == (
        command,
        1,
        "why",
    )
    assert values[-1]["unmatched"] == ["typo/"]
