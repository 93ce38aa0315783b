"""python -m benchmarks.calls: how many calls of functions a sync takes, room by room.

A small object and a MiB of a large one are each told in calls of Python functions, and of C
functions by Python ones, as cProfile counts them, and in what the event loop calls in how many
turns. What a sync takes that finds everything in place is taken off. The floor is counted as well.
The server is in other processes: the gateway; where nginx is missing, SeaweedFS, without TLS and
without the floor. These figures need no quiet machine.
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from asyncsync.api import GivenToSync
from asyncsync.demo import seaweed
from benchmarks import floor, gateway, report, site, works
from benchmarks.contenders import Source, contenders, environment
from benchmarks.counting import Counts, count, count_plain
from benchmarks.gateway import Profile
from benchmarks.tools import MissingToolError, find_nginx, install_peers
from benchmarks.works import MIB, Work

_BUCKET = "bench"


def main(argv: Sequence[str] | None = None) -> int:
    """Count, and print the table; return the exit code."""
    options = _parser().parse_args(argv)
    size = min(128, options.mib) * MIB
    small = works.small(options.objects, stored=False)
    large = works.large(max(1, options.mib * MIB // size), size, stored=False)
    given: GivenToSync = {"workers": options.workers} if options.workers else {}
    counts: list[Counts] = []
    with tempfile.TemporaryDirectory(prefix="asyncsync-calls-", dir=works.memory()) as directory:
        for work, units, steps in (
            (small, len(small.objects), "md5"),
            (large, large.size / MIB, "ranges-md5"),
        ):
            print(f"counting {work.name}: {work.description}", file=sys.stderr)
            place = Path(directory, work.name)
            destination = place / "destination"
            with _served(work, place, options.profile, steps) as (variables, arguments):
                with _set(variables):
                    counts.append(count(destination, units, **given))
                if arguments:
                    plain = partial(floor.move, [*arguments], variables)
                    counts.append(count_plain(plain, destination, units))
            shutil.rmtree(place)
    print(_table(counts))
    return 0


@contextlib.contextmanager
def _served(
    work: Work, place: Path, profile: Profile, steps: str
) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Serve a work, and return the variables that name it, and the arguments of the floor if any.

    Args:
        work: what is served.
        place: a folder for everything.
        profile: the network.
        steps: what the floor has to do.
    """
    try:
        find_nginx()
    except MissingToolError as error:
        print(f"{error}; counting with SeaweedFS alone, and without the floor", file=sys.stderr)
        with seaweed.serve(place / "store", _BUCKET) as store:
            files = place / "files"
            works.write(work, files)
            client = store.client()
            for key in work.objects:
                client.upload_file(str(files / key), _BUCKET, key)
            yield store.environment(), []
    else:
        peers = install_peers()
        with site.serve(work, place / "site", peers) as served:
            own = place / "gateway"
            own.mkdir()
            with gateway.serve(served, profile, own) as gate:
                source = Source(
                    *(gate.endpoint_url, served.bucket),
                    *(served.access_key_id, served.secret_access_key),
                    *(gate.ca_file, served.objects),
                    far=profile.latency_ms > 0,
                )
                name = f"floor {steps}"
                command = contenders(peers, 0)[name].command(source, place / "destination")
                _, _, _, *arguments = command.argv  # without python -m benchmarks.floor
                yield environment(source) | command.environment, arguments


@contextlib.contextmanager
def _set(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _table(counts: Sequence[Counts]) -> str:
    """Return the table of the counts of small and large ones, each with the floor's or without."""
    floors = ("the floor's",) if len(counts) > 2 else ()
    rows: list[tuple[str, ...]] = [
        ("calls", "a small object", *floors, "a MiB of a large one", *floors)
    ]

    def add(name: str, figures: Iterable[float | None]) -> None:
        cells = ("" if figure is None else f"{max(0.0, figure):,.1f}" for figure in figures)
        rows.append((name, *cells))

    for room in counts[0].rooms:
        add(room, (found.rooms.get(room) for found in counts))
    add("all", (found.calls for found in counts))
    add("of those in threads", (found.in_threads for found in counts))
    add("callbacks of the loop", (found.callbacks for found in counts))
    add("turns of the loop", (found.turns for found in counts))
    return report.aligned(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calls",
        description="Count the calls that a small object and a MiB of a large one take.",
    )
    add = parser.add_argument
    add("--objects", type=int, default=4_000, metavar="N", help="small ones; default %(default)s")
    add("--mib", type=int, default=1_536, metavar="N", help="of large ones; default %(default)s")
    add("--profile", type=Profile.parse, default="loop", help="as of the benchmark; default loop")
    add("--workers", type=int, metavar="N", help="a fixed number in place of the automatic one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
