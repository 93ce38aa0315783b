"""The commands and their options, as tables."""

import argparse
from typing import Any

from asyncsync import __version__
from asyncsync.cli.option import Option

COMMANDS = {
    "sync": "download what is missing or out of date (the default)",
    "plan": "show what a sync would download, how much, and whether it fits",
    "verify": "check the files against the bucket; with --deep, read them as well",
    "ls": "list what the bucket holds, folder by folder, and what is here",
    "du": "add up what the bucket holds by folder, and what is here",
    "get": "fetch one object to a file or to standard output, proven",
    "doctor": "check settings, network, bucket, disk and speed; say what to fix",
    "demo": "start an S3 server on this machine, and sync sample data from it",
    "help": "show the options of a command, with examples",
}
"""Each command, and what it does in a line."""

WITHOUT_PREFIXES = ("demo", "help")

ONE_OBJECT = "KEY [PATH|-]"
"""What stands in the place of prefixes where one object is named."""

PREFIX = "PREFIX"
"""What help and usage call a prefix of keys."""

SOURCE = "s3://BUCKET[/PREFIX] [DEST]"
"""What may stand in the place of prefixes."""

_ON: dict[str, Any] = {"action": "store_const", "const": True}
_OFF: dict[str, Any] = {"action": "store_const", "const": False}
_FLAG: dict[str, Any] = {"action": "store_true"}
_RUNS = "sync plan verify"
_LOOKS = "sync plan verify ls du"
_SELECTS = "sync plan verify doctor ls du"
_DOWNLOADS = "sync verify doctor get"
_ALL_BUT_DEMO = "sync plan verify doctor ls du get"

GROUPS = {
    "which objects": (
        Option(
            "--include GLOB",
            "select the keys that match (default: *.parquet)",
            _SELECTS,
            action="append",
        ),
        Option("--exclude GLOB", "leave out the keys that match", _SELECTS, action="append"),
        Option("--depth N", "levels of folders to show (default: 1)", "ls du"),
        Option("-r --recursive", "list all objects, at any depth", "ls", **_FLAG),
        Option(
            "--files-from FILE",
            "sync the keys that FILE lists, one a line; - is standard input",
            _RUNS,
            also="doctor",
        ),
        Option(
            "--newer-than AGE",
            "leave out older objects; an age (30d, 12h) or a date (2026-11-01)",
            _SELECTS,
        ),
        Option("--older-than AGE", "leave out newer objects; an age or a date", _SELECTS),
        Option("--since DATE", "the same as --newer-than", _SELECTS),
        Option("--min-size SIZE", "leave out smaller objects: 500k, 20M", _SELECTS),
        Option("--max-size SIZE", "leave out larger objects: 500k, 20M", _SELECTS),
        Option(
            "--compare HOW",
            "what shows a file is up to date: time, size or hash",
            _LOOKS,
            also="doctor",
        ),
        Option(
            "--incremental",
            "list from the last keys on; misses keys that sort before them",
            "sync plan",
            also="verify doctor",
            **_ON,
        ),
        Option(
            "--odd-keys HOW",
            "keys that are no path, such as a//b: skip or encode",
            _LOOKS,
            also="doctor",
        ),
        Option("--plan FILE", "download what `plan --json` wrote to FILE", "sync"),
        Option(
            "--shard I/N",
            "only the I-th of N parts of the keys; all N may run at once",
            _RUNS,
            also="doctor",
        ),
    ),
    "from where": (
        Option(
            "--source NAME",
            "a named source of asyncsync.toml, or all; repeatable",
            _ALL_BUT_DEMO,
            action="append",
        ),
        Option("--env-file FILE", "file with the settings (default: ./.env)", _ALL_BUT_DEMO),
        Option("--bucket NAME", "the bucket, in place of R2_BUCKET", _ALL_BUT_DEMO),
        Option("--endpoint-url URL", "the endpoint, in place of R2_ENDPOINT_URL", _ALL_BUT_DEMO),
        Option("--region REGION", "the region, in place of R2_REGION", _ALL_BUT_DEMO),
        Option("--profile PROFILE", "profile of ~/.aws, where no R2_... is set", _ALL_BUT_DEMO),
        Option(
            "--no-sign-request",
            "sign nothing, for public buckets",
            _ALL_BUT_DEMO,
            dest="sign_request",
            **_OFF,
        ),
        Option(
            "--request-payer",
            "pay for requests, where the owner does not",
            _ALL_BUT_DEMO,
            **_ON,
        ),
        Option(
            "--addressing HOW",
            "where the bucket is named: auto, path or virtual",
            _ALL_BUT_DEMO,
        ),
        Option(
            "--allow-http",
            "take an endpoint elsewhere that has no TLS",
            _ALL_BUT_DEMO,
            **_ON,
        ),
        Option("--strict", "fail if others can read the env file", _ALL_BUT_DEMO, **_ON),
    ),
    "to where": (
        Option("--dest DIR", "local folder (default: downloads)", _SELECTS),
        Option(
            "--dest DIR", "local folder (default: downloads-demo)", "demo", default="downloads-demo"
        ),
        Option(
            "--strip-prefix",
            "put what is below the prefix right into the folder",
            _LOOKS,
            also="doctor",
            **_ON,
        ),
        Option(
            "--follow-links",
            "write through links to folders in DIR that are yours or root's",
            _LOOKS,
            also="doctor",
            **_ON,
        ),
        Option(
            "--delete",
            "delete unchanged files made by asyncsync whose objects are gone",
            "sync plan",
            also="verify doctor",
            **_ON,
        ),
        Option(
            "--max-delete N",
            "delete nothing if it would be more files, or a larger share (default: 10%%)",
            "sync plan",
            also="verify doctor",
        ),
        Option(
            "--allow-empty",
            "delete even where bucket or prefix hold nothing that is selected",
            "sync plan",
            also="verify doctor",
            **_ON,
        ),
        Option(
            "--no-space-check",
            "start even if not everything fits on the disk",
            "sync",
            also="plan verify doctor",
            dest="space_check",
            **_OFF,
        ),
        Option(
            "--backup-dir DIR",
            "keep what is replaced or deleted in DIR, on the same disk",
            "sync",
            also="plan verify doctor",
        ),
        Option(
            "--durable",
            "wait until files are on the disk (fsync)",
            "sync",
            also="plan verify doctor",
            **_ON,
        ),
    ),
    "how fast": (
        Option(
            "--workers N",
            "requests for objects at once, or auto (default)",
            _DOWNLOADS,
            also="plan",
        ),
        Option(
            "--max-workers N",
            "upper limit for auto (default: 256)",
            _DOWNLOADS,
            also="plan",
        ),
        Option(
            "--processes N",
            "processes beside this one that download: 0 to 64, or auto (default)",
            "sync",
            also="plan verify doctor",
        ),
        Option(
            "--limit-rate RATE",
            "bytes a second at most: 500k, 20M, 20MB/s or off",
            "sync get",
            also="plan verify doctor",
        ),
        Option(
            "--max-duration TIME",
            "end after that time, such as 2h, and leave the rest to the next run",
            "sync verify",
            also="plan doctor",
        ),
        Option(
            "--attempts N",
            "attempts for a request (default: 8)",
            _ALL_BUT_DEMO,
        ),
        Option(
            "--read-timeout SECONDS",
            "silence until a request is sent again (default: 30)",
            _ALL_BUT_DEMO,
        ),
    ),
    "what proves it": (
        Option(
            "--validate HOW",
            "how to prove it: content (default), head, response",
            _DOWNLOADS,
            also="plan",
        ),
        Option(
            "--no-parquet-check",
            "accept files named *.parquet that are not Parquet",
            "sync verify get",
            also="plan doctor",
            dest="parquet_check",
            **_OFF,
        ),
        Option("--repair", "fetch again what is not in order", "verify", also="doctor", **_ON),
        Option("--deep", "read the files and check their content", "verify", also="doctor", **_ON),
    ),
    "output": (
        Option(
            "-n --dry-run",
            "show what would be downloaded: the same as plan",
            "sync",
            also="plan",
            **_FLAG,
        ),
        Option(
            "--exit-code",
            "end with 7 if there is something to do",
            "plan",
            **_FLAG,
        ),
        Option("--json", "print one JSON object a line", _SELECTS, **_FLAG),
        Option(
            "-q --quiet",
            "print only failures and warnings",
            "sync plan verify doctor get",
            **_FLAG,
        ),
        Option("-v --verbose", "name every object", _RUNS, also="doctor", **_FLAG),
        Option(
            "--no-progress",
            "show no bars and no progress lines",
            "sync plan verify get",
            also="doctor",
            **_FLAG,
        ),
        Option(
            "--report FILE", "write what is new or failed to FILE: .jsonl, .csv, .parquet", "sync"
        ),
        Option("--log-file FILE", "append a log of retries and outcomes to FILE", _ALL_BUT_DEMO),
    ),
    "more": (
        Option(
            "--every TIME",
            "run every TIME, such as 10m, until a signal ends it",
            _RUNS,
            also="doctor",
        ),
        Option("--keep", "keep the server running until Ctrl-C", "demo", **_FLAG),
        Option("--print-completion SHELL", "print the completion script for bash, zsh or fish"),
        Option(
            "--version", "print the version", action="version", version=f"asyncsync {__version__}"
        ),
        Option(
            "-h --help",
            "print this help",
            " ".join(COMMANDS),
            action="help",
            default=argparse.SUPPRESS,
        ),
    ),
}
"""The options by what they are about, in the order of the help.

A name may be there twice, for different commands.
"""

OPTIONS = [option for group in GROUPS.values() for option in group]
