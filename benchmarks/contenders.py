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
        Contender("asyncsync durable", _asyncsync("--durable")),
        Contender("asyncsync no progress", _asyncsync("--no-progress"), terminal=True),
        Contender("asyncsync bars", _asyncsync(), terminal=True),
        *(
            Contender(f"asyncsync {workers}", _asyncsync("--workers", str(workers)))
            for workers in SWEEP
        ),
        Contender("baseline", _baseline()),
        Contender("baseline sample", _baseline(str(sample)), sampled=True),
        Contender("s5cmd", _s5cmd(peers), peer=True),
        Contender("s5cmd tuned", _s5cmd(peers, *_S5CMD_TUNED), peer=True),
        Contender("rclone", _rclone(peers), peer=True),
        Contender("rclone tuned", _rclone(peers, *_RCLONE_TUNED), peer=True),
        Contender("aws s3 sync", _aws(peers), peer=True),
    ]
    return {contender.name: contender for contender in listed}


SWEEP = (4, 8, 16, 32, 64, 128, 256)
"""The fixed numbers of workers that `--workers auto` is compared with."""

_S5CMD_TUNED = ("--concurrency", "16", "--part-size", "8")
_RCLONE_TUNED = (
    *("--transfers", "64", "--checkers", "64"),
    *("--multi-thread-cutoff", "16M", "--multi-thread-streams", "8"),
)


def _asyncsync(*options: str) -> Callable[[Source, Path], Command]:
    def command(source: Source, destination: Path) -> Command:
        return Command(
            [sys.executable, "-m", "asyncsync", "sync", "--dest", str(destination), *options],
            {
                "R2_ACCESS_KEY_ID": source.access_key_id,
                "R2_SECRET_ACCESS_KEY": source.secret_access_key,
                "R2_ENDPOINT_URL": source.endpoint_url,
                "R2_BUCKET": source.bucket,
                "AWS_CA_BUNDLE": str(source.ca_file),
            },
        )

    return command


def _baseline(*most: str) -> Callable[[Source, Path], Command]:
    def command(source: Source, destination: Path) -> Command:
        argv = [sys.executable, "-m", "benchmarks.baseline", source.bucket, str(destination), *most]
        root = str(Path(__file__).parent.parent)
        return Command(argv, _aws_environment(source) | {"PYTHONPATH": root})

    return command


def _s5cmd(peers: Peers, *options: str) -> Callable[[Source, Path], Command]:
    def command(source: Source, destination: Path) -> Command:
        every = f"s3://{source.bucket}/*"
        return Command(
            [str(peers.s5cmd), "sync", *options, every, f"{destination}/"],
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
        environment = {f"RCLONE_CONFIG_BENCH_{name}": value for name, value in remote.items()}
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
            environment,
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
