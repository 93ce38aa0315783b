"""Runs a command for each source that `--source` names, one after the other."""

import argparse
import sys
from collections.abc import Callable, Iterable

from asyncsync.cli.signals import Watch
from asyncsync.console import print_error, print_line
from asyncsync.errors import AsyncSyncError, ConfigError
from asyncsync.keys import SCHEME, shown
from asyncsync.settings import Named, named_sources

_WORST_FIRST = (6, 2, 4, 5, 1, 3, 7)
"""Exit codes, as docs/reliability.md says which one counts; a signal's comes before all."""
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
    if bucket := next((word for word in arguments.prefixes if word.startswith(SCHEME)), None):
        raise ConfigError(f"{shown(bucket)}: goes with one source; --source names {len(sources)}")
    if getattr(arguments, "files_from", None) == "-":
        raise ConfigError(
            "--files-from: standard input can be read once, and --source names "
            f"{len(sources)}; name a file"
        )
    if arguments.command == "get":
        raise ConfigError("get: one object is of one source; name that with --source")
    for name in _OF_ONE:
        if getattr(arguments, name, None) is not None:
            raise ConfigError(f"--{name}: goes with one source; --source names {len(sources)}")
    codes = []
    for name, source in sources.items():
        if not (arguments.quiet or arguments.json):
            print_line(f"[{shown(name)}]", sys.stdout)
        code = _told(run_one, source)
        if code and code != ConfigError.exit_code:  # whose message names the source
            print_error(f"source {shown(name)}: exit code {code}")
        codes.append(code)
        if watch.caught:
            break
    return _worst(codes)


def _told(run_one: Callable[[Named], int], source: Named) -> int:
    """Run for one of several sources; return the exit code also of what ends it."""
    try:
        with source.naming():
            return run_one(source)
    except AsyncSyncError as error:
        print_error(str(error))
        return error.exit_code


def _worst(codes: Iterable[int]) -> int:
    found = set(codes)
    by_signal = [code for code in found if code >= 128]
    return next((code for code in (*by_signal, *_WORST_FIRST) if code in found), 0)
