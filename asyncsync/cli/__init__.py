"""The command line: arguments in, text or JSON lines out, and an exit code.

Read `command.py` first: it runs a command from its arguments to its exit code. `arguments.py` says
what may be written, `screen.py` what a person, a program and the log are told, `signals.py` what
stops a run, and `completion.py` makes the scripts for shells.

Nothing here lists, downloads or touches a file of the destination; that is behind `api.py`.
"""

from asyncsync.cli.command import main

__all__ = ["main"]
