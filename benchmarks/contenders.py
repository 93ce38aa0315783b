"""Who is measured: command lines and environments."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tools import Peers


@dataclass(frozen=True, slots=True)
class Source:
    """The bucket to sync from, and the keys to it."""

    endpoint_url: str
    bucket: str
    access_key_id: str
    secret_access_key: str
    ca_file: Path
    objects: Path
    """Describes every object, as in `objects.py`: for who does not list."""
    far: bool
    """Whether answers take long to begin: for who does not find out how many requests pay."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run: its argument vector and the variables it is told."""

    argv: list[str]
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to bring a folder in step with a bucket."""

    name: str
    command: Callable[[Source, Path], Command]
    peer: bool = False
    """Whether asyncsync has to be faster than this one: true for other people's tools."""
    terminal: bool = False
    """Whether it writes to a terminal; to a file otherwise."""
    sampled: bool = False
    """Whether it fetches a sample only, and says how long the rest would have taken."""


def contenders(peers: Peers, sample: int) -> dict[str, Contender]:
    """Return all contenders by name.

    Args:
        peers: where the peers' programs are.
        sample: how many files the sequential baseline fetches of a work that it samples.
    """
    listed = [
        Contender("asyncsync", _asyncsync()),
        Contender("asyncsync head", _asyncsync("--validate", "head")),
        Contender("asyncsync response", _asyncsync("--validate", "response")),
        Contender("asyncsync version", _asyncsync_version),
        Contender("asyncsync durable", _asyncsync("--durable")),
        Contender("asyncsync no progress", _asyncsync("--no-progress"), terminal=True),
        Contender("asyncsync bars", _asyncsync(), terminal=True),
        *(
            Contender(f"asyncsync {workers}", _asyncsync("--workers", str(workers)))
            for workers in SWEEP
        ),
        *(
            Contender(f"asyncsync movers {number}", _asyncsync("--processes", str(number)))
            for number in MOVERS
        ),
        *(Contender(f"floor {steps}", _floor(steps)) for steps in SLOTS),
        Contender("baseline", _baseline()),
        Contender("baseline sample", _baseline(str(sample)), sampled=True),
        Contender("s5cmd", _s5cmd(peers, "sync"), peer=True),
        Contender("s5cmd tuned", _s5cmd(peers, "sync", *_S5CMD_TUNED), peer=True),
        Contender("s5cmd cp", _s5cmd(peers, "cp"), peer=True),
        Contender("s5cmd cp tuned", _s5cmd(peers, "cp", *_S5CMD_TUNED), peer=True),
        Contender("rclone", _rclone(peers), peer=True),
        Contender("rclone tuned", _rclone(peers, *_RCLONE_TUNED), peer=True),
        Contender("aws s3 sync", _aws(peers), peer=True),
    ]
    return {contender.name: contender for contender in listed}


SWEEP = (4, 8, 16, 32, 64, 128, 256)
"""The fixed numbers of workers that `--workers auto` is compared with."""

MOVERS = (0, 1, 2, 4)
"""The fixed numbers of processes that `--processes auto` is compared with."""

SLOTS = {
    "get": (24, 256),
    "head": (24, 256),
    "md5": (24, 256),
    "ranges": (16, 64),
    "ranges-md5": (16, 64),
}
"""What the floor can do, and its connections on a near and on a far network."""

_S5CMD_TUNED = ("--concurrency", "16", "--part-size", "8")
_RCLONE_TUNED = (
    *("--transfers", "64", "--checkers", "64"),
    *("--multi-thread-cutoff", "16M", "--multi-thread-streams", "8"),
)


_ROOT = str(Path(__file__).parent.parent)
"""The checkout: what is measured is the asyncsync in it, whichever one is installed."""


def environment(source: Source) -> dict[str, str]:
    """Return the variables with which asyncsync finds the bucket."""
    return {
        "R2_ACCESS_KEY_ID": source.access_key_id,
        "R2_SECRET_ACCESS_KEY": source.secret_access_key,
        "R2_ENDPOINT_URL": source.endpoint_url,
        "R2_BUCKET": source.bucket,
        "AWS_CA_BUNDLE": str(source.ca_file),
    }


def _asyncsync(*options: str) -> Callable[[Source, Path], Command]:
    def command(source: Source, destination: Path) -> Command:
        return Command(
            [sys.executable, "-m", "asyncsync", "sync", "--dest", str(destination), *options],
            environment(source) | {"PYTHONPATH": _ROOT},
        )

    return command


def _asyncsync_version(_source: Source, _destination: Path) -> Command:
    return Command([sys.executable, "-m", "asyncsync", "--version"], {"PYTHONPATH": _ROOT})


def _floor(steps: str) -> Callable[[Source, Path], Command]:
    def command(source: Source, destination: Path) -> Command:
        near, far = SLOTS[steps]
        program = [sys.executable, "-m", "benchmarks.floor", steps]
        paths = [str(source.objects), source.bucket, str(destination)]
        return Command(
            [*program, *paths, str(far if source.far else near)],
            _aws_environment(source) | {"PYTHONPATH": _ROOT},
        )

    return command


def _baseline(*most: str) -> Callable[[Source, Path], Command]:
    def command(source: Source, destination: Path) -> Command:
        argv = [sys.executable, "-m", "benchmarks.baseline", source.bucket, str(destination), *most]
        return Command(argv, _aws_environment(source) | {"PYTHONPATH": _ROOT})

    return command


def _s5cmd(peers: Peers, verb: str, *options: str) -> Callable[[Source, Path], Command]:
    def command(source: Source, destination: Path) -> Command:
        every = f"s3://{source.bucket}/*"
        return Command(
            [str(peers.s5cmd), verb, *options, every, f"{destination}/"],
            _aws_environment(source) | {"S3_ENDPOINT_URL": source.endpoint_url},
        )

    return command


def _rclone(peers: Peers, *options: str) -> Callable[[Source, Path], Command]:
    def command(source: Source, destination: Path) -> Command:
        remote = {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "FORCE_PATH_STYLE": "true",
            "REGION": "auto",
            "ENDPOINT": source.endpoint_url,
            "ACCESS_KEY_ID": source.access_key_id,
            "SECRET_ACCESS_KEY": source.secret_access_key,
        }
        variables = {f"RCLONE_CONFIG_BENCH_{name}": value for name, value in remote.items()}
        # Without the last option it asks every object's HEAD for a time that others take from the
        # listing, and would be no measure for a run that has nothing to do.
        always = ["--ca-cert", str(source.ca_file), "--use-server-modtime"]
        return Command(
            [
                str(peers.rclone),
                "copy",
                f"bench:{source.bucket}",
                str(destination),
                *always,
                *options,
            ],
            variables,
        )

    return command


def _aws(peers: Peers) -> Callable[[Source, Path], Command]:
    def command(source: Source, destination: Path) -> Command:
        return Command(
            [str(peers.aws), "s3", "sync", f"s3://{source.bucket}", str(destination)],
            _aws_environment(source),
        )

    return command


def _aws_environment(source: Source) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": source.access_key_id,
        "AWS_SECRET_ACCESS_KEY": source.secret_access_key,
        "AWS_ENDPOINT_URL": source.endpoint_url,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CA_BUNDLE": str(source.ca_file),
        "SSL_CERT_FILE": str(source.ca_file),
    }
