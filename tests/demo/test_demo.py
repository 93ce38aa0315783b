"""The demo: its sample data, its output, and what it leaves behind."""

import filecmp
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn
from urllib.parse import urlsplit

import pytest
from dotenv import dotenv_values
from pyarrow import parquet

from asyncsync.cli import command as cli
from asyncsync.demo import demo
from asyncsync.demo.seaweed import SeaweedServer
from asyncsync.errors import ConfigError, SourceError
from asyncsync.settings import Options, exposure
from tests.rigs.bucket import Bucket

SYNC = demo._sync


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sample data."""
    folder = tmp_path_factory.mktemp("sample")
    demo.make_sample(folder)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> Bucket:
    """The demo with the tests' server, less data, and without real syncs."""

    @contextmanager
    def running(directory: Path, name: str) -> Iterator[SeaweedServer]:
        yield bucket.server

    monkeypatch.setattr(demo, "serve", running)
    monkeypatch.setattr(demo, "_RAW_SAMPLES", 1000)
    monkeypatch.setattr(demo, "_sync", lambda env_file, dest: 0)
    return bucket


def _keys(folder: Path) -> list[str]:
    """Return the keys of the files below the folder, in a bucket's order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))


def test_sample_has_the_shape_of_sensor_data(sample: Path) -> None:
    """Nested keys with three prefixes, one key in the root, one large file; all are Parquet."""
    keys = _keys(sample)
    assert Counter(key.rpartition("/")[0].partition("/")[0] for key in keys) == {
        "": 1,
        "1hz": 59,
        "fft_hub1": 59,
        "fft_hub2": 31,
    }
    assert "1hz/2026/01/2026-01-07.parquet" in keys
    assert [key for key in keys if (sample / key).stat().st_size > 60_000_000] == [
        "fft_hub2/raw/2026-01-01.parquet"
    ]
    rows = {parquet.read_metadata(sample / key).num_rows for key in keys}
    assert rows == {3, 60, 3600, 8_000_000}


def test_sample_is_always_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two runs make the same bytes, and no two files are alike."""
    monkeypatch.setattr(demo, "_RAW_SAMPLES", 1000)
    first, second = demo.make_sample(tmp_path / "1"), demo.make_sample(tmp_path / "2")
    contents = [file.read_bytes() for file in first]
    assert contents == [file.read_bytes() for file in second]
    assert len(set(contents)) == len(contents)


def test_missing_pyarrow_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without pyarrow the error says what to install, and no server is started."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[demo\]'"):
        demo.run_demo(tmp_path, keep=False)


def test_failed_sync_ends_the_demo_with_its_code(
    monkeypatch: pytest.MonkeyPatch, quick: Bucket, tmp_path: Path
) -> None:
    """The demo's exit code is the sync's."""
    monkeypatch.setattr(demo, "_sync", lambda env_file, dest: 4)
    assert demo.run_demo(tmp_path, keep=False) == 4


def test_demo_has_another_default_destination_than_sync(
    monkeypatch: pytest.MonkeyPatch, quick: Bucket, sample: Path, tmp_path: Path
) -> None:
    """Otherwise, a sync would count its files although they are not in the user's bucket."""
    seen: list[Path] = []

    def sync(env_file: Path, dest: Path) -> int:
        seen.append(dest)
        return 0

    monkeypatch.setattr(demo, "_sync", sync)
    assert cli.main(["demo"]) == 0
    assert seen[0].parts == ("downloads-demo",)
    assert not seen[0].is_relative_to(Options().dest)


def test_second_demo_says_why_it_replaces_the_files_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
    quick: Bucket,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Each server has an address of its own, so that a sync warns of another bucket."""
    monkeypatch.setattr(demo, "_sync", lambda env_file, dest: 0)
    dest = tmp_path / "dest"
    told = f"{dest} was synced before, and from another server"
    assert demo.run_demo(dest, keep=False) == 0
    assert told not in capsys.readouterr().out
    (dest / ".asyncsync").mkdir(parents=True)
    assert demo.run_demo(dest, keep=False) == 0
    assert told in capsys.readouterr().out


def test_only_its_user_can_read_the_env_file(
    monkeypatch: pytest.MonkeyPatch, quick: Bucket, tmp_path: Path
) -> None:
    """Otherwise, the first output that a new user sees would be a warning."""
    seen: list[str] = []

    def sync(env_file: Path, dest: Path) -> int:
        seen.append(exposure(env_file))
        return 0

    monkeypatch.setattr(demo, "_sync", sync)
    assert demo.run_demo(tmp_path, keep=False) == 0
    assert seen == ["", ""]


def test_kept_server_runs_until_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    quick: Bucket,
    sample: Path,
    tmp_path: Path,
) -> None:
    """With --keep, the settings are in an env file, and are never printed; what is shown works."""
    seen: list[str] = []
    kept: dict[str, str | None] = {}
    monkeypatch.chdir(tmp_path)

    class PressesCtrlC:
        def wait(self) -> None:
            seen.extend(quick.keys())
            out = capsys.readouterr().out
            (path,) = set(re.findall(r"--env-file (\S+demo\.env)", out))
            kept.update(dotenv_values(path))
            assert [run(command) for command in _commands(out)] == [0] * 6
            assert dotenv_values(".env") == kept
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(demo, "threading", SimpleNamespace(Event=PressesCtrlC))
    monkeypatch.setattr(demo, "_sync", SYNC)
    assert demo.run_demo(tmp_path / "dest", keep=True) == 0
    assert seen == _keys(sample)
    assert kept.items() >= quick.server.environment().items()
    assert "The server is stopped" in capsys.readouterr().out


def test_demo_ends_with_commands_that_work(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    quick: Bucket,
    sample: Path,
) -> None:
    """One opens a file that is here now, the other one begins the demo again."""
    monkeypatch.chdir(sample)
    assert demo.run_demo(Path(), keep=False) == 0
    look, again = _commands(capsys.readouterr().out)
    assert run(look) == 0
    assert run(f"{again} --help") == 0


def _commands(text: str) -> list[str]:
    """Return the lines that a person can copy."""
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


def run(command: str) -> int:
    """Run a command of a shell, and return its exit code."""
    return subprocess.run(command, shell=True, capture_output=True).returncode  # noqa: S602


def test_server_that_does_not_start_is_reported(
    monkeypatch: pytest.MonkeyPatch, quick: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the end of its log and an exit code, and without a traceback."""

    def serve(directory: Path, name: str) -> NoReturn:
        raise SourceError("SeaweedFS exited before it was ready:\nno more ports")

    monkeypatch.setattr(demo, "serve", serve)
    assert cli.main(["demo"]) == SourceError.exit_code
    assert capsys.readouterr().err.startswith("asyncsync: SeaweedFS exited before it was ready:")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_before_the_server_is_ready_ends_the_demo_cleanly(
    monkeypatch: pytest.MonkeyPatch,
    quick: Bucket,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    """With a line instead of a traceback, and the exit code that shells expect."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]

    @contextmanager
    def serve(directory: Path, name: str) -> Iterator[SeaweedServer]:
        signal.raise_signal(number)
        yield quick.server

    monkeypatch.setattr(demo, "serve", serve)
    assert cli.main(["demo"]) == 128 + number
    assert capsys.readouterr().out.endswith("The server is stopped, and its data is deleted.\n")
    assert [signal.getsignal(number) for number in signal.valid_signals()] == handlers


def test_sync_that_a_signal_ends_has_the_exit_code_of_a_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C kills a sync that is still importing modules."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nkill -INT $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(demo, "sys", SimpleNamespace(executable=str(program), stdout=sys.stdout))
    assert demo._sync(tmp_path / "demo.env", tmp_path) == 130


@pytest.mark.parametrize(("script", "code"), [("exec sleep 60", -signal.SIGTERM), ("exit 0", 0)])
def test_stopped_demo_stops_its_sync(
    monkeypatch: pytest.MonkeyPatch, quick: Bucket, tmp_path: Path, script: str, code: int
) -> None:
    """It would retry for minutes without its server; if it has just ended, none is started."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    codes: list[int] = []

    class Child(subprocess.Popen[bytes]):
        def wait(self, timeout: float | None = None) -> int:
            if not codes:
                codes.append(0)
                if code == 0:
                    super().wait(timeout)
                signal.raise_signal(signal.SIGTERM)
            codes.append(super().wait(timeout))
            return codes[-1]

    monkeypatch.setattr(demo, "_sync", SYNC)
    monkeypatch.setattr(demo, "sys", SimpleNamespace(executable=str(program), stdout=sys.stdout))
    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(Popen=Child))
    assert demo.run_demo(tmp_path, keep=False) == 143
    assert {*codes[1:]} == {code}


def test_demo_goes_on_when_its_output_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, quick: Bucket, tmp_path: Path
) -> None:
    """As by `| head`: no error is shown, and the rest is dropped."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as cut_off:
        monkeypatch.setattr(sys, "stdout", cut_off)
        assert demo.run_demo(tmp_path, keep=False) == 0


def test_demo_leaves_the_data_and_nothing_else(sample: Path, tmp_path: Path) -> None:
    """It syncs all files, finds them up to date the second time, and stops its server."""
    command = [sys.executable, "-m", "asyncsync", "demo", "--dest", "data"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "up to date" in done.stdout + done.stderr
    keys = _keys(sample)
    assert _keys(tmp_path / "data") == keys
    assert filecmp.cmpfiles(sample, tmp_path / "data", keys, shallow=False) == (keys, [], [])
    found = re.search(r" at (http://\S+) ", done.stdout + done.stderr)
    endpoint = urlsplit(found[1] if found else "")
    assert endpoint.port
    with socket.socket() as client:
        assert client.connect_ex((endpoint.hostname or "", endpoint.port)) != 0
