"""A real server with one bucket, for the figures that need no more."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncsync.seaweed import serve
from tests.rigs.bucket import Bucket, new_bucket


@contextmanager
def real_bucket(folder: Path) -> Iterator[Bucket]:
    """Run a server that keeps its data in the folder."""
    with serve(folder / "server", "soak") as server, new_bucket(server) as bucket:
        yield bucket
