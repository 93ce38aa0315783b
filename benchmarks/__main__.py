"""python -m benchmarks: measure asyncsync beside its peers on a server of its own."""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import cases, chart, report, works
from benchmarks.cases import Kind
from benchmarks.contenders import contenders
from benchmarks.gateway import PROFILES, Profile
from benchmarks.layers import shares, slopes
from benchmarks.results import summarize
from benchmarks.runner import Bench, Result
from benchmarks.targets import costs, judge
from benchmarks.tools import MissingToolError, find_nginx, install_peers

_SAMPLE, _QUICK_SAMPLE = 100, 4
_RESULTS = Path(__file__).parent / "results"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the arguments choose, print it and write it down; return the exit code."""
    options = _parser().parse_args(argv)
    try:
        find_nginx()
        peers = install_peers()
    except MissingToolError as error:
        print(error, file=sys.stderr)
        return 2
    chosen = cases.select(
        cases.of(options.work, sweep=options.sweep, slope=options.slope),
        works=options.work,
        profiles=options.profile,
        kinds=options.kind,
        contenders=options.contender,
    )
    repeats = options.repeats or (1 if options.quick else 3)
    field = contenders(peers, _QUICK_SAMPLE if options.quick else _SAMPLE)
    unknown = [name for name in options.contender if name not in field]
    if unknown or not chosen:
        known = ", ".join(field)
        print(f"nothing to measure; the contenders are: {known}", file=sys.stderr)
        return 2
    facts = report.machine() | {"peers": peers.versions, "repeats": repeats}
    directory = options.data or Path(
        tempfile.mkdtemp(prefix="asyncsync-bench-", dir=works.memory())
    )
    bench = Bench(directory, peers, field, repeats, keep=options.data is not None)
    results = bench.run(chosen, works.QUICK if options.quick else works.FULL)
    try:
        summaries = [summarize(result, field) for result in _until_interrupted(results)]
    finally:
        if options.data is None:
            shutil.rmtree(directory, ignore_errors=True)
    targets, extra = judge(summaries), costs(summaries)
    beside, growth = shares(summaries), slopes(summaries)
    options.output.mkdir(parents=True, exist_ok=True)
    name = options.name or ("quick" if options.quick else "latest")
    path = options.output / f"{name}.json"
    report.write(path, facts, summaries, targets, extra, beside, growth)
    (options.output / f"{name}.svg").write_text(chart.draw(summaries, facts))
    tables = [report.table(summaries), report.verdicts(targets)]
    tables += [report.expenses(extra)] if extra else []
    tables += [report.beside_floor(beside)] if beside else []
    tables += [report.growth(growth)] if growth else []
    print("\n\n".join(tables))
    return 0


def _until_interrupted(results: Iterator[Result]) -> Iterator[Result]:
    try:
        yield from results
    except KeyboardInterrupt:
        print("interrupted: what follows is what was measured until then", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure asyncsync beside its peers. Without arguments: everything that has a "
        "target. The options below choose; each can be given several times.",
    )
    add = parser.add_argument
    add(
        "--work",
        action="append",
        default=[],
        choices=list(works.FULL),
        help="what is synced; only by name: tree-1m, tree-3m and tree-10m, millions of keys, which "
        "take minutes and an inode for each file",
    )
    add(
        "--profile",
        action="append",
        default=[],
        type=_profile,
        metavar="NAME",
        help=f"the network: {', '.join(PROFILES)}, or one of your own as "
        "LATENCY_MS:MB_PER_SECOND:REQUESTS_PER_SECOND with 0 for no limit; with -r2 behind it, "
        "the server tells checksums as R2 does",
    )
    add("--kind", action="append", default=[], choices=[str(kind) for kind in Kind])
    add("--contender", action="append", default=[], metavar="NAME", help="in place of a case's own")
    others = parser.add_mutually_exclusive_group()
    others.add_argument(
        "--sweep", action="store_true", help="the automatic number of workers beside fixed ones"
    )
    others.add_argument(
        "--slope",
        action="store_true",
        help="what each more object or GiB costs: works of two sizes, asyncsync and the floor",
    )
    add("--repeats", type=int, metavar="N", help="default 3, with --quick 1")
    add("--quick", action="store_true", help="tiny works: do all parts run? The times mean nothing")
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="keep the works here for the next run (5 GB, with --slope 14)",
    )
    add("--output", type=Path, default=_RESULTS, metavar="DIR", help="default %(default)s")
    add("--name", help="of the files written: default latest, with --quick quick")
    return parser


def _profile(text: str) -> str:
    try:
        return Profile.parse(text).name
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no profile") from None


def _end(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)  # as Ctrl-C: the servers end with their `with` blocks
    sys.exit(main())
