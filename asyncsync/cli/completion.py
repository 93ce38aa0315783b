"""Completion in a shell: a script, made from the parser once, so that no key starts Python."""

from asyncsync.cli.arguments import COMMANDS, parser
from asyncsync.errors import ConfigError, missing
from asyncsync.settings import Validate

SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """Return what a shell (bash, zsh, fish) reads to complete asyncsync's arguments.

    Raises:
        ConfigError: no such shell is known, or the package that makes scripts is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise ConfigError(missing("shtab", "completion")) from error
    if shell not in SHELLS:
        raise ConfigError(f"--print-completion: {shell!r} is none of {', '.join(SHELLS)}")
    by_metavar = {
        "DIR": shtab.DIRECTORY,
        "FILE": shtab.FILE,
        "HOW": shtab.cmd(_lines(*Validate)),
        "PREFIX": shtab.cmd(_lines(*COMMANDS)),
        "auto": shtab.cmd(_lines("auto", "off")),
        "SHELL": shtab.cmd(_lines(*SHELLS)),
    }
    made = parser()
    for action in made._actions:  # noqa: SLF001  # argparse shows them in no other way
        if found := by_metavar.get(str(action.metavar)):
            action.complete = found  # type: ignore[attr-defined]  # what shtab looks for
    return str(shtab.complete(made, shell))


def _lines(*words: str) -> str:
    return f"printf '%s\\n' {' '.join(words)}"
