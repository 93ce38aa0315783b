"""What memory each process of a sync takes: `python -m benchmarks.memory [--movers 0,1,2,4]`.

It prints the largest resident memory (VmHWM) of the brain and of its largest mover, for many small
objects and for few large ones, fetched from a real server on this machine. Linux tells it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks import site, works
from benchmarks.tools import install_peers
from benchmarks.works import MIB, Work

WORKS: Mapping[str, Work] = {
    "small": Work(
        "small", "20,000 objects of 8 KB", {f"{n % 9}/{n}.parquet": 8_000 for n in range(20_000)}
    ),
    "large": works.large(16, 128 * MIB),
}
LOOK_EVERY = 0.02
"""Seconds between two looks at the memory of all processes."""
_ROOT = str(Path(__file__).parent.parent)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--movers", default="0,1,2,4", help="how many (default: 0,1,2,4)")
    parser.add_argument("--work", choices=WORKS, nargs="*", help="which (default: all)")
    options = parser.parse_args(argv)
    peers = install_peers()
    print(f"{'':24} {'movers':>6} {'brain':>8} {'mover':>8} {'seconds':>8}")
    for work in (WORKS[name] for name in options.work or WORKS):
        with (
            tempfile.TemporaryDirectory(prefix="asyncsync-memory-") as scratch,
            site.serve(work, Path(scratch) / "site", peers) as served,
        ):
            for movers in options.movers.split(","):
                destination = Path(scratch) / "destination"
                started = time.monotonic()
                brain, largest = measured(served, destination, movers)
                seconds = time.monotonic() - started
                shutil.rmtree(destination)
                shown = f"{largest / 1e6:5.0f} MB" if largest else ""
                row = f"{movers:>6} {brain / 1e6:5.0f} MB {shown:>8} {seconds:8.1f}"
                print(f"{work.description:24} {row}", flush=True)
    return 0


def measured(served: site.Site, destination: Path, movers: str) -> tuple[int, int]:
    """Sync; return the peak memory of the brain and of the largest mover, in bytes."""
    variables = {
        "R2_ACCESS_KEY_ID": served.access_key_id,
        "R2_SECRET_ACCESS_KEY": served.secret_access_key,
        "R2_ENDPOINT_URL": f"http://{served.lister}",
        "R2_BUCKET": served.bucket,
        "PYTHONPATH": _ROOT,
    }
    arguments = ("--quiet", "--processes", movers, "--dest", str(destination))
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncsync", "sync", *arguments], env={**os.environ, **variables}
    )
    peaks: dict[int, int] = {}
    while process.poll() is None:
        for each in [process.pid, *_children(process.pid)]:
            peaks[each] = max(peaks.get(each, 0), _peak(each))
        time.sleep(LOOK_EVERY)
    if process.returncode:
        raise SystemExit(f"the sync ended with exit code {process.returncode}")
    brain = peaks.pop(process.pid)
    return brain, max(peaks.values(), default=0)


def _children(process: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):  # it has just ended
        for thread in Path(f"/proc/{process}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def _peak(process: int) -> int:
    """Return the largest resident memory that a process has had, in bytes; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    sys.exit(main())
