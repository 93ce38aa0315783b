"""The command: what it prints of the doctor's findings, and how it ends."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from asyncsync.cli import command as cli
from asyncsync.doctor import doctor
from asyncsync.report import Finding, Verdict
from tests.rigs.bucket import Bucket
from tests.rigs.child import asyncsync, ended, started
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3
from tests.rigs.wrapped import wrapped

pytestmark = pytest.mark.anyio

OBJECTS = {"1hz/a.parquet": b"data" * 100, "1hz/b.parquet": b"data" * 100_000, "notes.txt": b"x"}


async def test_command_prints_a_line_for_each_check(bucket: Bucket) -> None:
    """The line has the verdict, the name of the check, and the text."""
    bucket.put_many(OBJECTS)
    settings = {**bucket.server.environment(), "ASYNCSYNC_WORKER": "7"}
    shown = await asyncsync(settings, "doctor")
    assert (shown.code, shown.err) == (0, "")
    names = [check.name for check in doctor.CHECKS]
    *lines, verdict = shown.out.splitlines()
    assert [line[9:19].strip() for line in lines] == names
    assert verdict == "in order, with 1 warning: settings"
    assert shown.out.startswith("warning  settings    ASYNCSYNC_WORKER is not")


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ({}, "all in order"),
        ({"a": Verdict.WARNING, "b": Verdict.WARNING}, "in order, with 2 warnings: a, b"),
        ({"a": Verdict.WARNING, "b": Verdict.WRONG}, "1 thing to fix, first: b"),
        ({"a": Verdict.WRONG, "b": Verdict.WRONG}, "2 things to fix, first: a"),
    ],
)
def test_verdict_says_what_to_look_at_first(verdicts: dict[str, Verdict], said: str) -> None:
    """What is ok or skipped is not counted."""
    others = {"ok": Verdict.OK, "skipped": Verdict.SKIPPED}
    findings = [Finding(name, verdict, "") for name, verdict in {**others, **verdicts}.items()]
    assert doctor.verdict_line(findings) == said


async def test_json_has_no_verdict() -> None:
    """Each line is an event; the exit code is the verdict for a program."""
    async with ScriptedS3(OBJECTS) as s3:
        lines = (await asyncsync(s3.environment, "doctor", "--json")).out.splitlines()
    assert {json.loads(line)["event"] for line in lines} == {"check"}


@pytest.mark.parametrize(("width", "indent"), [(80, 21), (40, 2)])
def test_long_line_is_wrapped_and_indented(width: int, indent: int) -> None:
    """In a terminal it breaks between words, and the names stay a column of their own."""
    text = "no such bucket: " + "check R2_BUCKET and R2_ENDPOINT_URL " * 5
    whole = doctor.format_finding(Finding("listing", Verdict.WRONG, text))
    first, *rest = doctor.format_finding(
        Finding("listing", Verdict.WRONG, text), width
    ).splitlines()
    assert max(map(len, (first, *rest))) <= width
    assert {len(line) - len(line.lstrip()) for line in rest} == {indent}
    assert " ".join([first, *map(str.strip, rest)]) == whole.rstrip()


def test_quiet_command_prints_only_what_is_not_ok(capsys: pytest.CaptureFixture[str]) -> None:
    """Findings that are ok or skipped are not printed."""
    assert cli.main(["doctor", "--quiet"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("wrong    settings    4 settings are missing; set them in ")


async def test_log_file_has_all_findings(tmp_path: Path) -> None:
    """That holds also if quiet."""
    async with ScriptedS3(OBJECTS) as s3:
        log = tmp_path / "log"
        done = await asyncsync(s3.environment, "doctor", "--quiet", "--log-file", str(log))
    lines = await asyncio.to_thread(log.read_text)
    assert done.code == 0
    assert all(f" INFO {Verdict.OK:<7}  {name}" in lines for name in ("settings", "listing"))


async def test_findings_that_cannot_be_printed_are_a_failure() -> None:
    """A program that reads no findings must not conclude that all is well."""
    async with ScriptedS3(OBJECTS) as s3:
        for redirected in ("> /dev/full", ">&-"):
            wrapper = ["sh", "-c", f'"$@" {redirected}', "sh"]
            assert (await wrapped(wrapper, s3.environment, "doctor", "--json")).code == 1


async def test_command_ends_on_a_signal() -> None:
    """It ends also while it waits for a server that does not answer."""
    async with ScriptedS3(OBJECTS) as s3:
        came, never = asyncio.Event(), asyncio.Event()

        def wait(request: Request) -> Answer:
            came.set()
            return Answer(until=never)

        s3.on_list = wait
        async with started(s3.environment, "doctor") as child:
            await came.wait()
            child.send_signal(signal.SIGTERM)
            done = await ended(child)
    assert (done.code, done.err) == (143, "asyncsync: stopped by SIGTERM (exit code 143)\n")


async def test_doctor_looks_at_a_named_source(tmp_path: Path) -> None:
    """And says which settings are from there."""
    (tmp_path / "asyncsync.toml").write_text('[hz]\nprefixes = ["1hz/"]\ndest = "hz"\n')
    async with ScriptedS3(OBJECTS) as s3:
        done = await asyncsync(s3.environment, "doctor", "--source", "hz")
    assert (done.code, done.err) == (0, "")
    assert "; ASYNCSYNC_DEST from [hz] of asyncsync.toml" in done.out
    assert "objects under 1hz/ are selected" in done.out
