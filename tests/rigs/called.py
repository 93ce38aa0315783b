"""The command line, called as a function in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OBJECTS = {"1hz/a.parquet": b"a", "1hz/b.parquet": b"bb", "root.parquet": b"root"}
"""What is in the bucket that it syncs."""


@dataclass(frozen=True)
class Ran:
    """The result of a call: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]
"""Takes the arguments of a command line."""
