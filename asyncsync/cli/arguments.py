"""Reads the arguments: which command they name, its prefixes and its options.

argparse's own sub-parsers support neither a default command nor options before the command. So
`_split_arguments` finds the command first, and only the parser of that command is made.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from functools import partial

from asyncsync.cli.help import make_parser
from asyncsync.cli.mistakes import check_word, misused_option, near_command, unknown_option
from asyncsync.cli.options import COMMANDS, ONE_OBJECT, OPTIONS, PREFIX, WITHOUT_PREFIXES
from asyncsync.errors import ConfigError
from asyncsync.keys import SCHEME, shown

_GLOBS = ("include", "exclude")
_TEXTS = (
    *("dest", "workers", "max_workers", "compare", "validate", "attempts", "read_timeout"),
    *("limit_rate", "max_duration", "since", "addressing", "odd_keys", "max_delete", "backup_dir"),
    *("newer_than", "older_than", "min_size", "max_size", "processes", "shard"),
)
"""Options whose values are parsed by `settings`, by field name."""
_SETTINGS = ("bucket", "endpoint_url", "region", "profile")
"""Options whose values `settings` takes as they are."""
_SWITCHES = (
    *("parquet_check", "deep", "repair", "space_check", "durable", "strip_prefix", "strict"),
    *("sign_request", "request_payer", "allow_http", "follow_links", "delete", "allow_empty"),
    "incremental",
)
"""Options without a value on the command line, by field name."""

_NAMES = {name for option in OPTIONS for name in option.names}
_WITH_VALUE = {name for option in OPTIONS if option.metavar for name in option.names}

_WRITTEN_ELSEWHERE = {
    "--request-payer=requester": "--request-payer",
    "--dryrun": "--dry-run",
}
"""Options as other tools write them."""


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what a command line says: `command`, `prefixes`, and the options of that command.

    Help and the version end the process, as usual with argparse.

    Args:
        argv: the arguments; None takes those of the process.

    Raises:
        ConfigError: a command, an option or a prefix is none, or does not go with the others.
    """
    command, prefixes, options = _split_arguments(sys.argv[1:] if argv is None else argv)
    if command == "help":
        command, prefixes, options = _topic(prefixes), [], ["--help"]
    arguments = _parse(command, options)
    command = arguments.command
    if prefixes and command in WITHOUT_PREFIXES:
        raise ConfigError(f"{command}: takes no {PREFIX}, and so not {shown(prefixes[0])}")
    if command == "get":
        _check_object(prefixes)
        prefixes, arguments.place = prefixes[:1], next(iter(prefixes[1:]), None)
    elif any(word.startswith(SCHEME) for word in prefixes):
        prefixes, dest = _source_and_dest(prefixes)
        if dest is not None and arguments.dest is not None:
            raise ConfigError(f"--dest: the folder is {shown(dest)} already; name it once")
        arguments.dest = arguments.dest if dest is None else dest
    arguments.prefixes = prefixes
    return arguments


def _parse(command: str, options: Sequence[str]) -> argparse.Namespace:
    """Return what the options of a command say; a dry run of a sync is a plan."""
    parser = make_parser(command)
    command = command or "sync"
    try:
        arguments, unknown = parser.parse_known_args(options)
    except argparse.ArgumentError as error:
        raise ConfigError(misused_option(str(error.argument_name))) from None
    if command == "sync" and arguments.dry_run:
        return _parse("plan", options)
    if unknown:
        name = unknown[0].partition("=")[0]
        raise ConfigError(
            unknown_option(name, command, is_dry=getattr(arguments, "dry_run", False))
        )
    arguments.command = command
    return arguments


def _topic(words: Sequence[str]) -> str:
    """Return the command that help is asked for; "" for `asyncsync` itself.

    Raises:
        ConfigError: there is no such command.
    """
    if not words:
        return ""
    if words[0] not in COMMANDS:
        likely = near_command(words[0])
        hint = f"did you mean {likely}?" if likely else "`asyncsync help` lists them"
        raise ConfigError(f"no such command: {shown(words[0])}; {hint}")
    return words[0]


def _split_arguments(argv: Iterable[str]) -> tuple[str, list[str], list[str]]:
    """Return the command ("" if none is named), the prefixes, and the options with their values.

    The first word that is neither an option nor the value of one is the command, if it is the name
    of one. All other such words are prefixes, and so is everything behind `--`.

    Raises:
        ConfigError: the first word, which is not behind `--`, is a command that was mistyped.
    """
    words: list[str] = []
    options: list[str] = []
    is_value = False
    is_literal = False
    remaining = iter(argv)
    for word in remaining:
        if not is_value:
            word = _WRITTEN_ELSEWHERE.get(word, word)
        if word == "--":
            is_literal = not words
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
    if words and not is_literal:
        check_word(words[0])
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


def _check_object(words: list[str]) -> None:
    """Check that the words are a key and at most one place for its bytes.

    Raises:
        ConfigError: they are more, or none.
    """
    if not words or not words[0] or len(words) > 2:
        what = f"takes no {shown(words[2])}" if len(words) > 2 else "names no object"
        raise ConfigError(f"get: {what}; write asyncsync get {ONE_OBJECT}")
    if len(words) == 2 and (not words[1] or words[1].startswith(SCHEME)):
        raise ConfigError(f"get: {shown(words[1])!r} is no local path; it goes to a file, or to -")


def _is_option(word: str) -> bool:
    """Return whether the word is an option, as argparse decides: `-1` and `-a b` are not."""
    if word.partition("=")[0] in _NAMES:
        return True
    return re.match(r"-[^\d.]", word) is not None and " " not in word


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
