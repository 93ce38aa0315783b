"""Servers as child processes: each ends with the `with` block that started it, or with the tests.

`SeaweedServer` tells where any of them is, and how to get in.
"""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from asyncsync.demo.seaweed import SeaweedServer, end_with_parent

READY_SECONDS = 30
_STOP_SECONDS = 3
_LOG = "server.log"


def new_server(access_key_id: str = "tests", secret_access_key: str = "") -> SeaweedServer:
    """Return where a server will be, on a free port, and how to get in."""
    secret = secret_access_key or secrets.token_hex(20)
    return SeaweedServer(f"http://127.0.0.1:{free_port()}", "", access_key_id, secret)


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], directory: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program whose working and home folder is the directory, and whose log is there."""
    with open(directory / _LOG, "ab") as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={"PATH": os.environ["PATH"], "HOME": str(directory), **(environment or {})},
            preexec_fn=end_with_parent(),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        process.wait()


def wait_for_port(port: int) -> None:
    """Return once somebody listens on the port."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody listens on port {port} after {READY_SECONDS} s")
        time.sleep(0.05)


def ready(
    server: SeaweedServer, process: subprocess.Popen[bytes], directory: Path
) -> SeaweedServer:
    """Return the server once it lists its buckets."""
    deadline = time.monotonic() + READY_SECONDS
    with closing(server.client(1.0)) as client:
        while True:
            try:
                client.list_buckets()
            except (BotoCoreError, ClientError) as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    said = (directory / _LOG).read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the server does not start: {error}\n{said}") from None
                time.sleep(0.1)
            else:
                return server
