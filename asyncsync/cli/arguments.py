"""What may stand on the command line, and the help about it."""

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from asyncsync import __version__
from asyncsync.console import print_line
from asyncsync.errors import ConfigError
from asyncsync.keys import shown
from asyncsync.settings import globs, parse_option

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

COMMANDS = ("sync", "plan", "verify", "doctor", "demo")

_GLOBS = ("include", "exclude")
_TEXTS = ("dest", "workers", "max_workers", "validate", "attempts", "limit_rate", "since")
"""Options whose words mean a value, by field name."""

_HELP = """\
commands:
  sync      list, compare, download, validate, report (the default)
  plan      the same without a download: what, how much, does it fit
  verify    the files against the bucket: present, size, version, with --deep content
  doctor    endpoint, credentials, clock, bucket, disk, speed: what is wrong, and what to do
  demo      a throw-away S3 server, a sample data set, a real sync

exit codes:
  0  everything selected is present and validated
  1  some objects failed; all others were done
  2  usage or configuration
  3  keys were skipped (unsafe, colliding, gone); all others were done
  4  the remote side ended the run: credentials, bucket, listing, TLS, network
  5  the local side ended the run: disk full, not writable, out of memory
  6  another run holds the destination
  129, 130, 143  stopped by SIGHUP, SIGINT (Ctrl-C) or SIGTERM

The credentials and the bucket come from R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY, R2_ENDPOINT_URL \
and R2_BUCKET, in the environment or in the env file. The options up to --strict, but for \
--env-file, can be set there as well: ASYNCSYNC_DEST, ASYNCSYNC_MAX_WORKERS and so on. An \
option that takes a GLOB may be repeated; in a variable, globs are parted by spaces. `*` matches \
`/` as well.
"""


class _Help(argparse.HelpFormatter):
    """Breaks the lines of `_HELP` where the terminal ends, and each goes on below its meaning."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:  # noqa: ARG002 - argparse's
        return "\n".join(line for each in text.splitlines() for line in self._filled(each, width))

    def _filled(self, line: str, width: int) -> list[str]:
        meaning = re.match(r"  \S.*?  +", line)
        return textwrap.wrap(
            line,
            width,
            subsequent_indent=" " * (meaning.end() if meaning else 0),
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]


class _Parser(argparse.ArgumentParser):
    """Prints what goes nowhere without an error, as all else does."""

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        to_output = file is sys.stdout
        print_line(message.removesuffix("\n"), sys.stdout if to_output else sys.stderr)


def parser() -> argparse.ArgumentParser:
    """Return what takes a command line apart."""
    made = _Parser(
        prog="asyncsync",
        usage="asyncsync [sync|plan|verify|doctor|demo] [PREFIX ...] [options]",
        description="Bring a local folder in step with an R2 (S3-compatible) bucket.",
        epilog=_HELP,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("words", nargs="*", metavar="PREFIX", help="key prefixes; without one, the whole bucket")
    add("--dest", metavar="DIR", help="the local folder (default: downloads)")
    add("--env-file", metavar="FILE", type=Path, help="where settings are (default: ./.env)")
    add("--include", metavar="GLOB", action="append", help="keys that count (default: *.parquet)")
    add("--exclude", metavar="GLOB", action="append", help="keys that do not count")
    add("--workers", metavar="N", help="requests for objects in flight, or auto (default)")
    add("--max-workers", metavar="N", help="the most that auto may find (default: 256)")
    add("--validate", metavar="HOW", help="content (default): HEAD and hash; head; response")
    add(
        "--no-parquet-check",
        dest="parquet_check",
        action="store_false",
        default=None,
        help="take what is called *.parquet and is none",
    )
    add(
        "--deep",
        action="store_const",
        const=True,
        help="verify: read the files, prove their content",
    )
    add("--attempts", metavar="N", help="tries of a request before its object fails (default: 8)")
    add(
        "--no-space-check",
        action="store_const",
        const=False,
        dest="space_check",
        help="begin, whether all fits on the disk or not",
    )
    add("--durable", action="store_const", const=True, help="wait until files are on the disk")
    add("--limit-rate", metavar="RATE", help="bytes of objects a second at most: 500k, 20M or off")
    add("--since", metavar="auto", help="list from the last keys on; misses what sorts before")
    add("--strict", action="store_const", const=True, help="refuse an env file others can read")
    add("--plan", metavar="FILE", help="sync: fetch what `plan --json` wrote to FILE; list nothing")
    add("--json", action="store_true", help="one JSON object a line on standard output")
    add("-q", "--quiet", action="store_true", help="print failures only")
    add("-v", "--verbose", action="store_true", help="name every object")
    add("--no-progress", action="store_true", help="no bars and no progress lines")
    add("--log-file", metavar="FILE", help="append a log of retries and outcomes to FILE")
    add("--keep", action="store_true", help="demo: keep the server until Ctrl-C")
    add("--print-completion", metavar="SHELL", help="print the completion for bash, zsh or fish")
    add("--version", action="version", version=f"asyncsync {__version__}")
    return made


def taken_apart(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return what a command line says; None is that of the process.

    What it cannot say ends the process, with a word about what may have been meant.
    """
    made = parser()
    arguments, unknown = made.parse_known_intermixed_args(argv)
    if unknown:
        option = unknown[0].partition("=")[0]
        known = [name for action in made._actions for name in action.option_strings]  # noqa: SLF001 - as in completion.py
        if option in {"--dry-run", "--dryrun", "-n"}:
            hint = "; `asyncsync plan` shows what a sync would do"
        elif alike := get_close_matches(option, known, n=1):
            hint = f"; did you mean {alike[0]}?"
        else:
            hint = "; --help shows those that there are"
        made.error(f"no such option: {shown(option)}{hint}")
    return arguments


def prefix_hint(prefix: str) -> str:
    """Return what may have been meant by a prefix that no key begins with; empty for no guess."""
    if alike := get_close_matches(prefix, COMMANDS, n=1):
        return f"; did you mean the command {alike[0]}?"
    if prefix == "help":
        return "; did you mean --help?"
    if "://" in prefix or prefix.startswith(("/", "./")):
        return "; a prefix is how keys begin, without the bucket's name and a / in front"
    if "*" in prefix:
        return "; a prefix is taken literally, and a glob goes behind --include"
    return ""


def given_options(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the options that were given as arguments, by field name; None for the others.

    Raises:
        ConfigError: the text of an argument is no value of its option, or it goes elsewhere.
    """
    if arguments.keep and arguments.words[:1] != ["demo"]:
        raise ConfigError("--keep: goes with demo only")
    if arguments.deep and arguments.words[:1] not in (["verify"], ["doctor"]):
        raise ConfigError("--deep: goes with verify only; a sync proves what it downloads")
    if arguments.words[:1] == ["demo"]:
        _check_demo(arguments)
    if arguments.plan is not None and arguments.words[:1] in (["plan"], ["verify"], ["doctor"]):
        raise ConfigError(f"--plan: goes with sync, not with {arguments.words[0]}")
    given: dict[str, object] = {
        "space_check": arguments.space_check,
        "durable": arguments.durable,
        "strict": arguments.strict,
        "parquet_check": arguments.parquet_check,
        "deep": arguments.deep,
    }
    for name in (*_GLOBS, *_TEXTS):
        said = getattr(arguments, name)
        parse = globs if name in _GLOBS else partial(parse_option, name)
        try:
            given[name] = None if said is None else parse(said)
        except ValueError as error:
            raise ConfigError(f"--{name.replace('_', '-')}: {error}") from None
    return given


def _check_demo(arguments: argparse.Namespace) -> None:
    if arguments.words[1:]:
        raise ConfigError(f"demo: takes no PREFIX, and so not {shown(arguments.words[1])}")
    made = parser()
    given = {name for name, value in vars(arguments).items() if value != made.get_default(name)}
    if given - {"words", "dest", "keep"}:
        raise ConfigError("demo: takes --dest and --keep, and no other option")
