"""Make faults again and again, and count what happens: `python -m tests.soak --help`.

Every figure has a process of its own, and a folder in memory unless it is about disks. Those whose
goal is a short time run first and alone, the others some at a time. The time is shared: a figure
that begins gets its share of what is left, so what it does not need goes to those behind it, which
are the expensive ones. A figure that does not end in its time ends with what it had.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.rigs import child, fault_run, scripted_s3
from tests.rigs.read_once import read_once
from tests.soak.document import DATA, update
from tests.soak.figure import Count, Figure, Result, run
from tests.soak.figures import FIGURES

AT_ONCE = 3
"""Figures; more than most machines have to spare, since many of them wait."""
PATIENCE = 10.0
"""Seconds beyond its share that the last trial of a figure gets to end."""
GRACE = 20.0
"""Seconds after that at which a figure counts as hung."""
HUNG = 120
"""Seconds after which a run counts as hung."""
TELLS_EVERY = 15.0
"""Seconds between two lines that tell how far it is."""
HIDDEN = ("AWS_", "R2_", "ASYNCSYNC_")
MEMORY = Path("/dev/shm")  # noqa: S108 - where there is one, it is memory


def main() -> int:
    """Run the figures; return 1 if a promise was broken."""
    arguments = _parser().parse_args()
    child.interruptible()
    if arguments.one:
        return _one(FIGURES[arguments.one], arguments)
    names = arguments.only.split(",") if arguments.only else FIGURES
    figures = [figure for name, figure in FIGURES.items() if name in names]
    print(f"{len(figures)} figures, {arguments.seconds:.0f} s, seed {arguments.seed}", flush=True)
    results = asyncio.run(Soak(arguments.seed, arguments.seconds).play(figures))
    results.sort(key=lambda result: int(result["name"][1:]))
    if arguments.write:
        update(results, arguments.seed)
        print(f"written: {DATA}")
    few = [result["name"] for result in results if result["trials"] < result["target"]]
    missed = [result["name"] for result in results if not result["reached"]]
    broken = sum(result["broken"] for result in results)
    print(f"fewer trials than wanted: {', '.join(few) or 'none'}")
    print(f"goals missed: {', '.join(missed) or 'none'}")
    print(f"{broken} broken" if broken else "every promise was kept")
    return int(broken > 0)


def _one(figure: Figure, arguments: argparse.Namespace) -> int:
    """Run a figure in this process and print its results as JSON, the last one in the end."""
    child.SECONDS = fault_run.SECONDS = scripted_s3.SECONDS = HUNG  # a busy machine is no fault
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed is no result
    folder = Path(tempfile.gettempdir())
    os.chdir(folder)  # no `.env` of whoever runs this

    def show(result: Result) -> None:
        print(json.dumps(asdict(result)), file=out, flush=True)

    seconds = arguments.seconds
    with read_once():
        asyncio.run(run(figure, arguments.seed, seconds, seconds + PATIENCE, folder, show))
    return 0


class Soak:
    """All figures of one run, and the time that they share."""

    def __init__(self, seed: int, seconds: float) -> None:
        self._seed = seed
        self._started = time.monotonic()
        self._seconds = seconds
        self._so_far: dict[str, dict[str, Any]] = {}
        """Of those that are under way."""
        self._results: list[dict[str, Any]] = []

    async def play(self, figures: Sequence[Figure]) -> list[dict[str, Any]]:
        """Return the results of all figures."""
        telling = asyncio.ensure_future(self._tell())
        timed = [figure for figure in figures if figure.is_timed]
        others = [figure for figure in figures if not figure.is_timed]
        while timed:
            await self._next(timed, self._left / (len(timed) + len(others)))

        async def work() -> None:
            while others:
                await self._next(others, self._left * min(AT_ONCE / len(others), 1))

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        telling.cancel()
        return self._results

    @property
    def _spent(self) -> float:
        return time.monotonic() - self._started

    @property
    def _left(self) -> float:
        return max(self._seconds - self._spent, 1)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELLS_EVERY)
            parts = [
                f"{r['name']} {r['trials']:,} of {r['target']:,}" for r in self._so_far.values()
            ]
            print(f"{self._spent:6.0f} s  {'; '.join(parts)}", flush=True)

    async def _next(self, waiting: list[Figure], share: float) -> None:
        figure = waiting.pop(0)
        self._so_far[figure.name] = asdict(Count(figure).result("not one trial came to its end"))
        said = await self._apart(figure, share)
        result = self._so_far.pop(figure.name)
        if said:
            result |= {
                "reached": False,
                "broken": result["broken"] + 1,
                "result": f"{result['result']}; its process {said}",
                "described": [*result["described"], said],
            }
        self._results.append(result)
        _show(result)

    async def _apart(self, figure: Figure, share: float) -> str:
        """Run a figure in a process of its own; return what is wrong with how that ended."""
        with _folder(figure) as folder, (folder / "said").open("w+b") as err:
            home = folder / "home"
            home.mkdir()
            process = await asyncio.create_subprocess_exec(
                *(*figure.wrapper, sys.executable, "-m", "tests.soak", "--one", figure.name),
                *(f"--seconds={share}", f"--seed={self._seed}"),
                env=_environment(home),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=err,
                start_new_session=True,  # so that all that it started ends with it
            )
            assert process.stdout
            try:
                async with asyncio.timeout(share + PATIENCE + GRACE):
                    async for line in process.stdout:
                        self._so_far[figure.name] = json.loads(line)
                    if await process.wait() == 0:
                        return ""
            except TimeoutError:
                return f"did not end in {share + PATIENCE + GRACE:.0f} s"
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            err.seek(0)
            last = err.read().decode(errors="replace").strip()[-400:].replace("\n", " ")
            return f"ended with {process.returncode}: {last}"


@contextmanager
def _folder(figure: Figure) -> Iterator[Path]:
    """Make an empty folder for a figure; TMPDIR says where, if it is set."""
    in_memory = MEMORY.is_dir() and "TMPDIR" not in os.environ and not figure.on_disk
    where = MEMORY if in_memory else None
    with tempfile.TemporaryDirectory(
        prefix="soak-", dir=where, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def _environment(home: Path) -> dict[str, str]:
    """Return this one without settings, credentials and proxies, and with a folder of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(HIDDEN) and not name.upper().endswith("_PROXY")
    }
    root = str(Path(__file__).parents[2])
    own = {"PYTHONPATH": root, "TMPDIR": str(home), "AWS_EC2_METADATA_DISABLED": "true"}
    return kept | own


def _show(result: dict[str, Any]) -> None:
    kept = "" if result["reached"] else "  <- not reached"
    print(
        f"{result['name']:4} {result['trials']:6} of {result['target']:6}  "
        f"{result['seconds']:6.1f} s  {result['result']}{kept}",
        flush=True,
    )
    for line in result["described"]:
        print(f"       {line}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=900, help="for all (default: 900)")
    parser.add_argument(
        "--seed", type=int, default=int(datetime.now(UTC).strftime("%Y%m%d")), help="of the dice"
    )
    parser.add_argument("--only", default="", help="figures, such as G1,G3")
    parser.add_argument("--write", action="store_true", help="put results into the documents")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
