"""A real server with one bucket, and bytes that look like Parquet."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncsync.seaweed import serve
from tests.rigs.bucket import Bucket, new_bucket
from tests.rigs.objects import parquet


@contextmanager
def real_bucket(folder: Path) -> Iterator[Bucket]:
    """Run a server that keeps its data in the folder."""
    with serve(folder / "server", "soak") as server, new_bucket(server) as bucket:
        yield bucket


def some_parquet(rng: random.Random, size: int) -> bytes:
    """Return so many bytes, 20 at least, that begin and end as a Parquet file does."""
    return parquet(rng.randbytes(size - 20))
