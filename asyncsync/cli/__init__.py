"""The command line: arguments in, text or JSON lines out, and an exit code.

Read `command.py` first: it leads from the arguments to an exit code. `arguments.py` reads them, by
parsers that `help.py` makes from the tables of commands and options in `options.py` (an `Option` is
in `option.py`); `mistakes.py` says what may have been meant by what is none of these. `running.py`
runs what they ask for: for each source that is named (`sources.py`), once or again and again
(`every.py`). `screen.py` reports a run to a person, a program and the log (`log_file.py`),
`ends.py` says how one ends, `signals.py` stops one, and `completion.py` makes scripts for shells.
`browsing.py` runs `ls`, `du` and `get`, and `looks.py` prints what they find.

Nothing here lists, downloads or touches a file of the destination: `api.py` does.
"""

from asyncsync.cli.command import main

__all__ = ["main"]
