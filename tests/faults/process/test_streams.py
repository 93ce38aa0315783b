"""Rows 110 to 113 of the table of faults: streams, terminals and locales."""

import os
import sys
from pathlib import Path

import pytest

from asyncsync.download.download import SMALL
from tests.rigs.child import asyncsync
from tests.rigs.process import LARGE, OBJECTS
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.watch import tree
from tests.rigs.wrapped import limited, on_a_terminal, wrapped

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors are POSIX ones"),
]


SMALL_ONES = {key: data for key, data in OBJECTS.items() if key.startswith("1hz/")}


@pytest.mark.row(110)
@pytest.mark.parametrize(
    ("option", "redirected", "code"),
    [
        ("--verbose", '"$@" | true', None),
        ("--verbose", '"$@" 2>&1 >/dev/null | true', None),
        ("--verbose", '"$@" > /dev/full', 3),
        ("--verbose", '"$@" 2> /dev/full', 3),
        ("--json", '"$@" > /dev/full', 1),
        ("--json", '"$@" >&-', 1),
    ],
)
async def test_sync_goes_on_when_its_output_cannot_be_written(
    dest: Path, option: str, redirected: str, code: int | None
) -> None:
    """Only a JSON report that cannot be written is a failure."""
    async with ScriptedS3({**SMALL_ONES, "../x.parquet": b"unsafe"}) as s3:
        wrapper = ["sh", "-c", redirected, "sh"]
        done = await wrapped(wrapper, s3.environment, option, "--dest", str(dest))
    assert tree(dest) == SMALL_ONES
    assert code is None or done.code == code


@pytest.mark.row(110)
@pytest.mark.parametrize("command", ["sync", "doctor"])
async def test_log_that_cannot_be_written_is_reported_once(dest: Path, command: str) -> None:
    """The run goes on without the log."""
    log = dest.parent / "run.log"
    log.touch()
    os.truncate(log, 1 << 22)
    async with ScriptedS3(SMALL_ONES) as s3:
        options = ("--quiet", "--log-file", str(log), "--dest", str(dest))
        done = await wrapped(limited("-f", 1 << 11), s3.environment, command, *options)
    log.unlink()
    assert done.code == 0
    said = f"asyncsync: --log-file: {log}: File too large; lines are lost\n"
    assert done.err == said


@pytest.mark.row(111)
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_output_to_closed_streams_is_not_written_to_files(dest: Path, closed: str) -> None:
    """Output is never written to a file that got the descriptor of a closed stream."""
    objects = {**SMALL_ONES, "fft/large.parquet": LARGE[: SMALL + 1]}
    async with ScriptedS3({**objects, "../x.parquet": b"unsafe"}) as s3:
        wrapper = ["sh", "-c", f'"$@" {closed}', "sh"]
        done = await wrapped(wrapper, s3.environment, "--verbose", "--dest", str(dest))
    assert done.code == 3
    assert tree(dest) == objects
    assert (dest / ".asyncsync" / "lock").read_bytes().count(b"\n") == 1


@pytest.mark.row(111)
@pytest.mark.parametrize(
    ("argument", "redirected", "code"),
    [("--help", ">&-", 0), ("--version", "> /dev/full", 0), ("--nonsense", "2>&-", 2)],
)
async def test_output_that_cannot_be_written_changes_no_exit_code(
    argument: str, redirected: str, code: int
) -> None:
    """And prints no message."""
    done = await wrapped(["sh", "-c", f'"$@" {redirected}', "sh"], {}, argument)
    assert (done.code, done.out, done.err) == (code, "", "")


@pytest.mark.row(112)
@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "dumb", "COLUMNS": "80"},
        {"NO_COLOR": "1", "COLUMNS": "80"},
        {"COLUMNS": "0", "LINES": "0"},
    ],
    ids=["dumb", "no colour", "no width"],
)
async def test_output_suits_simple_terminals(dest: Path, environment: dict[str, str]) -> None:
    """Lines without escape codes if the terminal cannot show them, or the user wants none."""
    async with ScriptedS3(SMALL_ONES) as s3:
        settings = {"TERM": "xterm", **s3.environment, **environment}
        code, text = await on_a_terminal(settings, "--verbose", "--dest", str(dest))
    assert code == 0
    assert text.replace("\r\n", "").isprintable()
    assert text.count("downloaded: ") == len(SMALL_ONES)


async def test_output_suits_capable_terminals(dest: Path) -> None:
    """Bars and colours; without this the test above would prove nothing."""
    async with ScriptedS3(SMALL_ONES) as s3:
        settings = {"TERM": "xterm", "COLUMNS": "80", **s3.environment}
        code, text = await on_a_terminal(settings, "--dest", str(dest))
    assert code == 0
    assert "\x1b[K" in text
    assert "\x1b[32m" in text


@pytest.mark.row(112)
async def test_output_suits_pipes(dest: Path) -> None:
    """No bars and no escape codes without a terminal, whatever TERM says."""
    async with ScriptedS3(SMALL_ONES) as s3:
        settings = s3.environment | {"TERM": "xterm-256color", "COLUMNS": "0"}
        done = await asyncsync(settings, "--verbose", "--dest", str(dest))
    assert (done.code, done.err) == (0, "")
    assert done.out.replace("\n", "").isprintable()


ODD = {"é.parquet": b"1", "\u65e5\u672c/\U0001f600.parquet": b"2", "\udcff.parquet": b"3"}


@pytest.mark.row(113)
@pytest.mark.parametrize(
    "environment",
    [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"}],
    ids=["C", "ASCII streams"],
)
async def test_plain_locale_stores_and_shows_every_key(
    dest: Path, environment: dict[str, str]
) -> None:
    """File names are the keys' bytes; characters that a stream cannot encode are escaped."""
    async with ScriptedS3({**ODD, "../é.parquet": b"unsafe"}) as s3:
        arguments = ("--verbose", "--dest", str(dest))
        done = await asyncsync(s3.environment | environment, *arguments)
    assert done.code == 3
    (dest / "1hz" / "01.parquet").unlink()
    assert tree(dest) == ODD
    assert done.out.count("downloaded: ") == len(ODD)
    assert r"downloaded: \udcff.parquet" in done.out


@pytest.mark.row(113)
async def test_locale_that_cannot_encode_a_name_skips_it(dest: Path) -> None:
    """If file names must be ASCII, a key that is not is skipped."""
    settings = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    async with ScriptedS3({**ODD, "x.parquet": b"x"}) as s3:
        done = await asyncsync(s3.environment | settings, "--verbose", "--dest", str(dest))
    assert done.code == 3
    assert min(done.err.splitlines()).startswith(r"skipped: \u65e5\u672c/\U0001f600.parquet")
    assert tree(dest).keys() == {"1hz/01.parquet", "x.parquet", "\udcff.parquet"}
