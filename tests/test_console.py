"""Lines for people, on streams of any kind."""

import io
import os
import subprocess
import sys

import pytest

from asyncsync.console import print_line, wrapped


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_line_reaches_a_stream_of_any_encoding(encoding: str) -> None:
    """Characters that the encoding does not have are escaped."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding)
    print_line("größe 日本", stream)
    shown = raw.getvalue().decode(encoding)
    assert shown.encode().decode("unicode_escape" if encoding == "ascii" else "utf-8").strip() in {
        "größe 日本",
        r"größe \u65e5\u672c",
    }


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        ("20", ["asyncsync: --dest:", "  the root is no", "  folder"]),
        ("80", ["asyncsync: --dest: the root is no folder"]),
        ("0", ["asyncsync: --dest: the root is no folder"]),
    ],
)
def test_line_is_wrapped_at_words_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: str, lines: list[str]
) -> None:
    """Nothing is, where there is none, as in a pipe or a log."""
    monkeypatch.setenv("COLUMNS", columns)
    line = "asyncsync: --dest: the root is no folder"
    assert wrapped(line, io.StringIO()) == line
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert wrapped(line, sys.stderr).splitlines() == lines


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        ("32", ["no such key; run", "  `asyncsync ls -r` or `a b c`", "  (exit code 3)"]),
        ("18", ["no such key; run", "  `asyncsync ls", "  -r` or `a b c`", "  (exit code 3)"]),
    ],
)
def test_command_in_a_message_is_not_broken(
    monkeypatch: pytest.MonkeyPatch, columns: str, lines: list[str]
) -> None:
    """It can be copied, unless it is as wide as the terminal; nor is the exit code broken."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = "no such key; run `asyncsync ls -r` or `a b c` (exit code 3)"
    assert wrapped(line, sys.stderr).splitlines() == lines


def test_line_reaches_a_stream_without_an_encoding() -> None:
    """A notebook's stream may have none."""
    stream = io.StringIO()
    print_line("日本", stream)
    assert stream.getvalue() == "日本\n"


def test_closed_pipe_does_not_end_the_run() -> None:
    """When nobody reads any more (`| head`), lines are dropped, also at exit."""
    code = (
        "import sys; from asyncsync.console import print_line\n"
        "for _ in range(9): print_line('x', {})"
    )
    for stream in ("sys.stdout", "sys.stderr"):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as broken:
            out, error = (broken, None) if stream == "sys.stdout" else (None, broken)
            done = subprocess.run(
                [sys.executable, "-c", code.format(stream)], stdout=out, stderr=error, timeout=60
            )
        assert done.returncode == 0


def test_full_disk_behind_the_output_does_not_end_the_run() -> None:
    """A log on a full disk loses lines, and the sync goes on."""
    code = "import sys; from asyncsync.console import print_line; print_line('x', sys.stdout)"
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, timeout=60)
    assert done.returncode == 0
