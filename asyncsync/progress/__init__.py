"""The progress of a run in a terminal, a notebook or a log.

Read `progress.py` first: it counts. `bars.py` draws progress bars, with those of a terminal in
`terminal.py`. `lines.py` prints a line now and then where bars cannot be drawn.

No other room draws, and no stage knows this one: it is an `Observer`.
"""

from asyncsync.progress.lines import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncsync.progress.bars import Bars

__all__ = ["Bars", "Lines"]

if not TYPE_CHECKING:  # or type checkers would accept every name

    def __getattr__(name: str) -> object:
        """Import bars when they are first used: lines do not wait for tqdm."""
        if name == "Bars":
            from asyncsync.progress.bars import Bars

            return Bars
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
