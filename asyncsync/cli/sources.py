"""Runs a command for each source that `--source` names, one after the other."""

import argparse
import sys
from collections.abc import Callable

from asyncsync.cli.ends import STOPPED, colour_of_code, worst_code
from asyncsync.cli.mistakes import as_option
from asyncsync.cli.signals import Watch
from asyncsync.console import RED, print_line, print_message
from asyncsync.errors import AsyncSyncError, ConfigError
from asyncsync.keys import SCHEME, shown
from asyncsync.settings import Named, named_sources

_OF_ONE = ("dest", "bucket", "plan", "report")
"""Arguments that belong to one source."""


def run_sources(
    run_one: Callable[[Named], int], arguments: argparse.Namespace, watch: Watch
) -> int:
    """Run for each named source, or once without any; return the worst of the exit codes.

    What ends one of several does not keep the others from being run.

    Raises:
        AsyncSyncError: the file of the sources is wrong, or the only run.
    """
    if not arguments.source:
        return run_one(Named())
    sources = named_sources(arguments.source)
    if len(sources) == 1:
        (source,) = sources.values()
        with source.naming():
            return run_one(source)
    _refuse_what_is_of_one(arguments, len(sources))
    codes = []
    for name, source in sources.items():
        if not (getattr(arguments, "quiet", False) or arguments.json):  # ls and du have no --quiet
            print_line(f"[{shown(name)}]", sys.stdout)
        code = _told(run_one, source)
        if code and code != ConfigError.exit_code:  # whose message names the source
            print_message(f"source {shown(name)}: exit code {code}", colour_of_code(code))
        codes.append(code)
        if watch.caught:
            codes.append(STOPPED + watch.caught[0])
            break
    return worst_code(codes)


def _refuse_what_is_of_one(arguments: argparse.Namespace, number: int) -> None:
    """Refuse for several sources what only one of them can have."""
    if bucket := next((word for word in arguments.prefixes if word.startswith(SCHEME)), None):
        raise ConfigError(f"{shown(bucket)}: goes with one source; --source names {number}")
    if getattr(arguments, "files_from", None) == "-":
        raise ConfigError(
            "--files-from: standard input can be read once, and --source names "
            f"{number}; name a file"
        )
    if arguments.command == "get":
        raise ConfigError("get: one object is of one source; name that with --source")
    for name in _OF_ONE:
        if getattr(arguments, name, None) is not None:
            raise ConfigError(f"--{name}: goes with one source; --source names {number}")


def _told(run_one: Callable[[Named], int], source: Named) -> int:
    """Run for one of several sources; return the exit code also of what ends it."""
    try:
        with source.naming():
            return run_one(source)
    except AsyncSyncError as error:
        print_message(as_option(str(error)), RED)
        return error.exit_code
