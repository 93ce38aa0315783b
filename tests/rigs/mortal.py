"""A real S3 server of the test's own that is killed, and comes back where it was.

with mortal_server(tmp_path / "server") as mortal:
    mortal.bucket.put("a.parquet", b"data")
    mortal.kill()
    mortal.start()  # on the same data, ports and credentials; it takes a second to be ready
"""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from asyncsync.demo import seaweed
from tests.rigs.bucket import Bucket


class Mortal:
    """The server, and one bucket of it."""

    bucket: Bucket

    def __init__(self) -> None:
        self._running = seaweed._running
        self._started = ExitStack()

    @contextmanager
    def run(
        self, command: list[str], environment: dict[str, str], log: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Stand in for what starts the server, and remember how it is done."""
        self._how = command, environment, log
        with self._started:
            self.start()
            yield self._process

    def start(self) -> None:
        """Start the server, as it was started first."""
        self._process = self._started.enter_context(self._running(*self._how))

    def kill(self) -> None:
        """Kill the server, without a chance to say anything."""
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
