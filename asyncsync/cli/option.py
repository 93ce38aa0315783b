"""An option of the command line: how it is written, and which commands take it."""

from typing import Any


class Option:
    """An option of the command line.

    Args:
        how: how it is written: its names, and behind them what stands for its value in help, as
            `-o --output FILE`. Without the latter, it has no value.
        help: what the help says about it.
        commands: the commands whose help shows it. Without any, it is for all commands, and only
            the help of `asyncsync` itself shows it.
        also: commands that accept it as well and do the same with or without it: what works for
            `sync` should not have to be taken out for a `plan`, `verify` or `doctor` of the same.
        settings: the other keyword arguments of argparse's `add_argument`.
    """

    def __init__(
        self,
        how: str,
        help: str,  # noqa: A002 - argparse's name
        commands: str = "",
        also: str = "",
        **settings: Any,  # noqa: ANN401 - each has its own type
    ) -> None:
        words = how.split()
        self.names = [word for word in words if word.startswith("-")]
        self.metavar = " ".join(words[len(self.names) :])
        """What stands for the option's value in help; empty for an option without one."""
        self.commands = commands.split()
        self.help = help
        self.settings = settings | ({"metavar": self.metavar} if self.metavar else {})
        self._accepted = [*self.commands, *also.split()]

    def is_accepted(self, command: str) -> bool:
        """Return whether the command takes the option."""
        return command in self._accepted or not self.commands

    def is_shown(self, command: str) -> bool:
        """Return whether the command's help shows the option; "" is `asyncsync` itself."""
        if not self.commands:
            return not command
        return (command or "sync") in self.commands
