"""The parsers, and with them the help: one for each command, made from the tables in `options.py`.

argparse formats the help. What it says beside the options is here: usage, examples, exit codes.
"""

import argparse
import re
import sys
import textwrap
from typing import TYPE_CHECKING

from asyncsync.cli.options import (
    COMMANDS,
    GROUPS,
    ONE_OBJECT,
    OPTIONS,
    PREFIX,
    SOURCE,
    WITHOUT_PREFIXES,
)
from asyncsync.console import print_line
from asyncsync.keys import SCHEME

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

FIRST = (
    *("--dest", "--include", "--exclude", "--dry-run", "--strip-prefix", "--env-file"),
    *("--limit-rate", "--quiet", "--verbose", "--json"),
)
"""The options that most people need first: those that the help of `asyncsync` itself shows."""

EXAMPLES = {
    "": """\
  asyncsync plan                # what would be downloaded, and does it fit?
  asyncsync 1hz/ fft_hub1/      # download what begins so, into downloads/
  asyncsync s3://sensors/1hz/ 1hz --strip-prefix   # as other tools write it""",
    "sync": """\
  asyncsync sync 1hz/ fft_hub1/ # download what begins so, into downloads/
  asyncsync sync --include '*' --exclude '*/raw/*' --dest data
  asyncsync sync s3://sensors/1hz/ 1hz --strip-prefix   # as elsewhere""",
    "plan": """\
  asyncsync plan -v 1hz/               # name each object to download
  asyncsync plan --exit-code -q        # 0: nothing to do, 7: something is
  asyncsync plan --json > plan.json    # for asyncsync sync --plan plan.json""",
    "verify": """\
  asyncsync verify 1hz/                # is each file that of its object?
  asyncsync verify --deep              # read the files as well
  asyncsync verify --json > found.json # a line for each that is not""",
    "ls": """\
  asyncsync ls                         # the folders and objects at the top
  asyncsync ls -r 1hz/2026/            # each object below, and is it here?
  asyncsync ls --json --include '*'    # one JSON object a line""",
    "du": """\
  asyncsync du                         # how much each folder at the top holds
  asyncsync du --depth 2 1hz/          # and each folder in them
  asyncsync du --include '*' --json    # of all objects, for a program""",
    "get": """\
  asyncsync get 1hz/2026/01/a.parquet          # to ./a.parquet
  asyncsync get s3://sensors/list.json - > list.json   # to what reads it
  asyncsync get 1hz/a.parquet /tmp/b.parquet   # to a file of another name""",
    "doctor": """\
  asyncsync doctor                     # look at all that a sync needs
  asyncsync doctor 1hz/                # if the token may list no more
  asyncsync doctor -q && asyncsync     # sync if nothing is wrong""",
    "demo": """\
  asyncsync demo                       # two syncs from a server of its own
  asyncsync demo --dest /tmp/demo      # into another folder
  asyncsync demo --keep                # and keep the server to try more""",
    "help": """\
  asyncsync help                # the commands, and the options needed first
  asyncsync help sync           # the options of sync
  asyncsync sync --help         # the same""",
}
"""Three lines for each command; "" is `asyncsync` itself."""

EXIT_CODES = """\
exit codes:
  0  everything selected is present and validated
  1  some objects failed; all others were done
  2  usage or configuration
  3  keys were skipped (unsafe, colliding, archived, gone), or a prefix has none; others were done
  4  the remote side ended the run: credentials, bucket, listing, TLS, network
  5  the local side ended the run: disk full, not writable, out of memory; or a plan does not fit
  6  another run holds the destination
  7  something is left to do, because an option asks for that; all else was done
  129, 130, 143  stopped by SIGHUP, SIGINT (Ctrl-C) or SIGTERM"""

SETTINGS = """\
Credentials and bucket come from R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY, R2_ENDPOINT_URL and \
R2_BUCKET, in the environment or in .env; where no R2_... is set and an argument names the bucket, \
from AWS's settings. Most options have a variable as well: ASYNCSYNC_DEST and so on."""

_COMMAND_LINES = "\n".join(f"  {command:<8}  {does}" for command, does in COMMANDS.items())
_DESCRIPTION = f"""\
Sync an R2 (S3-compatible) bucket to a local folder: what is missing or out of date is downloaded, \
validated, and only then gets its name.

commands:
{_COMMAND_LINES}"""
_MORE = """\
`asyncsync COMMAND --help` or `asyncsync help COMMAND` shows all options of a command."""
_OF_A_COMMAND = "Settings and exit codes: `asyncsync --help`."
_OPTIONS_COLUMN = 26
"""The column in which the meaning of an option begins; what is wider gets a line of its own."""


class _Help(argparse.HelpFormatter):
    """Wraps each line of a description or epilog by itself, and indents below its meaning."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=_OPTIONS_COLUMN)

    def _fill_text(self, text: str, width: int, indent: str) -> str:  # noqa: ARG002 - argparse's
        return "\n".join(line for each in text.splitlines() for line in self._wrap(each, width))

    def _wrap(self, line: str, width: int) -> list[str]:
        meaning = re.match(r"  \S.*?  +", line)
        indent = min(meaning.end(), width // 3) if meaning else 0
        return textwrap.wrap(
            line,
            width,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]


class _Parser(argparse.ArgumentParser):
    """Prints as the rest of the program does: a closed stream is no error."""

    color: bool

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        to_output = file is sys.stdout
        print_line(message.removesuffix("\n"), sys.stdout if to_output else sys.stderr)


def make_parser(command: str = "") -> argparse.ArgumentParser:
    """Return the parser of a command; "" is `asyncsync` itself, with the options of sync.

    It raises what is wrong with an option's value, as `argparse.ArgumentError`.
    """
    does = COMMANDS.get(command, "")
    examples = f"examples:\n{EXAMPLES.get(command, '')}"
    parser = _Parser(
        prog=f"asyncsync {command}".rstrip(),
        usage=usage(command),
        description=f"{does[:1].upper()}{does[1:]}." if command else _DESCRIPTION,
        epilog="\n\n".join(
            [examples, _OF_A_COMMAND] if command else [examples, EXIT_CODES, SETTINGS, _MORE]
        ),
        formatter_class=_Help,
        allow_abbrev=False,
        add_help=False,
        exit_on_error=False,
    )
    parser.color = False  # from Python 3.14 on, its colours would mean other things than ours
    if command == "get":
        where = f"the object, or {SCHEME}BUCKET/KEY; then the file, or - (default: its name, here)"
        words = parser.add_argument_group("arguments")
        words.add_argument("prefixes", nargs="*", metavar="KEY", help=where)
    elif command not in WITHOUT_PREFIXES:
        whole = "beginnings of keys (default: the whole bucket)"
        words = parser.add_argument_group("arguments")
        words.add_argument("prefixes", nargs="*", metavar=PREFIX, help=whole)
    if command:
        add_options(parser, command)
    else:
        _add_first_options(parser)
    return parser


def usage(command: str) -> str:
    """Return how the command is called; "" is `asyncsync` itself."""
    if command == "help":
        return "asyncsync help [COMMAND]"
    if command in WITHOUT_PREFIXES:
        return f"asyncsync {command} [options]"
    if command == "get":
        return f"asyncsync {command} {ONE_OBJECT} [options]"
    return (
        f"asyncsync {command or '[COMMAND]'} [{PREFIX} ...] [options]\n"
        f"       asyncsync {command or '[COMMAND]'} {SOURCE} [options]"
    )


def add_options(parser: argparse.ArgumentParser, command: str) -> list[argparse.Action]:
    """Add the options that a command accepts to a parser, group by group, and return them."""
    added = []
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        for option in options:
            if option.is_accepted(command or "sync"):
                text = option.help if option.is_shown(command) else argparse.SUPPRESS
                added.append(group.add_argument(*option.names, help=text, **option.settings))
    return added


def _add_first_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of a sync, and show those that most people need first."""
    group = parser.add_argument_group("options that most people need first")
    shown = [name for name in FIRST for option in OPTIONS if name in option.names]
    shown += ["--help", *(option.names[-1] for option in OPTIONS if not option.commands)]
    known = [option for option in OPTIONS if option.is_accepted("sync")]
    for option in sorted(known, key=lambda option: _place(option.names[-1], shown)):
        is_first = option.names[-1] in shown
        text = option.help if is_first else argparse.SUPPRESS
        group.add_argument(*option.names, help=text, **option.settings)


def _place(name: str, names: list[str]) -> int:
    return names.index(name) if name in names else len(names)
