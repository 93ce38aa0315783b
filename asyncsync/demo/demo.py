"""The whole tool on one machine: a server, sample data, and two syncs.

The first sync downloads everything, the second one finds all files up to date. They run as child
processes with an env file, so they do and show what a user's sync does.
"""

import datetime
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from shutil import which

from asyncsync.console import print_line
from asyncsync.demo.seaweed import SeaweedServer, end_with_parent, serve
from asyncsync.errors import ConfigError, missing
from asyncsync.keys import STATE_DIR

_BUCKET = "sensors"
_FIRST_DAY = datetime.date(2026, 1, 1)
_DAYS = 59
_HUB2_DAYS = 30
_SECONDS = 3600
_SPECTRA, _BINS = 60, 128
_RAW_SAMPLES = 8_000_000
_UPLOADS = 8
_LOOK = "from pyarrow import parquet; print(parquet.read_table({}))"
"""A program that shows a file."""


def run_demo(dest: Path, *, keep: bool) -> int:
    """Start an S3 server with sample data, sync it to `dest`, and print each step.

    Args:
        dest: the local folder. Its files stay.
        keep: keep the server running until Ctrl-C.

    Returns:
        The exit code: 0, also if Ctrl-C stops a kept server; that of a sync that failed; or 128
        plus the number of the signal that stopped the demo.

    Raises:
        ConfigError: the packages of the `demo` extra are not installed.
        SourceError: the server did not start.
    """
    with _raising_on_signals():
        try:
            code = _demonstrate(dest, keep=keep)
        except _Stopped as stopped:
            code = 128 + stopped.number
            _say("The server is stopped, and its data is deleted.")
    return code


class _Stopped(BaseException):
    """A signal arrived. Like KeyboardInterrupt, it is no Exception, so only the demo catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _raising_on_signals() -> Iterator[None]:
    """Raise `_Stopped` at the first signal, so that the server is stopped and its data deleted."""

    def stop(number: int, _: object) -> None:
        for handled in numbers:
            signal.signal(handled, signal.SIG_IGN)
        raise _Stopped(number)

    numbers = {signal.SIGINT, signal.SIGTERM} | {getattr(signal, "SIGHUP", signal.SIGINT)}
    # A signal that was ignored before stays ignored, as with nohup.
    numbers = {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
    handlers = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _demonstrate(dest: Path, *, keep: bool) -> int:
    with tempfile.TemporaryDirectory(prefix="asyncsync-demo-") as name:
        folder = Path(name)
        _say("Making sample data: Parquet files of three sensors for two months ...")
        files = make_sample(folder / "sample")
        size = sum(file.stat().st_size for file in files)
        volume = f"{len(files)} files, {size / 1e6:.0f} MB"
        _say(f"Starting a temporary S3 server on this machine for {volume} ...")
        with serve(folder / "server", _BUCKET) as server:
            _say(f"Uploading them to the bucket {_BUCKET} ...")
            _upload(server, folder / "sample", files)
            settings = "".join(f"{key}={value}\n" for key, value in server.environment().items())
            env_file = folder / "demo.env"
            env_file.touch(mode=0o600)
            env_file.write_text(settings)
            if (dest / STATE_DIR).exists():
                _say(f"{dest} was synced before, and from another server than this one: what is")
                _say("there is replaced, and a warning says that the servers differ.")
            for step in ("Syncing:", "Syncing again, now that all files are up to date:"):
                _say(f"\n{step}")
                code = _sync(env_file, dest)
                if code:
                    return code
            _say(f"\nThe data is in {dest.resolve()} ({volume}).")
            if keep:
                _wait(env_file, dest)
    _say("The server is stopped, and its data is deleted.")
    if not keep:
        _say("\nTo look into the data:")
        look = _LOOK.format(json.dumps(str(dest / "sensors.parquet")))
        _say(f"$ {_from_here(Path(sys.executable))} -c {shlex.quote(look)}")
        _say("To try more, with a server that runs until Ctrl-C:")
        _say(f"$ {_program()} demo --keep")
    return 0


def _wait(env_file: Path, dest: Path) -> None:
    """Say what can be tried, and wait for Ctrl-C."""
    options = f"--env-file {env_file} --dest {shlex.quote(str(dest.resolve()))}"
    _say("The server runs until Ctrl-C. Until then, you can run in another terminal,")
    _say(f"in this one's folder, {Path.cwd()}:")
    for command in ("verify --deep", "plan --include '*'", "doctor"):
        _say(f"$ {_program()} {command} {options}")
    _say("With its settings as those of the folder, no command needs them:")
    _say(f"$ cp {env_file} .env")
    try:
        threading.Event().wait()
    except _Stopped as stopped:
        if stopped.number != signal.SIGINT:
            raise


def _program() -> str:
    """Return how this asyncsync can be called from this folder."""
    script = Path(sys.executable).with_name("asyncsync")
    if not script.exists():
        return f"{_from_here(Path(sys.executable))} -m asyncsync"
    if which("asyncsync") == str(script):
        return script.name
    return _from_here(script)


def _from_here(program: Path) -> str:
    """Return how a program can be called from this folder."""
    with suppress(ValueError):
        program = program.relative_to(Path.cwd())
    return shlex.quote(str(program))


def make_sample(folder: Path) -> list[Path]:
    """Write the sample data, which is always the same, and return its files.

    `1hz/` has one hour of readings per day, `fft_hub1/` and `fft_hub2/` have spectra,
    `fft_hub2/raw/` one large file, and the root a list of the sensors.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import compute, parquet
    except ImportError as error:
        raise ConfigError(missing("pyarrow", "demo")) from error

    written: list[Path] = []

    def noise(count: int) -> "pa.Array":
        return compute.random(count, initializer=len(written))

    def write(key: str, columns: dict[str, "pa.Array"]) -> None:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.table(columns), path, compression="none", use_dictionary=False)
        written.append(path)

    write("sensors.parquet", {"sensor": pa.array(["1hz", "fft_hub1", "fft_hub2"])})
    for day in _days(_DAYS):
        midnight = int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())
        seconds = pa.array(range(midnight, midnight + _SECONDS), pa.timestamp("s", "UTC"))
        readings = {"temperature": noise(_SECONDS), "acceleration": noise(_SECONDS)}
        write(f"1hz/{day:%Y/%m}/{day}.parquet", {"time": seconds} | readings)
    for hub, count in (("fft_hub1", _DAYS), ("fft_hub2", _HUB2_DAYS)):
        for day in _days(count):
            spectra = pa.FixedSizeListArray.from_arrays(noise(_SPECTRA * _BINS), _BINS)
            write(f"{hub}/{day:%Y/%m}/{day}.parquet", {"spectrum": spectra})
    write(f"fft_hub2/raw/{_FIRST_DAY}.parquet", {"acceleration": noise(_RAW_SAMPLES)})
    return written


def _days(count: int) -> Iterator[datetime.date]:
    return (_FIRST_DAY + datetime.timedelta(days=number) for number in range(count))


def _upload(server: SeaweedServer, root: Path, files: list[Path]) -> None:
    """Upload each file, with its path below `root` as the key."""
    with closing(server.client()) as client, ThreadPoolExecutor(_UPLOADS) as threads:

        def store(file: Path) -> None:
            key = file.relative_to(root).as_posix()
            client.put_object(Bucket=server.bucket, Key=key, Body=file.read_bytes())

        list(threads.map(store, reversed(files)))  # the large file, made last, goes first


def _sync(env_file: Path, dest: Path) -> int:
    """Run a sync in a child process, as a user does, and return its exit code."""
    arguments = ["sync", "--env-file", str(env_file), "--dest", str(dest)]
    _say(f"$ {_program()} {shlex.join(arguments)}")
    # The environment may name a real bucket, and takes precedence over an env file.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("R2_", "ASYNCSYNC_"))
    }
    command = [sys.executable, "-m", "asyncsync", *arguments]
    # A signal before `child` is set ends this process, and the child ends with its parent.
    with subprocess.Popen(command, env=environment, preexec_fn=end_with_parent()) as child:
        try:
            code = child.wait()
        except _Stopped as stopped:
            child.send_signal(stopped.number)  # one from a terminal has reached it already
            child.wait()
            raise
    return code if code >= 0 else 128 - code  # for a signal, as a shell does


def _say(text: str) -> None:
    print_line(text, sys.stdout)  # at once, and so in order with the output of child processes
