"""The movers of a run that goes on in another process."""

from contextlib import suppress
from pathlib import Path


def movers_of(brain: int) -> list[int]:
    """Return the ids of the processes that a run has started and that live; on Linux."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            state, parent, *_ = entry.read_text().rpartition(") ")[2].split()
            if int(parent) == brain and state != "Z":
                found.append(int(entry.parent.name))
    return sorted(found)


def state_of(process: int) -> str:
    """Return in which state a process is, such as T for stopped; empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0].strip("ZX")
    return ""
