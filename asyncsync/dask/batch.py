"""What a worker is told: once, with the secrets, and then with each batch, without them.

Dask logs the arguments of a task, and even its bytes where they cannot be read, shows them on its
dashboard, and has them in the scheduler's memory. So no task has secrets: those go to the workers
beside the tasks, to such as have this asyncsync.
"""

from dataclasses import dataclass

from asyncsync.disk import Sign
from asyncsync.secret import Secret


@dataclass(frozen=True, slots=True)
class Enlistment:
    """What a mover in a worker is told before its first batch."""

    run: str
    """The id of the run."""
    generation: int
    """Of the credentials."""
    orders: Secret
    """As for a mover of this machine: its first line."""
    rate: float
    """Bytes per second of this worker; 0 for no limit."""
    telling: float
    """Seconds between two words to the brain about the bytes of large objects."""


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """Transfers for one worker."""

    key: str
    """The name of the task."""
    number: int
    """Different for each batch of a run."""
    run: str
    """The id of the run."""
    version: str
    """Of asyncsync in the brain."""
    generation: int
    """Of the credentials: a worker with older ones has to be enlisted anew."""
    sign: Sign
    """By which the worker knows the folder of the run again."""
    rate: float
    """Bytes per second of this worker from now on; 0 for no limit."""
    lines: bytes
    """The transfers, a line each."""

    def __repr__(self) -> str:
        return f"<batch {self.number}>"
