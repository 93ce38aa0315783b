"""The progress of a run in a terminal or a notebook.

Read `progress.py` first: bars, and lines where there is no terminal. `terminal.py` draws the rows
at the bottom of the screen.

Nothing else draws, and no stage knows of this: it looks on as an `Observer`.
"""

from asyncsync.progress.progress import Bars, Lines

__all__ = ["Bars", "Lines"]
