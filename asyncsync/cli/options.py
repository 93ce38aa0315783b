"""The commands and their options, as tables."""

import argparse
from typing import Any

from asyncsync import __version__

COMMANDS = {
    "sync": "list, compare, download, validate, report (the default)",
    "plan": "show what a sync would download, how much, and whether it fits on the disk",
    "verify": "check the files against the bucket: presence, size, version, content (--deep)",
    "doctor": "check endpoint, credentials, clock, bucket, disk and speed; say what to fix",
    "demo": "start a temporary S3 server with sample data, and sync from it",
}
"""Each command, and what it does in a line."""

WITHOUT_PREFIXES = ("demo",)

PREFIX = "PREFIX"
"""What help and usage call a prefix of keys."""

SOURCE = "s3://BUCKET[/PREFIX] [DEST]"
"""What may stand in the place of prefixes."""


class Option:
    """An option of the command line.

    Args:
        names: how it is written.
        commands: the commands whose help shows it. Without any, it is for all commands, and only
            the help of `asyncsync` itself shows it.
        also: commands that accept it as well and do the same with or without it: what works for
            `sync` should not have to be taken out for a `plan`, `verify` or `doctor` of the same.
        help: what the help says about it.
        settings: the other keyword arguments of argparse's `add_argument`.
    """

    def __init__(
        self,
        *names: str,
        help: str,  # noqa: A002 - argparse's name
        commands: str = "",
        also: str = "",
        **settings: Any,  # noqa: ANN401 - each has its own type
    ) -> None:
        self.names = names
        self.commands = tuple(commands.split())
        self.help = help
        self.settings = settings
        self._accepted = (*self.commands, *also.split())

    @property
    def metavar(self) -> str:
        """What stands for the option's value in help; empty for an option without one."""
        return str(self.settings.get("metavar", ""))

    def is_accepted(self, command: str) -> bool:
        """Return whether the command takes the option."""
        return command in self._accepted or not self.commands

    def is_shown(self, command: str) -> bool:
        """Return whether the command's help shows the option; "" is `asyncsync` itself."""
        if not self.commands:
            return not command
        return (command or "sync") in self.commands


_ON: dict[str, Any] = {"action": "store_const", "const": True}
_OFF: dict[str, Any] = {"action": "store_const", "const": False}
_FLAG: dict[str, Any] = {"action": "store_true"}
_RUNS = "sync plan verify"
_ALL_BUT_DEMO = "sync plan verify doctor"

OPTIONS = (
    Option(
        "--dest", commands=_ALL_BUT_DEMO, metavar="DIR", help="local folder (default: downloads)"
    ),
    Option(
        "--dest",
        commands="demo",
        metavar="DIR",
        default="downloads-demo",
        help="local folder (default: downloads-demo)",
    ),
    Option(
        "--env-file",
        commands=_ALL_BUT_DEMO,
        metavar="FILE",
        help="file with the settings (default: ./.env)",
    ),
    Option(
        "--bucket",
        commands=_ALL_BUT_DEMO,
        metavar="NAME",
        help="the bucket, in place of R2_BUCKET",
    ),
    Option(
        "--endpoint-url",
        commands=_ALL_BUT_DEMO,
        metavar="URL",
        help="the endpoint, in place of R2_ENDPOINT_URL",
    ),
    Option(
        "--region",
        commands=_ALL_BUT_DEMO,
        metavar="REGION",
        help="the region, in place of R2_REGION",
    ),
    Option(
        "--profile",
        commands=_ALL_BUT_DEMO,
        metavar="PROFILE",
        help="profile of ~/.aws, where no R2_... is set",
    ),
    Option(
        "--include",
        commands=_ALL_BUT_DEMO,
        metavar="GLOB",
        action="append",
        help="select the keys that match (default: *.parquet)",
    ),
    Option(
        "--exclude",
        commands=_ALL_BUT_DEMO,
        metavar="GLOB",
        action="append",
        help="leave out the keys that match",
    ),
    Option(
        "--workers",
        commands="sync verify doctor",
        also="plan",
        metavar="N",
        help="requests for objects at once, or auto (default)",
    ),
    Option(
        "--max-workers",
        commands="sync verify doctor",
        also="plan",
        metavar="N",
        help="upper limit for auto (default: 256)",
    ),
    Option(
        "--compare",
        commands=_RUNS,
        also="doctor",
        metavar="HOW",
        help="what shows that a file is up to date: time (default; not older), size, hash",
    ),
    Option(
        "--validate",
        commands="sync verify doctor",
        also="plan",
        metavar="HOW",
        help="what a download must pass: content (default: HEAD and hash), head, response",
    ),
    Option(
        "--no-parquet-check",
        commands="sync verify",
        also="plan doctor",
        **_OFF,
        dest="parquet_check",
        help="accept files named *.parquet that are not Parquet",
    ),
    Option(
        "--deep",
        commands="verify",
        also="doctor",
        **_ON,
        help="read the files and check their content",
    ),
    Option(
        "--attempts",
        commands=_ALL_BUT_DEMO,
        metavar="N",
        help="attempts for a request before its object fails (default: 8)",
    ),
    Option(
        "--read-timeout",
        commands=_ALL_BUT_DEMO,
        metavar="SECONDS",
        help="silence until a request is sent again (default: 30); grows to 120 for late answers",
    ),
    Option(
        "--no-space-check",
        commands="sync",
        also="plan verify doctor",
        **_OFF,
        dest="space_check",
        help="start even if not everything fits on the disk",
    ),
    Option(
        "--durable",
        commands="sync",
        also="plan verify doctor",
        **_ON,
        help="wait until files are on the disk (fsync)",
    ),
    Option(
        "--limit-rate",
        commands="sync",
        also="plan verify doctor",
        metavar="RATE",
        help="download at most this many bytes a second: 500k, 20M or off",
    ),
    Option(
        "--since",
        commands="sync plan",
        also="verify doctor",
        metavar="auto",
        help="list from the last keys on; misses keys that sort before them",
    ),
    Option(
        "--strip-prefix",
        commands=_RUNS,
        also="doctor",
        **_ON,
        help="put the content of the one prefix right into the folder",
    ),
    Option(
        "--odd-keys",
        commands=_RUNS,
        also="doctor",
        metavar="HOW",
        help="keys that are no path, as a//b: skip (default); encode, as a/%%~/b",
    ),
    Option(
        "--strict",
        commands=_ALL_BUT_DEMO,
        **_ON,
        help="fail if others can read the env file",
    ),
    Option(
        "--no-sign-request",
        commands=_ALL_BUT_DEMO,
        **_OFF,
        dest="sign_request",
        help="sign nothing, for public buckets; needs no credentials",
    ),
    Option(
        "--request-payer",
        commands=_ALL_BUT_DEMO,
        **_ON,
        help="pay for the requests, where the bucket's owner does not",
    ),
    Option(
        "--addressing",
        commands=_ALL_BUT_DEMO,
        metavar="HOW",
        help="where the bucket is named: auto (default), path: HOST/BUCKET, virtual: BUCKET.HOST",
    ),
    Option(
        "--allow-http",
        commands=_ALL_BUT_DEMO,
        **_ON,
        help="take an endpoint on another machine that has no TLS",
    ),
    Option(
        "--plan",
        commands="sync",
        metavar="FILE",
        help="download what `plan --json` wrote to FILE; list nothing",
    ),
    Option("--json", commands=_ALL_BUT_DEMO, **_FLAG, help="print one JSON object a line"),
    Option(
        "-q",
        "--quiet",
        commands=_ALL_BUT_DEMO,
        **_FLAG,
        help="print failures only, and what may become one",
    ),
    Option("-v", "--verbose", commands=_RUNS, also="doctor", **_FLAG, help="name every object"),
    Option(
        "--no-progress",
        commands=_RUNS,
        also="doctor",
        **_FLAG,
        help="show no bars and no progress lines",
    ),
    Option(
        "--log-file",
        commands=_ALL_BUT_DEMO,
        metavar="FILE",
        help="append a log of retries and outcomes to FILE",
    ),
    Option("--keep", commands="demo", **_FLAG, help="keep the server running until Ctrl-C"),
    Option(
        "--print-completion",
        metavar="SHELL",
        help="print the completion script for bash, zsh or fish",
    ),
    Option(
        "--version",
        action="version",
        version=f"asyncsync {__version__}",
        help="print the version",
    ),
    Option(
        "-h",
        "--help",
        commands="sync plan verify doctor demo",
        action="help",
        default=argparse.SUPPRESS,
        help="print this help",
    ),
)
"""All options, in the order of the help. A name may be there twice, for different commands."""
