"""A real S3 server, for one test, that can be killed and started again.

with mortal_server(tmp_path / "server") as mortal:
    mortal.bucket.put("a.parquet", b"data")
    mortal.kill()
    mortal.start()  # with the same data, ports and credentials; it is ready after a second
"""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from asyncsync.demo import seaweed
from tests.rigs.bucket import Bucket


class Mortal:
    """The server, and one of its buckets."""

    bucket: Bucket

    def __init__(self) -> None:
        self._running = seaweed._running
        self._started = ExitStack()

    @contextmanager
    def run(
        self, command: list[str], environment: dict[str, str], log: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start the server in place of `seaweed._running`, and keep its arguments."""
        self._arguments = command, environment, log
        with self._started:
            self.start()
            yield self._process

    def start(self) -> None:
        """Start the server with the arguments of its first start."""
        self._process = self._started.enter_context(self._running(*self._arguments))

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        self._process.kill()
        self._process.wait()


@contextmanager
def mortal_server(folder: Path) -> Iterator[Mortal]:
    """Run a server that keeps its data in the folder."""
    mortal = Mortal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seaweed, "_running", mortal.run)
        with seaweed.serve(folder, "bucket") as server, closing(server.client()) as client:
            mortal.bucket = Bucket(server, client)
            yield mortal
