"""Several processes for one run: the brain lists, compares, deals and reports; movers download.

Read `crew.py` first, the brain's side: who gets which transfer, and who replaces a mover that has
died. `outcomes.py` says what becomes of each transfer, `process.py` starts a mover and holds its
pipes, `errands.py` does what movers ask for, `hire.py` says how many a run has (`memory.py` how
much memory there is for them, and `alone.py` is a run without), `need.py` whether it needs them,
and `lines.py` what is said: transfers go out, and outcomes come back, as lines of JSON. `mover.py`
is the other end, with what it asks the brain for in `asking.py`.

A mover knows no listing, no lock, no table and no bars. It gives no file its name: it writes
complete, proven files without one (`disk/handover.py`), which the brain takes (`disk/taking.py`).
"""

from asyncsync.movers.alone import Alone
from asyncsync.movers.crew import Crew, crew_of
from asyncsync.movers.hire import Engine, Fetcher, Hire, usable_cores
from asyncsync.movers.lines import (
    Event,
    Reader,
    dealt_line,
    encode,
    error_line,
    parse_downloaded,
    parse_error,
)
from asyncsync.movers.mover import Orders, move

__all__ = [
    "Alone",
    "Crew",
    "Engine",
    "Event",
    "Fetcher",
    "Hire",
    "Orders",
    "Reader",
    "crew_of",
    "dealt_line",
    "encode",
    "error_line",
    "move",
    "parse_downloaded",
    "parse_error",
    "usable_cores",
]
