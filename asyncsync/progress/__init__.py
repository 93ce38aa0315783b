"""The progress of a run in a terminal, a notebook or a log.

Read `progress.py` first: it counts. `bars.py` decides which bars there are, each of which is a tqdm
(`bar.py`, with the rate of `rate.py`). They are drawn in a terminal by `terminal.py`, which shares
its width as `layout.py` says and gives it back on Ctrl-Z (`suspended.py`), and in a notebook by
`cell.py`. `lines.py` prints a line now and then where bars cannot be drawn. `notices.py` prints
what a notebook would not show otherwise.

No other room draws, and no stage knows this one: it is an `Observer`.
"""

from asyncsync.progress.lines import Lines
from asyncsync.progress.notices import Notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncsync.progress.bars import Bars

__all__ = ["Bars", "Lines", "Notices"]

if not TYPE_CHECKING:  # or type checkers would accept every name

    def __getattr__(name: str) -> object:
        """Import bars when they are first used: lines do not wait for tqdm."""
        if name == "Bars":
            from asyncsync.progress.bars import Bars

            return Bars
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
