"""A real server with one bucket, and bytes that look like Parquet."""

import random
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from asyncsync.demo.seaweed import SeaweedServer, serve
from tests.rigs.bucket import Bucket, new_bucket
from tests.rigs.objects import parquet

UNSHARED = ("unshare", "-Urm")
"""The command in front of one that mounts disks."""


class ShortLived:
    """Buckets of a server, one at a time: what was replaced in one would fill the memory."""

    current: Bucket

    def __init__(self, server: SeaweedServer) -> None:
        self._server = server
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def new(self) -> Bucket:
        """Return an empty bucket; the one before is deleted."""
        self._open.close()
        self.current = self._open.enter_context(new_bucket(self._server))
        return self.current


@contextmanager
def real_buckets(folder: Path) -> Iterator[ShortLived]:
    """Run a server that keeps its data in the folder."""
    with serve(folder / "server", "soak") as server, ShortLived(server) as buckets:
        yield buckets


@contextmanager
def real_bucket(folder: Path) -> Iterator[Bucket]:
    """Run such a server, and make a bucket for all trials."""
    with real_buckets(folder) as buckets:
        yield buckets.new()


def some_parquet(rng: random.Random, size: int) -> bytes:
    """Return so many bytes, 20 at least, that begin and end as a Parquet file does."""
    return parquet(rng.randbytes(size - 20))


@contextmanager
def disk(folder: Path, options: str) -> Iterator[None]:
    """Mount a disk in memory; needs a name space of one's own, such as that of UNSHARED."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
