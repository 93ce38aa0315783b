"""Make faults again and again, and count what happens: `python -m tests.soak --help`.

Every figure has a process of its own. The time is shared: a figure that begins gets its share of
what is left, so what it does not need goes to those behind it, which are the expensive ones.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.rigs import child, fault_run, scripted_s3
from tests.soak.document import DATA, update
from tests.soak.figure import Figure, Result, run
from tests.soak.figures import FIGURES

AT_ONCE = 2
GRACE = 660.0
"""Seconds after its share at which a figure counts as hung."""
HUNG = 120
"""Seconds after which a run counts as hung."""
HIDDEN = ("AWS_", "R2_", "ASYNCSYNC_")


def main() -> int:
    """Run the figures; return 1 if a promise was broken."""
    arguments = _parser().parse_args()
    if arguments.one:
        return _one(FIGURES[arguments.one], arguments)
    names = arguments.only.split(",") if arguments.only else FIGURES
    figures = [figure for name, figure in FIGURES.items() if name in names]
    print(f"{len(figures)} figures, {arguments.seconds:.0f} s, seed {arguments.seed}", flush=True)
    results = asyncio.run(_all(figures, arguments))
    results.sort(key=lambda result: int(result["name"][1:]))
    if arguments.write:
        update(results, arguments.seed)
        print(f"written: {DATA}")
    broken = sum(result["broken"] for result in results)
    print(f"{broken} broken" if broken else "every promise was kept")
    return int(broken > 0)


def _one(figure: Figure, arguments: argparse.Namespace) -> int:
    """Run a figure in this process and print its result as JSON."""
    child.SECONDS = fault_run.SECONDS = scripted_s3.SECONDS = HUNG  # a busy machine is no fault
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)  # no `.env` of whoever runs this
        result = asyncio.run(run(figure, arguments.seed, arguments.seconds, Path(folder)))
    print(json.dumps(asdict(result)))
    return 0


async def _all(figures: Sequence[Figure], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    deadline = time.monotonic() + arguments.seconds
    waiting = list(figures)
    results: list[dict[str, Any]] = []

    async def work() -> None:
        while waiting:
            left = max(deadline - time.monotonic(), 1)
            share = min(left, left * min(AT_ONCE, len(waiting)) / len(waiting))
            results.append(await _apart(waiting.pop(0), share, arguments.seed))
            _show(results[-1])

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return results


async def _apart(figure: Figure, share: float, seed: int) -> dict[str, Any]:
    """Run a figure in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(*figure.wrapper, sys.executable, "-m", "tests.soak", "--one", figure.name),
        *(f"--seconds={share}", f"--seed={seed}"),
        env=_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    started = time.monotonic()
    err = b""
    try:
        async with asyncio.timeout(share + GRACE):
            out, err = await process.communicate()
        return dict[str, Any](json.loads(out.splitlines()[-1]))
    except TimeoutError:
        said = "hangs"
    except (IndexError, ValueError):
        said = err.decode(errors="replace")[-400:]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return asdict(
        Result(
            name=figure.name,
            counts=figure.counts,
            goal=figure.goal,
            trials=0,
            target=figure.trials,
            result="was not played to its end",
            reached=False,
            seconds=round(time.monotonic() - started, 1),
            broken=1,
            described=[said],
        )
    )


def _environment() -> dict[str, str]:
    """Return this one without settings, credentials and proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(HIDDEN) and not name.upper().endswith("_PROXY")
    }
    root = str(Path(__file__).parents[2])
    return kept | {"PYTHONPATH": root, "AWS_EC2_METADATA_DISABLED": "true"}


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
