"""Completion in a shell: a script made once from the options, so that no key press runs Python."""

import argparse
from collections.abc import Mapping

from asyncsync.cli.help import add_options
from asyncsync.cli.options import COMMANDS
from asyncsync.errors import ConfigError, missing
from asyncsync.model import Addressing, Compare
from asyncsync.paths import OddKeys
from asyncsync.settings import Validate

SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """Return the script with which a shell (bash, zsh, fish) completes asyncsync's arguments.

    Raises:
        ConfigError: the shell is unknown, or the package that makes scripts is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise ConfigError(missing("shtab", "completion")) from error
    if shell not in SHELLS:
        raise ConfigError(f"--print-completion: {shell!r} is not one of {', '.join(SHELLS)}")
    choices = {
        "--validate": Validate,
        "--compare": Compare,
        "--addressing": Addressing,
        "--odd-keys": OddKeys,
        "--print-completion": SHELLS,
    }
    completers = {name: shtab.cmd(_lines(*words)) for name, words in choices.items()}
    completers |= {"DIR": shtab.DIRECTORY, "FILE": shtab.FILE}
    return str(shtab.complete(_tree(completers), shell))


def _tree(completers: Mapping[str, object]) -> argparse.ArgumentParser:
    """Return one parser that has all commands, with what completes the value of an option.

    Args:
        completers: what shtab takes to complete a value, by the option or its metavar.
    """
    root = argparse.ArgumentParser("asyncsync", add_help=False)
    actions = add_options(root, "")
    commands = root.add_subparsers(metavar="COMMAND")
    for command, does in COMMANDS.items():
        parser = commands.add_parser(command, help=does, add_help=False)
        actions += add_options(parser, command)
        if command == "help":
            parser.add_argument("of", nargs="?", choices=list(COMMANDS))
    for action in actions:
        name = action.option_strings[-1]
        if completer := completers.get(name) or completers.get(str(action.metavar)):
            action.complete = completer  # type: ignore[attr-defined]  # what shtab looks for
    return root


def _lines(*words: str) -> str:
    return f"printf '%s\\n' {' '.join(words)}"
