"""The progress of a run in a terminal, a notebook or a log.

Read `progress.py` first: it counts. `bars.py` decides which bars there are and what each shows
(`rows.py`, with the rate of `rate.py`). They are drawn in a terminal by `terminal.py`, which shares
its width as `layout.py` says and gives it back on Ctrl-Z (`suspended.py`), and in a notebook by
`cell.py`. `lines.py` prints a line now and then where bars cannot be drawn. `notices.py` prints
what a notebook would not show otherwise.

No other room draws, and no stage knows this one: it is an `Observer`.
"""

from asyncsync.progress.bars import Bars
from asyncsync.progress.lines import Lines
from asyncsync.progress.notices import Notices

__all__ = ["Bars", "Lines", "Notices"]
