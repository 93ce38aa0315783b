"""The whole tool on one machine: a server, sample data, a sync that downloads, one that needn't.

The syncs run as child processes with an env file, which is what a user does and sees.
"""

import datetime
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from asyncsync.console import print_line
from asyncsync.demo.seaweed import SeaweedServer, end_with_parent, serve
from asyncsync.errors import ConfigError, missing

_BUCKET = "sensors"
_FIRST_DAY = datetime.date(2026, 1, 1)
_DAYS = 59
_HUB2_DAYS = 30
_SECONDS = 3600
_SPECTRA, _BINS = 60, 128
_RAW_SAMPLES = 8_000_000
_UPLOADS = 8


def run_demo(dest: Path, *, keep: bool) -> int:
    """Sync sample data from an S3 server of the demo's own into `dest`, and say what happens.

    Args:
        dest: the local folder; the files stay there.
        keep: keep the server until Ctrl-C.

    Returns:
        The exit code: 0, also after a Ctrl-C that ends a kept server, or that of the sync that
        failed, or 128 and the number of the signal that ended it all.

    Raises:
        ConfigError: the packages of the `demo` extra are not installed.
        SourceError: the server did not start.
    """
    with _stoppable():
        try:
            code = _shown(dest, keep=keep)
        except _Stopped as stopped:
            code = 128 + stopped.number
    _say("The server is stopped, and its data is deleted.")
    return code


class _Stopped(BaseException):
    """A signal came. Not an Exception, as KeyboardInterrupt is none: nobody else may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _stoppable() -> Iterator[None]:
    """Raise where a signal comes, or nothing would be stopped and deleted; the first one counts."""

    def stop(number: int, _: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise _Stopped(number)

    numbers = {signal.SIGINT, signal.SIGTERM} | {getattr(signal, "SIGHUP", signal.SIGINT)}
    # What was ignored before stays so, as under nohup.
    numbers = {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
    handlers = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _shown(dest: Path, *, keep: bool) -> int:
    with tempfile.TemporaryDirectory(prefix="asyncsync-demo-") as name:
        folder = Path(name)
        _say("Making sample data: two months of three sensor folders, as Parquet files ...")
        files = make_sample(folder / "sample")
        size = sum(file.stat().st_size for file in files)
        volume = f"{len(files)} files, {size / 1e6:.0f} MB"
        _say(f"Starting a throw-away S3 server on this machine for {volume} ...")
        with serve(folder / "server", _BUCKET) as server:
            _say(f"Uploading them to the bucket {_BUCKET} ...")
            _upload(server, folder / "sample", files)
            settings = "".join(f"{key}={value}\n" for key, value in server.environment().items())
            env_file = folder / "demo.env"
            env_file.touch(mode=0o600)
            env_file.write_text(settings)
            for intent in ("Now the sync:", "And once more, now that everything is there:"):
                _say(f"\n{intent}")
                code = _sync(env_file, dest)
                if code:
                    return code
            _say(f"\nThe data is in {dest.resolve()} ({volume}).")
            if keep:
                _say("The server runs until Ctrl-C. Until then, in another terminal:")
                _say(f"$ asyncsync plan --env-file {env_file}")
                try:
                    threading.Event().wait()
                except _Stopped as stopped:
                    if stopped.number != signal.SIGINT:
                        raise
    return 0


def make_sample(folder: Path) -> list[Path]:
    """Write the sample data, which is always the same, and return its files.

    1hz/ holds an hour of readings a day, fft_hub1/ and fft_hub2/ spectra, fft_hub2/raw/ one large
    file, and the root a list of the sensors.

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
    """Store each file below `root` under its relative path."""
    with closing(server.client()) as client, ThreadPoolExecutor(_UPLOADS) as threads:

        def store(file: Path) -> None:
            key = file.relative_to(root).as_posix()
            client.put_object(Bucket=server.bucket, Key=key, Body=file.read_bytes())

        list(threads.map(store, reversed(files)))  # the large file, made last, goes first


def _sync(env_file: Path, dest: Path) -> int:
    """Sync in a child process, as a user does, and return its exit code."""
    arguments = ["sync", "--env-file", str(env_file), "--dest", str(dest)]
    _say(f"$ asyncsync {' '.join(arguments)}")
    # Whoever watches may have a real bucket in the environment, which wins over an env file.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("R2_", "ASYNCSYNC_"))
    }
    command = [sys.executable, "-m", "asyncsync", *arguments]
    # What ends it is also the end of this process, should that come before there is a `child`.
    with subprocess.Popen(command, env=environment, preexec_fn=end_with_parent()) as child:
        try:
            code = child.wait()
        except _Stopped as stopped:
            child.send_signal(stopped.number)  # what a terminal sends has reached it already
            child.wait()
            raise
    return code if code >= 0 else 128 - code  # of a signal, as a shell tells it


def _say(text: str) -> None:
    print_line(text, sys.stdout)  # at once, in step with what the child processes print
