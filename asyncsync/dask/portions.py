"""How many transfers go into one batch, so that a worker is busy with it for some seconds."""

OBJECTS = 1_000
"""Small objects of a batch."""
BYTES = 256 * 1024 * 1024
"""Bytes of large objects of a batch; a larger one is a batch of its own."""
LINE_BYTES = 1 << 20
"""Bytes of the lines that tell a worker of the transfers; Dask warns of ten times as many."""
LEAST = 1 / 32
"""The smallest part of a batch that is worth a task, which costs Dask about a millisecond."""
AHEAD = 2
"""Batches for each worker that are dealt at a time: one under way, and one that waits."""
MOST = 32_000
"""Transfers that are dealt at a time at most; each takes some kilobytes of the brain's memory."""


def weight(size: int, line_bytes: int) -> float:
    """Return what part of a batch a transfer is.

    Args:
        size: bytes of the object.
        line_bytes: of the line that tells of it.
    """
    return max(size / BYTES, 1 / OBJECTS, line_bytes / LINE_BYTES)


def portion(waiting: float, places: int, workers: int) -> float:
    """Return how large a batch is to be: all workers get something while there are few transfers.

    Args:
        waiting: the weight of all transfers that wait.
        places: how many batches may be dealt now.
        workers: how many workers there are.
    """
    most = min(1.0, MOST / OBJECTS / (AHEAD * workers))
    return min(most, max(waiting / places, LEAST))


def most_dealt(workers: int) -> int:
    """Return how many transfers are dealt, or wait for that, at most."""
    return min(MOST, AHEAD * OBJECTS * max(workers, 4))
