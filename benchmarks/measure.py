"""One run of one contender, measured as a whole process and checked for completeness."""

import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contenders import Command
from benchmarks.works import Work

_LAUNCHER = Path(__file__).parent / "launch.py"
_POLL_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took and did."""

    started_at: float
    """Seconds since the epoch."""
    wall: float
    """Seconds from start to end of the process."""
    cpu: float
    """CPU seconds of the process and its children."""
    peak: int
    """Bytes of memory of the largest of them at its largest."""
    exit_code: int
    timed_out: bool = False
    complete: bool = True
    """Whether the destination holds afterwards what it should."""
    first_file: float | None = None
    """Seconds from the start until the first file was there, where that was watched."""
    first_wait: float | None = None
    """The same from the arrival of the first request."""
    scaled: bool = False
    """Whether `wall` was worked out from a sample of the objects."""
    requests: dict[str, int] = field(default_factory=dict)
    """What the gateway counted."""

    @property
    def verdict(self) -> str:
        """`ok`, or what was wrong."""
        if self.timed_out:
            return "over its limit"
        if self.exit_code:
            return f"exit {self.exit_code}"
        return "ok" if self.complete else "incomplete"

    @property
    def good(self) -> bool:
        """Whether the run counts."""
        return self.verdict == "ok"


def run(command: Command, scratch: Path, limit: float, *, terminal: bool = False) -> Run:
    """Run a command to its end, or for `limit` seconds, in an environment of its own."""
    return _run(command, scratch, limit, terminal, None)


def run_to_first_file(command: Command, scratch: Path, limit: float, destination: Path) -> Run:
    """Run a command until it has put its first file into `destination`, then end it."""
    return _run(command, scratch, limit, False, destination)


def _run(
    command: Command, scratch: Path, limit: float, terminal: bool, watched: Path | None
) -> Run:
    home = scratch / "home"  # an empty one: nobody's own settings take part
    home.mkdir(exist_ok=True)
    environment = {"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm"}
    output = scratch / "output"
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER)]
    process = subprocess.Popen(
        [*launcher, str(limit), str(output), "1" if terminal else "0", *command.argv],
        cwd=home,
        env=environment | command.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    seen = _await_file(watched, process) if watched else None
    if watched:
        process.send_signal(signal.SIGTERM)
    answer = json.loads(process.communicate()[0])
    return Run(
        started_at=answer["started_at"],
        wall=answer["wall"],
        cpu=answer["cpu"],
        peak=answer["peak"],
        exit_code=0 if answer["ended_by"] == "SIGTERM" else answer["exit_code"],
        timed_out=answer["ended_by"] == "SIGALRM",
        first_file=seen - answer["started_at"] if seen else None,
    )


def _await_file(destination: Path, process: subprocess.Popen[str]) -> float | None:
    """Return when a visible file was in `destination`, or none when all ended."""
    while process.poll() is None:
        for _, folders, files in os.walk(destination):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if any(name.endswith(".parquet") for name in files):
                return time.time()
        time.sleep(_POLL_SECONDS)
    return None


def holds(destination: Path, work: Work) -> bool:
    """Return whether `destination` holds every object in full size, and nothing else visible."""
    found = {}
    for folder, folders, files in os.walk(destination):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, destination)] = os.stat(path).st_size
    return found == work.objects


def equals(destination: Path, work: Work, files: Path) -> bool:
    """Return whether every file in `destination` holds the object's bytes."""
    _, different, wrong = filecmp.cmpfiles(files, destination, work.objects, shallow=False)
    return not different and not wrong


def clear(directory: Path) -> None:
    """Make `directory` an empty folder."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
