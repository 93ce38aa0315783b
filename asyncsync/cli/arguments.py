"""The command line's parsers: one for each command, made from the tables in `options.py`.

argparse's own sub-parsers support neither a default command nor options before the command. So
`_split_arguments` finds the command first, and only the parser of that command is made.
"""

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from asyncsync.cli.options import COMMANDS, OPTIONS, PREFIX, SOURCE, WITHOUT_PREFIXES
from asyncsync.console import print_line
from asyncsync.errors import ConfigError
from asyncsync.keys import SCHEME, shown

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_GLOBS = ("include", "exclude")
_TEXTS = (
    *("dest", "workers", "max_workers", "compare", "validate", "attempts", "read_timeout"),
    *("limit_rate", "since", "addressing", "odd_keys"),
    *("newer_than", "older_than", "min_size", "max_size"),
)
"""Options whose values are parsed by `settings`, by field name."""
_SETTINGS = ("bucket", "endpoint_url", "region", "profile")
"""Options whose values `settings` takes as they are."""
_SWITCHES = (
    *("parquet_check", "deep", "repair", "space_check", "durable", "strip_prefix", "strict"),
    *("sign_request", "request_payer", "allow_http", "follow_links", "incremental"),
)
"""Options without a value on the command line, by field name."""

_NAMES = {name for option in OPTIONS for name in option.names}
_WITH_VALUE = {name for option in OPTIONS if option.metavar for name in option.names}

_WRITTEN_ELSEWHERE = {"--request-payer=requester": "--request-payer"}
"""Options as other tools write them."""

_DESCRIPTION = "Sync an R2 (S3-compatible) bucket to a local folder."
_COMMAND_LINES = "\n".join(f"  {command:<8}  {does}" for command, does in COMMANDS.items())
_EPILOG = f"""\
commands:
{_COMMAND_LINES}

The options above are those of sync. `asyncsync COMMAND --help` shows those of a command.

exit codes:
  0  everything selected is present and validated
  1  some objects failed; all others were done
  2  usage or configuration
  3  keys were skipped (unsafe, colliding, archived, gone), or a prefix has none; others were done
  4  the remote side ended the run: credentials, bucket, listing, TLS, network
  5  the local side ended the run: disk full, not writable, out of memory
  6  another run holds the destination
  7  something is left to do, because an option asks for that; all else was done
  129, 130, 143  stopped by SIGHUP, SIGINT (Ctrl-C) or SIGTERM

The credentials and the bucket come from R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY, R2_ENDPOINT_URL \
and R2_BUCKET, in the environment or in the env file. --dest and the options from --include to \
--allow-http can be set there as well: ASYNCSYNC_DEST, ASYNCSYNC_MAX_WORKERS and so on. An option \
that takes a GLOB may be repeated; in a variable, separate globs with spaces. `*` matches `/` as \
well. As in other tools, s3://BUCKET/PREFIX names bucket and prefix, and the word behind it is the \
folder. Where no R2_... is set but the bucket is named so, or by --bucket, all else comes from \
AWS's settings: AWS_ACCESS_KEY_ID, AWS_PROFILE, ~/.aws and so on.
"""
_SEE_ALSO = "Settings and exit codes: `asyncsync --help`."


class _Help(argparse.HelpFormatter):
    """Wraps each line of a description or epilog by itself, and indents below its meaning."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:  # noqa: ARG002 - argparse's
        return "\n".join(line for each in text.splitlines() for line in self._wrap(each, width))

    def _wrap(self, line: str, width: int) -> list[str]:
        meaning = re.match(r"  \S.*?  +", line)
        return textwrap.wrap(
            line,
            width,
            subsequent_indent=" " * (meaning.end() if meaning else 0),
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]


class _Parser(argparse.ArgumentParser):
    """Prints as the rest of the program does: a closed stream is no error."""

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        to_output = file is sys.stdout
        print_line(message.removesuffix("\n"), sys.stdout if to_output else sys.stderr)


def make_parser(command: str = "") -> argparse.ArgumentParser:
    """Return the parser of a command; "" is `asyncsync` itself, with the options of sync."""
    takes_prefixes = command not in WITHOUT_PREFIXES
    does = COMMANDS.get(command, "")
    parser = _Parser(
        prog=f"asyncsync {command}".rstrip(),
        usage=_usage(command),
        description=f"{does[0].upper()}{does[1:]}." if command else _DESCRIPTION,
        epilog=_SEE_ALSO if command else _EPILOG,
        formatter_class=_Help,
        allow_abbrev=False,
        add_help=False,
    )
    if takes_prefixes:
        whole = "prefixes of keys (default: the whole bucket)"
        parser.add_argument("prefixes", nargs="*", metavar=PREFIX, help=whole)
    add_options(parser, command)
    return parser


def _usage(command: str) -> str:
    """Return how the command is called; "" is `asyncsync` itself."""
    if command in WITHOUT_PREFIXES:
        return f"asyncsync {command} [options]"
    commands = command or f"[{'|'.join(COMMANDS)}]"
    return (
        f"asyncsync {commands} [{PREFIX} ...] [options]\n"
        f"       asyncsync {command or '[COMMAND]'} {SOURCE} [options]"
    )


def add_options(parser: argparse.ArgumentParser, command: str) -> list[argparse.Action]:
    """Add the options that a command accepts to a parser, and return them."""
    added = []
    for option in OPTIONS:
        if option.is_accepted(command or "sync"):
            text = option.help if option.is_shown(command) else argparse.SUPPRESS
            added.append(parser.add_argument(*option.names, help=text, **option.settings))
    return added


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what a command line says: `command`, `prefixes`, and the options of that command.

    Help, the version and errors of usage end the process, as usual with argparse.

    Args:
        argv: the arguments; None takes those of the process.

    Raises:
        ConfigError: an option or a prefix does not go with the command.
    """
    command, prefixes, options = _split_arguments(sys.argv[1:] if argv is None else argv)
    parser = make_parser(command)
    command = command or "sync"
    arguments, unknown = parser.parse_known_args(options)
    if unknown:
        _refuse(parser, command, unknown[0].partition("=")[0])
    if prefixes and command in WITHOUT_PREFIXES:
        raise ConfigError(f"{command}: takes no {PREFIX}, and so not {shown(prefixes[0])}")
    if any(word.startswith(SCHEME) for word in prefixes):
        prefixes, dest = _source_and_dest(prefixes)
        if dest is not None and arguments.dest is not None:
            raise ConfigError(f"--dest: the folder is {shown(dest)} already; name it once")
        arguments.dest = arguments.dest if dest is None else dest
    arguments.command, arguments.prefixes = command, prefixes
    return arguments


def _split_arguments(argv: Iterable[str]) -> tuple[str, list[str], list[str]]:
    """Return the command ("" if none is named), the prefixes, and the options with their values.

    The first word that is neither an option nor the value of one is the command, if it is the name
    of one. All other such words are prefixes, and so is everything behind `--`.
    """
    words: list[str] = []
    options: list[str] = []
    is_value = False
    remaining = iter(argv)
    for word in remaining:
        if not is_value:
            word = _WRITTEN_ELSEWHERE.get(word, word)
        if word == "--":
            words += remaining
        elif word == "requester" and options[-1:] == ["--request-payer"]:
            continue  # the only value that it has in other tools
        elif is_value or _is_option(word):
            options.append(word)
            is_value = not is_value and word in _WITH_VALUE
        else:
            words.append(word)
    if words and words[0] in COMMANDS:
        return words[0], words[1:], options
    return "", words, options


def _source_and_dest(words: list[str]) -> tuple[list[str], str | None]:
    """Return `s3://bucket/prefix` alone, and the word behind it; None if there is none.

    Raises:
        ConfigError: there is another word.
    """
    source, *others = words
    if not source.startswith(SCHEME):
        raise ConfigError(f"{shown(source)}: does not go with an {SCHEME} argument; use one alone")
    if len(others) > 1 or any(word.startswith(SCHEME) for word in others):
        raise ConfigError(
            f"{shown(others[-1])}: one too many; an {SCHEME} argument goes with one folder at most"
        )
    return [source], next(iter(others), None)


def _is_option(word: str) -> bool:
    """Return whether the word is an option, as argparse decides: `-1` and `-a b` are not."""
    if word.partition("=")[0] in _NAMES:
        return True
    return re.match(r"-[^\d.]", word) is not None and " " not in word


def _similar(word: str, words: Iterable[str]) -> str:
    """Return the one of the words that may have been meant; empty for none."""
    from difflib import get_close_matches  # only mistakes wait for it

    return next(iter(get_close_matches(word, list(words), n=1)), "")


def _refuse(parser: argparse.ArgumentParser, command: str, name: str) -> NoReturn:
    """End because of an option that the command does not take.

    Raises:
        ConfigError: another command takes it.
    """
    commands = [c for option in OPTIONS if name in option.names for c in option.commands]
    if commands:
        *others, last = commands
        all_of_them = f"{', '.join(others)} and {last}" if others else last
        raise ConfigError(f"{name}: goes with {all_of_them}, not with {command}")
    accepted = [n for option in OPTIONS if option.is_accepted(command) for n in option.names]
    if name in {"--dry-run", "--dryrun", "-n"}:
        hint = "; `asyncsync plan` shows what a sync would do"
    elif similar := _similar(name, accepted):
        hint = f"; did you mean {similar}?"
    else:
        hint = f"; `{parser.prog} --help` lists the options"
    parser.error(f"no such option: {shown(name)}{hint}")


def prefix_hint(prefix: str, bucket: str) -> str:
    """Return a guess at what was meant by a prefix that no key begins with; empty for none."""
    if f"{prefix}/".startswith(f"{bucket}/"):
        return f"; {shown(bucket)} is the bucket: did you mean {SCHEME}{shown(prefix)}?"
    if similar := _similar(prefix, COMMANDS):
        return f"; did you mean the command {similar}?"
    if prefix == "help":
        return "; did you mean --help?"
    if "://" in prefix or prefix.startswith(("/", "./")):
        return (
            "; a prefix is the beginning of a key, without the bucket's name and a leading /; "
            f"with the bucket, write {SCHEME}BUCKET/PREFIX"
        )
    if "*" in prefix:
        return "; a prefix is not a glob: use --include for globs"
    return ""


def given_options(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the options that were given as arguments, by field name; None for the others.

    Raises:
        ConfigError: the text of an argument is not a valid value of its option.
    """
    from asyncsync.settings import globs, parse_option  # slow to import: help does not need it

    as_they_are = (*_SWITCHES, *_SETTINGS)
    given: dict[str, object] = {name: getattr(arguments, name, None) for name in as_they_are}
    for name in (*_GLOBS, *_TEXTS):
        value = getattr(arguments, name, None)
        parse = globs if name in _GLOBS else partial(parse_option, name)
        try:
            given[name] = None if value is None else parse(value)
        except ValueError as error:
            raise ConfigError(f"--{name.replace('_', '-')}: {error}") from None
    return given
