"""The movers of a run, and what gives a run in this process its settings."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def movers_of(brain: int) -> list[int]:
    """Return the ids of the movers that a process has started and that live; on Linux."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            state, parent, *_ = entry.read_text().rpartition(") ")[2].split()
            command = (entry.parent / "cmdline").read_bytes()
            if int(parent) == brain and state != "Z" and b"asyncsync.moving" in command:
                found.append(int(entry.parent.name))
    return sorted(found)


def state_of(process: int) -> str:
    """Return in which state a process is, such as T for stopped; empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0].strip("ZX")
    return ""


def env_file(folder: Path, settings: Mapping[str, str]) -> Path:
    """Return a private file of these settings."""
    path = folder / "settings"
    path.touch(0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path
