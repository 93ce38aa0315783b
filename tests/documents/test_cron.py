"""docs/cron.md: its crontab lines work, and its systemd units and log rotation are valid."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asyncsync.cli.arguments import given_options, parse_arguments
from asyncsync.cli.help import EXIT_CODES
from asyncsync.disk import Folder
from tests import ROOT
from tests.rigs.bucket import Bucket

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENT = (ROOT / "docs/cron.md").read_text(encoding="utf-8")
PLACE = "/srv/sensors"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no cron")


def block(title: str, mark: str = "") -> str:
    """Return the first code block after the title that contains the mark."""
    text = DOCUMENT.partition(title)[2]
    blocks: list[str] = re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return next(found for found in blocks if mark in found)


@pytest.fixture
def place(bucket: Bucket, tmp_path: Path) -> Path:
    """The folder of the document, with an env file for a bucket with one object."""
    bucket.put("1hz/a.parquet", b"data")
    settings = bucket.server.environment().items()
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings))
    (tmp_path / ".env").chmod(0o600)
    program = tmp_path / ".venv/bin/asyncsync"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m asyncsync "$@"\n')
    program.chmod(0o755)
    return tmp_path


def sh(place: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the document as cron does, from another folder."""
    script = script.replace(PLACE, str(place))
    return subprocess.run(["sh", "-c", script], cwd="/", capture_output=True, text=True, timeout=60)


def test_readme_has_the_same_crontab_line() -> None:
    """So the next test is about both."""
    assert block("## Cron") in README


@pytest.mark.parametrize("heading", ["## Cron", "## Only at night"])
def test_line_of_the_crontab_works(place: Path, heading: str) -> None:
    """It downloads, prints nothing and writes a log; its five fields are a time."""
    *fields, command = block(heading).split(maxsplit=5)
    assert all(re.fullmatch(r"[\d*]+", field) for field in fields)
    for downloaded in (1, 0):
        done = sh(place, command)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        summary = (place / "sync.log").read_text().splitlines()[-1]
        assert f" INFO {downloaded} downloaded" in summary
    assert (place / "downloads/1hz/a.parquet").read_bytes() == b"data"


def test_script_reports_only_what_needs_attention(place: Path) -> None:
    """A missing setting and a mistyped prefix are, a destination in use by another run is not."""
    script = block("## Cron", "$?")
    with Folder(place / "downloads").writing():
        held = sh(place, script)
    assert (held.returncode, held.stdout, held.stderr) == (0, "", "")
    mistyped = sh(place, script.replace("--quiet", "1hzz/ --quiet"))
    assert mistyped.returncode == 3
    assert mistyped.stdout.startswith("nothing to sync under prefix 1hzz/")
    (place / ".env").write_text("")
    wrong = sh(place, script)
    assert (wrong.returncode, wrong.stderr) == (2, "")
    assert wrong.stdout.startswith("asyncsync: 4 settings are missing; set them in ")


@pytest.mark.parametrize("unit", ["asyncsync.service", "asyncsync-every.service"])
def test_systemd_units_are_valid(tmp_path: Path, unit: str) -> None:
    """For systemd itself, and their command for our parser."""
    service, timer = block(f"{unit}`:"), block("asyncsync.timer`:")
    (command,) = re.findall(r"^ExecStart=\S+/asyncsync (.+)$", service, re.MULTILINE)
    given_options(parse_arguments(command.split()))
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd is not installed")
    service = re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", service)
    service = service.replace("User=sensors", "User=root")
    (tmp_path / "asyncsync.service").write_text(service)
    (tmp_path / "asyncsync.timer").write_text(timer)
    for unit in ("asyncsync.service", "asyncsync.timer"):
        done = subprocess.run(
            [program, "verify", "--man=no", str(tmp_path / unit)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not [line for line in done.stderr.splitlines() if "asyncsync" in line]
    (calendar,) = re.findall(r"^OnCalendar=(.+)$", timer, re.MULTILINE)
    subprocess.run([program, "calendar", calendar], check=True, capture_output=True, timeout=60)


def test_log_rotation_is_valid(tmp_path: Path) -> None:
    """For logrotate itself."""
    program = shutil.which("logrotate") or shutil.which("/usr/sbin/logrotate")
    if program is None:
        pytest.skip("logrotate is not installed")
    config = tmp_path / "asyncsync"
    config.write_text(block("## Log rotation").replace(PLACE, str(tmp_path)))
    config.chmod(0o644)
    subprocess.run([program, "--debug", str(config)], check=True, capture_output=True, timeout=60)


def test_every_exit_code_has_its_advice() -> None:
    """The table has the same exit codes and meanings as the help."""
    table = DOCUMENT.partition("## What to do about an exit code")[2]
    rows = re.findall(r"^\| (\d[\d, ]*?) \| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    known = re.findall(r"^  (\d[\d, ]*?)  (\S.*)$", EXIT_CODES, re.MULTILINE)
    assert [(code, meaning) for code, meaning, _ in rows] == known
