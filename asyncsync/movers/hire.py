"""How many movers a run has, and what each of them gets of its limits."""

import os
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from asyncsync.model import Settings
from asyncsync.pace import Limit

MOST = 8
"""Movers that a run has unless it is told: one brain can feed so many."""
QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""What a container may use of the machine's processors: microseconds, and in how many."""


@dataclass(frozen=True, slots=True)
class Hire:
    """The movers that a run may have, and what they need to know."""

    number: int | None
    """How many; None for one for each processor, as soon as the run needs them (`need.py`)."""
    settings: Settings
    """Where the bucket is, and the credentials for it."""
    read_timeout: float
    workers: int | None
    """Requests in flight of all movers together; None if each finds out."""
    max_workers: int
    attempts: int
    limit: Limit | None = None
    """The bytes per second that all of them share with the brain."""

    @property
    def wanted(self) -> int:
        """How many movers there will be, if there are any; with one processor, none helps."""
        if self.number is not None:
            return self.number
        return min(cores, MOST) if (cores := usable_cores()) > 1 else 0


def can_move() -> bool:
    """Return whether this process can start others as movers, and hand its locks on to them.

    What another program has embedded, or is frozen into one file, is no Python to start again.
    """
    name = os.path.basename(sys.executable or "").lower()
    is_python = name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
    return sys.platform != "win32" and is_python


def usable_cores() -> int:
    """Return how many processors this process may use, and its container allows."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, _, period = QUOTA.read_text(encoding="ascii").partition(" ")
        return max(1, min(cores, ceil(int(quota) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no such limit, or none at all: "max"
        return cores
