"""python -m benchmarks.calls: how many calls of functions a sync takes, room by room.

A small object and a MiB of a large one are each told in calls of Python functions, and of C
functions by Python ones, as cProfile counts them, and in turns of the event loop. What a sync takes
that finds everything in place is taken off. The server is in other processes: the gateway, or
SeaweedFS alone, without TLS, where nginx is missing. These figures need no quiet machine.
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from asyncsync.api import GivenToSync
from asyncsync.demo import seaweed
from benchmarks import gateway, report, site, works
from benchmarks.contenders import Source, environment
from benchmarks.counting import Counts, count
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
    counts = []
    with tempfile.TemporaryDirectory(prefix="asyncsync-calls-", dir=works.memory()) as directory:
        for work, units in ((small, len(small.objects)), (large, large.size / MIB)):
            print(f"counting {work.name}: {work.description}", file=sys.stderr)
            place = Path(directory, work.name)
            with _served(work, place, options.profile) as variables, _set(variables):
                counts.append(count(place / "destination", units, **given))
            shutil.rmtree(place)
    print(_table(*counts))
    return 0


@contextlib.contextmanager
def _served(work: Work, place: Path, profile: Profile) -> Iterator[dict[str, str]]:
    """Serve a work, and return the variables with which asyncsync finds it."""
    try:
        find_nginx()
    except MissingToolError as error:
        print(f"{error}; counting with SeaweedFS alone", file=sys.stderr)
        with seaweed.serve(place / "store", _BUCKET) as store:
            files = place / "files"
            works.write(work, files)
            client = store.client()
            for key in work.objects:
                client.upload_file(str(files / key), _BUCKET, key)
            yield store.environment()
    else:
        with site.serve(work, place / "site", install_peers()) as served:
            own = place / "gateway"
            own.mkdir()
            with gateway.serve(served, profile, own) as gate:
                source = Source(
                    *(gate.endpoint_url, served.bucket),
                    *(served.access_key_id, served.secret_access_key),
                    *(gate.ca_file, served.objects),
                    far=False,
                )
                yield environment(source)


@contextlib.contextmanager
def _set(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _table(small: Counts, large: Counts) -> str:
    rows: list[tuple[str, ...]] = [("calls", "a small object", "a MiB of a large one")]
    rows += [
        (name, *(f"{max(0.0, figure):,.1f}" for figure in figures))
        for name, *figures in (
            *((room, calls, large.rooms[room]) for room, calls in small.rooms.items()),
            ("all", small.calls, large.calls),
            ("of those in threads", small.in_threads, large.in_threads),
            ("callbacks of the loop", small.callbacks, large.callbacks),
            ("turns of the loop", small.turns, large.turns),
        )
    ]
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
