"""What a worker is told with each batch."""

from dataclasses import dataclass

from asyncsync.disk import Sign


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """Transfers for one worker, and the orders for them, which have secrets.

    Dask shows the arguments of tasks in logs and on its dashboard, so `repr` shows none of it.
    """

    key: str
    """The name of the task."""
    number: int
    """Different for each batch of a run."""
    run: str
    """The id of the run."""
    version: str
    """Of asyncsync in the brain."""
    generation: int
    """Of the credentials: a worker with older ones takes these."""
    orders: bytes
    """As for a mover: its first line."""
    sign: Sign
    """By which the worker knows the folder of the run again."""
    rate: float
    """Bytes per second of this worker; 0 for no limit."""
    telling: float
    """Seconds between two words to the brain about the bytes of large objects."""
    lines: bytes
    """The transfers, a line each."""

    def __repr__(self) -> str:
        return f"<batch {self.number}>"
