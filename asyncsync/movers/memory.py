"""How much memory there is for movers."""

from contextlib import suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
"""What the machine has, in KiB."""
GROUP = Path("/sys/fs/cgroup")
"""What a container may have, and has, in bytes."""
_NAMES = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""The files that tell it, in the second version of control groups, and in the first."""


def free_memory() -> int | None:
    """Return the bytes that programs can still get here; None where the system does not tell."""
    told = [free for free in (_of_machine(), _of_container()) if free is not None]
    return max(0, min(told)) if told else None


def _of_machine() -> int | None:
    try:
        return int(_numbers(MEMINFO)["MemAvailable:"]) * 1024
    except (OSError, ValueError, KeyError):
        return None


def _of_container() -> int | None:
    """Return what is left of the limit; the cache of files gives way to programs."""
    for names in _NAMES:
        with suppress(OSError, ValueError, KeyError):  # no such limit, or none at all: "max"
            most, used = (int((GROUP / name).read_text(encoding="ascii")) for name in names[:2])
            has = _numbers(GROUP / names[2])
            return most - used + int(has["active_file"]) + int(has["inactive_file"])
    return None


def _numbers(file: Path) -> dict[str, str]:
    lines = map(str.split, file.read_text(encoding="ascii").splitlines())
    return {words[0]: words[1] for words in lines if len(words) > 1}
