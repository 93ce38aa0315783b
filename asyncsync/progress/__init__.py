"""The progress of a run in a terminal, a notebook or a log.

Read `progress.py` first: it counts. `bars.py` draws progress bars, with those of a terminal in
`terminal.py`. `lines.py` prints a line now and then where bars cannot be drawn.

No other room draws, and no stage knows this one: it is an `Observer`.
"""

from asyncsync.progress.bars import Bars
from asyncsync.progress.lines import Lines

__all__ = ["Bars", "Lines"]
